"""The unit that waits and starts together: one gang, one Slurm job."""

from dataclasses import dataclass, field

from bridge.model.ids import GangId, NodeName
from bridge.model.scheduling import PodShape


@dataclass(frozen=True, slots=True)
class JobParameters:
    """The user's own wishes, from `slurmjob.slinky.slurm.net/*`, parsed and checked.

    None or "" means that the user said nothing.
    """

    account: str = ""
    constraints: str = ""
    cpu_per_task: int | None = None
    exclusive: bool | None = None
    gres: str = ""
    group_id: str = ""
    job_name: str = ""
    licenses: str = ""
    max_nodes: int | None = None
    mem_per_node_mib: int | None = None
    min_nodes: int | None = None
    partition: str = ""
    priority: int | None = None
    qos: str = ""
    reservation: str = ""
    timelimit_min: int | None = None
    """timelimit.UNLIMITED for none."""
    user_id: str = ""
    wckey: str = ""


@dataclass(frozen=True, slots=True)
class Gang:
    """What one Slurm job is to hold, from the owner's spec, refined by the pods that exist.

    `size` counts slots; slot i is the pod of rank i. `shape` is what one slot needs.
    """

    id: GangId
    namespace: str
    owner_kind: str
    owner_name: str
    size: int
    shape: PodShape
    parameters: JobParameters = JobParameters()

    @property
    def owner(self) -> str:
        """Kind/namespace/name, as people read it in Slurm and in logs."""
        return f"{self.owner_kind}/{self.namespace}/{self.owner_name}"


@dataclass(frozen=True, slots=True)
class Assignment:
    """Which node each slot of a gang runs on; index is the slot."""

    nodes: tuple[NodeName, ...]


@dataclass(frozen=True, slots=True)
class Shortfall:
    """Why the granted nodes cannot take the gang (now).

    `for_now` is True when waiting helps (a terminating pod still holds what is needed), False
    when the grant can never take it and must be given back. `nodes` are those at fault.
    """

    reason: str
    for_now: bool
    nodes: tuple[NodeName, ...] = field(default=())
