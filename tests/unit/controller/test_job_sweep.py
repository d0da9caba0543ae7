"""Jobs that no gang follows: given to their gang, cancelled, or left alone."""

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import pytest

from bridge import slurm
from bridge.controller.job_sweep import JobSweep
from bridge.errors import BridgeError
from bridge.lifecycle import events as ev
from bridge.lifecycle.machine import GangMachine
from bridge.lifecycle.tuning import Tuning
from bridge.model.ids import GangId, SlurmJobId
from bridge.model.job import Garbled, JobFacts
from bridge.model.pod import Pod
from bridge.slurm import identity
from tests.builders import a_gang, a_pod, facts
from tests.unit.controller.doubles import (
    CLUSTER,
    Kept,
    Recorder,
    Slurm,
    Watcher,
    a_machine,
    a_slurm_job,
    unavailable,
)
from tests.unit.slurm.clocks import ManualClock


@dataclass
class Cluster:
    """Pods by gang, and those whose gang can't be told."""

    pods: dict[str, tuple[Pod, ...]] = field(default_factory=dict)
    unresolved: list[Pod] = field(default_factory=list)

    def pods_of(self, gang_id: GangId) -> tuple[Pod, ...]:
        return self.pods.get(gang_id, ())

    def may_be_of(self, gang_id: GangId, pods: list[Pod]) -> bool:
        return any(gang_id == GangId(pod.uid) for pod in pods)


class Jobs:
    """The job index and the canceller in one: who follows which job, and which are cancelled."""

    def __init__(self) -> None:
        self.followed: set[int] = set()
        self.adopted: list[tuple[str, int]] = []
        self.cancelled: list[int] = []

    def knows(self, job_id: int) -> bool:
        return job_id in self.followed or job_id in self.cancelled

    def adopt(self, gang_id: GangId, job_id: SlurmJobId, generation: int) -> None:
        self.followed.add(job_id)
        self.adopted.append((gang_id, job_id))

    def cancel_leak(self, job_id: SlurmJobId) -> None:
        self.cancelled.append(job_id)


class Proof:
    """What jobs prove: those of the pods `apart` split them off, and give them a machine."""

    def __init__(self, kept: Kept) -> None:
        self.cluster_uid = CLUSTER
        self.apart: set[str] = set()
        self._kept = kept

    def restore(self, facts: JobFacts) -> GangId | None:
        whose = facts.identity.gang if facts.identity is not None else ""
        if whose not in self.apart:
            return None
        self.apart.discard(whose)
        self._kept.gangs.machines[GangId(whose)] = a_machine(whose)
        return GangId(whose)


class Sweeping:
    """A sweep over the jobs that Slurm has, and what came of it."""

    def __init__(self, *jobs: slurm.Job, **of_gangs: int | None) -> None:
        self.clock = ManualClock()
        self.kept = Kept(self.clock, *(a_machine(name, job) for name, job in of_gangs.items()))
        self.slurm, self.watcher, self.jobs = Slurm(), Watcher(), Jobs()
        self.cluster, self.recorder, self.proof = Cluster(), Recorder(), Proof(self.kept)
        self.have(*jobs)
        doubles: Any = {
            "client": self.slurm, "watcher": self.watcher, "cluster": self.cluster,
            "index": self.jobs, "canceller": self.jobs, "recorder": self.recorder,
            "proof": self.proof,
        }  # fmt: skip
        self.sweep = JobSweep(
            gangs=self.kept.gangs, faults=self.kept.faults, clock=self.clock, **doubles,
        )  # fmt: skip

    def have(self, *jobs: slurm.Job) -> None:
        """Slurm has these jobs from now on."""
        self.slurm.jobs = {job.id: job for job in jobs}
        self.watcher.states = {job.id: job.states for job in jobs}

    async def run(self, times: int = 1) -> None:
        for _ in range(times):
            await self.sweep.run_once()


async def test_a_gang_without_a_job_gets_the_one_that_names_it() -> None:
    """An answer to its submit was lost, or the bridge has started."""
    sweeping = Sweeping(a_slurm_job(7, "g"), g=None)
    await sweeping.run()
    assert sweeping.jobs.adopted == [("g", 7)]
    assert not sweeping.jobs.cancelled


