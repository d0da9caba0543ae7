"""How pods find their gang while the API server tells of pods and owners in any order."""

from dataclasses import replace
from typing import Any

import pytest

from bridge import names
from bridge.errors import BadInput, InternalError
from bridge.model.ids import GangId, PodUid
from bridge.model.owner import JobSet, Owner, PodGroup, ReplicatedJob
from bridge.model.pod import OwnerReference, Pod
from bridge.model.scheduling import NodeSelectorTerm, Requirement
from bridge.state import gang_view
from bridge.state.kube_state import KubeState
from tests.builders import SCHEDULER, a_gang_job, a_job, a_pod, held_by
from tests.hostile.measured import cost

JOBS, SETS = ("batch", "Job"), ("jobset.x-k8s.io", "JobSet")
GROUPS = ("scheduling.k8s.io", "PodGroup")


class Wanted(list[tuple[str, str]]):
    """What the cluster asked to be watched."""

    def __call__(self, api_version: str, kind: str) -> None:
        self.append((api_version, kind))


def a_cluster(*watched: tuple[str, str], wanted: Wanted | None = None) -> KubeState:
    cluster = KubeState(scheduler_name=SCHEDULER, want=wanted if wanted is not None else Wanted())
    for key in watched:
        cluster.settle_kind(key, "watched")
    return cluster


def a_set(**fields: object) -> JobSet:
    template = a_job(parallelism=2, completions=2, indexed=True)
    base = JobSet("uid-js", "team", "js", "1", "jobset.x-k8s.io/v1alpha2")
    return replace(base, replicated_jobs=(ReplicatedJob("w", 1, template),), **fields)  # type: ignore[arg-type]


OF_SET = OwnerReference("jobset.x-k8s.io/v1alpha2", "JobSet", "js", "uid-js")


def a_member(index: int) -> Pod:
    labels = {
        "jobset.sigs.k8s.io/replicatedjob-name": "w",
        "jobset.sigs.k8s.io/job-index": "0",
    }
    return replace(a_pod(f"w-{index}").of(a_job("js-w-0"), index).build(), labels=labels)


def test_a_kind_is_asked_for_when_the_first_pod_names_it_and_the_chain_waits_for_it() -> None:
    """Job and JobSet come from two watches; the pod's gang is known when both have told."""
    wanted = Wanted()
    cluster = a_cluster(JOBS, wanted=wanted)
    assert cluster.upsert_pod(a_member(0)) == set()
    assert cluster.unresolved
    assert cluster.upsert_owner(replace(a_job("js-w-0"), owner=OF_SET)) == set()
    assert wanted == [("jobset.x-k8s.io/v1alpha2", "JobSet")]
    cluster.upsert_owner(a_set())
    assert cluster.settle_kind(SETS, "watched") == {GangId("team/uid-js")}
    assert not cluster.unresolved
    gang = cluster.gang(GangId("team/uid-js"))
    assert gang is not None
    assert (gang.size, gang.owner) == (2, "JobSet/team/js")


def test_what_the_jobs_of_a_jobset_have_done_is_not_asked_for_again() -> None:
    """Their status says it, index by index; other Jobs in the namespace say nothing of it."""
    cluster = a_cluster(JOBS, SETS)
    cluster.upsert_owner(a_set())
    labels = {"jobset.sigs.k8s.io/replicatedjob-name": "w", "jobset.sigs.k8s.io/job-index": "0"}
    child = replace(a_job("js-w-0", labels=labels), owner=OF_SET)
    cluster.upsert_owner(child)
    cluster.upsert_owner(replace(a_job("x", labels=labels), completed_indexes="0-1"))
    cluster.upsert_pod(a_member(1))
    gang = cluster.gang(GangId("team/uid-js"))
    assert gang is not None
    assert (gang.size, gang.indexes) == (2, ())
    done = replace(child, succeeded_pods=1, completed_indexes="0", resource_version="2")
    assert cluster.upsert_owner(done) == set(), "its pods say so themselves"
    given_up = replace(child, failed_indexes="0", resource_version="3")
    assert cluster.upsert_owner(given_up) == {GangId("team/uid-js")}, "a pod that fails does not"
    gang = cluster.gang(GangId("team/uid-js"))
    assert gang is not None
    assert (gang.size, gang.indexes) == (1, ((1,),))
    cluster.upsert_owner(replace(done, resource_version="4"))
    gang = cluster.gang(GangId("team/uid-js"))
    assert gang is not None
    assert (gang.size, gang.indexes) == (1, ((1,),))


