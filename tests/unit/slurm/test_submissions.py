from hypothesis import given
from hypothesis import strategies as st

from bridge.model.ids import SlurmJobId
from bridge.slurm.submissions import Submissions

_IDS = st.frozensets(st.integers(1, 40).map(SlurmJobId), max_size=12)


def _ids(*numbers: int) -> frozenset[SlurmJobId]:
    return frozenset(SlurmJobId(number) for number in numbers)


def test_is_blind_until_it_saw_a_list() -> None:
    """Without a list of ids there is nothing to tell new jobs by."""
    known = Submissions()
    assert known.blind
    known.listed(_ids())
    assert not known.blind


def test_asks_for_new_ids_newest_first() -> None:
    """What was there before, was answered or was read already is left out."""
    known = Submissions()
    known.listed(_ids(1, 2))
    attempt = known.begin("mine")
    known.answered(SlurmJobId(4), "other")
    known.read(SlurmJobId(5), "somebody's")
    assert known.unread(attempt, _ids(1, 2, 3, 4, 5, 6)) == [6, 3]


def test_the_first_lost_attempt_is_remembered() -> None:
    """A later attempt knows more ids; the job of the first one may be among them."""
    known = Submissions()
    known.listed(_ids(1))
    first = known.begin("mine")
    known.lost(first)
    known.listed(_ids(1, 2))
    known.lost(known.begin("mine"))
    assert known.lost_before("mine") is first
    known.answered(SlurmJobId(9), "mine")
    assert known.lost_before("mine") is None


def test_forgets_what_slurm_forgot() -> None:
    """An id that is given anew is read anew."""
    known = Submissions()
    known.listed(_ids())
    known.read(SlurmJobId(3), "old")
    known.listed(_ids(1))
    attempt = known.begin("mine")
    assert known.unread(attempt, _ids(1, 3)) == [3]


@given(_IDS, _IDS, st.dictionaries(st.integers(1, 40).map(SlurmJobId), st.sampled_from("ab")))
def test_finds_exactly_new_jobs_with_the_identity(
    before: frozenset[SlurmJobId], after: frozenset[SlurmJobId], carried: dict[SlurmJobId, str]
) -> None:
    """Once all candidates are read, a match is new, carries the identity, and is the newest."""
    known = Submissions()
    known.listed(before)
    attempt = known.begin("a")
    for job_id in known.unread(attempt, after):
        known.read(job_id, carried.get(job_id, ""))
    right = [one for one in after - before if carried.get(one) == "a"]
    assert known.match(attempt, after) == max(right, default=None)
