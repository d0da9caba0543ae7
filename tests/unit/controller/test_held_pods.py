"""Pods that the bridge can't do anything for yet are told why."""

from bridge.controller.held_pods import HeldPods
from bridge.controller.pod_events import PodEvents
from bridge.lifecycle.machine import GangMachine
from bridge.lifecycle.tuning import Tuning
from bridge.model.ids import GangId, SlurmJobId
from bridge.state.kube_state import KubeState
from tests.builders import SCHEDULER, a_job, a_pod
from tests.unit.controller.doubles import Kept, Recorder, a_double
from tests.unit.slurm.clocks import ManualClock

WEB = GangId("uid-web")


class Holding:
    def __init__(self) -> None:
        self.machine = GangMachine(WEB, single=True, tuning=Tuning())
        self.kept, self.recorder = Kept(ManualClock(), self.machine), Recorder()
        self.cluster = KubeState(scheduler_name=SCHEDULER)
        self.held = HeldPods(
            cluster=self.cluster, gangs=self.kept.gangs, claims=self.kept.claims,
            events=PodEvents(a_double(self.recorder)),
        )  # fmt: skip

    def told(self) -> list[str]:
        """The reasons of the events of this round."""
        self.recorder.told.clear()
        self.held.tell()
        return [reason for reason, _ in self.recorder.told]


def test_a_gang_that_waits_for_slurms_word_of_a_job_is_told_which() -> None:
    """Once it decides, nothing is told any more."""
    it = Holding()
    it.cluster.upsert_pod(a_pod("web").pinned(7, "n").build())
    it.kept.claims.add(WEB, [SlurmJobId(7), SlurmJobId(12)])
    assert it.told() == ["SlurmJobNotRead"]
    assert "name Slurm job 7, 12" in it.recorder.told[0][1]
    it.machine.release()
    assert it.told() == []


def test_a_gang_that_only_waits_for_the_start_is_told_nothing() -> None:
    """It lasts a moment, and no job of its own is missing."""
    it = Holding()
    it.cluster.upsert_pod(a_pod("web").build())
    assert it.told() == []


def test_a_pod_whose_owner_cant_be_read_is_told_at_the_second_round() -> None:
    """Kinds and owners come after their pods: one that came a moment ago has nothing to fear."""
    it = Holding()
    it.cluster.upsert_pod(a_pod("early").of(a_job()).build())
    assert it.told() == []
    assert it.told() == ["OwnerNotRead"]
    assert it.recorder.told[0][1].startswith("Job train can't be read")
    it.cluster.settle_kind(("batch", "Job"), "watched")
    it.cluster.upsert_owner(a_job())
    assert it.told() == []
