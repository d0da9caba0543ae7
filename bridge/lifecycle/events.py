"""What can happen to a gang: the machine's input."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bridge.model.gang import Assignment, Gang, Rank, Shortfall
from bridge.model.ids import NodeName, PodUid, SlurmJobId
from bridge.model.job import JobFacts, JobSpec
from bridge.model.owner import OwnerWill
from bridge.model.pod import Pod


@dataclass(frozen=True, slots=True)
class MembersSeen:
    """The pods of the gang that exist now, and what they and their owner ask for together."""

    gang: Gang | None
    """None if the demand can't be understood; `problem` says why."""
    pods: tuple[Pod, ...]
    owner: OwnerWill = "creates"
    problem: str = ""
    ranks: Mapping[PodUid, Rank] = field(default_factory=dict)
    """The rank of each pod in the gang."""
    waits_for: str = ""
    """The sentence that says which claim keeps the pods that have no place yet from running."""
    singletons: int = 0
    """How many pods of its owner queue on their own: the gang does not wait for them."""
    lost: frozenset[PodUid] = frozenset()
    """Pods that are deleted and can't end: their node is gone or does not answer."""
    judged: frozenset[PodUid] = frozenset()
    """Pods whose Job says itself what a disruption means, in a gang that has others too."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """Slurm accepted the job."""

    job_id: SlurmJobId
    spec: JobSpec


@dataclass(frozen=True, slots=True)
class SubmitFailed:
    """Slurm did not accept the job. `lasting`: it would refuse the same job again."""

    message: str
    lasting: bool
    lacks_nodes: bool = False
    """Whether it was refused because no nodes can take it."""


@dataclass(frozen=True, slots=True)
class Adopted:
    """After a restart: this job in Slurm is the gang's."""

    job_id: SlurmJobId
    generation: int


@dataclass(frozen=True, slots=True)
class JobObserved:
    """Slurm's present view of the gang's job."""

    facts: JobFacts
    left_s: float | None = None
    """Seconds until Slurm ends it, at its time limit or for another job; None without a limit."""
    nodes: frozenset[NodeName] | None = None
    """The nodes that it holds, by their names in Kubernetes; None while it holds none, or one that
    Kubernetes does not know."""


@dataclass(frozen=True, slots=True)
class JobVanished:
    """A healthy Slurm does not know the job (any more), or its id now belongs to another job."""

    job_id: SlurmJobId


@dataclass(frozen=True, slots=True)
class JobRebuilt:
    """The answer to RebuildJob: what the job should look like in Slurm by now."""

    spec: JobSpec
    shortage: str = ""
    """Why no nodes of Slurm can ever take the job, if RebuildJob asked for that; else ""."""


@dataclass(frozen=True, slots=True)
class UpdateFailed:
    """Slurm did not accept a change: the job may be unchanged."""

    job_id: SlurmJobId


@dataclass(frozen=True, slots=True)
class JobShrunk:
    """Slurm took back the nodes that ShrinkJob named, but for the last one of each component."""

    job_id: SlurmJobId


@dataclass(frozen=True, slots=True)
class ShrinkFailed:
    """Slurm did not take the nodes back, or not all of them; `why` is a sentence's end."""

    job_id: SlurmJobId
    why: str


@dataclass(frozen=True, slots=True)
class SinkChanged:
    """Whether a sink answers for external nodes from now on."""

    answers: bool


@dataclass(frozen=True, slots=True)
class NotTold:
    """The pod's condition could not be written."""

    pod: PodUid


@dataclass(frozen=True, slots=True)
class NodesChanged:
    """Nodes or partitions have changed: the gang may now be able to queue, and a job that
    waits may run on other nodes now."""


@dataclass(frozen=True, slots=True)
class Placed:
    """Each slot has its node."""

    job_id: SlurmJobId
    assignment: Assignment


@dataclass(frozen=True, slots=True)
class NotPlaced:
    """The granted nodes can't take the gang."""

    job_id: SlurmJobId
    shortfall: Shortfall


@dataclass(frozen=True, slots=True)
class PinEnded:
    """The patch of one pod was made (`row` is the pod now) or refused (`error` says why)."""

    pod: PodUid
    row: Pod | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Misfit:
    """The pod can't use the slot that it was to be pinned to; `why` is a sentence's end."""

    pod: PodUid
    why: str
    lost_node: NodeName | None = None
    """The slot's node, where it is gone or does not answer."""


@dataclass(frozen=True, slots=True)
class NewNodes:
    """What became of the request for new nodes that the gang lacks: `note` says how it stands, ""
    if there is no request. `event` is the reason of an event that says it; "" for none."""

    note: str
    event: str = ""
    here: bool = False
    """Whether the nodes that the gang lacked are there now."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed: a timer that the machine asked for has rung."""


@dataclass(frozen=True, slots=True)
class RoomChanged:
    """Some node has more room than before."""


@dataclass(frozen=True, slots=True)
class VolumesChanged:
    """Claims of the gang's pods may have; a look at them says whether that is so."""


Event = (
    MembersSeen
    | Submitted
    | SubmitFailed
    | Adopted
    | JobObserved
    | JobVanished
    | JobRebuilt
    | UpdateFailed
    | JobShrunk
    | ShrinkFailed
    | SinkChanged
    | NotTold
    | NodesChanged
    | Placed
    | NotPlaced
    | PinEnded
    | Misfit
    | NewNodes
    | Tick
    | RoomChanged
    | VolumesChanged
)
