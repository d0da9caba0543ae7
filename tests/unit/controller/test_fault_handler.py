"""A gang that the bridge failed at, set aside and started again."""

from typing import Any

from bridge.controller.fault_handler import FaultHandler
from bridge.controller.pod_events import PodEvents
from bridge.errors import InternalError
from bridge.lifecycle import instructions as do
from bridge.lifecycle import messages
from bridge.model.ids import GangId, NodeName
from bridge.state.kube_state import KubeState
from tests.builders import SCHEDULER, PodBuilder, a_node, a_pod
from tests.unit.controller.doubles import Heard, Kept, Recorder, a_double, a_machine
from tests.unit.slurm.clocks import ManualClock

WEB = GangId("uid-web")


class Failing:
    """A gang of one pod with a machine; `written` is what is written to pods."""

    def __init__(self, pod: PodBuilder | None = None) -> None:
        self.clock = ManualClock()
        self.kept = Kept(self.clock, a_machine(WEB))
        self.heard, self.recorder = Heard(), Recorder()
        self.cluster = KubeState(scheduler_name=SCHEDULER)
        self.cluster.upsert_node(a_node("n"))
        self.pod = (pod or a_pod()).build()
        self.cluster.upsert_pod(self.pod)
        self.written: list[do.Instruction] = []
        self.handler = FaultHandler(
            faults=self.kept.faults, gangs=self.kept.gangs, timers=self.kept.timers,
            cluster=self.cluster, pods=a_double(self), events=PodEvents(a_double(self.recorder)),
            mark_dirty=self.heard.mark_dirty, metrics=self.kept.metrics, clock=self.clock,
        )  # fmt: skip

    def write(self, gang_id: GangId, instruction: do.Instruction) -> None:
        self.written.append(instruction)

    def fail(self, error: Exception | None = None) -> None:
        self.handler.set_aside(WEB, error or RuntimeError("mistake"))


async def test_the_gang_is_dropped_told_and_started_again_after_a_while() -> None:
    """Its pod's author reads that it is the bridge's mistake."""
    it = Failing()
    it.fail()
    assert not it.kept.gangs.machines
    (instruction,) = it.written
    assert isinstance(instruction, do.SetCondition)
    assert instruction.condition.reason == "InternalError"
    assert [reason for reason, _ in it.recorder.told] == ["InternalError"]
    await it.clock.advance(0.9)
    assert not it.heard.dirty
    await it.clock.advance(0.2)
    assert it.heard.dirty == [WEB]
    assert it.kept.faults.set_aside(WEB) is None


async def test_a_gang_that_fails_again_and_again_is_tried_less_and_less_often() -> None:
    """A mistake that stays must not busy the loop: after 1, 2, 4 … 60 seconds."""
    it = Failing()
    for delay_s in (1, 2, 4, 8, 16, 32, 60, 60):
        it.fail()
        it.heard.dirty.clear()
        await it.clock.advance(delay_s - 0.01)
        assert not it.heard.dirty
        await it.clock.advance(0.02)
        assert it.heard.dirty == [WEB]


async def test_the_gangs_own_timer_does_not_ring_meanwhile() -> None:
    """Its machine is gone."""
    it = Failing()
    rung = list[str]()
    it.kept.timers.wake(WEB, 0.1, lambda: rung.append("tick"))
    it.fail()
    await it.clock.advance(5)
    assert not rung


async def test_the_room_that_was_given_to_its_waiting_pods_is_free_again() -> None:
    """They were not pinned; others may be placed there."""
    it = Failing(a_pod().asking(cpu=4))
    it.cluster.pin(it.pod, NodeName("n"))
    assert it.cluster.table.snapshot().used.any()
    it.fail()
    assert not it.cluster.table.snapshot().used.any()


async def test_pods_that_run_or_end_are_told_nothing() -> None:
    """They have what they waited for."""
    for pod in (a_pod().pinned(7, "n"), a_pod().in_phase("Failed"), a_pod().deleting()):
        it = Failing(pod)
        it.fail()
        assert not it.written
        assert not it.recorder.told


async def test_a_pod_that_says_so_already_is_not_written_again() -> None:
    """The same mistake, met again and again."""
    it = Failing()
    it.fail()
    fault = it.kept.faults.set_aside(WEB)
    assert fault is not None
    again = Failing(a_pod().told(messages.waits("InternalError", fault.sentence)))
    again.fail()
    assert not again.written


async def test_the_same_mistake_is_logged_once_with_where_it_was(
    logged: list[dict[str, Any]],
) -> None:
    """And counted each time. What was wrapped on its way is logged as it was raised."""
    it = Failing()

    def failing() -> RuntimeError:
        try:
            raise RuntimeError("mistake")
        except RuntimeError as error:
            return error

    wrapped = InternalError("pod team/web: …")
    wrapped.__cause__ = failing()
    it.fail(wrapped)
    it.fail(failing())
    (line,) = [line for line in logged if line["event"] == "gang.failed"]
    assert line["gang"] == WEB
    assert line["exc_info"] is wrapped.__cause__
    assert it.kept.metrics.gang_faults._value.get() == 2
