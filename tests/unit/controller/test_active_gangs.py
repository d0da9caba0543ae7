"""What is kept of the gangs that are driven now."""

from dataclasses import replace

from bridge import names
from bridge.lifecycle import events as ev
from bridge.model.ids import GangId, SlurmJobId
from bridge.model.job import JobIdentity, JobSpec
from tests.builders import a_gang, facts
from tests.unit.controller.doubles import Kept, a_machine
from tests.unit.slurm.clocks import ManualClock

G = GangId("g")
CLASS, OTHER_CLASS = (f"{names.CLASS_FEATURE_PREFIX}{which}" for which in ("abc", "def"))


async def test_a_gang_that_is_dropped_is_woken_by_nothing() -> None:
    """Neither by its timer, nor by room, nor by a job that its pods name."""
    clock = ManualClock()
    kept = Kept(clock, a_machine("g"))
    rung = list[str]()
    kept.timers.wake(G, 1.0, lambda: rung.append("g"))
    kept.gangs.waiting_for_room.add(G)
    kept.claims.add(G, [SlurmJobId(7)])
    kept.gangs.drop(G)
    await clock.advance(2.0)
    assert not rung
    assert not kept.gangs.waiting_for_room
    assert SlurmJobId(7) not in kept.claims


def test_a_gang_is_live_while_it_has_a_machine_or_will_have_one_again() -> None:
    """A job that was submitted for it is then its own."""
    kept = Kept(ManualClock(), a_machine("g"))
    assert kept.gangs.is_live(G)
    kept.gangs.drop(G)
    assert not kept.gangs.is_live(G)
    kept.faults.add(G, RuntimeError("mistake"), 0.0)
    assert kept.gangs.is_live(G)


def test_the_job_of_a_gang_is_its_machines() -> None:
    """A workload that depends on its pods is told this id."""
    kept = Kept(ManualClock(), a_machine("g", 7), a_machine("h"))
    found = [kept.gangs.job_of(gang) for gang in (G, GangId("h"), GangId("gone"), None)]
    assert found == [7, None, None, None]


def test_no_class_that_a_waiting_job_names_may_be_taken_from_a_node() -> None:
    """Slurm would not start it any more. One that runs has its nodes."""
    waiting, running = a_machine("g", 7), a_machine("h", 8)
    kept = Kept(ManualClock(), waiting, running, a_machine("none"))
    for machine, job, state in ((waiting, 7, "PENDING"), (running, 8, "RUNNING")):
        seen = facts(job, state, gang=machine.id, nodes=("n",) if state == "RUNNING" else ())
        machine.handle(ev.JobObserved(replace(seen, constraints=f"({CLASS}|x)&ib")), 0.0)
    assert kept.gangs.classes_in_use() == {CLASS}
    kept.gangs.drop(G)
    assert kept.gangs.classes_in_use() == set()


def test_the_classes_of_all_components_of_a_waiting_het_job_are_in_use() -> None:
    """As Slurm tells of it after a start, and as it was told itself."""
    machine = a_machine("g", 7, a_gang("g", size=2))
    kept = Kept(ManualClock(), machine)
    seen = facts(7, "PENDING", gang="g")
    second = replace(facts(8, "PENDING"), constraints=OTHER_CLASS)
    machine.handle(ev.JobObserved(replace(seen, constraints=CLASS, also=(second,))), 0.0)
    assert kept.gangs.classes_in_use() == {CLASS, OTHER_CLASS}
    workers = JobSpec(JobIdentity("c", "g#1", 0, "o"), "x", 1, 1, "p", constraints=OTHER_CLASS)
    machine.handle(ev.JobRebuilt(replace(workers, constraints="other", also=(workers,))), 0.0)
    assert machine.known.run is not None
    assert machine.known.run.spec is not None
    assert kept.gangs.classes_in_use() == {OTHER_CLASS}


def test_the_gangs_of_each_state_are_counted_when_they_are_asked_for() -> None:
    """A count that is kept goes wrong with the first gang that is dropped on the way."""
    kept = Kept(ManualClock(), a_machine("g", 7), a_machine("h", 8))
    states = [machine.state.value for machine in kept.gangs.machines.values()]
    (row,) = kept.metrics.gangs.collect()
    counted = {sample.labels["state"]: sample.value for sample in row.samples if sample.value}
    assert counted == {state: states.count(state) for state in states}
