"""What a gang's machine remembers of what has happened."""

from dataclasses import replace

from bridge.lifecycle.history import Step
from bridge.model.ids import SlurmJobId
from tests.builders import facts
from tests.unit.lifecycle.world import World

ONE = SlurmJobId(1)


def queued(world: World, reason: str) -> None:
    """Slurm says why the job waits."""
    seen = replace(facts(1, "PENDING", gang=world.gang_id, reason=reason), tasks=1)
    world._job(seen)


def kinds(world: World) -> list[str]:
    return [step.kind for step in world.machine.history]


def a_waiting_pod() -> World:
    world = World(size=1, single=True)
    world.machine.release()
    world.create()
    world.perform_all()
    return world


def test_from_the_queue_to_the_end() -> None:
    """Each step once, in order; the bridge's own end of a job is not called somebody's."""
    world = a_waiting_pod()
    world.start(ONE)
    world.settle()
    world.change(next(iter(world.pods)), phase="Succeeded")
    world.settle()
    said = kinds(world)
    assert said[:3] == ["known", "queued", "granted"]
    assert "running" in said
    assert said.index("running") < said.index("ending")
    assert not any("cancelled" in step.detail for step in world.machine.history)


def test_pods_that_come_late_make_no_further_steps() -> None:
    """Their gang runs when its first pods do."""
    world = World(size=3)
    world.machine.release()
    world.create()
    world.perform_all()
    world.start(ONE)
    world.settle()
    for _ in range(2):
        world.create()
        world.settle()
    assert kinds(world) == ["known", "queued", "granted", "running"]


def test_reasons_that_alternate_take_no_room() -> None:
    """The first reason of a job and its present one are kept."""
    world = a_waiting_pod()

    def told(*reasons: str) -> list[str]:
        for reason in reasons:
            queued(world, reason)
        return [step.detail for step in world.machine.history if step.kind == "queued"]

    assert told("Priority", "Resources") == ["Priority", "Resources"]
    assert told("Priority") == ["Priority"]
    assert told("Resources", "Priority", "JobHeldAdmin") == ["Priority", "JobHeldAdmin"]


def test_what_ended_a_job_is_told() -> None:
    """Also that Slurm has lost it."""
    world = a_waiting_pod()
    queued(world, "Resources")
    world.end(ONE, "CANCELLED")
    ended = [step for step in world.machine.history if step.kind == "ended"]
    assert [step.detail for step in ended] == ["Slurm job 1 was cancelled in Slurm."]


def test_the_first_step_stays_and_there_are_not_too_many() -> None:
    """A gang that fails for days says since when it is there."""
    world = World(size=1, single=True)
    history = world.machine.history
    for number in range(200):
        history._add(Step(float(number), "refused", None, f"for reason {number}"))
    steps = list(history)
    assert len(steps) == 24
    assert (steps[0].detail, steps[-1].detail) == ("for reason 0", "for reason 199")
