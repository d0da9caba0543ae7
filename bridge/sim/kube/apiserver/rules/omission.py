"""What the API server does not write: fields that are empty (Go's omitempty)."""

from typing import Any, Final

from bridge.sim.kube.apiserver.objects import Object

_MAPS: Final = frozenset(
    {
        "allocatable",
        "annotations",
        "capacity",
        "data",
        "labels",
        "limits",
        "matchLabels",
        "nodeSelector",
        "overhead",
        "requests",
    }
)
_TEXTS: Final = frozenset(
    {"generateName", "hostname", "nodeName", "nominatedNodeName", "priorityClassName", "subdomain"}
)
_SHOWN_AS_NULL: Final = ("Time", "Timestamp")


def prune(value: Any) -> Any:
    """`value` without empty lists, nulls (times stay) and those empty maps and texts that Go omits.

    Gives the same object back where there is nothing to leave out.
    """
    if isinstance(value, dict):
        result: Object = {}
        changed = False
        for key, item in value.items():
            kept = prune(item)
            if _omitted(key, kept):
                changed = True
                continue
            changed = changed or kept is not item
            result[key] = kept
        return result if changed else value
    if isinstance(value, list):
        items = [prune(item) for item in value]
        same = all(new is old for new, old in zip(items, value, strict=True))
        return value if same else items
    return value


def _omitted(key: str, value: Any) -> bool:
    if value is None:
        return not key.endswith(_SHOWN_AS_NULL)
    if value == []:
        return True
    if value == {}:
        return key in _MAPS
    return value == "" and key in _TEXTS
