"""The node table: records in slots, and columns of numbers beside them for the scheduler.

Slots keep their index while a node lives; what the scheduler scans are numpy columns over all
slots, what people read are the records.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bridge.sim.slurm import gres
from bridge.sim.slurm.cores import Cores
from bridge.sim.slurm.job import Share
from bridge.sim.slurm.nodeconf import NodeConf

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(slots=True)
class Node:
    """One node; `used` holds the bits of the pieces in use, kind by kind."""

    conf: NodeConf
    slot: int
    leaf: int
    address: str
    features: tuple[str, ...]
    counted_features: tuple[str, ...]
    """Its features when slurmctld counted nodesets last."""
    topology: str
    weight: int
    comment: str = ""
    extra: str = ""
    down: bool = False
    drain: bool = False
    responding: bool = True
    reason: str = ""
    reason_s: float = 0.0
    reason_user: str = ""
    busy_s: float = 0.0
    used: dict[gres.Kind, int] = field(default_factory=dict)
    used_cores: int = 0
    """Bits of the cores in use."""
    jobs: dict[int, Share] = field(default_factory=dict)
    whole: int = 0
    """The job that holds it exclusively, 0 for none."""

    @property
    def name(self) -> str:
        return self.conf.name

    @property
    def usable(self) -> bool:
        """Whether jobs may start on it."""
        return self.responding and not self.down and not self.drain

    @property
    def cpus_used(self) -> int:
        return sum(share.cpus for share in self.jobs.values())

    @property
    def free_cores(self) -> Cores:
        conf = self.conf
        every = (1 << conf.sockets * conf.cores) - 1
        return Cores(conf.sockets, conf.cores, every & ~self.used_cores)

    @property
    def memory_used_mib(self) -> int:
        return sum(share.memory_mib for share in self.jobs.values())


@dataclass(slots=True)
class Free:
    """What is free now, or would be at another time; columns over all slots."""

    cpus: Ints
    memory: Ints
    jobs: Ints
    """How many jobs are on the node."""
    whole: Bools
    """Whether one job has the node for itself."""
    gres: dict[gres.Kind, Ints]

    def copy(self) -> "Free":
        """To try something out."""
        pools = {kind: column.copy() for kind, column in self.gres.items()}
        return Free(
            self.cpus.copy(), self.memory.copy(), self.jobs.copy(), self.whole.copy(), pools
        )

    def take(self, shares: tuple[Share, ...], *, whole: bool) -> None:
        """A job starts."""
        self._move(shares, -1, whole=whole)

    def give(self, shares: tuple[Share, ...], *, whole: bool) -> None:
        """A job ends."""
        self._move(shares, 1, whole=whole)

    def _move(self, shares: tuple[Share, ...], sign: int, *, whole: bool) -> None:
        for share in shares:
            self.cpus[share.slot] += sign * share.cpus
            self.memory[share.slot] += sign * share.memory_mib
            self.jobs[share.slot] -= sign
            if whole:
                self.whole[share.slot] = sign < 0
            for kind, mask in share.gres:
                self.gres[kind][share.slot] += sign * mask.bit_count()


class NodeTable:
    """All nodes. Whatever changes a node goes through here, so that the columns stay true."""

    def __init__(self) -> None:
        self._slots: list[Node | None] = []
        self._by_name: dict[str, Node] = {}
        self._stale = True
        self.version = 0
        """Grows when nodes come, go, or change."""
        self.usage_version = 0
        """Grows with that, and when what is free changes."""
        self.cpus: Ints = np.zeros(0, np.int64)
        self.memory: Ints = np.zeros(0, np.int64)
        self.threads: Ints = np.zeros(0, np.int64)
        self.weight: Ints = np.zeros(0, np.int64)
        self.leaf: Ints = np.zeros(0, np.int64)
        self.exists: Bools = np.zeros(0, np.bool_)
        self.usable: Bools = np.zeros(0, np.bool_)
        self.gres: dict[gres.Kind, Ints] = {}
        self._free = Free(self.cpus, self.memory, self.leaf, self.exists, {})

    def __iter__(self) -> Iterator[Node]:
        return (node for node in self._slots if node is not None)

    def __len__(self) -> int:
        return len(self._by_name)

    def get(self, name: str) -> Node | None:
        """The node of that name."""
        return self._by_name.get(name)

    def at(self, slot: int) -> Node:
        """The node in a slot that is known to be taken."""
        node = self._slots[slot]
        if node is None:
            raise LookupError(f"slot {slot} is empty")
        return node

    def add(self, conf: NodeConf, leaf: int, now: float) -> Node:
        """A new node in the first free slot."""
        slot = len(self._slots)
        if len(self._by_name) < slot:
            slot = self._slots.index(None)
        else:
            self._slots.append(None)
        node = Node(
            conf=conf,
            slot=slot,
            leaf=leaf,
            address=conf.address,
            features=conf.features,
            counted_features=conf.features,
            topology=conf.topology,
            weight=conf.weight,
            busy_s=now,
            used={kind: 0 for kind, _ in conf.pools},
        )
        self._slots[slot] = node
        self._by_name[conf.name] = node
        for other in self:
            other.counted_features = other.features
        self.changed()
        return node

    def remove(self, node: Node) -> None:
        """The node is gone, its slot free."""
        self._slots[node.slot] = None
        del self._by_name[node.name]
        self.changed()

    def changed(self) -> None:
        """Something else than usage changed: the columns are made anew at the next look."""
        self._stale = True
        self.version += 1
        self.usage_version += 1

    def forget_columns(self) -> None:
        """Make them anew at the next look, although nothing changed."""
        self._stale = True

    def take(self, job_id: int, shares: tuple[Share, ...], *, whole: bool) -> None:
        """A job gets its shares."""
        self.usage_version += 1
        for share in shares:
            node = self.at(share.slot)
            node.jobs[job_id] = share
            node.whole = job_id if whole else node.whole
            node.used_cores |= share.cores.bits
            for kind, mask in share.gres:
                node.used[kind] |= mask
        if not self._stale:
            self._free.take(shares, whole=whole)

    def give(self, job_id: int, shares: tuple[Share, ...], now: float) -> None:
        """A job gives its shares back (nodes that are gone meanwhile are passed over)."""
        self.usage_version += 1
        whole = False
        kept = []
        for share in shares:
            node = self._slots[share.slot] if share.slot < len(self._slots) else None
            if node is None or node.jobs.pop(job_id, None) is None:
                continue
            kept.append(share)
            whole = whole or node.whole == job_id
            node.whole = 0 if node.whole == job_id else node.whole
            node.busy_s = now
            node.used_cores &= ~share.cores.bits
            for kind, mask in share.gres:
                node.used[kind] &= ~mask
        if not self._stale:
            self._free.give(tuple(kept), whole=whole)

    def free(self) -> Free:
        """What is free now; the caller copies it before changing anything."""
        self.refresh()
        return self._free

    def refresh(self) -> None:
        """Make the columns anew if something changed."""
        if not self._stale:
            return
        size = len(self._slots)
        self.cpus, self.memory, self.weight = (np.zeros(size, np.int64) for _ in range(3))
        self.threads, self.leaf = np.ones(size, np.int64), np.full(size, -1, np.int64)
        self.exists, self.usable = (np.zeros(size, np.bool_) for _ in range(2))
        self.gres = {}
        free = Free(
            self.cpus, self.memory, np.zeros(size, np.int64), np.zeros(size, np.bool_), self.gres
        )
        for node in self:
            slot = node.slot
            self.cpus[slot], self.memory[slot] = node.conf.cpus, node.conf.memory_mib
            self.weight[slot], self.leaf[slot] = node.weight, node.leaf
            self.threads[slot] = node.conf.threads
            self.exists[slot], self.usable[slot] = True, node.usable
            for kind, count in node.conf.pools:
                self.gres.setdefault(kind, np.zeros(size, np.int64))[slot] = count
        self._free = free.copy()
        for node in self:
            for job_id, share in node.jobs.items():
                self._free.take((share,), whole=node.whole == job_id)
        self._stale = False

    def empty(self) -> Free:
        """What would be free without any job: to ask whether a job can ever start."""
        self.refresh()
        size = len(self._slots)
        return Free(
            self.cpus, self.memory, np.zeros(size, np.int64), np.zeros(size, np.bool_), self.gres
        )