async def test_a_leak_is_cancelled_at_the_second_look_only() -> None:
    """Its pods may only not be known yet, at the first."""
    sweeping = Sweeping(a_slurm_job(7, "gone"), g=None)
    await sweeping.run()
    assert not sweeping.jobs.cancelled
    await sweeping.run()
    assert sweeping.jobs.cancelled == [7]


async def test_a_job_whose_gang_comes_between_the_looks_is_no_leak() -> None:
    """It is adopted."""
    sweeping = Sweeping(a_slurm_job(7, "late"))
    await sweeping.run()
    machine = a_machine("late")
    sweeping.kept.gangs.machines[machine.id] = machine
    await sweeping.run()
    assert (sweeping.jobs.adopted, sweeping.jobs.cancelled) == ([("late", 7)], [])


async def test_a_suspect_that_was_away_meanwhile_is_looked_at_twice_again() -> None:
    """Ids begin again after a loss of slurmctld's state."""
    sweeping = Sweeping(a_slurm_job(7, "gone"))
    await sweeping.run()
    sweeping.have()
    await sweeping.run()
    sweeping.have(a_slurm_job(7, "gone"))
    await sweeping.run()
    assert not sweeping.jobs.cancelled


async def test_a_second_job_of_a_gang_is_cancelled() -> None:
    """At once: the gang is known, and has another."""
    sweeping = Sweeping(a_slurm_job(8, "g"), g=7)
    await sweeping.run()
    assert (sweeping.jobs.adopted, sweeping.jobs.cancelled) == ([], [8])


async def test_a_gang_whose_job_is_over_gets_its_next_one() -> None:
    """After a start: a pod names the job that has ended, in a condition that was about to be
    written anew."""
    sweeping = Sweeping(a_slurm_job(8, "g"))
    machine = GangMachine(GangId("g"), single=True, tuning=Tuning())
    machine.handle(ev.Adopted(SlurmJobId(7), 0), 0.0)
    machine.handle(ev.JobObserved(facts(7, "PREEMPTED", gang="g")), 0.0)
    sweeping.kept.gangs.machines[machine.id] = machine
    await sweeping.run()
    assert (sweeping.jobs.adopted, sweeping.jobs.cancelled) == ([("g", 8)], [])


async def test_the_job_of_a_pod_that_it_splits_off_is_given_to_that_pod() -> None:
    """At the first look; it is no leak."""
    sweeping = Sweeping(a_slurm_job(8, "uid-late"), g=7)
    sweeping.proof.apart = {"uid-late"}
    await sweeping.run(3)
    assert (sweeping.jobs.adopted, sweeping.jobs.cancelled) == ([("uid-late", 8)], [])


async def test_while_a_submit_is_under_way_its_job_is_left_to_the_answer() -> None:
    """The answer comes with the same job."""
    sweeping = Sweeping(a_slurm_job(7, "g"))
    machine = a_machine("g", gang=a_gang("g"))
    machine.handle(ev.MembersSeen(a_gang("g"), (a_pod().build(),)), 0.0)
    assert machine.known.submission.under_way is not None
    sweeping.kept.gangs.machines[machine.id] = machine
    await sweeping.run(3)
    assert (sweeping.jobs.adopted, sweeping.jobs.cancelled) == ([], [])


async def test_the_job_of_a_gang_that_is_set_aside_is_no_leak() -> None:
    """While it has pods, it finds the job when it is started again; without pods it never will."""
    sweeping = Sweeping(a_slurm_job(7, "g"))
    sweeping.kept.faults.add(GangId("g"), RuntimeError("mistake"), 0.0)
    sweeping.cluster.pods["g"] = (a_pod().build(),)
    await sweeping.run(3)
    assert not sweeping.jobs.cancelled
    del sweeping.cluster.pods["g"]
    await sweeping.run(2)
    assert sweeping.jobs.cancelled == [7]


async def test_a_job_that_may_be_of_a_pod_whose_gang_cant_be_told_is_left_alone() -> None:
    """However often it is looked at."""
    sweeping = Sweeping(a_slurm_job(7, "uid-web"))
    sweeping.cluster.unresolved = [a_pod("web").build()]
    await sweeping.run(3)
    assert not sweeping.jobs.cancelled


