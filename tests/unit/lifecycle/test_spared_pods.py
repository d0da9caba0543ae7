"""A gang of several Jobs ends: those Jobs decide first that say what it means."""

from bridge.lifecycle import instructions as do
from bridge.model.ids import PodUid, SlurmJobId
from tests.unit.lifecycle.world import TUNING, World

MOMENT_S = TUNING.retries.judged_s
JUDGED, OTHER = PodUid("uid-train-1"), PodUid("uid-train-2")


def running() -> World:
    """Two pods; only the first one's Job has a rule."""
    world = World(size=2)
    world.machine.release()
    world.judged = frozenset({JUDGED})
    for index in range(2):
        world.create(index)
    world.perform_all()
    world.start(SlurmJobId(1))
    world.perform_all()
    return world


def ended(world: World) -> list[PodUid]:
    """The pods that are told to end, by all that is to be done now."""
    return [pod.uid for one in world.todo if isinstance(one, do.EndPods) for pod in one.pods]


def test_the_pods_of_other_jobs_end_when_the_first_have_been_judged() -> None:
    """With the same reason; and only once."""
    world = running()
    assert set(world.pods) == {JUDGED, OTHER}
    world.end(SlurmJobId(1), "PREEMPTED")
    assert ended(world) == [JUDGED]
    world.perform_all()
    world.remove(JUDGED)
    assert ended(world) == []
    world.pass_time(MOMENT_S + 0.1)
    assert ended(world) == [OTHER]
    world.perform_all()
    world.pass_time(MOMENT_S + 0.1)
    assert ended(world) == []


def test_they_end_at_the_latest_when_the_first_had_their_grace() -> None:
    """A pod that does not end keeps nobody waiting for ever."""
    world = running()
    grace_s = world.pods[JUDGED].grace_s
    world.end(SlurmJobId(1), "PREEMPTED")
    world.todo.clear()
    world.pass_time(grace_s)
    assert OTHER not in ended(world)
    world.pass_time(2 * MOMENT_S + 0.1)
    assert OTHER in ended(world)


def test_a_gang_whose_pods_are_all_alike_ends_at_once() -> None:
    """All of its Jobs have a rule, or none has."""
    for judged in (frozenset[PodUid](), frozenset({JUDGED, OTHER})):
        world = running()
        world.judged = judged
        world.see()
        world.end(SlurmJobId(1), "PREEMPTED")
        assert set(ended(world)) == {JUDGED, OTHER}
