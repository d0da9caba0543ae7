"""Whose a job is, and what its gang is told of it."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from bridge import slurm
from bridge.controller.job_canceller import JobCanceller
from bridge.controller.job_index import JobIndex, job_observed
from bridge.controller.job_proof import JobProof
from bridge.controller.pool import Pool
from bridge.lifecycle import events as ev
from bridge.lifecycle.machine import GangMachine
from bridge.lifecycle.messages import waits
from bridge.lifecycle.tuning import Tuning
from bridge.model.ids import GangId, SlurmJobId, SlurmNodeName
from bridge.model.job import NodeGrant
from bridge.model.pod import Pod
from bridge.slurm import JobGone, JobSeen
from bridge.slurm.updates import Outage, PollTick, Recovered, Watched
from bridge.state.kube_state import KubeState
from tests.builders import SCHEDULER, a_pod
from tests.unit.controller.doubles import (
    CLUSTER,
    Heard,
    Kept,
    Slurm,
    Watcher,
    a_double,
    a_machine,
    a_slurm_job,
)
from tests.unit.slurm.clocks import ManualClock

G, H = GangId("g"), GangId("h")
SEVEN, EIGHT = SlurmJobId(7), SlurmJobId(8)
NAMES_7 = [a_pod("p").pinned(7, "n").build()]


class Indexing:
    """An index over gangs without jobs; `tell` is what Slurm tells."""

    def __init__(self, *gangs: str) -> None:
        self.clock = ManualClock()
        self.kept = Kept(self.clock, *map(a_machine, gangs))
        self.watcher, self.heard = Watcher(), Heard()
        self.settled: list[str] = []
        self.outage = self.kept.outage(self.clock)
        self.canceller = JobCanceller(
            client=a_double(Slurm()), pool=Pool(1), done=lambda: None, outage=self.outage,
            later=self.clock.later,
        )  # fmt: skip
        self.cluster = KubeState(scheduler_name=SCHEDULER)
        self.proof = JobProof(cluster_uid=CLUSTER, cluster=self.cluster, gangs=self.kept.gangs)
        self.index = JobIndex(
            proof=self.proof, watcher=a_double(self.watcher), gangs=self.kept.gangs,
            claims=self.kept.claims, canceller=self.canceller, handle=self._handle,
            failed=self.heard.failed, settled=self._settle, outage=self.outage,
            observed=partial(job_observed, cluster=self.cluster, clock=self.clock),
        )  # fmt: skip
        self.raises: set[str] = set()

    def _handle(self, gang_id: GangId, event: ev.Event) -> None:
        self.heard.handle(gang_id, event)
        machine = self.kept.gangs.machines.get(gang_id)
        if machine is not None and isinstance(event, ev.Adopted | ev.JobObserved | ev.JobVanished):
            machine.handle(event, self.clock.now_s)
        if gang_id in self.raises:
            raise RuntimeError("mistake")

    def _settle(self, gang_id: GangId) -> None:
        self.settled.append(gang_id)
        self.heard.events.append((gang_id, ev.Tick()))  # the gate's, to show the order

    def tell(self, job: slurm.Job) -> None:
        """Slurm tells of a job as it is now."""
        self.watcher.jobs[job.id] = Watched(job, fetched_s=0.0, in_step=True, tick=PollTick())
        self.watcher.tell(JobSeen(job))

    def gone(self, job_id: int) -> None:
        """Slurm, healthy, knows no such job any more."""
        self.watcher.tell(JobGone(SlurmJobId(job_id), None))


def test_a_gang_is_told_of_its_job_until_the_job_has_ended() -> None:
    """Then nothing more is to be heard of it, and its end needs not be asked for again."""
    indexing = Indexing("g")
    indexing.index.follow(G, SEVEN)
    for state in ("PENDING", "RUNNING", "CANCELLED", "CANCELLED"):
        indexing.tell(a_slurm_job(7, "g", state))
    assert indexing.heard.kinds("g") == ["JobObserved"] * 3
    assert not indexing.watcher.tracked
    assert not indexing.index.knows(SEVEN)


def test_the_time_that_a_job_has_left_is_told_with_it() -> None:
    """By the clock of now: the machine has none of its own."""
    indexing = Indexing("g")
    indexing.index.follow(G, SEVEN)
    end_s = indexing.clock.time() + 90
    holds: Any = {"nodes": ("n",), "grants": (NodeGrant(SlurmNodeName("n"), 1, 100),)}
    indexing.tell(a_slurm_job(7, "g", "RUNNING", end_s=end_s, time_limit_min=2, **holds))
    (observed,) = [event for _, event in indexing.heard.events]
    assert isinstance(observed, ev.JobObserved)
    assert observed.left_s == 90


def test_a_job_whose_admin_comment_is_anothers_is_not_the_gangs_any_more() -> None:
    """Its id was given anew: the gang has lost its job, and whose the new one is the sweep finds
    out."""
    indexing = Indexing("g", "h")
    indexing.index.follow(G, SEVEN)
    indexing.tell(a_slurm_job(7, "h"))
    assert indexing.heard.kinds("g") == ["JobVanished"]
    assert indexing.heard.kinds("h") == []
    assert not indexing.index.knows(SEVEN)


def test_a_job_that_slurm_has_forgotten_is_told_as_vanished() -> None:
    """The gang decides what that means for its pods."""
    indexing = Indexing("g")
    indexing.index.follow(G, SEVEN)
    indexing.gone(7)
    assert indexing.heard.kinds("g") == ["JobVanished"]


def test_a_gang_whose_pods_name_a_job_is_told_of_it_before_it_may_decide() -> None:
    """First that it has the job, then how the job stands, then it decides."""
    indexing = Indexing("g")
    indexing.index.claim(G, NAMES_7)
    assert indexing.watcher.tracked == {7}
    assert indexing.index.knows(SEVEN)
    assert not indexing.settled
    indexing.tell(a_slurm_job(7, "g", "RUNNING"))
    assert indexing.heard.kinds("g") == ["Adopted", "JobObserved", "Tick"]


def test_what_the_watcher_has_read_already_is_handed_on_at_once() -> None:
    """It tells of a job again only when something of it changes, which may be never."""
    indexing = Indexing("g")
    indexing.tell(a_slurm_job(7, "g"))
    indexing.index.claim(G, NAMES_7)
    assert indexing.heard.kinds("g") == ["Adopted", "JobObserved", "Tick"]


def test_pods_that_have_ended_name_nothing() -> None:
    """Their job is over, or is that of the others."""
    indexing = Indexing("g")
    indexing.index.claim(G, [a_pod("p").pinned(7, "n").in_phase("Failed").build()])
    assert not indexing.watcher.tracked


def test_a_job_that_pods_name_and_that_is_anothers_is_not_adopted() -> None:
    """A pod may say what it likes: its gang hears that this job is gone, and decides without."""
    indexing = Indexing("g", "h")
    indexing.index.claim(G, NAMES_7)
    indexing.tell(a_slurm_job(7, "h"))
    assert indexing.heard.kinds("g") == ["Adopted", "JobVanished", "Tick"]
    assert indexing.heard.kinds("h") == []


def test_of_two_gangs_that_name_a_job_only_its_own_gets_it() -> None:
    """Both may decide then."""
    indexing = Indexing("g", "h")
    for gang in (G, H):
        indexing.index.claim(gang, NAMES_7)
    indexing.tell(a_slurm_job(7, "h"))
    assert indexing.heard.kinds("h") == ["Adopted", "JobObserved", "Tick"]
    assert "JobObserved" not in indexing.heard.kinds("g")
    assert sorted(indexing.settled) == ["g", "h"]


def test_a_gang_decides_when_the_last_of_the_jobs_that_its_pods_name_was_read() -> None:
    """Also where Slurm has forgotten it."""
    indexing = Indexing("g")
    indexing.index.claim(G, [*NAMES_7, a_pod("q").pinned(8, "n").build()])
    indexing.tell(a_slurm_job(7, "g"))
    assert not indexing.settled
    indexing.gone(8)
    assert indexing.settled == ["g"]
    assert "JobVanished" not in indexing.heard.kinds("g"), "it has another job"


def held(indexing: Indexing) -> GangMachine:
    """The gang's machine as it is after a start: it decides nothing yet."""
    machine = indexing.kept.gangs.machines[G] = GangMachine(G, single=False, tuning=Tuning())
    return machine


