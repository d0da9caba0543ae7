"""Jobs whose submission may have been carried out although no answer came.

Slurm has no token that makes a submit repeatable. What it has: ids, and the admin_comment, in
which the caller writes the job's identity. So after a lost answer the job is looked for among the
ids that nobody knew when the request left, and the request is never sent a second time before
that has been done. `/jobs/` is never read whole: it is megabytes, and a busy Slurm caused the loss.

Known ids are a set, not a maximum: ids begin again after a loss of slurmctld's state, and wrap.
"""

from dataclasses import dataclass

from bridge.model.ids import SlurmJobId

_MAX_LOST = 10_000


@dataclass(frozen=True, slots=True)
class Attempt:
    """One submission on its way: the ids that were known when it left."""

    identity: str
    known: frozenset[SlurmJobId]


class Submissions:
    """What the client knows of ids: pure book-keeping."""

    def __init__(self) -> None:
        self._known: frozenset[SlurmJobId] | None = None
        self._answered: set[SlurmJobId] = set()
        self._read: dict[SlurmJobId, str] = {}
        self._lost: dict[str, Attempt] = {}

    @property
    def blind(self) -> bool:
        """No list of ids was ever seen: a lost answer could not be looked for."""
        return self._known is None

    def begin(self, identity: str) -> Attempt:
        """A request leaves now."""
        return Attempt(identity, self._known or frozenset())

    def listed(self, ids: frozenset[SlurmJobId]) -> None:
        """A healthy list of all ids came. What it lacks is forgotten, unless it is newer."""
        self._known = ids
        newest = max(ids, default=SlurmJobId(0))
        self._answered = {one for one in self._answered if one in ids or one > newest}
        if self._read:
            self._read = {one: text for one, text in self._read.items() if one in ids}

    def answered(self, job_id: SlurmJobId, identity: str) -> None:
        """This job was given to the caller of that identity's submit: it is no longer lost."""
        self._answered.add(job_id)
        self._lost.pop(identity, None)

    def read(self, job_id: SlurmJobId, identity: str) -> None:
        """This job's admin_comment is that."""
        self._read[job_id] = identity

    def lost(self, attempt: Attempt) -> None:
        """No answer came, and no job was found yet: the next submit of it must look first.

        The first attempt stays: a job of it may appear late.
        """
        self._lost.setdefault(attempt.identity, attempt)
        while len(self._lost) > _MAX_LOST:
            del self._lost[next(iter(self._lost))]

    def lost_before(self, identity: str) -> Attempt | None:
        """The first attempt at this identity that was lost and not found."""
        return self._lost.get(identity)

    def match(self, attempt: Attempt, ids: frozenset[SlurmJobId]) -> SlurmJobId | None:
        """The newest of `ids` that is known to carry the identity, and nobody's yet."""
        for one in sorted(ids - attempt.known - self._answered, reverse=True):
            if self._read.get(one) == attempt.identity:
                return one
        return None

    def unread(self, attempt: Attempt, ids: frozenset[SlurmJobId]) -> list[SlurmJobId]:
        """Those of `ids` that may be the job and must be read; newest first."""
        fresh = ids - attempt.known - self._answered - self._read.keys()
        return sorted(fresh, reverse=True)
