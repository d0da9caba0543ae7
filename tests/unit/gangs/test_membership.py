"""Which gang a pod is in, and which slot of it is its own, kind by kind."""

from dataclasses import replace

import pytest

from bridge import names
from bridge.errors import BadInput
from bridge.gangs import demand, membership
from bridge.gangs.lineage import Lineage
from bridge.gangs.membership import Membership
from bridge.model.gang import Rank
from bridge.model.owner import (
    JobSet,
    LeaderWorkerSet,
    Owner,
    PodGroup,
    PodTemplate,
    ReplicatedJob,
    RoleSet,
    RoleSpec,
)
from bridge.model.pod import Pod
from bridge.model.pod_identity import PodIdentity
from bridge.model.scheduling import PodSelector, PodShape, PodTerm, Requirement, in_order
from tests.builders import PodBuilder, a_job, a_pod, gang_for, held_by, line_of

_EXCLUSIVE = "alpha.jobset.sigs.k8s.io/exclusive-topology"


def an_owner(kind: str, **fields: object) -> Owner:
    base = Owner(f"uid-{kind}", "team", kind.lower(), "1", "example.org/v1", kind)
    return replace(base, **fields)  # type: ignore[arg-type]


def a_jobset(*replicated: ReplicatedJob, **fields: object) -> JobSet:
    base = JobSet("uid-js", "team", "js", "1", replicated_jobs=replicated)
    return replace(base, **fields)  # type: ignore[arg-type]


def replicated(name: str, replicas: int, pods: int, **fields: object) -> ReplicatedJob:
    template = a_job(parallelism=pods, completions=pods, indexed=True, uid="", name="")
    return ReplicatedJob(name, replicas, template, **fields)  # type: ignore[arg-type]


def a_member(replicated_job: str, job_index: int, rank: int) -> Pod:
    job = a_job(f"js-{replicated_job}-{job_index}")
    labels = {
        "jobset.sigs.k8s.io/replicatedjob-name": replicated_job,
        "jobset.sigs.k8s.io/job-index": str(job_index),
    }
    return replace(
        a_pod(f"{replicated_job}-{job_index}-{rank}").of(job, rank).build(), labels=labels
    )


@pytest.mark.parametrize(
    ("gang_owner", "which", "wants_none"),
    [
        (an_owner("StatefulSet", replicas=0), "", True),
        (an_owner("StatefulSet", replicas=1), "", False),
        (an_owner("Simulation"), "", False),
        (a_job(parallelism=0, completions=2), "", True),
        (a_job(parallelism=1, completions=2), "", False),
        (LeaderWorkerSet("u", "team", "l", "1", replicas=2, size=3), "1", False),
        (LeaderWorkerSet("u", "team", "l", "1", replicas=1, size=3), "1", True),
        (
            RoleSet("u", "team", "r", "1", roles=(RoleSpec("worker", 0), RoleSpec("master", 1))),
            "",
            False,
        ),
        (RoleSet("u", "team", "r", "1", roles=(RoleSpec("worker", 0),)), "", True),
        (RoleSet("u", "team", "r", "1"), "", False),
    ],
)
def test_a_gang_owner_that_is_scaled_to_nothing(
    gang_owner: Owner, which: str, wants_none: bool
) -> None:
    """Or, of several groups, to fewer: nobody is to come."""
    assert membership.wants_none(gang_owner, held_by(gang_owner, which)) is wants_none


def where(pod: Pod | PodBuilder, *owners: Owner) -> Membership:
    pod = pod.build() if isinstance(pod, PodBuilder) else pod
    return membership.of(line_of(pod, *owners))


TWO = (replicated("leader", 1, 1), replicated("worker", 2, 4))


def test_a_jobset_is_one_gang_of_all_its_jobs_in_rank_order() -> None:
    """One leader, then two Jobs of four: a worker's slot comes from its Job's index and its own."""
    jobs = a_jobset(*TWO)
    pod = a_member("worker", 1, 2)
    found = where(pod, a_job("js-worker-1"), jobs)
    assert (found.gang, found.gang_owner, found.rank) == ("team/uid-js", jobs, Rank(1, 6))
    gang = demand.gang_of(line_of(pod, a_job("js-worker-1"), jobs), found, {1: pod.shape})
    assert [(role.name, role.count) for role in gang.roles] == [("leader", 1), ("worker", 8)]
    assert (gang.size, gang.owner) == (9, "JobSet/team/js")