def test_a_pod_that_queues_on_its_own_is_not_asked_for_again() -> None:
    """Until it ends: then the one in its place is a member."""
    cluster, job = a_cluster(JOBS), a_gang_job(size=3)
    cluster.upsert_owner(job)
    pods = [a_pod(f"p-{index}").of(job, index).build() for index in range(3)]
    for pod in pods:
        cluster.upsert_pod(pod)
    assert cluster.split_off(pods[1].uid) == {held_by(job), GangId(pods[1].uid)}
    gang = cluster.gang(held_by(job))
    assert gang is not None
    assert (gang.size, gang.indexes) == (2, ((0, 2),))
    assert gang_view.of(cluster, held_by(job)).singletons == 0
    cluster.upsert_pod(replace(pods[1], deleting=True, resource_version="2"))
    gang = cluster.gang(held_by(job))
    assert gang is not None
    assert gang.size == 3


def test_a_pod_that_was_split_off_stays_so_when_the_bridge_has_failed_at_it() -> None:
    """It is taken in again, and its job is that of a gang of one."""
    cluster, job = a_cluster(JOBS), a_gang_job(size=2)
    cluster.upsert_owner(job)
    pods = [a_pod(f"p-{index}").of(job, index).build() for index in range(2)]
    for pod in pods:
        cluster.upsert_pod(pod)
    alone = GangId(pods[1].uid)
    cluster.split_off(pods[1].uid)
    broken: Any = ([],)  # no claim has such a name
    cluster.upsert_pod(replace(pods[1], volume_claims=broken, resource_version="2"))
    with pytest.raises(InternalError):
        cluster.gang(alone)
    cluster.upsert_pod(replace(pods[1], resource_version="3"))
    assert cluster.gang_of(pods[1].uid) == alone
    assert cluster.gang(alone) is not None
    cluster.remove_pod(pods[1].uid)
    cluster.forget(alone)
    cluster.upsert_pod(pods[1])
    assert cluster.gang_of(pods[1].uid) == held_by(job), "nothing is kept of a pod that is gone"


def test_after_a_start_a_gang_asks_for_what_its_pinned_pods_had_asked_for() -> None:
    """Not for the one node that a pin has put into a pod's affinity."""
    cluster, job = a_cluster(JOBS), a_gang_job(size=2)
    cluster.upsert_owner(job)
    fresh = a_pod("p-0").of(job, 0).asking(gpu=8).build()
    here = Requirement("metadata.name", "In", ("n1",))
    pinned = replace(fresh.shape, affinity_terms=(NodeSelectorTerm(fields=(here,)),))
    pod = a_pod("p-0").of(job, 0).pinned(7, "n1", gang=held_by(job)).bound("n1").build()
    cluster.upsert_pod(replace(pod, shape=pinned))
    gang = cluster.gang(held_by(job))
    assert gang is not None
    assert gang.shape == fresh.shape


def test_a_kind_that_may_not_be_read_ends_the_chain() -> None:
    """What the reference says is all that is known; the pod is a gang of one."""
    cluster = a_cluster(JOBS)
    cluster.upsert_owner(replace(a_job("js-w-0"), owner=OF_SET))
    pod = a_member(0)
    cluster.upsert_pod(pod)
    assert cluster.settle_kind(SETS, "unreadable") == {GangId(pod.uid)}
    gang = cluster.gang(GangId(pod.uid))
    assert gang is not None
    assert gang.owner == "Job/team/js-w-0/w-0"


def test_an_owner_that_never_shows_up_is_given_up_at_the_second_look() -> None:
    """An orphan of a deleted Job must not wait for ever; a Job that is only late may come."""
    cluster, pod = a_cluster(JOBS), a_pod("train-x").of(a_job()).build()
    cluster.upsert_pod(pod)
    assert cluster.settle_missing() == set()
    assert cluster.settle_missing() == {GangId(pod.uid)}
    assert cluster.is_single(GangId(pod.uid))


