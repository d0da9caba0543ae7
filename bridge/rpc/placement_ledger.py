"""What followers are told of pods' placements: the last word of each pod, in order of change."""

from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from bridge.model.ids import GangId, NodeName, PodUid, SlurmJobId

_MOST_GONE = 10_000
"""Pods that are gone are remembered for followers that come back; there can be more than pods."""
_MOST_IN_A_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Row:
    """Where one pod may be bound. `node` is "" while it has none, and `waits_for` says why."""

    pod: PodUid
    node: NodeName
    job_id: SlurmJobId | None
    gang: GangId
    waits_for: str = ""
    is_running: bool = False
    """Whether Slurm ran the job when it was last asked."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A part of what is new. With `is_whole` a follower forgets what it knew; with `is_complete`
    it knows all up to `cursor`."""

    cursor: str
    rows: tuple[Row, ...] = ()
    gone: tuple[PodUid, ...] = ()
    is_whole: bool = False
    is_complete: bool = True


@dataclass(slots=True)
class PlacementLedger:
    """The rows of one leader. `term` names the leader's time in office: cursors of another term
    mean nothing."""

    term: str
    _revision: int = 0
    _rows: OrderedDict[PodUid, tuple[int, Row]] = field(default_factory=OrderedDict)
    """The oldest change first."""
    _gone: deque[tuple[int, PodUid]] = field(default_factory=deque)
    _forgotten: int = 0
    """The newest revision of a pod that is gone and not remembered any more."""

    @property
    def cursor(self) -> str:
        """Where a follower stands that knows everything."""
        return f"{self.term}/{self._revision}"

    @property
    def rows(self) -> Mapping[PodUid, tuple[int, Row]]:
        """The present rows, each with the revision of its last change."""
        return self._rows

    def put(self, row: Row) -> bool:
        """Takes in a pod's row; False if it is no news."""
        known = self._rows.get(row.pod)
        if known is not None and known[1] == row:
            return False
        self._revision += 1
        self._rows[row.pod] = (self._revision, row)
        self._rows.move_to_end(row.pod)
        return True

    def drop(self, pod: PodUid) -> bool:
        """The pod has no row any more; False if it had none."""
        if self._rows.pop(pod, None) is None:
            return False
        self._revision += 1
        self._gone.append((self._revision, pod))
        if len(self._gone) > _MOST_GONE:
            self._forgotten = self._gone.popleft()[0]
        return True

    def since(self, cursor: str) -> list[Batch]:
        """What a follower that stands at `cursor` does not know, at least one batch. A cursor that
        is not this term's, or too old, gets everything."""
        seen = self._revision_of(cursor)
        is_whole = seen is None or seen < self._forgotten
        known = 0 if seen is None or is_whole else seen
        rows = []
        for revision, row in reversed(self._rows.values()):
            if revision <= known:
                break
            rows.append(row)
        rows.reverse()
        gone = () if is_whole else tuple(pod for at, pod in self._gone if at > known)
        last = max(1, -(-len(rows) // _MOST_IN_A_BATCH))
        return [
            Batch(
                cursor=self.cursor if part == last - 1 else cursor,
                rows=tuple(rows[part * _MOST_IN_A_BATCH : (part + 1) * _MOST_IN_A_BATCH]),
                gone=gone if part == 0 else (),
                is_whole=is_whole and part == 0,
                is_complete=part == last - 1,
            )
            for part in range(last)
        ]

    def _revision_of(self, cursor: str) -> int | None:
        term, _, revision = cursor.rpartition("/")
        if term != self.term or not revision.isascii() or not revision.isdigit():
            return None
        return int(revision) if int(revision) <= self._revision else None
