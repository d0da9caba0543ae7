"""What a pod gets on creation, as a JSON patch (RFC 6902).

Only additions, and each only where it is missing: a second call on the result adds nothing, so
that reinvocation (another webhook changed the pod after us) and dry runs are safe, and no field
of the user's is ever lost.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from bridge import names
from bridge.admission import scope, wire
from bridge.model.scheduling import Toleration


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a JSON patch."""

    op: Literal["add", "replace"]
    path: str
    value: Any

    def as_json(self) -> dict[str, Any]:
        """As it stands in the patch."""
        return {"op": self.op, "path": self.path, "value": self.value}


def operations(
    pod: wire.Pod, *, pods: scope.Scope, managed: bool, made_by: wire.UserInfo
) -> tuple[Operation, ...]:
    """What makes the pod ours; nothing for a pod that is not to be ours.

    A pod that names its node gets nothing either: with a gate the API server would refuse it
    for a reason its author can't understand, so it reaches `validate`, which tells the true one.
    """
    if not pods.should_manage(pod, managed=managed, made_by=made_by) or pod.spec.node_name:
        return ()
    return (
        *_scheduler(pod, pods.scheduler_name),
        *_gate(pod),
        *_tolerations(pod, pods.scheduler_name),
    )


def node_tolerations(scheduler_name: str) -> list[dict[str, str]]:
    """They let a pod onto the nodes that are taken over for Slurm, also while they are drained
    there: whether anything starts on such a node is Slurm's decision."""
    return [_written(one) for one in Toleration.ours(scheduler_name)]


def _scheduler(pod: wire.Pod, scheduler_name: str) -> tuple[Operation, ...]:
    if pod.spec.scheduler_name == scheduler_name:
        return ()
    return (Operation("add", "/spec/schedulerName", scheduler_name),)


def _gate(pod: wire.Pod) -> tuple[Operation, ...]:
    gates = pod.spec.scheduling_gates
    if gates and any(gate.name == names.ALLOCATION_GATE for gate in gates):
        return ()
    gate = {"name": names.ALLOCATION_GATE}
    return (_append("/spec/schedulingGates", gate, exists=gates is not None),)


def _tolerations(pod: wire.Pod, scheduler_name: str) -> list[Operation]:
    tolerations = pod.spec.tolerations
    lacking = [
        _written(ours)
        for ours in Toleration.ours(scheduler_name)
        if not any(_is(toleration, ours) for toleration in tolerations or ())
    ]
    where = "/spec/tolerations"
    if lacking and tolerations is None:
        return [Operation("add", where, lacking)]
    return [Operation("add", f"{where}/-", one) for one in lacking]


def _written(toleration: Toleration) -> dict[str, str]:
    return {key: text for key, text in asdict(toleration).items() if text}


def _is(toleration: wire.Toleration, ours: Toleration) -> bool:
    """An empty operator means Equal, an empty effect every effect; with a limit in seconds the
    pod would be evicted after them."""
    return (
        toleration.get("key") == ours.key
        and (toleration.get("operator") or "Equal") == ours.operator
        and (toleration.get("value") or "") == ours.value
        and (toleration.get("effect") or ours.effect) == ours.effect
        and toleration.get("tolerationSeconds") is None
    )


def _append(path: str, value: Any, *, exists: bool) -> Operation:
    return Operation("add", f"{path}/-", value) if exists else Operation("add", path, [value])
