"""Gangs brought up to date with what is known of their pods and owners."""

from dataclasses import replace
from functools import partial
from typing import Any

from bridge.controller.advice import Advice
from bridge.controller.cluster_changes import ClusterChanges
from bridge.controller.job_canceller import JobCanceller
from bridge.controller.job_index import JobIndex, job_observed
from bridge.controller.job_proof import JobProof
from bridge.controller.pod_events import PodEvents
from bridge.controller.pool import Pool
from bridge.controller.reconciler import Reconciler
from bridge.controller.start_gate import StartGate
from bridge.controller.turns import Turns
from bridge.lifecycle import events as ev
from bridge.lifecycle import messages
from bridge.lifecycle.tuning import Tuning
from bridge.model.ids import GangId, SlurmJobId, SlurmNodeName
from bridge.model.owner import BatchJob, Owner
from bridge.model.pod import OwnerReference, Pod
from bridge.state.kube_state import KubeState
from bridge.state.slurm_state import SlurmState
from tests.builders import SCHEDULER, a_gang_job, a_pod, held_by
from tests.unit.controller.doubles import (
    CLUSTER,
    Heard,
    Kept,
    Recorder,
    Slurm,
    Watcher,
    a_double,
    a_slurm_job,
)
from tests.unit.slurm.clocks import ManualClock

WEB = GangId("uid-web")
TRAIN = a_gang_job(size=2)


class Reconciling:
    """A reconciler over what is known of Kubernetes; gangs hear, and decide nothing."""

    def __init__(self, *pods: Pod, owner: BatchJob | None = None, started: bool = True) -> None:
        self.clock = ManualClock()
        self.kept, self.heard, self.recorder = Kept(self.clock), Heard(), Recorder()
        self.watcher = Watcher()
        self.cluster = KubeState(scheduler_name=SCHEDULER)
        self.cluster.settle_kind(("batch", "Job"), "watched")
        if owner is not None:
            self.cluster.upsert_owner(owner)
        self.cluster.replace_pods(pods)
        self.turns = Turns(clock=self.clock)
        self.slurm_state = SlurmState()
        self.outage = self.kept.outage(self.clock)
        self.canceller = JobCanceller(
            client=a_double(Slurm()), pool=Pool(1), done=lambda: None, outage=self.outage,
            later=self.clock.later,
        )  # fmt: skip
        self.gate = StartGate(
            gangs=self.kept.gangs, claims=self.kept.claims, pin_again=lambda machine: None,
            handle=self.heard.handle, failed=self.heard.failed,
        )  # fmt: skip
        if started:
            self.gate.open()
        self.proof = JobProof(cluster_uid=CLUSTER, cluster=self.cluster, gangs=self.kept.gangs)
        self.index = JobIndex(
            proof=self.proof, watcher=a_double(self.watcher), gangs=self.kept.gangs,
            claims=self.kept.claims, canceller=self.canceller, handle=self.heard.handle,
            failed=self.heard.failed, settled=self.gate.release, outage=self.outage,
            observed=partial(job_observed, cluster=self.cluster, clock=self.clock),
        )  # fmt: skip
        self.reconciler = self._build()
        self.proof.connect(split_off=self.reconciler.split_off)

    def _build(self) -> Reconciler:
        return Reconciler(
            cluster=self.cluster, gangs=self.kept.gangs, faults=self.kept.faults,
            index=self.index, canceller=self.canceller, gate=self.gate,
            changes=ClusterChanges(
                cluster=self.cluster, slurm_state=self.slurm_state, gangs=self.kept.gangs,
                turns=self.turns,
            ),
            advice=Advice(cluster=self.cluster, events=PodEvents(a_double(self.recorder))),
            handle=self.heard.handle, failed=self.heard.failed, tuning=Tuning(),
        )  # fmt: skip

    def see(self, gang_id: GangId) -> ev.MembersSeen:
        """What the gang hears of its pods when it is looked at."""
        before = len(self.heard.events)
        self.reconciler.reconcile(gang_id)
        (heard, event), *_ = self.heard.events[before:]
        assert heard == gang_id
        assert isinstance(event, ev.MembersSeen)
        return event

    def fail(self, gang_id: GangId) -> None:
        """The bridge fails at the gang, which is set aside."""
        self.kept.faults.add(gang_id, RuntimeError("mistake"), self.clock.now_s)
        self.kept.gangs.drop(gang_id)


