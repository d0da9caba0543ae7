"""Reservations: nodes kept for some users from a time to a time, and what they leave to a job.

As slurmctld does it: a job that names a reservation gets that one's nodes, from its begin on, and
may run beyond its end only to be ended with it. Every other job stays away from reserved nodes
when its time limit would reach into the reservation. Times in seconds since the epoch.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.sim.slurm.errors import (
    INVALID_RESERVATION,
    RESERVATION_ACCESS,
    RESERVATION_BUSY,
    Refused,
)
from bridge.sim.slurm.job import Job, Request
from bridge.sim.slurm.nodes import Bools, NodeTable

SHARING = frozenset({"MAINT", "OVERLAP"})
"""Reservations with one of these may lie over others, and others over them."""


@dataclass(slots=True)
class Reservation:
    """One reservation; `nodes` in the table's order, `cores` and `cpus` theirs when it was made."""

    name: str
    start_s: float
    end_s: float
    nodes: tuple[str, ...]
    cores: int
    cpus: int
    users: Mapping[str, int]
    """Ids by name."""
    flags: frozenset[str] = frozenset()
    partition: str = ""
    features: str = ""
    begun: bool = False

    def meets(self, begin_s: float, end_s: float) -> bool:
        """Whether it and that time have any moment in common."""
        return self.start_s < end_s and begin_s < self.end_s


@dataclass(frozen=True, slots=True)
class Windows:
    """Times during which nodes are not a job's: begins, ends, and a row of nodes for each."""

    begin: NDArray[np.float64]
    end: NDArray[np.float64]
    nodes: NDArray[np.bool_]
    maintenance: NDArray[np.bool_]

    def closed(self, begin_s: float, end_s: float) -> Bools:
        """Nodes that are not to be had during all of that time."""
        rows: Bools = self.nodes[self._meeting(begin_s, end_s)]
        closed: Bools = np.logical_or.reduce(rows, axis=0)
        return closed

    def for_maintenance(self, begin_s: float, end_s: float, wanted: Bools) -> bool:
        """Whether some of the wanted nodes are closed because of maintenance."""
        rows = self._meeting(begin_s, end_s) & self.maintenance
        return bool((self.nodes[rows] & wanted).any())

    def _meeting(self, begin_s: float, end_s: float) -> Bools:
        meeting: Bools = (self.begin < end_s) & (self.end > begin_s)
        return meeting


@dataclass(frozen=True, slots=True)
class Room:
    """What reservations leave to a job: `nodes` are those of its own one (None: it names none),
    `windows` the times that are others'. Not `begun`: its own one lies ahead.
    """

    windows: Windows
    begun: bool = True
    nodes: Bools | None = None

    @property
    def restricts(self) -> bool:
        """Whether it makes any difference."""
        return self.nodes is not None or bool(len(self.windows.begin))

    def of(self, nodes: Bools, begin_s: float, end_s: float) -> Bools:
        """Those of the nodes that the job may have all that time."""
        if len(self.windows.begin):
            nodes = nodes & ~self.windows.closed(begin_s, end_s)
        return nodes if self.nodes is None else nodes & self.nodes


class Book:
    """All reservations by name, as long as they last."""

    def __init__(self, table: NodeTable, operators: frozenset[int]) -> None:
        self._table = table
        self._operators = operators
        """Ids of users who may use every reservation: root and SlurmUser."""
        self._kept: dict[str, Reservation] = {}
        self._rooms: dict[str, Room] = {}
        self._holders: dict[str, Reservation] = {}
        self._version = -1

    def __iter__(self) -> Iterator[Reservation]:
        return iter(self._kept.values())

    def get(self, name: str) -> Reservation | None:
        """The reservation of that name."""
        return self._kept.get(name)

    def put(self, reservation: Reservation) -> None:
        """A new one, or what an old one has become."""
        self._kept[reservation.name] = reservation
        self._forget()

    def remove(self, name: str, jobs: Iterable[Job]) -> None:
        """Raises Refused: 2053 unknown, 2055 while a job that waits or runs names it."""
        if name not in self._kept:
            raise Refused(INVALID_RESERVATION)
        if any(job.request.reservation == name for job in jobs):
            raise Refused(RESERVATION_BUSY)
        del self._kept[name]
        self._forget()

    def turn(self, now: float) -> list[str]:
        """Begin what begins and drop what is over by now; gives the names of the dropped ones."""
        ended = [one.name for one in self if one.end_s <= now]
        for name in ended:
            del self._kept[name]
        for one in self:
            one.begun = one.start_s <= now
        self._forget()
        return ended

    def clear(self) -> None:
        """There is none any more."""
        self._kept.clear()
        self._forget()

    def on(self, node: str) -> Reservation | None:
        """The reservation that has the node now; one for maintenance before others."""
        if not self._holders:
            begun = [one for one in self if one.begun]
            for one in sorted(begun, key=lambda one: "MAINT" in one.flags):
                self._holders.update(dict.fromkeys(one.nodes, one))
        return self._holders.get(node)

    def admit(self, request: Request) -> Reservation | None:
        """The reservation that a job names. Raises Refused: 2053 unknown, 2052 for others."""
        if not request.reservation:
            return None
        named = self._kept.get(request.reservation)
        if named is None:
            raise Refused(INVALID_RESERVATION)
        if request.user_id not in {*self._operators, *named.users.values()}:
            raise Refused(RESERVATION_ACCESS)
        return named

    def room(self, request: Request) -> Room:
        """What is left to a job that asks for this."""
        if self._version != self._table.version:
            self._table.refresh()
            self._forget()
            self._version = self._table.version
        room = self._rooms.get(request.reservation)
        if room is None:
            room = self._rooms[request.reservation] = self._room(request.reservation)
        return room

    def _room(self, name: str) -> Room:
        own = self._kept.get(name)
        others = [one for one in self if one is not own and not _yields(one, own)]
        masks = [self._mask(one) for one in others]
        windows = Windows(
            np.array([one.start_s for one in others], np.float64),
            np.array([one.end_s for one in others], np.float64),
            np.array(masks, np.bool_).reshape(len(others), len(self._table.exists)),
            np.array(["MAINT" in one.flags for one in others], np.bool_),
        )
        if own is None:
            return Room(windows)
        return Room(windows, begun=own.begun, nodes=self._mask(own))

    def _forget(self) -> None:
        self._rooms.clear()
        self._holders.clear()

    def _mask(self, reservation: Reservation) -> Bools:
        mask: Bools = np.zeros(len(self._table.exists), np.bool_)
        for name in reservation.nodes:
            node = self._table.get(name)
            if node is not None:
                mask[node.slot] = True
        return mask


def _yields(other: Reservation, own: Reservation | None) -> bool:
    """Whether jobs of `own` may use nodes that the other reservation has too."""
    if own is None:
        return False
    return "MAINT" in own.flags or ("OVERLAP" in own.flags and "MAINT" not in other.flags)
