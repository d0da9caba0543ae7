"""For which gangs nodes may be bought."""

from collections.abc import Collection

import pytest

from bridge.controller.lacking_gangs import LackingGangs
from bridge.lifecycle import events as ev
from bridge.lifecycle.machine import GangMachine
from bridge.lifecycle.tuning import Tuning
from bridge.model.capacity import GangNeed
from bridge.model.gang import Gang
from bridge.model.ids import GangId, SlurmJobId
from bridge.model.job import JobFacts
from bridge.model.owner import OwnerWill
from bridge.model.pod import Pod
from tests.builders import a_gang, a_pod
from tests.unit.controller.doubles import SPEC, Kept
from tests.unit.slurm.clocks import ManualClock

G = GangId("g")


def need(gang: Gang, pods: Collection[Pod]) -> GangNeed:
    """Whatever it asks for."""
    return GangNeed(gang.id, gang.owner, ())


def a_machine(
    *, waits_for: str = "", owner: OwnerWill = "creates", pod: Pod | None = None
) -> GangMachine:
    """A gang with one waiting pod."""
    machine = GangMachine(G, single=False, tuning=Tuning())
    machine.handle(
        ev.MembersSeen(a_gang("g"), (pod or a_pod().build(),), waits_for=waits_for, owner=owner),
        0.0,
    )
    machine.release()
    return machine


def is_lacking(machine: GangMachine, *, was_asked: bool = False) -> bool:
    """Whether nodes are asked for, or still are."""
    kept = Kept(ManualClock(), machine)
    kept.gangs.note(machine)
    return bool(LackingGangs(kept.gangs, need).look({G} if was_asked else ()))


def waiting(reason: str) -> GangMachine:
    """Its job waits in Slurm for this reason."""
    machine = a_machine()
    machine.handle(ev.Tick(), 0.0)
    machine.handle(ev.Submitted(SlurmJobId(1), SPEC), 0.0)
    facts = JobFacts(SlurmJobId(1), "PENDING", None, reason=reason, partition="p")
    machine.handle(ev.JobObserved(facts), 0.0)
    return machine


def refused(*, lacks_nodes: bool, machine: GangMachine | None = None) -> GangMachine:
    """Slurm has refused its job."""
    found = machine or a_machine()
    found.handle(ev.Tick(), 0.0)
    found.handle(ev.SubmitFailed("no", lasting=True, lacks_nodes=lacks_nodes), 0.0)
    return found


def test_a_gang_whose_job_was_refused_for_its_nodes_lacks_nodes() -> None:
    """One that was refused for anything else does not."""
    assert is_lacking(refused(lacks_nodes=True))
    assert not is_lacking(refused(lacks_nodes=False))
    assert not is_lacking(a_machine()), "it was not tried yet"


@pytest.mark.parametrize("reason", ["PartitionNodeLimit", "PartitionConfig", "BadConstraints"])
def test_a_job_that_never_starts_on_the_present_nodes_lacks_nodes(reason: str) -> None:
    """In Slurm's words."""
    assert is_lacking(waiting(reason))


@pytest.mark.parametrize(
    "reason",
    ["QOSMaxNodePerUserLimit", "AssocGrpGRES", "JobHeldAdmin", "Reservation", "Dependency",
     "Licenses", "BeginTime", "PartitionDown"],
)  # fmt: skip
def test_a_job_that_is_held_back_buys_no_nodes(reason: str) -> None:
    """Also where nodes were asked for before."""
    assert not is_lacking(waiting(reason))
    assert not is_lacking(waiting(reason), was_asked=True)


@pytest.mark.parametrize("reason", ["None", "Priority", "Resources"])
def test_a_job_that_waits_for_its_turn_keeps_its_request(reason: str) -> None:
    """Until enough nodes are there, which the plan says; a new request is not made for it."""
    assert not is_lacking(waiting(reason))
    assert is_lacking(waiting(reason), was_asked=True)


def test_after_a_start_a_request_stays_until_the_gang_was_tried() -> None:
    """The pods that ask outlive the bridge."""
    assert is_lacking(a_machine(), was_asked=True)


def test_a_gang_that_could_not_start_lacks_nothing() -> None:
    """Its claim is away, its Job is suspended, somebody's gate is there: nodes would be idle."""
    assert not is_lacking(refused(lacks_nodes=True, machine=a_machine(waits_for="a claim")))
    assert not is_lacking(a_machine(owner="suspended"), was_asked=True)
    gated = a_pod().also_gated_by("quota").build()
    assert not is_lacking(a_machine(pod=gated), was_asked=True)
    deleted = a_pod().deleting().build()
    assert not is_lacking(a_machine(pod=deleted), was_asked=True)


def test_a_gang_that_is_forgotten_lacks_nothing() -> None:
    """Its pods are gone."""
    machine = refused(lacks_nodes=True)
    kept = Kept(ManualClock(), machine)
    kept.gangs.note(machine)
    assert LackingGangs(kept.gangs, need).look(())
    kept.gangs.drop(G)
    assert not LackingGangs(kept.gangs, need).look({G})