@pytest.mark.parametrize(
    "jobs",
    [
        a_jobset(*TWO, in_order=True),
        a_jobset(TWO[0], replace(TWO[1], after=("leader",))),
    ],
)
def test_replicated_jobs_that_start_after_others_are_gangs_of_their_own(jobs: JobSet) -> None:
    """Held together, the first would wait for pods that wait for it."""
    pod = a_member("worker", 1, 2)
    found = where(pod, a_job("js-worker-1"), jobs)
    assert (found.gang, found.rank) == ("team/uid-js/worker", Rank(0, 6))
    gang = demand.gang_of(line_of(pod, a_job("js-worker-1"), jobs), found, {0: pod.shape})
    assert (gang.size, gang.owner_name) == (8, "js/worker")
    leader = where(a_member("leader", 0, 0), a_job("js-leader-0"), jobs)
    assert leader == membership.alone(line_of(a_member("leader", 0, 0)))


def test_a_jobset_whose_controller_places_pod_after_pod_is_no_gang() -> None:
    """Its followers exist only after their leader is bound."""
    pod = a_member("worker", 0, 0)
    told = a_jobset(*TWO, annotations={_EXCLUSIVE: "rack"})
    assert where(pod, a_job("js-worker-0"), told).gang_owner is None
    role = replace(TWO[1], job=replace(TWO[1].job, annotations={_EXCLUSIVE: "rack"}))
    assert where(pod, a_job("js-worker-0"), a_jobset(TWO[0], role)).gang_owner is None


def test_a_replica_group_is_a_gang_with_its_leader_as_rank_0() -> None:
    """One gang for each group; a leader with a template of its own is a role of its own."""
    group = LeaderWorkerSet("uid-lws", "team", "lws", "1", size=4)
    labels = {
        "leaderworkerset.sigs.k8s.io/group-index": "3",
        "leaderworkerset.sigs.k8s.io/worker-index": "2",
    }
    pod = replace(a_pod("lws-3-2").build(), labels=labels)
    stateful = an_owner("StatefulSet")
    found = where(pod, stateful, group)
    assert (found.gang, found.rank) == ("team/uid-lws/3", Rank(0, 2))
    two = replace(group, leader=PodTemplate())
    assert where(pod, stateful, two).rank == Rank(1, 1)
    gang = demand.gang_of(line_of(pod, two), where(pod, two), {1: pod.shape})
    assert [role.count for role in gang.roles] == [1, 3]
    assert not gang.staged
    late = replace(two, leader_ready=True)
    assert demand.gang_of(line_of(pod, late), where(pod, late), {1: pod.shape}).staged


def test_a_group_with_exclusive_topology_shares_a_domain_from_the_start() -> None:
    """Its leader has an affinity and its workers a selector; for the gang both mean that all of its
    pods are in one domain."""
    lws = "leaderworkerset.sigs.k8s.io/"
    group = LeaderWorkerSet(
        "uid-lws", "team", "lws", "1", annotations={lws + "exclusive-topology": "rack"}, size=2,
        leader=PodTemplate(),
    )  # fmt: skip
    pod = replace(a_pod("lws-0").build(), labels={lws + "group-index": "0"})
    one_key = PodSelector(("team",), (Requirement(lws + "group-key", "In", ("k",)),))
    own = PodTerm("rack", one_key)
    leader = replace(pod.shape, pod_affinity=(own,))
    worker = replace(pod.shape, node_selector=(("pool", "gpu"), ("rack", "r7")))
    gang = demand.gang_of(
        line_of(pod, group),
        where(pod, group),
        {0: leader, 1: worker},
        {0: PodIdentity.of("team", {lws + "group-key": "k", "app": "x"})},
    )
    labels = {lws + "name": "lws", lws + "group-index": "0"}
    ours = tuple(Requirement(key, "In", (value,)) for key, value in sorted(labels.items()))
    together = PodTerm("rack", PodSelector(("team",), ours))
    assert [role.shape.pod_affinity for role in gang.roles] == [(own, together), (together,)]
    assert gang.roles[1].shape.node_selector == (("pool", "gpu"),)
    assert [role.identity for role in gang.roles] == [
        PodIdentity.of("team", {**labels, lws + "group-key": "k", "app": "x"}),
        PodIdentity.of("team", {**labels, lws + "group-key": "k"}),
    ]


def test_a_pod_group_takes_its_least_count() -> None:
    """And a policy that asks for none makes no gang."""
    group = PodGroup("uid-pg", "team", "pg", "1", least=3)
    pod = a_pod("a").build()
    found = membership.of(Lineage(pod, group=group))
    assert (found.gang, found.most) == ("team/uid-pg", 3)
    assert membership.of(Lineage(pod, group=replace(group, least=0))).gang_owner is None
    larger = a_pod("a").annotated(gang_size="5").build()
    assert membership.of(Lineage(larger, group=group)).most == 5


