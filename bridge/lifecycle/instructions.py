"""Instructions, the machine's output: data only; the controller performs them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bridge.model.gang import Gang
from bridge.model.ids import GangId, NodeName, SlurmJobId
from bridge.model.job import Allocation, JobSpec
from bridge.model.pod import Condition, Pod
from bridge.model.scheduling import PodShape

EventType = Literal["Normal", "Warning"]
"""Of an event on a pod, in Kubernetes' words."""


@dataclass(frozen=True, slots=True)
class SubmitJob:
    """Build the job and submit it; answer with Submitted or SubmitFailed."""

    gang: Gang
    generation: int


@dataclass(frozen=True, slots=True)
class RebuildJob:
    """Build the waiting job as it should be by now; answer with JobRebuilt, or with nothing.

    With `explain` the answer tells why no nodes can ever take the job.
    """

    gang: Gang
    generation: int
    explain: bool = False


@dataclass(frozen=True, slots=True)
class UpdateJob:
    """Change a waiting job from `old` (None: unknown) to `new`.

    Also where both are the same: a job that Slurm has set aside is looked at again once changed.
    """

    job_id: SlurmJobId
    old: JobSpec | None
    new: JobSpec


@dataclass(frozen=True, slots=True)
class ShrinkJob:
    """Have Slurm take nodes back from a running job; answer with JobShrunk or ShrinkFailed."""

    job_id: SlurmJobId
    allocations: tuple[Allocation, ...]
    """What each component of the job holds. A component keeps its last node."""
    nodes: frozenset[NodeName]
    """The nodes that the job shall hold no more."""


@dataclass(frozen=True, slots=True)
class CancelJob:
    """End the job in Slurm; `why` goes to the log."""

    job_id: SlurmJobId
    why: str


@dataclass(frozen=True, slots=True)
class AvoidNode:
    """Leave the node out of the jobs of the gang's owner for a while: its grant was of no use."""

    node: NodeName
    why: str
    until_usable: bool = False
    """Whether it ends with what was in the way: a pod gives back room there, the node answers
    again, its cordon is lifted."""


@dataclass(frozen=True, slots=True)
class PlaceGang:
    """Map slots to granted nodes; answer with Placed or NotPlaced."""

    gang: Gang
    allocation: Allocation
    taken: Mapping[int, NodeName] = field(default_factory=dict)
    """Slots that need no other node: those that have one, and with "" those that nobody needs."""
    without: frozenset[NodeName] = frozenset()
    """Granted nodes that are nobody's place for now."""


@dataclass(frozen=True, slots=True)
class PinPod:
    """The one PATCH: job id, node, affinity, and our gate off. Answer with PinEnded, or, before
    anything is written, with Misfit."""

    pod: Pod
    node: NodeName
    job_id: SlurmJobId
    gang: GangId | None = None
    """The pod's gang; None for a gang of one."""
    slot: PodShape | None = None
    """The shape that the pod's slot was placed for; None if that is not known."""
    late: bool = False
    """Whether the slot was placed before the pod was there, so that others may have come since."""


@dataclass(frozen=True, slots=True)
class QueueAlone:
    """The gang's job has no slot for this pod (it was scaled up meanwhile, or the pod asks for
    more than the slot has): it queues alone."""

    pod: Pod


@dataclass(frozen=True, slots=True)
class EndPods:
    """Tell the pods (DisruptionTarget) and delete them with their grace."""

    pods: tuple[Pod, ...]
    reason: str
    message: str
    most_s: int | None = None
    """The longest grace that a pod gets, in seconds; None: each pod gets its own."""


@dataclass(frozen=True, slots=True)
class FailPod:
    """Set a pod that nobody would create again to Failed: the pod stays and says why."""

    pod: Pod
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class SetCondition:
    """Write the pod's `Allocated` condition."""

    pod: Pod
    condition: Condition


@dataclass(frozen=True, slots=True)
class EmitEvent:
    """Write an event on a pod."""

    pod: Pod
    type: EventType
    reason: str
    note: str


@dataclass(frozen=True, slots=True)
class Wake:
    """Send a Tick after so many seconds; an earlier Tick that was asked for stays."""

    after_s: float


@dataclass(frozen=True, slots=True)
class Forget:
    """Drop the machine: the gang is over and leaves nothing behind."""


Instruction = (
    SubmitJob
    | RebuildJob
    | UpdateJob
    | ShrinkJob
    | CancelJob
    | AvoidNode
    | PlaceGang
    | PinPod
    | QueueAlone
    | EndPods
    | FailPod
    | SetCondition
    | EmitEvent
    | Wake
    | Forget
)
