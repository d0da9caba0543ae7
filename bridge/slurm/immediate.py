"""When it is worth asking Slurm to start a job in the very call that submits it.

A submitted job is looked at when slurmctld's scheduler comes by, once a second, which is most of
what an idle cluster's pod would wait for. An allocation that is wanted *immediately* is decided
in the call itself, by the same rules (nobody of higher priority waits, nodes are free), and else
refused. The refusal leaves a FAILED job behind in Slurm's records, so it is asked for only where
it will probably be granted: nobody waits in the whole queue, and the last refusal is some time
ago. A Slurm that is told to defer (SchedulerParameters=defer) refuses always and is left alone.

Pure book-keeping; times are monotonic seconds.
"""

from collections.abc import Collection, Iterable

from bridge.retry import Backoff
from bridge.slurm.jobs import JobDescription

DEFERRED = 2125
"""ESLURM_DEFER: Slurm never decides in the call that submits."""
_FIRST_PAUSE_S = 2.0
_LONGEST_PAUSE_S = 60.0
_NEVER_PAUSE_S = 600.0
"""Between two questions to a Slurm that never does it: its settings may change."""


def startable(job: JobDescription) -> bool:
    """Whether Slurm would make the same job of it: no script, and nobody else's."""
    return not job.script and job.user_id is None and job.group_id is None


class ImmediateStarts:
    """What past answers and the last list of jobs say about the next question."""

    def __init__(self) -> None:
        self._somebody_waits = False
        self._refusals = Backoff(first_s=_FIRST_PAUSE_S, most_s=_LONGEST_PAUSE_S)
        self._not_before_s = float("-inf")

    def listed(self, states: Iterable[Collection[str]]) -> None:
        """A list of all jobs' states came."""
        self._somebody_waits = any("PENDING" in one for one in states)

    def worth_asking(self, now_s: float) -> bool:
        """Whether a start will probably be granted."""
        return not self._somebody_waits and now_s >= self._not_before_s

    def granted(self) -> None:
        """A job started."""
        self._refusals.reset()

    def refused(self, now_s: float, *, always: bool = False) -> None:
        """It did not start; `always`: this Slurm never starts jobs so."""
        pause_s = self._refusals.next_s()
        self._not_before_s = now_s + (_NEVER_PAUSE_S if always else pause_s)