def roles(**fields: object) -> RoleSet:
    base = RoleSet(
        "uid-mpi", "team", "mpi", "1", "kubeflow.org/v2beta1", "MPIJob",
        roles=(RoleSpec("Launcher", 1), RoleSpec("Worker", 2)),
        role_label="role", index_label="index",
    )  # fmt: skip
    return replace(base, **fields)  # type: ignore[arg-type]


def test_all_roles_of_a_training_job_are_one_gang() -> None:
    """The launcher's pod comes by a Job of its own."""
    launcher = replace(a_pod("l").build(), labels={"role": "launcher"})
    worker = replace(a_pod("w").build(), labels={"role": "worker", "index": "1"})
    assert where(launcher, a_job("mpi-launcher"), roles()).rank == Rank(0, None)
    assert where(worker, roles()) == Membership(GANG, roles(), Rank(1, 1))
    assert where(worker, roles(elastic=True)).gang_owner is None
    wished = replace(worker, annotations={names.GANG_ANNOTATION: "true"})
    assert where(wished, roles(elastic=True)).gang == GANG


GANG = where(replace(a_pod("w").build(), labels={"role": "worker"}), roles()).gang


def test_pods_of_other_kinds_are_gangs_of_one_until_they_say_otherwise() -> None:
    """`gang: "true"` makes a gang of what holds the annotation; its size is said or read."""
    plain = an_owner("Widget", replicas=4)
    assert where(a_pod("w"), plain).gang_owner is None
    told = replace(plain, annotations={names.GANG_ANNOTATION: "true"})
    found = where(a_pod("w"), an_owner("ReplicaSet"), told)
    assert found.gang_owner is told
    assert demand.gang_of(line_of(a_pod("w").build(), told), found, {}).size == 4
    unsaid = replace(told, replicas=None)
    with pytest.raises(BadInput, match="gang-size with their number"):
        demand.gang_of(line_of(a_pod("w").build(), unsaid), where(a_pod("w"), unsaid), {})
    with pytest.raises(BadInput, match="this pod has no owner"):
        where(a_pod("w").annotated(gang="true"))


def test_a_rollouts_new_pods_are_a_gang_of_their_own() -> None:
    """Of a Deployment that is a gang each ReplicaSet is one."""
    deployment = an_owner("Deployment", annotations={names.GANG_ANNOTATION: "true"})
    replica_set = an_owner("ReplicaSet", replicas=3)
    assert where(a_pod("w"), replica_set, deployment).gang_owner is replica_set


def test_only_authors_of_kinds_that_we_do_not_know_are_advised() -> None:
    """One sentence with the annotation; silent once it is written."""
    widget = an_owner("Widget")
    assert "Widget widget" in membership.advice(line_of(a_pod("w").build(), widget))
    assert not membership.advice(line_of(a_pod("w").build(), an_owner("Deployment")))
    assert not membership.advice(line_of(a_pod("w").build()))
    said = replace(widget, annotations={names.GANG_ANNOTATION: "false"})
    assert not membership.advice(line_of(a_pod("w").build(), said))
    assert membership.advice(line_of(a_pod("w").build(), roles(elastic=True)))


def test_a_part_without_pods_counts_as_its_template_says() -> None:
    """With the toleration that each pod gets at admission."""
    jobs = a_jobset(*TWO)
    pod = a_member("worker", 0, 0)
    gang = demand.gang_of(
        line_of(pod, a_job("js-worker-0"), jobs),
        where(pod, a_job("js-worker-0"), jobs),
        {1: pod.shape},
        tolerations=pod.shape.tolerations,
    )
    assert gang.roles[0].shape == PodShape(tolerations=in_order(pod.shape.tolerations))
    assert gang.shapes == (gang.roles[0].shape, *(pod.shape,) * 8)


def test_a_job_in_waves_uses_its_slots_again() -> None:
    """As an explicit gang: nine completions, three at once, three slots."""
    told = {names.GANG_ANNOTATION: "true"}
    job = a_job(parallelism=3, completions=9, annotations=told)
    gang = demand.gang_of(
        line_of(a_pod("w").of(job).build(), job), where(a_pod("w").of(job), job), {}
    )
    assert (gang.size, gang.is_in_waves(0)) == (3, True)
    once = replace(job, completions=3)
    found = where(a_pod("w").of(once), once)
    assert not demand.gang_of(line_of(a_pod("w").of(once).build(), once), found, {}).is_in_waves(0)


def test_members_that_come_one_by_one_are_not_missed() -> None:
    """The next is made only when those before it are ready, however long that takes."""
    for one_by_one in (False, True):
        owner = an_owner("StatefulSet", replicas=3, one_by_one=one_by_one)
        pod = a_pod("web-0").annotated(gang="true").build()
        assert bool(gang_for([pod], owner).staged) is one_by_one
