"""When gangs may decide."""

from bridge.controller.start_gate import StartGate
from bridge.lifecycle.machine import GangMachine
from bridge.lifecycle.tuning import Tuning
from bridge.model.ids import GangId, SlurmJobId
from tests.unit.controller.doubles import Heard, Kept
from tests.unit.slurm.clocks import ManualClock

G, H = GangId("g"), GangId("h")


class Gated:
    """Two gangs that are held, and the gate."""

    def __init__(self) -> None:
        machines = [GangMachine(gang, single=False, tuning=Tuning()) for gang in (G, H)]
        self.kept = Kept(ManualClock(), *machines)
        self.heard, self.pinned, self.broken = Heard(), list[str](), set[str]()
        self.gate = StartGate(
            gangs=self.kept.gangs, claims=self.kept.claims, pin_again=self._pin_again,
            handle=self.heard.handle, failed=self.heard.failed,
        )  # fmt: skip

    def _pin_again(self, machine: GangMachine) -> None:
        if machine.id in self.broken:
            raise RuntimeError("mistake")
        assert machine.held, "its pods have their room before it decides"
        self.pinned.append(machine.id)

    def deciding(self) -> list[str]:
        return [gang for gang, machine in self.kept.gangs.machines.items() if not machine.held]


def test_before_a_start_has_found_all_jobs_nobody_decides() -> None:
    """Also not a gang whose pods name no job: it may have one whose answer was lost."""
    gated = Gated()
    gated.gate.release(G)
    assert not gated.gate.is_open
    assert not gated.gate.may_decide(G)
    assert gated.deciding() == []


def test_then_all_decide_but_those_whose_pods_name_a_job_that_was_not_read() -> None:
    """What a pod says of itself proves nothing, and the gang may have that very job."""
    gated = Gated()
    gated.kept.claims.add(H, [SlurmJobId(7)])
    gated.gate.open()
    assert (gated.deciding(), gated.pinned) == (["g"], ["g"])
    assert gated.heard.kinds("g") == ["Tick"]
    gated.kept.claims.answered(SlurmJobId(7))
    gated.gate.release(H)
    assert gated.deciding() == ["g", "h"]


def test_a_gang_that_decides_is_not_released_again() -> None:
    """Its pods would be pinned by what they say of themselves, not by what it decided."""
    gated = Gated()
    gated.gate.open()
    gated.gate.release(G)
    assert gated.pinned == ["g", "h"]


def test_a_gang_that_the_bridge_fails_at_keeps_no_other_from_deciding() -> None:
    """The fault is its own."""
    gated = Gated()
    gated.broken.add(G)
    gated.gate.open()
    assert gated.deciding() == ["h"]
    assert gated.heard.faults == [("g", "mistake")]


def test_a_gang_that_is_not_there_is_nothing() -> None:
    """Its pods went before Slurm answered."""
    gated = Gated()
    gated.gate.open()
    gated.gate.release(GangId("gone"))
    assert not gated.heard.faults
