"""Strategic merge patch: like merge patch, but some lists are merged by a key.

Which lists, and by which key, is what the `patchStrategy`/`patchMergeKey` tags in k8s.io/api say
for the kinds served here; every other list is replaced whole. Directives: `$patch` (delete,
replace, merge), `$deleteFromPrimitiveList/…`, `$setElementOrder/…`, `$retainKeys`.
https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md
"""

from collections.abc import Mapping
from typing import Any, Final

from bridge.sim.kube.apiserver.failure import bad_request
from bridge.sim.kube.apiserver.objects import Object, copy

_MERGE_KEYS: Final[Mapping[str, str]] = {
    "addresses": "type",
    "conditions": "type",
    "containers": "name",
    "env": "name",
    "ephemeralContainers": "name",
    "hostAliases": "ip",
    "hostIPs": "ip",
    "imagePullSecrets": "name",
    "initContainers": "name",
    "ownerReferences": "uid",
    "podIPs": "ip",
    "ports": "containerPort",
    "resourceClaims": "name",
    "schedulingGates": "name",
    "secrets": "name",
    "topologySpreadConstraints": "topologyKey",
    "volumeDevices": "devicePath",
    "volumeMounts": "mountPath",
    "volumes": "name",
    "volumesAttached": "name",
    "webhooks": "name",
}
_PRIMITIVE_SETS: Final = frozenset({"finalizers", "podCIDRs"})
_ORDER: Final = "$setElementOrder/"
_DELETE: Final = "$deleteFromPrimitiveList/"


def merge(target: Object, patch: Object) -> Object:
    """A new document: `patch` laid over `target`. Raises a 400 for a malformed directive."""
    return _merge_maps(target, patch)


def _merge_maps(target: Object, patch: Object) -> Object:
    directive = patch.get("$patch")
    if directive == "replace":
        return {key: copy(value) for key, value in patch.items() if key != "$patch"}
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise bad_request(f"unknown $patch directive {directive!r}; use delete, replace or merge")
    merged = dict(target)
    retained = patch.get("$retainKeys")
    if retained is not None:
        merged = {key: value for key, value in merged.items() if key in retained}
    for key, value in patch.items():
        if key.startswith(_DELETE):
            name = key.removeprefix(_DELETE)
            merged[name] = [item for item in merged.get(name) or () if item not in value]
        elif not key.startswith("$"):
            _merge_field(merged, key, value, order=patch.get(_ORDER + key))
    for key, order in patch.items():
        name = key.removeprefix(_ORDER)
        if key.startswith(_ORDER) and name not in patch and isinstance(merged.get(name), list):
            merged[name] = _ordered(merged[name], order, merged[name], _MERGE_KEYS.get(name))
    return merged


def _merge_field(merged: Object, key: str, value: Any, *, order: list[Any] | None) -> None:
    if value is None:
        merged.pop(key, None)
    elif isinstance(value, dict):
        current = merged.get(key)
        if value.get("$patch") == "delete":
            merged.pop(key, None)
        else:
            merged[key] = _merge_maps(current if isinstance(current, dict) else {}, value)
    elif isinstance(value, list) and key in _PRIMITIVE_SETS and _are_scalars(value):
        current = merged.get(key) or []
        joined = [*current, *(item for item in value if item not in current)]
        merged[key] = _ordered(joined, order or value, current, None)
    elif isinstance(value, list) and _is_keyed(key, value):
        merged[key] = _merge_lists(merged.get(key) or [], value, _MERGE_KEYS[key], order)
    else:
        merged[key] = copy(value)


def _are_scalars(value: list[Any]) -> bool:
    return all(item is not None and not isinstance(item, list | dict) for item in value)


def _is_keyed(key: str, value: list[Any]) -> bool:
    if key not in _MERGE_KEYS:
        return False
    return all(isinstance(item, dict) for item in value)


def _merge_lists(
    current: list[Object], patch: list[Object], merge_key: str, order: list[Any] | None
) -> list[Object]:
    if any(item.get("$patch") == "replace" for item in patch):
        return [copy(item) for item in patch if item.get("$patch") != "replace"]
    merged = list(current)
    for item in patch:
        if not isinstance(item.get(merge_key), str | int):
            raise bad_request(f"map: {item} does not contain declared merge key: {merge_key}")
        found = [i for i, entry in enumerate(merged) if entry.get(merge_key) == item[merge_key]]
        if item.get("$patch") == "delete":
            merged = [entry for i, entry in enumerate(merged) if i not in found]
        elif found:
            merged[found[0]] = _merge_maps(merged[found[0]], item)
        else:
            merged.append(_merge_maps({}, item))
    named = [item for item in patch if "$patch" not in item]
    return _ordered(merged, order or named, current, merge_key)


def _ordered(
    items: list[Any], wanted: list[Any], before: list[Any], merge_key: str | None
) -> list[Any]:
    """`items` in Kubernetes' order: those in `wanted` in its order, the others as in `before`.

    The two are merged: one of the others comes first only where it stood before the wanted one.
    New items therefore end up in front.
    """

    def key(item: Any) -> Any:
        return item.get(merge_key) if merge_key and isinstance(item, dict) else item

    order = [key(item) for item in wanted]
    places = {key(item): index for index, item in enumerate(before)}
    named = sorted(
        (item for item in items if key(item) in order), key=lambda item: order.index(key(item))
    )
    others = [item for item in items if key(item) not in order]
    result = []
    while named and others:
        other, one = places.get(key(others[0]), -1), places.get(key(named[0]), -1)
        result.append(others.pop(0) if 0 <= other < one else named.pop(0))
    return [*result, *named, *others]