def told_of(job_id: int) -> Pod:
    """A pod that waits under a job, which only its condition says."""
    said = waits("Priority", f"Slurm job {job_id} waits in partition slurm-bridge: Priority.")
    return a_pod("q").told(said).build()


@pytest.mark.parametrize("order", [(7, 8), (8, 7)])
def test_the_job_of_a_pod_alone_does_not_keep_a_gang_from_its_own(order: tuple[int, int]) -> None:
    """Job 7 is the gang's, job 8 that of a pod which queues on its own; whichever is read first.
    (Else pods that run under job 7 would be ended.)"""
    indexing = Indexing("g")
    machine = held(indexing)
    indexing.index.claim(G, [*NAMES_7, told_of(8)])
    for job_id in order:
        indexing.tell(a_slurm_job(job_id, "g" if job_id == 7 else "uid-of-the-pod", "RUNNING"))
    assert machine.known.run is not None
    assert (machine.known.run.job_id, machine.known.run.is_over) == (7, False)
    assert indexing.settled == ["g"]


@pytest.mark.parametrize("order", [(7, 8), (8, 7)])
def test_a_gang_goes_on_in_the_job_that_lives(order: tuple[int, int]) -> None:
    """Job 7 has ended and pods of it are still ending; their replacements wait under job 8, which
    keeps its place in the queue."""
    indexing = Indexing("g")
    machine = held(indexing)
    indexing.index.claim(G, [*NAMES_7, told_of(8)])
    for job_id in order:
        indexing.tell(a_slurm_job(job_id, "g", "CANCELLED" if job_id == 7 else "PENDING"))
    assert machine.known.run is not None
    assert (machine.known.run.job_id, machine.known.run.waits) == (8, True)
    assert indexing.settled == ["g"]