def test_a_leaders_pod_in_the_chain_leads_on_to_its_own_owner() -> None:
    """The StatefulSet of a LeaderWorkerSet's workers belongs to the leader's pod."""
    stateful = ("apps", "StatefulSet")
    cluster = a_cluster(stateful, ("example.org", "Widget"))
    widget = Owner("uid-w", "team", "w", "1", "example.org/v1", "Widget",
                   annotations={names.GANG_ANNOTATION: "true"}, replicas=3)  # fmt: skip
    leader = replace(
        a_pod("leader").build(), owner=OwnerReference("example.org/v1", "Widget", "w", "uid-w")
    )
    workers = Owner("uid-s", "team", "s", "1", "apps/v1", "StatefulSet",
                    owner=OwnerReference("v1", "Pod", "leader", leader.uid))  # fmt: skip
    worker = replace(
        a_pod("worker").build(), owner=OwnerReference("apps/v1", "StatefulSet", "s", "uid-s")
    )
    for owner in (widget, workers):
        cluster.upsert_owner(owner)
    cluster.upsert_pod(leader)
    assert cluster.upsert_pod(worker) == {GangId("team/uid-w")}
    assert {pod.name for pod in cluster.pods_of(GangId("team/uid-w"))} == {"leader", "worker"}


def a_group(**fields: object) -> PodGroup:
    base = PodGroup("uid-pg", "team", "pg", "1", "scheduling.k8s.io/v1alpha2", least=2)
    return replace(base, **fields)  # type: ignore[arg-type]


def in_group(name: str, **fields: object) -> Pod:
    return replace(a_pod(name).build(), pod_group="pg", **fields)  # type: ignore[arg-type]


def test_a_full_group_leaves_further_pods_to_themselves() -> None:
    """So many start together as it says; who comes later takes the place of one that ended."""
    cluster = a_cluster(GROUPS)
    cluster.upsert_owner(a_group())
    first, second, third = (in_group(name) for name in "abc")
    gang = GangId("team/uid-pg")
    assert cluster.upsert_pod(first) == cluster.upsert_pod(second) == {gang}
    assert cluster.upsert_pod(third) == {GangId(third.uid)}
    cluster.upsert_pod(replace(first, phase="Failed"))
    assert cluster.upsert_pod(in_group("d")) == {gang}


def test_a_pinned_pod_stays_in_the_gang_it_was_pinned_under() -> None:
    """After a restart the order in which pods are listed decides nothing that runs."""
    cluster = a_cluster(GROUPS)
    cluster.upsert_owner(a_group())
    alone = replace(a_pod("a").pinned(7, "n1").build(), pod_group="pg")
    of_it = replace(a_pod("b").pinned(8, "n1", gang="team/uid-pg").build(), pod_group="pg")
    assert cluster.upsert_pod(alone) == {GangId(alone.uid)}
    assert cluster.upsert_pod(of_it) == {GangId("team/uid-pg")}


def test_a_pod_that_names_a_group_which_does_not_exist_is_told_and_joins_it_later() -> None:
    """It waits for the group alone: no job is made for it, and the group need only be created."""
    cluster, pod = a_cluster(GROUPS), in_group("a")
    cluster.upsert_pod(pod)
    cluster.settle_missing()
    assert cluster.settle_missing() == {GangId(pod.uid)}
    with pytest.raises(BadInput, match="PodGroup pg, which the pod names"):
        cluster.gang(GangId(pod.uid))
    touched = cluster.upsert_owner(a_group())
    assert touched == {GangId(pod.uid), GangId("team/uid-pg")}
    assert cluster.gang_of(pod.uid) == "team/uid-pg"


def test_a_pod_for_a_group_that_is_full_costs_no_more_than_any() -> None:
    """However large the group is: with the pods that come after it, a start would take minutes."""

    def full(least: int) -> int:
        cluster = a_cluster(GROUPS)
        group = ("scheduling.k8s.io/v1alpha2", "PodGroup")
        cluster.upsert_owner(PodGroup("uid-g", "team", "g", "1", *group, least=least))
        for at in range(least):
            cluster.upsert_pod(replace(a_pod(f"in-{at}").build(), pod_group="g"))
        late = replace(a_pod("late").build(), pod_group="g")
        steps = cost(lambda: cluster.upsert_pod(late))
        assert cluster.gang_of(late.uid) == GangId(late.uid)
        return steps

    assert full(400) <= full(4) + 20


