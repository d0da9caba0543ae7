"""Gangs whose volumes are not ready."""

from dataclasses import replace

from bridge.lifecycle import instructions as do
from bridge.model.ids import SlurmJobId
from bridge.model.scheduling import NodeSelectorTerm, PodShape, Requirement
from tests.unit.lifecycle.world import TUNING, World

UNBOUND = "PersistentVolumeClaim data is not bound yet"
ONLY_B: PodShape = PodShape(
    volume_terms=((NodeSelectorTerm((Requirement("zone", "In", ("b",)),)),),)
)


def released(*, size: int = 3, single: bool = False) -> World:
    world = World(size=size, single=single)
    world.machine.release()
    return world


def performed(world: World) -> World:
    world.perform_all()
    return world


def test_a_pod_whose_claim_is_not_bound_is_told_so_and_queues_once_it_is() -> None:
    """Not in the first moment: claims of ephemeral volumes come after their pods. One event."""
    world = released(single=True)
    world.unready = UNBOUND
    world.create()
    assert [world.todo, world.told, world.conditions] == [[], [], []]
    world.pass_time(1)
    world.pass_time(60)
    world.claim(UNBOUND)
    assert not world.todo
    (event,) = world.told
    (told,) = world.conditions
    assert (event.reason, event.note) == ("WaitsForVolumes", f"Not in Slurm's queue: {UNBOUND}.")
    assert (told.condition.reason, told.condition.message) == ("VolumesNotReady", event.note)
    assert world.machine.placement_of(told.pod.uid) == (None, event.note)
    world.claim("")
    assert [type(one) for one in world.todo] == [do.SubmitJob]


def test_one_event_tells_of_the_wait_whatever_it_is_for_meanwhile() -> None:
    """Claims of a gang are bound one after another; when all were ready it is a new wait."""
    world = released(single=True)
    world.unready = "PersistentVolumeClaim data does not exist"
    world.create()
    world.pass_time(1)
    world.claim(UNBOUND)
    world.pass_time(20)
    assert [event.note for event in world.told] == [
        "Not in Slurm's queue: PersistentVolumeClaim data does not exist."
    ]
    assert UNBOUND in world.conditions[-1].condition.message
    world.claim("")
    world.claim(UNBOUND)
    world.pass_time(1)
    assert UNBOUND in world.told[-1].note


def test_a_claim_that_is_away_for_a_moment_costs_no_place_in_the_queue() -> None:
    """And the job keeps what it was told: a claim that is away says nothing of nodes."""
    world = released(size=2)
    world.create(0)
    performed(world)
    world.unready = UNBOUND
    world.create(1)
    world.pass_time(TUNING.patience.claims_s - 1)
    world.claim("")
    world.pass_time(TUNING.patience.claims_s)
    assert not world.todo
    assert world.jobs[SlurmJobId(1)].waits


def test_a_job_whose_pods_have_lost_a_claim_is_given_up() -> None:
    """Waiting or holding nodes: others can use them. It queues anew when the claim is back."""
    for started in (False, True):
        world = performed(_queued())
        world.claim(UNBOUND)
        if started:
            world.start(SlurmJobId(1))
        assert not world.todo
        world.pass_time(TUNING.patience.claims_s)
        assert [type(one) for one in world.todo] == [do.CancelJob]
        performed(world)
        assert world.told[-1].reason == "WaitsForVolumes"
        world.claim("")
        assert [type(one) for one in world.todo] == [do.SubmitJob]


def _queued() -> World:
    world = released(size=2)
    world.create(0)
    world.create(1)
    return world


def test_a_member_that_comes_to_a_running_gang_is_pinned_when_its_claim_is_ready() -> None:
    """Those that run are not ended for its sake."""
    world = performed(_queued())
    world.start(SlurmJobId(1))
    performed(world)
    first = next(iter(world.pods.values()))
    world.change(first.uid, phase="Failed", node_name="n1-0")
    world.unready = UNBOUND
    world.create(0)
    world.pass_time(TUNING.patience.claims_s + 1)
    assert not world.todo
    world.claim("")
    assert [type(one) for one in world.todo] == [do.PinPod]


def test_where_pods_may_run_is_not_forgotten_while_their_claim_is_away() -> None:
    """Slurm is told of new nodes only with what is known of the volume."""
    world = performed(_queued())
    assert world.machine.known.gang is not None
    before = world.machine.known.gang
    world.unready = UNBOUND
    for uid, pod in world.pods.items():
        world.pods[uid] = replace(pod, shape=ONLY_B)
    world.see()
    assert world.machine.known.gang is before
    world.claim("")
    assert world.machine.known.gang.shape == ONLY_B
