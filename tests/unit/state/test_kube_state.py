"""Kubernetes' side of the truth."""

from dataclasses import replace

import pytest

from bridge import names
from bridge.model.ids import GangId, NodeName, PodUid
from bridge.model.namespace import Namespace
from bridge.model.pod import OwnerReference, Pod
from bridge.model.scheduling import PodSelector, PodShape, Requirement, Toleration
from bridge.placement.filters import pod_selectors
from bridge.placement.filters.classes import class_by_node
from bridge.placement.filters.feasibility import check_node
from bridge.state.kube_state import KubeState
from tests.builders import (
    SCHEDULER,
    PodBuilder,
    a_gang_job,
    a_job,
    a_node,
    a_pod,
    app,
    held_by,
    to_app,
)


def a_cluster() -> KubeState:
    cluster = KubeState(scheduler_name=SCHEDULER)
    cluster.settle_kind(("batch", "Job"), "watched")
    cluster.upsert_node(a_node("n1", gpu=8))
    return cluster


def whole_node() -> PodBuilder:
    return a_pod("next").asking(gpu=8)


def room_for(cluster: KubeState, pod: Pod) -> bool:
    return check_node(cluster.table.snapshot(), pod.shape, NodeName("n1")) is None


def test_a_pod_that_comes_before_its_job_finds_its_gang_when_the_job_is_seen() -> None:
    """Two watches have no order between them."""
    cluster, job = a_cluster(), a_gang_job(size=2)
    pods = [a_pod(f"train-{i}").of(job, i).build() for i in range(2)]
    assert cluster.upsert_pod(pods[0]) == set()
    assert cluster.upsert_owner(job) == {held_by(job)}
    assert cluster.upsert_pod(pods[1]) == {held_by(job)}
    assert [pod.name for pod in cluster.pods_of(held_by(job))] == ["train-0", "train-1"]
    assert not cluster.is_single(held_by(job))


def test_pods_of_a_loose_job_are_gangs_of_one() -> None:
    """Each by its own uid, still named after their Job."""
    cluster, job = a_cluster(), a_job(parallelism=2, completions=2)
    cluster.upsert_owner(job)
    pod = a_pod("train-x").of(job).build()
    assert cluster.upsert_pod(pod) == {GangId(pod.uid)}
    assert cluster.is_single(GangId(pod.uid))
    gang = cluster.gang(GangId(pod.uid))
    assert gang is not None
    assert gang.owner == "Job/team/train/train-x"


def test_an_older_row_does_not_undo_a_newer_one() -> None:
    """Our patch's answer overtakes the watch."""
    cluster = a_cluster()
    new = replace(a_pod().pinned(7, "n1").build(), resource_version="12")
    cluster.upsert_pod(new)
    assert cluster.upsert_pod(replace(a_pod().build(), resource_version="9")) == set()
    assert cluster.pods[new.uid] is new


def test_the_answer_to_a_patch_does_not_bring_back_a_pod_that_is_gone() -> None:
    """The watch may tell of the end before our own request is answered."""
    cluster, pod = a_cluster(), a_pod().build()
    cluster.upsert_pod(pod)
    cluster.remove_pod(pod.uid)
    assert cluster.answered(replace(pod, resource_version="9")) == set()
    assert not cluster.pods


@pytest.mark.parametrize(
    ("pod", "holds"),
    [
        (a_pod().asking(gpu=1), False),
        (a_pod().asking(gpu=1).pinned(7, "n1"), False),
        (a_pod().asking(gpu=1).pinned(7, "n1").bound("n1"), True),
        (a_pod().asking(gpu=1).pinned(7, "n1").bound("n1").deleting(), True),
        (a_pod().asking(gpu=1).bound("n1").in_phase("Succeeded"), False),
        (a_pod().asking(gpu=1).bound("n1").in_phase("Failed"), False),
    ],
)
def test_a_pod_holds_room_from_its_binding_to_the_end_of_its_containers(
    pod: PodBuilder, holds: bool
) -> None:
    """Terminating pods still hold theirs; what a pod says of its own place holds nothing."""
    cluster = a_cluster()
    cluster.upsert_pod(pod.build())
    assert room_for(cluster, whole_node().build()) is not holds
    cluster.remove_pod(pod.build().uid)
    assert room_for(cluster, whole_node().build())


