"""What a Job's status says is done, and which slots are left."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from bridge import names
from bridge.gangs import progress
from bridge.model.gang import Gang, Rank
from bridge.model.owner import Owner
from bridge.model.pod import OwnerReference
from tests.builders import a_gang_job, a_job, a_pod, gang_for


def written(indexes: set[int]) -> str:
    """As the Job controller writes completed indexes: runs of three or more are shortened."""
    roles, left = [], sorted(indexes)
    while left:
        last = left[0]
        while last + 1 in indexes:
            last += 1
        run = [index for index in left if index <= last]
        roles += [f"{run[0]}-{last}"] if len(run) > 2 else [str(index) for index in run]
        left = left[len(run) :]
    return ",".join(roles)


@given(st.sets(st.integers(0, 40)), st.integers(0, 40))
def test_what_is_left_is_all_but_what_is_done(done: set[int], count: int) -> None:
    """However the runs lie."""
    left = progress.left_of(count, progress.ranges(written(done)))
    assert left == tuple(index for index in range(count) if index not in done)


@given(st.text(alphabet="0123456789,-x ", max_size=40))
def test_nonsense_is_not_done(text: str) -> None:
    """Whatever stands there, some indexes are left or not; nothing is raised."""
    assert set(progress.left_of(5, progress.ranges(text))) <= set(range(5))


def gang(completed_indexes: str = "") -> Gang:
    job = a_gang_job(size=4, completed_indexes=completed_indexes)
    return gang_for([a_pod("p").of(job, 3).build()], job)


def test_slots_are_numbered_by_the_indexes_that_are_left() -> None:
    """Index 3 sits in the last of two slots; index 0 has none."""
    left = gang("0,2")
    assert (left.size, left.slot_of(Rank(index=3)), left.slot_of(Rank(index=0))) == (2, 1, None)
    assert gang().slot_of(Rank(index=3)) == 3
    assert gang().slot_of(Rank(index=4)) is None


def test_a_gang_that_is_done_keeps_its_size() -> None:
    """There is nothing left to ask for; its last pods are about to be seen as ended."""
    assert gang("0-3").size == 4


def test_pods_that_succeeded_are_done_before_the_status_says_so() -> None:
    """And are not counted twice when it does."""
    told = {names.GANG_ANNOTATION: "true"}
    for succeeded in (0, 1):
        job = a_job(parallelism=3, completions=3, annotations=told, succeeded_pods=succeeded)
        done = a_pod("a").of(job).in_phase("Succeeded").build()
        assert gang_for([done, a_pod("b").of(job).build()], job).size == 2
    indexed = a_gang_job(size=3, completed_indexes="1")
    done = replace(a_pod("a").of(indexed, 1).build(), phase="Succeeded")
    assert gang_for([done, a_pod("b").of(indexed, 2).build()], indexed).size == 2


def test_pods_that_are_gangs_of_their_own_need_no_slot() -> None:
    """Indexed or not, and of a Job with more completions than parallelism too."""
    job = a_gang_job(size=4)
    left = gang_for([a_pod("a").of(job, 0).build()], job, elsewhere=[a_pod("b").of(job, 2).build()])
    assert (left.size, left.indexes) == (3, ((0, 1, 3),))
    told = {names.GANG_ANNOTATION: "true"}
    for completions in (4, 9):
        job = a_job(parallelism=4, completions=completions, annotations=told)
        pods = [a_pod("a").of(job).build()]
        assert gang_for(pods, job, elsewhere=[a_pod("b").of(job).build()]).size == 3


def test_an_index_that_is_given_up_is_not_waited_for() -> None:
    """backoffLimitPerIndex: nobody makes a pod for it any more, in a Job or in a JobSet's."""
    job = a_gang_job(size=4, completed_indexes="0", failed_indexes="2")
    left = gang_for([a_pod("p").of(job, 3).build()], job)
    assert (left.size, left.indexes) == (2, ((1, 3),))


def test_a_work_queue_gets_no_more_pods_once_one_has_succeeded() -> None:
    """A Job without completions: the others finish what they are at, and nobody is missed."""
    told = {names.GANG_ANNOTATION: "true"}
    job = a_job(parallelism=4, completions=None, annotations=told)
    pods = [a_pod("a").of(job).build()]
    assert (gang_for(pods, job).size, gang_for(pods, job).staged) == (4, frozenset())
    left = gang_for(pods, replace(job, succeeded_pods=1))
    assert (left.size, left.staged) == (3, frozenset({0}))


def test_a_gang_that_is_scaled_to_nothing_is_no_mistake() -> None:
    """Its last pods are about to go."""
    told = {names.GANG_ANNOTATION: "true"}
    quorum = Owner("u", "team", "q", "1", "apps/v1", "StatefulSet", annotations=told, replicas=0)
    owner = OwnerReference("apps/v1", "StatefulSet", "q", "u")
    assert gang_for([replace(a_pod("q-0").build(), owner=owner)], quorum).size == 1