def test_an_owner_of_many_pods_that_changes_costs_each_gang_its_own_look() -> None:
    """Also where all of them have a problem with it: nothing is done for all of them at once."""
    cluster, job = a_cluster(JOBS), a_job("large")
    cluster.upsert_owner(replace(job, annotations={names.GANG_ANNOTATION: "maybe"}))
    for at in range(200):
        cluster.upsert_pod(a_pod(f"large-{at}").of(job).build())
    again = replace(job, annotations={names.GANG_ANNOTATION: "perhaps"}, resource_version="2")
    assert cost(lambda: cluster.upsert_owner(again)) <= 200 * 20
    assert cluster.gang_of(PodUid("uid-large-7")) == GangId("uid-large-7")


def test_an_annotation_that_cant_be_read_is_told_until_it_is_mended() -> None:
    """On the owner; the pod's gang is found again when the owner changes."""
    cluster, job = a_cluster(JOBS), a_gang_job(size=2)
    cluster.upsert_owner(replace(job, annotations={names.GANG_ANNOTATION: "maybe"}))
    pod = a_pod("train-0").of(job, 0).build()
    cluster.upsert_pod(pod)
    with pytest.raises(BadInput, match="neither"):
        cluster.gang(GangId(pod.uid))
    assert cluster.upsert_owner(replace(job, resource_version="2")) == {GangId(pod.uid)}
    assert held_by(job) in cluster.join_again(GangId(pod.uid))
    assert cluster.join_again(GangId(pod.uid)) == set()
    assert cluster.gang_of(pod.uid) == held_by(job)


def test_an_owners_change_touches_the_gangs_below_it_and_a_repeated_row_nothing() -> None:
    """A Job's status changes with each pod that ends; its gangs must not be looked at for that."""
    cluster, job = a_cluster(JOBS), a_job(parallelism=2, completions=4)
    cluster.upsert_owner(job)
    pods = [a_pod(f"train-{i}").of(job).build() for i in range(2)]
    for pod in pods:
        cluster.upsert_pod(pod)
    assert cluster.upsert_owner(replace(job, resource_version="2")) == set()
    wished = replace(job, annotations={names.JOB_PREFIX + "qos": "high"}, resource_version="3")
    assert cluster.upsert_owner(wished) == {GangId(pod.uid) for pod in pods}


def test_a_gang_without_pods_hears_of_the_end_of_what_holds_it() -> None:
    """A PodGroup stays until its pods are gone, and is gone only then; so may a Job be."""
    cluster, job = a_cluster(JOBS), a_gang_job(size=2)
    cluster.upsert_owner(job)
    pod = a_pod("train-0").of(job, 0).build()
    cluster.upsert_pod(pod)
    cluster.remove_pod(pod.uid)
    assert cluster.remove_owner(job.uid) == {held_by(job)}
    members = cluster.members(held_by(job))
    assert members is not None
    assert members.over
    cluster.forget(held_by(job))
    assert cluster.remove_owner(job.uid) == set()


def test_the_end_of_what_holds_a_gang_is_the_gangs_end() -> None:
    """Not that of a Job below it."""
    cluster = a_cluster(JOBS, SETS)
    job = replace(a_job("js-w-0"), owner=OF_SET)
    cluster.upsert_owner(a_set())
    cluster.upsert_owner(job)
    cluster.upsert_pod(a_member(0))
    gang = GangId("team/uid-js")
    assert cluster.remove_owner(job.uid) == {gang}
    members = cluster.members(gang)
    assert members is not None
    assert not members.over
    assert cluster.remove_owner("uid-js") == {gang}
    assert members.over


def test_a_pod_in_place_of_one_that_is_ending_is_in_its_group() -> None:
    """It waits for the slot that is about to be free, as in every other gang."""
    cluster, group = a_cluster(GROUPS), GangId("team/uid-g")
    cluster.upsert_owner(PodGroup("uid-g", "team", "g", "1", "scheduling.k8s.io/v1alpha2", least=2))
    first, second = (replace(a_pod(f"p-{rank}").build(), pod_group="g") for rank in range(2))
    cluster.upsert_pod(first)
    cluster.upsert_pod(second)
    ending = a_pod("p-0").pinned(7, "n", gang=group).bound("n").deleting().build()
    cluster.upsert_pod(replace(ending, pod_group="g", resource_version="2"))
    replacement = replace(a_pod("p-2").build(), pod_group="g")
    cluster.upsert_pod(replacement)
    assert cluster.gang_of(replacement.uid) == group
    beyond = replace(a_pod("p-3").build(), pod_group="g")
    cluster.upsert_pod(beyond)
    assert cluster.gang_of(beyond.uid) == GangId(beyond.uid)


