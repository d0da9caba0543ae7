"""What a job's admin_comment proves of pods."""

from dataclasses import replace

import pytest

from bridge.controller.job_proof import JobProof
from bridge.jobs import to_slurm
from bridge.lifecycle.machine import GangMachine
from bridge.model.ids import GangId, PodUid
from bridge.model.job import JobFacts, JobIdentity
from bridge.model.pod import OwnerReference, Pod
from bridge.state.kube_state import KubeState
from tests.builders import SCHEDULER, a_gang_job, a_pod, facts, held_by
from tests.unit.controller.doubles import CLUSTER, Kept, a_machine, a_slurm_job
from tests.unit.slurm.clocks import ManualClock

TRAIN = a_gang_job(size=2)
MEMBER = a_pod("train-0").of(TRAIN, 0).build()
OWN = to_slurm.facts(a_slurm_job(8, MEMBER.uid))


class Proving:
    """What is proven where one pod waits as a member of a gang."""

    def __init__(self, *machines: GangMachine) -> None:
        self.cluster = KubeState(scheduler_name=SCHEDULER)
        self.cluster.settle_kind(("batch", "Job"), "watched")
        self.cluster.upsert_owner(TRAIN)
        self.cluster.upsert_pod(MEMBER)
        self.kept = Kept(ManualClock(), *machines)
        self.split: list[PodUid] = []
        self.proof = JobProof(cluster_uid=CLUSTER, cluster=self.cluster, gangs=self.kept.gangs)
        self.proof.connect(split_off=self._split_off)

    def _split_off(self, pod: PodUid) -> None:
        self.split.append(pod)
        self.cluster.split_off(pod)


@pytest.mark.parametrize("state", ["PENDING", "RUNNING", "CANCELLED"])
def test_a_job_under_the_uid_of_a_member_splits_it_off_once(state: str) -> None:
    """Only a pod that was split off has such a job, however the job stands by now."""
    it = Proving()
    own = to_slurm.facts(a_slurm_job(8, MEMBER.uid, state))
    assert it.proof.restore(own) == GangId(MEMBER.uid)
    assert it.proof.restore(own) is None
    assert it.split == [MEMBER.uid]


@pytest.mark.parametrize(
    "job",
    [
        replace(OWN, identity=None),
        replace(OWN, identity=JobIdentity("elsewhere", MEMBER.uid, 0, "Job/team/train")),
        to_slurm.facts(a_slurm_job(8, held_by(TRAIN))),
        to_slurm.facts(a_slurm_job(8, "uid-gone")),
    ],
)
def test_no_other_job_splits_a_pod_off(job: JobFacts) -> None:
    """Somebody else's, another cluster's, its gang's, that of a pod which is not there."""
    it = Proving()
    assert it.proof.restore(job) is None
    assert not it.split


@pytest.mark.parametrize(
    "pod",
    [
        a_pod("train-0").of(TRAIN, 0).pinned(7, "n", gang=held_by(TRAIN)).build(),
        a_pod("train-0").of(TRAIN, 0).bound("n").build(),
        a_pod("train-0").of(TRAIN, 0).in_phase("Failed").build(),
        a_pod("train-0").of(TRAIN, 0).deleting().build(),
    ],
)
def test_a_pod_that_needs_no_place_any_more_stays_where_it_is(pod: Pod) -> None:
    """It has one in its gang, or is about to go."""
    it = Proving()
    it.cluster.upsert_pod(replace(pod, resource_version="2"))
    assert it.proof.restore(OWN) is None


def test_a_pod_that_its_gang_is_just_pinning_stays_where_it_is() -> None:
    """The patch may be at the API server already."""
    machine = a_machine(held_by(TRAIN), 7)
    assert machine.known.run is not None
    machine.known.run.placement.pinning.add(MEMBER.uid)
    assert Proving(machine).proof.restore(OWN) is None


def test_a_single_pod_is_its_own_gang_anyway() -> None:
    """Also where nobody can tell yet what stands above it."""
    it = Proving()
    thing = OwnerReference("example.com/v1", "Thing", "t", "uid-t")
    bare, early = a_pod("bare").build(), replace(a_pod("early").build(), owner=thing)
    it.cluster.upsert_pod(bare)
    it.cluster.upsert_pod(early)
    assert it.cluster.unresolved == [early]
    for pod in (bare, early):
        assert it.proof.restore(to_slurm.facts(a_slurm_job(9, pod.uid))) is None
    assert not it.split


def test_a_job_is_of_the_gang_that_it_names_in_this_cluster() -> None:
    """Both have to be right."""
    proof = Proving().proof
    assert proof.is_of(OWN, GangId(MEMBER.uid))
    assert not proof.is_of(OWN, held_by(TRAIN))
    assert not proof.is_of(facts(8, "PENDING"), GangId(MEMBER.uid))
