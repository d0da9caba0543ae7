"""Whose details are read again first."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model.ids import SlurmJobId
from bridge.slurm import Job
from bridge.slurm.rereads import Rereads

_EPOCH_S = 1_700_000_000.0
_TICK_S = 0.25


def _job(number: int, kind: str = "waiting") -> Job:
    """`waiting`, `held` (no one may push it out), `preemptable`, `exempt` until 100 s, `ended`."""
    state = {"waiting": "PENDING", "ended": "COMPLETED"}.get(kind, "RUNNING")
    since_s = {"preemptable": _EPOCH_S - 1, "exempt": _EPOCH_S + 100}.get(kind)
    return Job(
        id=SlurmJobId(number),
        name="",
        states=frozenset({state}),
        preemptable_s=None if since_s is None else int(since_s),
    )


class _Reader:
    """Reads what is given out at once, tick by tick."""

    def __init__(self, jobs: list[Job], *, gets_per_s: float = 20.0) -> None:
        self.rereads = Rereads(gets_per_s=gets_per_s)
        self.now_s = 0.0
        self._jobs = {job.id: job for job in jobs}
        for job in jobs:
            self.rereads.keep(job, self.now_s, _EPOCH_S)

    def read(self, seconds: float) -> list[int]:
        """The jobs that were read in that time, in order."""
        found = []
        for _ in range(round(seconds / _TICK_S)):
            self.now_s += _TICK_S
            for job_id in self.rereads.take(self.now_s):
                found.append(int(job_id))
                self.rereads.keep(self._jobs[job_id], self.now_s, _EPOCH_S + self.now_s)
        return found


def test_of_jobs_read_at_the_same_time_a_preemptable_one_comes_first() -> None:
    """Then those that wait, then those that nobody may push out."""
    kinds = ["held", "waiting", "preemptable", "exempt", "waiting", "preemptable"]
    rereads = Rereads(gets_per_s=1000)
    for number, kind in enumerate(kinds):
        rereads.keep(_job(number, kind), 0.0, _EPOCH_S)
    rereads.state_changed(50.0)
    assert list(rereads.take(50.0)) == [2, 5, 1, 4, 0, 3]


def test_the_one_read_longest_ago_comes_first() -> None:
    """Among its kind, and among those that wait or may be pushed out."""
    rereads = Rereads(gets_per_s=1000)
    for number, (kind, read_s) in enumerate(
        [("waiting", 3.0), ("preemptable", 2.0), ("waiting", 1.0), ("preemptable", 4.0)]
    ):
        rereads.keep(_job(number, kind), read_s, _EPOCH_S)
    rereads.keep(_job(2), 5.0, _EPOCH_S)  # read once more, as its state had changed
    rereads.state_changed(50.0)
    assert list(rereads.take(50.0)) == [1, 0, 3, 2]


def test_none_is_given_out_twice_before_it_is_due_again() -> None:
    """Also when its reading never comes back."""
    rereads = Rereads(gets_per_s=1000)
    rereads.keep(_job(1), 0.0, _EPOCH_S)
    rereads.state_changed(3.0)
    assert list(rereads.take(3.0)) == [1]
    assert list(rereads.take(4.0)) == []
    assert rereads.oldest_s == 0.0
    assert list(rereads.take(5.0)) == [1]


def test_a_job_is_not_due_at_once() -> None:
    """One that waits after two seconds, the large record of one that holds nodes after ten."""
    for kind, due_s in (("waiting", 2.0), ("held", 10.0), ("preemptable", 10.0)):
        reader = _Reader([_job(1, kind)])
        assert reader.read(due_s - _TICK_S) == []
        assert reader.read(_TICK_S) == [1]


def test_when_its_exemption_is_over_a_job_counts_as_preemptable() -> None:
    """It is read five times as often as those that nobody may push out."""
    reader = _Reader([_job(1, "exempt"), *(_job(number, "held") for number in range(2, 400))])
    reader.now_s = 200.0
    reads = Counter(reader.read(900))
    assert max(count for number, count in reads.items() if number != 1) == 3
    assert 10 <= reads[1] <= 15


def test_ended_and_dropped_jobs_are_not_given_out() -> None:
    """Nor do they age."""
    rereads = Rereads(gets_per_s=1000)
    rereads.keep(_job(1), 0.0, _EPOCH_S)
    rereads.keep(_job(2), 0.0, _EPOCH_S)
    rereads.keep(_job(1, "ended"), 1.0, _EPOCH_S)
    rereads.drop(SlurmJobId(2))
    rereads.drop(SlurmJobId(3))
    assert list(rereads.take(100.0)) == []
    assert rereads.oldest_s is None


@pytest.mark.parametrize(("changed_s", "reads"), [(999.0, 20), (900.0, 2)])
def test_after_a_change_of_state_the_whole_budget_is_used(changed_s: float, reads: int) -> None:
    """At rest a tenth of it; what was not used is not saved up."""
    rereads = Rereads(gets_per_s=20)
    for number in range(500):
        rereads.keep(_job(number), 0.0, _EPOCH_S)
    rereads.state_changed(changed_s)
    assert len(list(rereads.take(1000.0))) == reads


@given(
    counts=st.tuples(*[st.integers(0, 60)] * 3),
    gets_per_s=st.sampled_from([5.0, 20.0, 200.0]),
)
def test_nobody_starves(counts: tuple[int, int, int], gets_per_s: float) -> None:
    """However many of each kind there are, each job is read within five rounds of the budget."""
    kinds = [kind for kind, count in zip(("waiting", "held", "preemptable"), counts, strict=True)
             for _ in range(count)]  # fmt: skip
    reader = _Reader([_job(number, kind) for number, kind in enumerate(kinds)],
                     gets_per_s=gets_per_s)  # fmt: skip
    at_rest = gets_per_s * 0.1
    round_s = (counts[0] + 2 * counts[1] + 2 * counts[2] + 2) / at_rest
    assert set(reader.read(20 + 5 * round_s)) == set(range(len(kinds)))
