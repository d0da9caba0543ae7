"""Taints and tolerations in wire form (pure)."""

from collections.abc import Sequence

from bridge.model.scheduling import Taint, Toleration
from bridge.sim.kube.apiserver.objects import Object


def of_node(node: Object) -> list[Taint]:
    """A node's taints."""
    return [
        Taint(one["key"], one.get("value") or "", one["effect"])
        for one in (node.get("spec") or {}).get("taints") or ()
    ]


def of_pod(pod: Object) -> list[tuple[Toleration, int | None]]:
    """A pod's tolerations, each with its tolerationSeconds."""
    return [
        (
            Toleration(
                key=one.get("key") or "",
                operator=one.get("operator") or "Equal",
                value=one.get("value") or "",
                effect=one.get("effect") or "",
            ),
            one.get("tolerationSeconds"),
        )
        for one in pod["spec"].get("tolerations") or ()
    ]


def untolerated(
    taints: Sequence[Taint], tolerations: Sequence[Toleration], *effects: str
) -> Taint | None:
    """The first taint of these effects that nothing tolerates."""
    for taint in taints:
        if taint.effect in effects and not any(one.tolerates(taint) for one in tolerations):
            return taint
    return None


def tolerated_for_s(pod: Object, taints: Sequence[Taint]) -> float | None:
    """How long a pod may stay under these NoExecute taints; 0 at once not, None for ever."""
    shortest: float | None = None
    for taint in taints:
        matching = [seconds for one, seconds in of_pod(pod) if one.tolerates(taint)]
        if not matching:
            return 0.0
        limits = [float(seconds) for seconds in matching if seconds is not None]
        if limits:
            shortest = min([*limits, *([] if shortest is None else [shortest])])
    return shortest