def test_pods_beyond_those_that_a_group_starts_with_are_counted_apart() -> None:
    """The gang is as large with them as without."""
    cluster = a_cluster(GROUPS)
    cluster.upsert_owner(PodGroup("uid-g", "team", "g", "1", "scheduling.k8s.io/v1alpha2", least=2))
    for rank in range(3):
        cluster.upsert_pod(replace(a_pod(f"p-{rank}").build(), pod_group="g"))
    gang = cluster.gang(GangId("team/uid-g"))
    assert gang is not None
    assert gang.size == 2
    assert gang_view.of(cluster, GangId("team/uid-g")).singletons == 1


def test_a_group_of_which_a_pod_runs_on_its_own_starts_with_the_others() -> None:
    """Its node was lost once, say; the others begin anew and would wait for it in vain."""
    cluster, group = a_cluster(GROUPS), GangId("team/uid-g")
    cluster.upsert_owner(PodGroup("uid-g", "team", "g", "1", "scheduling.k8s.io/v1alpha2", least=2))
    pods = [replace(a_pod(f"p-{rank}").build(), pod_group="g") for rank in range(2)]
    for pod in pods:
        cluster.upsert_pod(pod)
    cluster.split_off(pods[1].uid)
    gang = cluster.gang(group)
    assert gang is not None
    assert gang.size == 2, "while it waits itself it is needed"
    running = a_pod("p-1").pinned(9, "n").bound("n").in_phase("Running").build()
    cluster.upsert_pod(replace(running, pod_group="g", resource_version="2"))
    gang = cluster.gang(group)
    assert gang is not None
    assert gang.size == 1


# -- whose a pod is --------------------------------------------------------------------------------


def test_an_owner_of_another_namespace_is_nobodys() -> None:
    """A pod may write any uid into its owner reference: it joins no gang and reads no parameters
    of another namespace's Job."""
    cluster, job = a_cluster(JOBS), a_gang_job(size=2, annotations={names.JOB_PREFIX + "qos": "x"})
    cluster.upsert_owner(job)
    cluster.upsert_pod(a_pod("train-0").of(job, 0).build())
    stranger = replace(a_pod("stranger").of(job, 1).build(), namespace="elsewhere")
    assert cluster.upsert_pod(stranger) == {GangId(stranger.uid)}
    gang = cluster.gang(GangId(stranger.uid))
    assert gang is not None
    assert (gang.namespace, gang.parameters.qos) == ("elsewhere", "")
    assert [pod.name for pod in cluster.pods_of(held_by(job))] == ["train-0"]
    assert gang_view.of(cluster, held_by(job)).singletons == 0
    assert cluster.upsert_owner(replace(job, suspended=True, resource_version="2")) == {
        held_by(job)
    }


def test_an_owner_of_another_kind_is_nobodys() -> None:
    """The uid of a Job under the name of a kind that can't be read."""
    cluster, job = a_cluster(JOBS), a_gang_job(size=2)
    cluster.settle_kind(("example.org", "Thing"), "unreadable")
    cluster.upsert_owner(job)
    thing = OwnerReference("example.org/v1", "Thing", "train", job.uid)
    wish = {names.GANG_ANNOTATION: "true", names.GANG_SIZE_ANNOTATION: "2"}
    pod = replace(a_pod("a").of(job, 0).build(), owner=thing, annotations=wish)
    (gang_id,) = cluster.upsert_pod(pod)
    assert gang_id != held_by(job)
    other = replace(pod, uid=PodUid("uid-b"), name="b")
    assert cluster.upsert_pod(other) == {gang_id}, "pods that say the same are one gang"
    moved = replace(other, uid=PodUid("uid-c"), namespace="elsewhere")
    assert cluster.upsert_pod(moved) != {gang_id}, "but in their own namespace"


@pytest.mark.parametrize(
    "forged", ["team/uid-job-train", "elsewhere/uid-job-train", "uid-victim", "team/uid-victim"]
)
def test_a_pinned_pod_is_in_no_gang_that_nothing_above_it_proves(forged: str) -> None:
    """Neither another namespace's nor, with its owner there to tell, another one's at home."""
    cluster, own = a_cluster(JOBS), a_job("own")
    cluster.upsert_owner(own)
    pod = replace(a_pod("a").of(own).pinned(7, "n1", gang=forged).build(), namespace="team")
    assert cluster.upsert_pod(pod) == {GangId(pod.uid)}
    bare = replace(a_pod("b").pinned(7, "n1", gang=forged).build(), namespace="elsewhere")
    if forged.startswith("team/"):
        assert cluster.upsert_pod(bare) == {GangId(bare.uid)}


