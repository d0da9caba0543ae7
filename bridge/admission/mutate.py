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
        *_toleration(pod, pods.scheduler_name),
    )


def managed_node_toleration(scheduler_name: str) -> dict[str, str]:
    """Lets a pod onto the nodes that are taken over for Slurm."""
    return asdict(Toleration.managed(scheduler_name))


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


def _toleration(pod: wire.Pod, scheduler_name: str) -> tuple[Operation, ...]:
    tolerations = pod.spec.tolerations
    if any(_is_ours(toleration, scheduler_name) for toleration in tolerations or ()):
        return ()
    ours = managed_node_toleration(scheduler_name)
    return (_append("/spec/tolerations", ours, exists=tolerations is not None),)


def _is_ours(toleration: wire.Toleration, scheduler_name: str) -> bool:
    """An empty operator means Equal, an empty effect every effect; with a limit in seconds the
    pod would be evicted after them."""
    ours = Toleration.managed(scheduler_name)
    return (
        toleration.get("key") == ours.key
        and (toleration.get("operator") or "Equal") == ours.operator
        and toleration.get("value") == ours.value
        and (toleration.get("effect") or ours.effect) == ours.effect
        and toleration.get("tolerationSeconds") is None
    )


def _append(path: str, value: Any, *, exists: bool) -> Operation:
    return Operation("add", f"{path}/-", value) if exists else Operation("add", path, [value])
