"""What can happen to a gang: the machine's input."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bridge.model.gang import Assignment, Gang, Rank, Shortfall
from bridge.model.ids import NodeName, PodUid, SlurmJobId
from bridge.model.job import JobFacts, JobSpec
from bridge.model.pod import Pod

OwnerWill = Literal["creates", "unknown", "suspended", "over"]
"""Whether the gang's owner still makes pods: `over` when it is finished, deleted or gone, `unknown`
when it can't be read."""


@dataclass(frozen=True, slots=True)
class MembersSeen:
    """The pods of the gang that exist now, and what they and their owner ask for together."""

    gang: Gang | None
    """None when what they ask for can't be understood; `problem` says why."""
    pods: tuple[Pod, ...]
    owner: OwnerWill = "creates"
    problem: str = ""
    ranks: Mapping[PodUid, Rank] = field(default_factory=dict)
    """Where in the gang each pod belongs."""
    waits_for: str = ""
    """The sentence that says which claim keeps the pods that have no place yet from running."""
    singletons: int = 0
    """How many pods of its owner queue on their own: nobody waits for them."""
    lost: frozenset[PodUid] = frozenset()
    """Pods that are deleted and can't end: their node is gone or does not answer."""
    judged: frozenset[PodUid] = frozenset()
    """Pods whose Job says itself what a disruption means, in a gang that has others too."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """Slurm took the job."""

    job_id: SlurmJobId
    spec: JobSpec


@dataclass(frozen=True, slots=True)
class SubmitFailed:
    """Slurm did not take the job. `lasting`: the same job would be refused again."""

    message: str
    lasting: bool


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
    """Seconds to its time limit; None without one."""
    nodes: frozenset[NodeName] | None = None
    """The nodes that it holds, by their names in Kubernetes; None while it holds none, or one that
    Kubernetes does not know."""


@dataclass(frozen=True, slots=True)
class JobVanished:
    """Slurm, healthy, knows no such job (any more), or the id is another's job by now."""

    job_id: SlurmJobId


@dataclass(frozen=True, slots=True)
class JobRebuilt:
    """The answer to RebuildJob: what the job should look like in Slurm by now."""

    spec: JobSpec
    shortage: str = ""
    """Why no nodes of Slurm can ever take it, where that was asked for and is certain."""


@dataclass(frozen=True, slots=True)
class UpdateFailed:
    """Slurm did not take a change: it may have the job as it was."""

    job_id: SlurmJobId


@dataclass(frozen=True, slots=True)
class NotTold:
    """The pod's condition could not be written."""

    pod: PodUid


@dataclass(frozen=True, slots=True)
class NodesChanged:
    """Nodes or partitions have: what kept the gang out of the queue may be gone, and a job that
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
    | NotTold
    | NodesChanged
    | Placed
    | NotPlaced
    | PinEnded
    | Misfit
    | Tick
    | RoomChanged
    | VolumesChanged
)