def test_a_pod_holds_the_room_that_its_gang_gave_it() -> None:
    """From the pin on, whatever the watch tells of it in between; not if it will never be bound."""
    cluster, pod = a_cluster(), a_pod().asking(gpu=1)
    cluster.upsert_pod(pod.build())
    cluster.pin(pod.build(), NodeName("n1"))
    cluster.upsert_pod(replace(pod.build(), resource_version="2"))
    pinned = pod.pinned(7, "n1")
    cluster.upsert_pod(replace(pinned.build(), resource_version="3"))
    assert not room_for(cluster, whole_node().build())
    cluster.upsert_pod(replace(pinned.deleting().build(), resource_version="4"))
    assert room_for(cluster, whole_node().build())


def test_pods_of_other_schedulers_hold_room_too() -> None:
    """As long as they are bound and have not ended."""
    cluster = a_cluster()
    other = a_pod("daemon").asking(gpu=1).bound("n1").build()
    cluster.upsert_other(other)
    assert not room_for(cluster, whole_node().build())
    cluster.replace_others([])
    assert room_for(cluster, whole_node().build())


def test_a_new_list_removes_what_is_not_in_it() -> None:
    """After a relist nothing that ended meanwhile stays."""
    cluster = a_cluster()
    gone, kept = a_pod("gone").build(), a_pod("kept").build()
    cluster.replace_pods([gone, kept])
    assert cluster.replace_pods([kept]) == {GangId(gone.uid), GangId(kept.uid)}
    assert list(cluster.pods) == [kept.uid]
    cluster.replace_nodes([])
    assert not cluster.by_slurm_name


def test_a_pin_is_not_taken_for_the_users_wish() -> None:
    """Members that come later ask for what the first asked before it was pinned."""
    cluster, job = a_cluster(), a_gang_job(size=2)
    cluster.upsert_owner(job)
    first = a_pod("train-0").of(job, 0).asking(gpu=1)
    cluster.upsert_pod(first.build())
    wanted = cluster.gang(held_by(job))
    pinned = replace(
        first.pinned(7, "n1").build(), resource_version="2",
        shape=replace(first.build().shape, affinity_terms=()),
    )  # fmt: skip
    cluster.upsert_pod(pinned)
    again = cluster.gang(held_by(job))
    assert wanted is not None
    assert again is not None
    assert again.shape == wanted.shape


def test_only_a_pod_that_held_room_frees_some() -> None:
    """Whoever changes or deletes pods that hold nothing lets no gang look for room again."""
    cluster = KubeState(scheduler_name=SCHEDULER)
    cluster.upsert_node(a_node("n"))
    cluster.freed_nodes()
    waits = a_pod("waits").build()
    runs = replace(a_pod("runs").build(), node_name=NodeName("n"))
    freed = []
    for row in (waits, runs, replace(runs, resource_version="2"), replace(waits, deleting=True)):
        cluster.upsert_pod(row)
        cluster.upsert_other(replace(runs, uid=PodUid("other"), resource_version="3"))
        freed.append(cluster.freed_nodes())
    cluster.remove_pod(waits.uid)
    freed.append(cluster.freed_nodes())
    assert not any(freed)
    cluster.upsert_pod(replace(runs, phase="Succeeded", resource_version="3"))
    assert cluster.freed_nodes() == {"n"}
    cluster.remove_pod(runs.uid)
    assert not cluster.freed_nodes()
    cluster.remove_other(PodUid("other"))
    assert cluster.freed_nodes()


def test_a_node_that_takes_pods_again_or_has_other_amounts_has_room() -> None:
    """So has a new one. One that stops taking pods has none, nor has one that only says that it is
    still there."""
    cluster = KubeState(scheduler_name=SCHEDULER)

    def freed(**changes: object) -> frozenset[NodeName]:
        cluster.upsert_node(replace(a_node("n"), **changes))  # type: ignore[arg-type]
        return cluster.freed_nodes()

    assert freed() == {"n"}
    assert not freed(resource_version="2")
    smaller = a_node(gpu=7).allocatable
    for flag, value in (("ready", False), ("unschedulable", True), ("deleting", True)):
        assert not freed(**{flag: value})
        assert not freed(**{flag: value, "allocatable": smaller})
        assert freed() == {"n"}
    assert freed(allocatable=smaller) == {"n"}
    assert not freed(allocatable=smaller, labels={"zone": "b"})


