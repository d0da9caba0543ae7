"""Which nodes a job leaves out because they are full, which Slurm may not know.

Slurm counts CPUs, memory and GRES, and knows only of pods that have a job. It would give a job a
node on which a pod holds the last of anything else, and the grant would be of no use. So a job says
which nodes are full when it is submitted, and again when that changes while it waits.
"""

from collections.abc import Callable, Hashable
from dataclasses import replace

import numpy as np

from bridge.errors import BadInput
from bridge.jobs.answers import MOST_KEPT, Answers
from bridge.jobs.jobspec import Where
from bridge.model.devices import ResourceMap
from bridge.model.scheduling import PodShape
from bridge.placement.filters import Predicate, feasible, uncounted
from bridge.placement.table import Snapshot
from bridge.state.kube_state import KubeState
from bridge.state.slurm_state import SlurmState

Key = Hashable
"""The key of an answer: which shape, on which nodes."""


class NoRoom(BadInput):
    """The pods could run, but not now: pods hold what they need, and Slurm does not know it."""


class FullNodes:
    """Finds full nodes by what pods hold now, and remembers the answers."""

    def __init__(
        self, *, cluster: KubeState, slurm_state: SlurmState, resource_map: ResourceMap
    ) -> None:
        self._cluster = cluster
        self._slurm_state = slurm_state
        self._map = resource_map
        self._known: dict[Key, tuple[PodShape, Where, uncounted.Full]] = {}
        """The answers that jobs were built by, to be compared. Beyond `MOST_KEPT` the oldest is
        dropped, and its jobs learn of changes from their grants."""
        self._found: Answers[tuple[PodShape, Where], uncounted.Full] = Answers()
        """Answers that hold while no pod and no node changes."""

    def leave_out(
        self, shape: PodShape, where: Where, *, size: int, asked: Callable[[Key], None]
    ) -> Where:
        """`where` without the nodes that are full now, for `size` pods of the shape.

        `asked` is told of the question where its answer may change with the pods on the nodes.
        Raises NoRoom if less than `size` pods find room, and the nodes could take so many.
        """
        snapshot = self._cluster.table.snapshot()
        found = self._look_up(snapshot, shape, where)
        if found.limits or self._may_change(shape):
            key = (shape, where)
            self._known.pop(key, None)
            self._known[key] = shape, where, found
            while len(self._known) > MOST_KEPT:
                del self._known[next(iter(self._known))]
            asked(key)
        if found.room < size <= found.most:
            raise NoRoom(_sentence(snapshot, shape, found, size))
        if not found.limits:
            return where
        nodes = self._cluster.nodes
        excluded = {nodes[name].slurm_name for name in found.nodes if name in nodes}
        return replace(
            where,
            classes=tuple(name for name in where.classes if name not in found.classes),
            excluded=tuple(sorted({*where.excluded, *excluded})),
        )

    def has_changed(self, key: Key) -> bool:
        """Whether the answer of this key is another one now; True if it is not remembered."""
        known = self._known.get(key)
        if known is None:
            return True
        shape, where, found = known
        return self._look_up(self._cluster.table.snapshot(), shape, where) != found

    def _look_up(self, snapshot: Snapshot, shape: PodShape, where: Where) -> uncounted.Full:
        nodes = (snapshot.layout.memo, snapshot.capacity.memo)
        follows_from = (*nodes, self._cluster.table.uses, self._slurm_state.nodes.gres_names)
        return self._found.of(
            follows_from, (shape, where), lambda: self._find(snapshot, shape, where)
        )

    def _find(self, snapshot: Snapshot, shape: PodShape, where: Where) -> uncounted.Full:
        names = self._cluster.by_slurm_name
        if where.required:
            rows = snapshot.rows([names[one] for one in where.required if one in names])
            rows = rows[rows >= 0]
            counts = uncounted.room(snapshot, shape, rows, self._counted())
            most = int(uncounted.most(snapshot, shape, rows).sum())
            return uncounted.Full(frozenset(), (), int(counts.sum()), most, rows[counts == 0])
        left_out = tuple(names[one] for one in where.excluded if one in names)
        return uncounted.full(
            snapshot, shape, frozenset(where.classes), left_out, resource_map=self._counted()
        )

    def _counted(self) -> ResourceMap:
        return self._map.within(self._slurm_state.nodes.gres_names)

    def _may_change(self, shape: PodShape) -> bool:
        asked = uncounted.of(shape.requests, self._counted())
        return bool(shape.host_ports or asked.ephemeral_bytes or asked.extended)


def _sentence(snapshot: Snapshot, shape: PodShape, found: uncounted.Full, size: int) -> str:
    judged = feasible(snapshot, shape, now=True)
    codes = np.full_like(judged.first_failure, Predicate.ABSENT)
    codes[found.rows] = judged.first_failure[found.rows]
    why = replace(judged, first_failure=codes).summary()
    pods = "its pod finds no room" if size == 1 else f"{found.room} of its {size} pods find room"
    return f"{pods} now: {why}. It is queued in Slurm automatically as soon as pods there end"
