"""The unit that waits and starts together: one gang, one Slurm job."""

from bisect import bisect_left
from dataclasses import dataclass, field, replace

from bridge.model.ids import GangId, NodeName
from bridge.model.pod_identity import PodIdentity
from bridge.model.scheduling import NodeSelectorTerm, PodShape


@dataclass(frozen=True, slots=True)
class Dependency:
    """One thing that must have happened before the gang may start.

    `condition` is Slurm's word (after, afterany, afterok, afternotok, singleton); `target` is a
    Slurm job id (after: also "123+10", minutes after its start), or kind/name of a workload in
    the gang's namespace, the kind in lower case; "" with singleton.
    """

    condition: str
    target: str = ""

    @property
    def workload(self) -> bool:
        """Whether it names something of Kubernetes."""
        return "/" in self.target


@dataclass(frozen=True, slots=True)
class JobParameters:
    """The user's own wishes, from `slurmjob.slinky.slurm.net/*`, parsed and checked.

    None or "" means that the user said nothing.
    """

    account: str = ""
    constraints: str = ""
    dependency: tuple["Dependency", ...] = ()
    cpu_per_task: int | None = None
    exclusive: bool | None = None
    gres: str = ""
    group_id: str = ""
    job_name: str = ""
    licenses: str = ""
    max_nodes: int | None = None
    mem_per_node_mib: int | None = None
    min_nodes: int | None = None
    on_node_loss: str = ""
    """"replace" or "restart"."""
    partition: str = ""
    priority: int | None = None
    qos: str = ""
    reservation: str = ""
    timelimit_min: int | None = None
    """timelimit.UNLIMITED for none."""
    user_id: str = ""
    wckey: str = ""


@dataclass(frozen=True, slots=True)
class Role:
    """Slots of one kind in a gang, next to each other in rank: a launcher, its workers."""

    name: str
    """As its owner's spec calls it; "" where there is only one."""
    count: int
    shape: PodShape
    identity: PodIdentity | None = None
    """Who its pods are to the selectors of others: what they have in common."""


@dataclass(frozen=True, slots=True)
class Rank:
    """Where in its gang a pod belongs: which role, and which slot of it (None: any)."""

    role: int = 0
    index: int | None = None


@dataclass(frozen=True, slots=True)
class Gang:
    """What one Slurm job is to hold, from the owner's spec, refined by the pods that exist.

    `size` counts slots; slot i is the pod of rank i. `shape` is what one slot needs; in a gang of
    several roles (`roles`, whose counts add up to `size`) it is the largest of each resource.
    """

    id: GangId
    namespace: str
    owner_kind: str
    owner_name: str
    size: int
    shape: PodShape
    parameters: JobParameters = JobParameters()
    priority_class: str = ""
    """spec.priorityClassName of its pods."""
    long_lived: bool = False
    """Its pods serve until somebody ends them (Deployment, StatefulSet, LeaderWorkerSet …)."""
    roles: tuple[Role, ...] = ()
    """Empty where all slots have one shape."""
    staged: frozenset[int] = frozenset()
    """Parts whose pods its controller makes only when others are ready: an empty slot of these says
    nothing."""
    indexes: tuple[tuple[int, ...] | None, ...] = ()
    """(roles,) the pod index that each slot of a role is for, in order: pods that have succeeded
    need no slot. None where any pod of the role takes any slot, again and again, as its owner makes
    more pods than run at once. Empty: slot i of each role is for index i."""
    whole_first: bool = False
    """Only its pods tell what it asks for, so all are to be there before it is submitted."""
    volume_terms: tuple[tuple[int, tuple[tuple[NodeSelectorTerm, ...], ...]], ...] = ()
    """What the volumes of single slots ask of nodes, where that differs within a role, by slot in
    their order; of all other slots the shapes say it."""
    identity: PodIdentity | None = None
    """Who its pods are to the selectors of others, in a gang without roles."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """(roles,) how many slots each role has; a gang without roles is one."""
        return tuple(role.count for role in self.roles) or (self.size,)

    def slot_of(self, rank: Rank) -> int | None:
        """The slot that the rank names; None where it names none that there is."""
        sizes = self.sizes
        if rank.index is None or rank.role >= len(sizes):
            return None
        at = rank.index
        if self.indexes:
            indexes = self.indexes[rank.role]
            if indexes is None:
                return None
            at = bisect_left(indexes, rank.index)
            if at >= len(indexes) or indexes[at] != rank.index:
                return None
        return sum(sizes[: rank.role]) + at if at < sizes[rank.role] else None

    @property
    def restarts_whole(self) -> bool:
        """Whether all of its pods begin anew when one of them has lost its node."""
        return self.parameters.on_node_loss == "restart"

    def is_in_waves(self, role: int) -> bool:
        """Whether the slot of a pod that succeeded is used again."""
        return bool(self.indexes) and self.indexes[role] is None

    @property
    def shapes(self) -> tuple[PodShape, ...]:
        """(size,) what each slot asks for."""
        shapes = [self.shape] * self.size
        if self.roles:
            shapes = [role.shape for role in self.roles for _ in range(role.count)]
        for slot, terms in self.volume_terms:
            shapes[slot] = replace(shapes[slot], volume_terms=terms)
        return tuple(shapes)

    @property
    def identities(self) -> tuple[PodIdentity | None, ...]:
        """(size,) who the pod of each slot is."""
        if self.roles:
            return tuple(role.identity for role in self.roles for _ in range(role.count))
        return (self.identity,) * self.size

    @property
    def kinds(self) -> dict[PodShape, int]:
        """How many slots have each shape."""
        kinds: dict[PodShape, int] = {}
        first = 0
        for shape, count in [(role.shape, role.count) for role in self.roles] or [
            (self.shape, self.size)
        ]:
            own = [terms for slot, terms in self.volume_terms if first <= slot < first + count]
            for one in (replace(shape, volume_terms=terms) for terms in own):
                kinds[one] = kinds.get(one, 0) + 1
            if count > len(own):
                kinds[shape] = kinds.get(shape, 0) + count - len(own)
            first += count
        return kinds

    @property
    def is_mixed(self) -> bool:
        """Whether slots may ask for different things."""
        return bool(self.roles or self.volume_terms)

    @property
    def owner(self) -> str:
        """Kind/namespace/name, as people read it in Slurm and in logs."""
        return f"{self.owner_kind}/{self.namespace}/{self.owner_name}"


@dataclass(frozen=True, slots=True)
class Assignment:
    """Which node each slot of a gang runs on; index is the slot, "" for a slot that needs none."""

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