def test_selectors_meet_the_pods_that_are_placed() -> None:
    """Ours from the pin on, others' while they are bound; one that is being deleted is told apart,
    and what a namespace is called by its labels is followed."""
    cluster = a_cluster()
    wanted = PodSelector((), to_app("a").labels, (Requirement("org", "In", ("x",)),))

    def met(*, ending: bool = True) -> int:
        snapshot = cluster.table.snapshot()
        return int(pod_selectors.placed(snapshot, [wanted], ending=ending).sum())

    ours, theirs = a_pod("ours").labelled(app="a"), a_pod("theirs").labelled(app="a").bound("n1")
    cluster.upsert_pod(ours.build())
    cluster.upsert_other(theirs.build())
    assert met() == 0
    cluster.namespaces["team"] = Namespace("team", "1", labels={"org": "x"})
    assert met() == 1
    cluster.pin(ours.build(), NodeName("n1"))
    assert met() == 2
    cluster.upsert_pod(ours.pinned(7, "n1").bound("n1").deleting().build())
    cluster.upsert_other(theirs.deleting().build())
    assert (met(), met(ending=False)) == (2, 0)
    del cluster.namespaces["team"]
    assert met() == 0


def test_a_gang_is_what_its_pods_have_in_common() -> None:
    """Their labels but for those that number them and the one that a pin writes."""
    cluster, job = a_cluster(), a_gang_job(size=2)
    cluster.upsert_owner(job)
    for index in range(2):
        number = {names.COMPLETION_INDEX: str(index), names.JOB_ID_LABEL: "7"}
        pod = a_pod(f"train-{index}").of(job, index).labelled(app="a", **number)
        cluster.upsert_pod(pod.build())
    gang = cluster.gang(held_by(job))
    assert gang is not None
    assert gang.identity == app("a")
    assert gang.identities == (app("a"),) * 2


def test_only_pods_that_may_stay_on_a_managed_node_take_from_slurm() -> None:
    """Kubernetes ends the others there. What a DaemonSet controls is told by namespace and uid."""
    cluster = a_cluster()
    shape = replace(a_pod().build().shape, tolerations=(Toleration(operator="Exists"),))
    agent = OwnerReference("apps/v1", "DaemonSet", "agent", "u1")
    stays = a_pod("agent").bound("n1").build()
    cluster.upsert_other(replace(stays, shape=shape, owner=agent))
    static = OwnerReference("v1", "Node", "n1", "u2")
    cluster.upsert_other(replace(a_pod("static").bound("n1").build(), shape=shape, owner=static))
    evicted = replace(a_pod("evicted").bound("n1").build(), shape=PodShape(), owner=agent)
    cluster.upsert_other(evicted)
    assert sorted(cluster.others(), key=str) == [("n1", shape, ""), ("n1", shape, "team/u1")]
    cluster.remove_other(stays.uid)
    assert list(cluster.others()) == [("n1", shape, "")]


def test_a_node_without_its_own_name_in_slurm_takes_no_pods() -> None:
    """A job asks for the older node by that name. When this one goes, the name is the other's."""
    cluster = KubeState(scheduler_name=SCHEDULER)
    labels = {names.SLURM_NODE_NAME_LABEL: "shared"}
    older = replace(a_node("older", labels=labels), created_s=1.0)
    newer = replace(a_node("newer", labels=labels), created_s=2.0)

    def known() -> list[str]:
        return sorted(class_by_node(cluster.table.snapshot()))

    cluster.upsert_node(newer)
    assert known() == ["newer"]
    cluster.upsert_node(older)
    assert (known(), dict(cluster.by_slurm_name)) == (["older"], {"shared": "older"})
    cluster.upsert_node(replace(newer, unschedulable=True))
    cluster.upsert_node(newer)
    assert known() == ["older"]
    cluster.remove_node(NodeName("older"))
    assert (known(), dict(cluster.by_slurm_name)) == (["newer"], {"shared": "newer"})
    cluster.upsert_node(older)
    cluster.upsert_node(replace(older, labels={}))
    assert known() == ["newer", "older"]
    cluster.replace_nodes([])
    assert not known()