def test_a_mistake_while_a_jobs_news_are_taken_is_the_fault_of_its_gang_alone() -> None:
    """And of those whose pods name it; other jobs' news go on."""
    indexing = Indexing("g", "h")
    indexing.index.follow(G, SEVEN)
    indexing.index.follow(H, EIGHT)
    indexing.raises.add("g")
    indexing.tell(a_slurm_job(7, "g"))
    indexing.tell(a_slurm_job(8, "h"))
    assert indexing.heard.faults == [("g", "mistake")]
    assert indexing.heard.kinds("h") == ["JobObserved"]


def test_a_submit_that_is_answered_after_its_gang_is_gone_is_cancelled() -> None:
    """The job is nobody's."""
    indexing = Indexing("g")
    indexing.index.submitted(G, SEVEN)
    indexing.index.submitted(H, EIGHT)
    assert not indexing.canceller.is_cancelling(SEVEN)
    assert indexing.canceller.is_cancelling(EIGHT)
    assert indexing.watcher.triggered == 2, "the watcher is to look soon, either way"


def test_a_submit_that_is_answered_while_its_gang_is_set_aside_is_the_gangs() -> None:
    """It is told of the job when it is begun anew."""
    indexing = Indexing()
    indexing.kept.faults.add(G, RuntimeError("mistake"), 0.0)
    indexing.index.submitted(G, SEVEN)
    assert not indexing.canceller.is_cancelling(SEVEN)
    indexing.tell(a_slurm_job(7, "g", "RUNNING"))
    assert indexing.index.jobs_of(G) == [7]
    story = [type(event).__name__ for event in indexing.index.story_of(SEVEN)]
    assert story == ["Adopted", "JobObserved"]


def test_a_job_that_is_being_cancelled_is_known_until_its_end_is_seen() -> None:
    """No sweep takes it for one that nothing explains."""
    indexing = Indexing()
    indexing.canceller.cancel_leak(SEVEN)
    assert indexing.index.knows(SEVEN)
    indexing.gone(7)
    assert not indexing.index.knows(SEVEN)


def test_a_het_job_is_told_when_all_components_have_been_read() -> None:
    """Under the id of the first, whichever is read last; with it all components are let go."""
    indexing = Indexing("g")
    indexing.index.follow(G, SEVEN)
    ids = (SEVEN, EIGHT)
    first = a_slurm_job(7, "g", het_job_ids=ids)
    second = replace(a_slurm_job(8, "g#1"), het_job_ids=ids)
    indexing.tell(first)
    assert indexing.watcher.tracked == {7, 8}
    assert indexing.heard.kinds("g") == []
    indexing.tell(second)
    assert indexing.heard.kinds("g") == ["JobObserved"]
    assert indexing.index.knows(EIGHT)
    indexing.gone(8)
    assert indexing.heard.kinds("g") == ["JobObserved", "JobVanished"]
    assert not indexing.watcher.tracked


def test_an_outage_of_slurm_changes_nothing_that_is_known() -> None:
    """It is told to the admins only."""
    indexing = Indexing("g")
    indexing.index.follow(G, SEVEN)
    indexing.watcher.tell(Outage(slurm.Unavailable("no answer")))
    assert indexing.outage.lasting_s is not None
    indexing.watcher.tell(Recovered(after_s=1.0, failures=1))
    assert indexing.outage.lasting_s is None
    assert indexing.heard.events == []
    assert indexing.index.knows(SEVEN)