def test_a_new_gang_hears_whether_there_is_a_sink() -> None:
    """Before it hears of its pods."""
    it = Reconciling(a_pod("web").build())
    it.slurm_state.answered = frozenset({SlurmNodeName("n1")})
    it.reconciler.reconcile(GangId("uid-web"))
    assert it.heard.kinds("uid-web")[:2] == ["SinkChanged", "MembersSeen"]


def test_a_new_pod_is_a_gang_with_a_machine_that_hears_of_it() -> None:
    """It decides, for nothing that its pods say has to be asked about first."""
    it = Reconciling(a_pod().build())
    seen = it.see(WEB)
    assert [pod.name for pod in seen.pods] == ["web"]
    assert seen.gang is not None
    assert not it.kept.gangs.machines[WEB].held


def test_before_the_start_has_found_all_jobs_a_new_gang_is_held() -> None:
    """It hears of its pods all the same."""
    it = Reconciling(a_pod().build(), started=False)
    it.see(WEB)
    assert it.kept.gangs.machines[WEB].held


def test_a_gang_whose_pods_name_a_job_is_held_until_slurm_has_told_of_it() -> None:
    """As after a restart."""
    it = Reconciling(a_pod().pinned(7, "n").build())
    it.see(WEB)
    assert it.watcher.tracked == {7}
    assert it.kept.gangs.machines[WEB].held


def test_what_the_pods_ask_for_and_cant_be_understood_is_told_as_a_problem() -> None:
    """The gang has its pods and no demand."""
    it = Reconciling(a_pod().annotated(timelimit="nonsense").build())
    seen = it.see(WEB)
    assert seen.gang is None
    assert "timelimit" in seen.problem


def test_the_owners_will_is_told_with_its_pods() -> None:
    """Finished, deleted or gone it makes no more pods; suspended, none for now."""
    gang = held_by(TRAIN)
    pods = [a_pod(f"train-{index}").of(TRAIN, index).build() for index in range(2)]
    it = Reconciling(*pods, owner=TRAIN)
    assert it.see(gang).owner == "creates"
    it.cluster.upsert_owner(a_gang_job(size=2, suspended=True, resource_version="2"))
    assert it.see(gang).owner == "suspended"
    it.cluster.remove_owner(TRAIN.uid)
    assert it.see(gang).owner == "over"


def test_an_owner_that_is_scaled_to_nothing_makes_no_more_pods() -> None:
    """When its last pod has gone nobody waits for another; until then its pods are looked after."""
    gang = held_by(TRAIN)
    pod = a_pod("train-0").of(TRAIN, 0).build()
    it = Reconciling(pod, owner=TRAIN)
    it.cluster.upsert_owner(a_gang_job(size=0, resource_version="2"))
    assert it.see(gang).owner == "creates"
    it.cluster.remove_pod(pod.uid)
    assert it.see(gang).owner == "suspended"


def test_a_gang_that_is_set_aside_is_not_begun_before_its_time() -> None:
    """However often its pods change meanwhile."""
    it = Reconciling(a_pod().build())
    it.fail(WEB)
    it.reconciler.reconcile(WEB)
    assert not it.kept.gangs.machines
    assert not it.heard.events


def test_a_gang_that_is_begun_anew_is_told_of_its_job_first() -> None:
    """Slurm's word of it may have come while the gang had no machine."""
    it = Reconciling(a_pod().build())
    it.see(WEB)
    it.index.follow(WEB, SlurmJobId(7))
    it.fail(WEB)
    it.watcher.jobs[SlurmJobId(7)] = type("Seen", (), {"job": a_slurm_job(7, WEB)})()
    it.kept.faults.take_back(WEB)
    it.heard.events.clear()
    it.reconciler.reconcile(WEB)
    assert it.heard.kinds(WEB) == ["Adopted", "JobObserved", "MembersSeen", "Tick"]


def test_a_mistake_while_one_gang_is_looked_at_is_its_own() -> None:
    """The next one is looked at."""
    it = Reconciling(a_pod("web").build(), a_pod("other").build())
    broken: Any = it.cluster

    def gang(gang_id: GangId, *, _real: Any = it.cluster.gang) -> object:
        if gang_id == WEB:
            raise RuntimeError("mistake")
        return _real(gang_id)

    broken.gang = gang
    for gang_id in (WEB, GangId("uid-other")):
        it.reconciler.reconcile(gang_id)
    assert it.heard.faults == [(WEB, "mistake")]
    assert it.heard.kinds("uid-other") == ["MembersSeen", "Tick"]