async def test_other_peoples_jobs_are_read_once_and_left_alone() -> None:
    """Also those of another cluster's bridge, and ours that have ended while they were read."""
    others = replace(a_slurm_job(8, "g"), admin_comment=a_slurm_job(8, "g").admin_comment.replace(
        CLUSTER, "elsewhere"))  # fmt: skip
    sweeping = Sweeping(a_slurm_job(7), others, g=None)
    await sweeping.run(3)
    assert sweeping.slurm.asked == ["get 7", "get 8"]
    assert (sweeping.jobs.adopted, sweeping.jobs.cancelled) == ([], [])


async def test_jobs_that_are_followed_or_over_are_not_read() -> None:
    """They hold nothing that has to be found."""
    sweeping = Sweeping(a_slurm_job(7, "g"), a_slurm_job(8, "h", "COMPLETED"))
    sweeping.jobs.followed.add(7)
    await sweeping.run()
    assert not sweeping.slurm.asked


async def test_a_job_that_is_ours_but_cant_be_understood_is_ended_and_told() -> None:
    """It has our key and our cluster: nobody else will ever end it. An admin is told."""
    comment = a_slurm_job(7, "g").admin_comment.replace('"g"', "17")
    assert isinstance(identity.parse(comment), Garbled)
    sweeping = Sweeping(a_slurm_job(7, admin_comment=comment))
    await sweeping.run(2)
    assert sweeping.jobs.cancelled == [7]
    assert [reason for reason, _ in sweeping.recorder.told] == ["SlurmJobNotUnderstood"]


@pytest.mark.parametrize("error", [slurm.MalformedAnswer("job 7: nonsense"), RuntimeError("ours")])
async def test_a_job_that_cant_be_read_keeps_no_other_from_being_found(error: Exception) -> None:
    """It is tried again after a growing time, not with each sweep."""
    sweeping = Sweeping(a_slurm_job(7, "h"), a_slurm_job(8, "g"), g=None, h=None)
    sweeping.slurm.errors["get"] = [error]
    await sweeping.run()
    assert sweeping.jobs.adopted == [("g", 8)]
    await sweeping.clock.advance(9.0)
    await sweeping.run()
    assert sweeping.slurm.asked == ["get 7", "get 8"]
    await sweeping.clock.advance(1.0)
    await sweeping.run()
    assert sweeping.jobs.adopted == [("g", 8), ("h", 7)]


async def test_a_job_that_never_can_be_read_is_tried_less_and_less_often() -> None:
    """After 10, 20, 40 … 600 seconds."""
    sweeping = Sweeping(a_slurm_job(7, "g"))
    sweeping.slurm.errors["get"] = [RuntimeError("ours")] * 100
    tried_s: list[float] = []
    for _ in range(2000):
        before = len(sweeping.slurm.asked)
        await sweeping.run()
        if len(sweeping.slurm.asked) > before:
            tried_s.append(sweeping.clock.now_s)
        sweeping.clock.now_s += 1.0
    assert [later - earlier for earlier, later in pairwise(tried_s)] == [
        10, 20, 40, 80, 160, 320, 600, 600,
    ]  # fmt: skip


@pytest.mark.parametrize("error", [unavailable(), slurm.NotAuthorised("expired token")])
async def test_while_slurm_is_away_nothing_is_judged(error: BridgeError) -> None:
    """The error is the caller's, at once: no other job could be read either."""
    sweeping = Sweeping(a_slurm_job(7, "gone"), a_slurm_job(8, "g"), g=None)
    sweeping.slurm.errors["get"] = [error]
    with pytest.raises(type(error)):
        await sweeping.run()
    assert sweeping.slurm.asked == ["get 7"]


async def test_where_no_job_at_all_can_be_read_it_is_not_the_jobs() -> None:
    """A start then waits and tries again, and does not decide without knowing its jobs."""
    sweeping = Sweeping(a_slurm_job(7, "g"), g=None)
    sweeping.slurm.errors["get"] = [slurm.MalformedAnswer("job 7: nonsense")]
    with pytest.raises(slurm.MalformedAnswer):
        await sweeping.run()


async def test_what_slurm_leaves_behind_of_a_refused_het_job_is_cancelled() -> None:
    """A component that is an ordinary job by now; while the het job lives its first decides."""
    left = a_slurm_job(12, "g#1")
    living = replace(left, id=SlurmJobId(8), het_job_ids=(SlurmJobId(7), SlurmJobId(8)))
    sweeping = Sweeping(left, living, g=None)
    await sweeping.run(2)
    assert sweeping.jobs.cancelled == [12]
    assert not sweeping.jobs.adopted
