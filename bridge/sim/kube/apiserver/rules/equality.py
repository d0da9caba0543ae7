"""When two pieces of a spec mean the same, though they are written differently."""

from typing import Any, Final

from bridge.errors import BadInput
from bridge.model import quantity
from bridge.sim.kube.apiserver.objects import Object

_POINTERS: Final = frozenset(
    {
        "affinity",
        "nodeAffinity",
        "podAffinity",
        "podAntiAffinity",
        "requiredDuringSchedulingIgnoredDuringExecution",
    }
)
"""Fields whose empty struct is not the same as no struct."""


def same(left: Any, right: Any) -> bool:
    """Kubernetes' semantic equality: absent, null and empty are one, quantities are numbers."""
    return bool(left == right) or bool(_normal(left) == _normal(right))


def _normal(value: Any, *, amounts: bool = False) -> Any:
    if isinstance(value, dict):
        result: Object = {}
        for key, item in value.items():
            normal = _normal(item, amounts=amounts or key in ("requests", "limits"))
            if normal in (None, "", [], {}) and not (key in _POINTERS and item is not None):
                continue
            result[key] = normal
        return result
    if isinstance(value, list):
        return [_normal(item, amounts=amounts) for item in value]
    if amounts and isinstance(value, str | int | float):
        try:
            return quantity.parse(value)
        except BadInput:
            return value
    return value