async def test_a_gang_that_is_over_leaves_nothing_behind() -> None:
    """No machine, no timer, no row."""
    it = Reconciling(a_pod().build())
    it.see(WEB)
    rung = list[str]()
    it.kept.timers.wake(WEB, 1.0, lambda: rung.append(WEB))
    it.cluster.remove_pod(a_pod().build().uid)
    it.reconciler.forget(WEB)
    assert not it.kept.gangs.machines
    assert WEB not in it.cluster.gangs
    await it.clock.advance(2.0)
    assert not rung


def test_a_gang_that_is_over_while_it_has_pods_is_only_dropped() -> None:
    """They may be a gang again."""
    it = Reconciling(a_pod().build())
    it.see(WEB)
    it.reconciler.forget(WEB)
    assert not it.kept.gangs.machines
    assert WEB in it.cluster.gangs


def test_the_job_of_a_gang_that_is_gone_before_it_could_be_begun_anew_is_cancelled() -> None:
    """No machine is there to do it."""
    it = Reconciling(a_pod().build())
    it.see(WEB)
    it.index.follow(WEB, SlurmJobId(7))
    it.fail(WEB)
    it.cluster.remove_pod(a_pod().build().uid)
    it.reconciler.reconcile(WEB)
    assert it.canceller.is_cancelling(SlurmJobId(7))
    assert it.kept.faults.set_aside(WEB) is None


def test_events_of_a_turn_come_after_the_look_at_the_pods() -> None:
    """So a gang decides by what is known now."""
    it = Reconciling(a_pod().build())
    it.reconciler.take_turn(WEB, [ev.RoomChanged(), None, ev.NodesChanged()])
    assert it.heard.kinds(WEB) == ["MembersSeen", "Tick", "RoomChanged", "NodesChanged"]


def test_a_pod_that_is_split_off_leaves_its_gang_at_once() -> None:
    """Its gang decides without it from then on; its own may be given a job, and decides in its
    turn."""
    pods = [a_pod(f"train-{index}").of(TRAIN, index).build() for index in range(2)]
    it, alone = Reconciling(*pods, owner=TRAIN), GangId(pods[1].uid)
    it.see(held_by(TRAIN))
    it.heard.events.clear()
    it.reconciler.split_off(pods[1].uid)
    events = it.heard.events
    heard = {gang: event.pods for gang, event in events if isinstance(event, ev.MembersSeen)}
    assert heard == {held_by(TRAIN): (pods[0],), alone: (pods[1],)}
    assert it.kept.gangs.machines[alone].held
    it.reconciler.reconcile(alone)
    assert not it.kept.gangs.machines[alone].held


def test_a_gang_decides_without_a_pod_whose_own_job_is_read_on_the_way() -> None:
    """Its pods name that job, and Slurm has told of it already."""
    named = messages.waits("Priority", "Slurm job 8 waits in partition p: Priority.")
    pods = [a_pod(f"train-{index}").of(TRAIN, index).told(named).build() for index in range(2)]
    it, alone = Reconciling(*pods, owner=TRAIN), GangId(pods[1].uid)
    it.watcher.jobs[SlurmJobId(8)] = type("Seen", (), {"job": a_slurm_job(8, alone)})()
    it.reconciler.reconcile(held_by(TRAIN))
    assert it.heard.kinds(alone) == ["MembersSeen", "Adopted", "JobObserved"]
    of_gang = [event for gang, event in it.heard.events if gang == held_by(TRAIN)]
    assert [type(event) for event in of_gang] == [ev.MembersSeen, ev.MembersSeen, ev.Tick]
    assert isinstance(of_gang[1], ev.MembersSeen)
    assert of_gang[1].pods == (pods[0],)


def test_claims_that_say_what_they_said_cost_no_look() -> None:
    """Any number of pods may mount one that changes all the time."""
    it = Reconciling(a_pod().build())
    it.reconciler.take_turn(WEB, [ev.VolumesChanged()])
    assert not it.heard.events


def test_the_author_of_a_kind_that_nobody_knows_is_told_once() -> None:
    """Not with each of its pods."""
    own = Owner("uid-own", "team", "own", "1", api_version="example.com/v1", kind="Thing")
    reference = OwnerReference("example.com/v1", "Thing", "own", "uid-own")
    it = Reconciling()
    it.cluster.settle_kind(("example.com", "Thing"), "watched")
    it.cluster.upsert_owner(own)
    pods = [replace(a_pod(f"p{number}").build(), owner=reference) for number in range(2)]
    it.cluster.replace_pods(pods)
    for pod in pods:
        it.see(GangId(pod.uid))
    assert [reason for reason, _ in it.recorder.told] == ["QueuedOneByOne"]
