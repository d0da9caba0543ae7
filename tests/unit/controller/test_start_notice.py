"""A start that takes long is told to the pods that wait for it."""

from typing import cast

from bridge.controller.pod_writer import PodWriter
from bridge.controller.start_gate import StartGate
from bridge.controller.start_notice import StartNotice
from bridge.lifecycle import instructions as do
from bridge.lifecycle import messages
from bridge.model.ids import GangId
from bridge.state.kube_state import KubeState
from tests.builders import SCHEDULER, a_pod
from tests.unit.controller.doubles import Kept, a_double, at_work
from tests.unit.slurm.clocks import ManualClock


class Starting:
    """A start, and what is written to pods meanwhile."""

    def __init__(self) -> None:
        self.clock, self.problem = ManualClock(), "connection refused"
        kept = Kept(self.clock)
        self.cluster = KubeState(scheduler_name=SCHEDULER)
        self.written: list[tuple[str, str]] = []
        self.gate = StartGate(
            gangs=kept.gangs, claims=kept.claims, pin_again=lambda machine: None,
            handle=lambda gang_id, event: None, failed=lambda gang_id, error: None,
        )  # fmt: skip
        self.notice = StartNotice(
            cluster=self.cluster, gate=self.gate, pods=cast("PodWriter", a_double(self)),
            problem=lambda: self.problem, clock=self.clock,
        )  # fmt: skip

    def write(self, gang_id: GangId, instruction: do.SetCondition) -> None:
        """As PodWriter."""
        self.written.append((instruction.pod.name, instruction.condition.message))


def test_only_waiting_pods_that_say_nothing_yet_are_told() -> None:
    """What a pod says already tells more; one that has its place waits for nothing."""
    it = Starting()
    told = messages.waits("Priority", "Slurm job 7 waits")
    for pod in (
        a_pod("new"),
        a_pod("told").told(told),
        a_pod("pinned").pinned(7, "n"),
        a_pod("goes").deleting(),
        a_pod("ended").in_phase("Failed"),
    ):
        it.cluster.upsert_pod(pod.build())
    it.notice.tell()
    assert [name for name, _ in it.written] == ["new"]
    assert "can't read Slurm's jobs (connection refused)" in it.written[0][1]


async def test_a_start_that_is_quick_is_not_told() -> None:
    """Nearly every start is over within a second."""
    it = Starting()
    it.cluster.upsert_pod(a_pod("new").build())
    it.gate.open()
    async with at_work(it.notice.run):
        await it.clock.advance(60)
    assert not it.written
