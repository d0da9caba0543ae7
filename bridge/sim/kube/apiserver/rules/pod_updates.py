"""What may be changed on a pod that exists: little, and a little more while it is gated.

The bridge stands on these: a gated pod's node affinity can be tightened (so one patch pins and
ungates), gates can only go, and after the last one is gone the spec is as good as frozen.
Follows ValidatePodUpdate of Kubernetes 1.36.
"""

from typing import Any, Final

from bridge.sim.kube.apiserver.failure import Cause, forbidden_value, invalid_value
from bridge.sim.kube.apiserver.objects import Object
from bridge.sim.kube.apiserver.rules.equality import same

_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
_FROZEN: Final = (
    "pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only "
    "additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be "
    "set to 1 if it was previously negative)\n"
)


def validate(new: Object, old: Object) -> list[Cause]:
    """What is wrong with turning the spec `old` into `new`."""
    for name in ("containers", "initContainers"):
        if len(new.get(name) or ()) != len(old.get(name) or ()):
            return [forbidden_value(f"spec.{name}", "pod updates may not add or remove containers")]
    causes = _deadline(new.get("activeDeadlineSeconds"), old.get("activeDeadlineSeconds"))
    causes += _tolerations(new.get("tolerations") or [], old.get("tolerations") or [])
    causes += _gates(new.get("schedulingGates") or [], old.get("schedulingGates") or [])
    rest = _without_free_fields(new, old)
    if old.get("schedulingGates"):
        causes += _selector(new.get("nodeSelector") or {}, old.get("nodeSelector") or {})
        causes += _node_affinity(new, old)
        rest["nodeSelector"] = old.get("nodeSelector")
        rest["affinity"] = _with_old_node_affinity(new.get("affinity"), old.get("affinity"))
    changed = [
        key
        for key in sorted(rest.keys() | old.keys())
        if not same({key: rest.get(key)}, {key: old.get(key)})
    ]
    if changed:
        causes.append(forbidden_value("spec", _FROZEN + _difference(rest, old, changed)))
    return causes


def _deadline(new: int | None, old: int | None) -> list[Cause]:
    path = "spec.activeDeadlineSeconds"
    if old is not None and new is None:
        return [invalid_value(path, new, "must not update from a positive integer to nil value")]
    if old is not None and new is not None and new > old:
        return [invalid_value(path, new, "must be less than or equal to previous value")]
    return []


def _tolerations(new: list[Object], old: list[Object]) -> list[Cause]:
    """Tolerations may be added; of those there, only tolerationSeconds may change."""
    kept = [_without_seconds(toleration) for toleration in new]
    if all(_without_seconds(toleration) in kept for toleration in old):
        return []
    return [
        forbidden_value(
            "spec.tolerations",
            "existing toleration can not be modified except its tolerationSeconds",
        )
    ]


def _without_seconds(toleration: Object) -> Object:
    return {key: value for key, value in toleration.items() if key != "tolerationSeconds" and value}


def _gates(new: list[Object], old: list[Object]) -> list[Cause]:
    before = {gate.get("name") for gate in old}
    return [
        forbidden_value(
            f"spec.schedulingGates[{index}].name",
            f"only deletion is allowed, but found new scheduling gate '{gate.get('name')}'",
        )
        for index, gate in enumerate(new)
        if gate.get("name") not in before
    ]


def _selector(new: Object, old: Object) -> list[Cause]:
    if all(new.get(key) == value for key, value in old.items()):
        return []
    return [
        invalid_value(
            "spec.nodeSelector",
            new,
            "only additions to spec.nodeSelector are allowed (no mutations or deletions)",
        )
    ]


def _node_affinity(new: Object, old: Object) -> list[Cause]:
    path = f"spec.affinity.nodeAffinity.{_REQUIRED}.nodeSelectorTerms"
    before, after = _terms(old), _terms(new)
    if same(_node_part(new), _node_part(old)) or not before:
        return []
    if len(before) != len(after):
        return [
            invalid_value(
                path,
                after,
                "no additions/deletions to non-empty NodeSelectorTerms list are allowed",
            )
        ]
    return [
        invalid_value(
            f"{path}[{index}]", term, "only additions are allowed (no mutations or deletions)"
        )
        for index, term in enumerate(after)
        if not _only_adds(term, before[index])
    ]


def _only_adds(new: Object, old: Object) -> bool:
    """Whether `new` is `old` with requirements added at the end of its lists.

    An empty term matches nothing; adding to it would widen it, so it must stay empty.
    """
    lists = ("matchExpressions", "matchFields")
    if not any(old.get(name) for name in lists):
        return not any(new.get(name) for name in lists)
    for name in lists:
        before, after = old.get(name) or [], new.get(name) or []
        if not same(after[: len(before)], before):
            return False
    return True


def _node_part(spec: Object) -> Any:
    return (spec.get("affinity") or {}).get("nodeAffinity")


def _terms(spec: Object) -> list[Object]:
    required = (_node_part(spec) or {}).get(_REQUIRED) or {}
    return list(required.get("nodeSelectorTerms") or ())


def _with_old_node_affinity(new: Object | None, old: Object | None) -> Object | None:
    """`new` with the node part of `old`, so that only a change elsewhere is left to see."""
    before = (old or {}).get("nodeAffinity")
    if same({"nodeAffinity": (new or {}).get("nodeAffinity")}, {"nodeAffinity": before}):
        return new
    if new is None:
        return {"nodeAffinity": before}
    if old is None and not any(new.get(part) for part in ("podAffinity", "podAntiAffinity")):
        return None
    rest = {key: value for key, value in new.items() if key != "nodeAffinity"}
    return {**rest, "nodeAffinity": before} if before is not None else rest


def _without_free_fields(new: Object, old: Object) -> Object:
    """`new` with `old`'s values where a change is always allowed or checked by itself."""
    rest = dict(new)
    for name in ("containers", "initContainers"):
        rest[name] = [
            {**container, "image": before.get("image")}
            for container, before in zip(new.get(name) or (), old.get(name) or (), strict=True)
        ]
    for name in ("activeDeadlineSeconds", "schedulingGates", "tolerations"):
        rest[name] = old.get(name)
    grace = old.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0 and new.get("terminationGracePeriodSeconds") == 1:
        rest["terminationGracePeriodSeconds"] = grace
    return rest


def _difference(new: Object, old: Object, keys: list[str]) -> str:
    return "\n".join(f"  {key}: {old.get(key)!r} -> {new.get(key)!r}" for key in keys)