def test_a_pinned_pod_whose_owner_is_gone_stays_where_it_was_pinned() -> None:
    """An orphan, after a restart: the reference names an owner that nobody can ask any more."""
    cluster, job = a_cluster(JOBS), a_gang_job(size=2)
    pod = a_pod("train-0").of(job, 0).pinned(7, "n1", gang=held_by(job)).build()
    cluster.upsert_pod(pod)
    cluster.settle_missing()
    assert held_by(job) in cluster.settle_missing()
    assert cluster.gang_of(pod.uid) == held_by(job)


def test_a_pod_group_as_a_controller_is_an_owner_like_any_other() -> None:
    """Pods name a PodGroup, it owns none: what makes it one here is only the annotation."""
    cluster = a_cluster(GROUPS)
    cluster.upsert_owner(a_group())
    of_group = OwnerReference("scheduling.k8s.io/v1alpha2", "PodGroup", "pg", "uid-pg")
    pod = replace(a_pod("a").annotated(gang="true").build(), owner=of_group)
    (gang_id,) = cluster.upsert_pod(pod)
    with pytest.raises(BadInput, match="does not say how many pods"):
        cluster.gang(gang_id)


# -- what a gang asks for --------------------------------------------------------------------------


def in_gang(owner: Owner, index: int, **wishes: str) -> Pod:
    return a_pod(f"p-{index}").of(owner, index).annotated(**wishes).build()  # type: ignore[arg-type]


def test_a_gangs_parameters_are_its_owners() -> None:
    """Before them go those of the template, which each pod carries too; not one pod's own."""
    template = replace(a_gang_job(size=2).template, annotations={names.JOB_PREFIX + "qos": "t"})
    wishes = {names.JOB_PREFIX + "qos": "o", names.JOB_PREFIX + "account": "a"}
    job = a_gang_job(size=2, annotations=wishes)
    cluster = a_cluster(JOBS)
    cluster.upsert_owner(replace(job, template=template))
    for index, qos in ((0, "mine"), (1, "t")):
        cluster.upsert_pod(in_gang(job, index, qos=qos))
    gang = cluster.gang(held_by(job))
    assert gang is not None
    assert (gang.parameters.qos, gang.parameters.account) == ("t", "a")


def test_what_all_pods_say_counts_where_no_template_says_it() -> None:
    """A policy of the cluster may have set it on each; where they differ they are told, and none
    of them decides for the others."""
    cluster, job = a_cluster(JOBS), a_gang_job(size=2)
    cluster.upsert_owner(job)
    for index in range(2):
        cluster.upsert_pod(in_gang(job, index, qos="high"))
    gang = cluster.gang(held_by(job))
    assert gang is not None
    assert gang.parameters.qos == "high"
    cluster.upsert_pod(in_gang(job, 1, qos="low"))
    with pytest.raises(
        BadInput, match=r"qos: the pods of Job train have different .* on Job train"
    ):
        cluster.gang(held_by(job))


def test_a_gang_has_a_largest_size() -> None:
    """Told before anything is made for each of its pods."""
    cluster, job = a_cluster(JOBS), a_gang_job(size=2_000_000_000)
    cluster.upsert_owner(job)
    cluster.upsert_pod(a_pod("train-0").of(job, 0).build())
    with pytest.raises(BadInput, match=r"gang of 2000000000 pods, .* at most 10000 \(setting"):
        cluster.gang(held_by(job))


def test_a_jobset_without_replicated_jobs_is_told() -> None:
    """And whatever else names no pods."""
    cluster = a_cluster(JOBS, SETS)
    jobs = replace(a_set(), replicated_jobs=(), annotations={names.GANG_ANNOTATION: "true"})
    cluster.upsert_owner(jobs)
    (gang_id,) = cluster.upsert_pod(replace(a_pod("a").build(), owner=OF_SET))
    with pytest.raises(BadInput, match="JobSet js has no pods"):
        cluster.gang(gang_id)
