"""What storage lets pods do: which claims are ready, and where their volumes are reached from."""

from dataclasses import replace

import pytest

from bridge.errors import BadInput
from bridge.gangs.volumes import Volumes
from bridge.model.ids import GangId, NodeName, PodUid
from bridge.model.owner import BatchJob, LeaderWorkerSet, PodTemplate
from bridge.model.pod import OwnerReference, Pod
from bridge.model.scheduling import NodeSelectorTerm, Requirement
from bridge.model.volume import (
    Claim,
    ClaimKey,
    StorageClass,
    Volume,
    VolumeName,
    VolumeTerms,
    VolumeView,
)
from bridge.state.kube_state import KubeState
from tests.builders import SCHEDULER, a_gang_job, a_pod, held_by
from tests.hostile.measured import cost

GI = 1 << 30
WAITS = StorageClass("late", "1", waits=True)
LOCAL = StorageClass("local", "1", waits=True, provisions=False)


def zone(*names: str) -> VolumeTerms:
    return (NodeSelectorTerm((Requirement("zone", "In", names),)),)


def a_claim(name: str = "data", **fields: object) -> Claim:
    row = Claim("team", name, f"uid-{name}", "1", size_bytes=GI, access_modes=("ReadWriteOnce",))
    return replace(row, **fields)  # type: ignore[arg-type]


def bound_to(volume: str, name: str = "data") -> Claim:
    return a_claim(name, phase="Bound", volume=VolumeName(volume), bound=True)


def a_volume(name: str = "disk", **fields: object) -> Volume:
    row = Volume(
        VolumeName(name), "1", available=True, size_bytes=2 * GI,
        access_modes=("ReadWriteOnce", "ReadOnlyMany"),
    )  # fmt: skip
    return replace(row, **fields)  # type: ignore[arg-type]


def mounting(*claims: str, ephemeral: tuple[str, ...] = ()) -> Pod:
    return replace(a_pod().build(), volume_claims=(*claims, *ephemeral), ephemeral_claims=ephemeral)


def some(*rows: Claim | Volume | StorageClass) -> Volumes:
    volumes = Volumes()
    for row in rows:
        match row:
            case Claim():
                volumes.upsert_claim(row)
            case Volume():
                volumes.upsert_volume(row)
            case StorageClass():
                volumes.upsert_class(row)
    return volumes


def view(*rows: Claim | Volume | StorageClass) -> VolumeView:
    return some(*rows).of(mounting("data"))


def test_a_pod_without_claims_waits_for_nothing_and_may_run_everywhere() -> None:
    """Whatever storage there is."""
    assert some(a_claim(), a_volume()).of(mounting()) == VolumeView()


def test_bound_claims_tie_a_pod_to_the_nodes_that_reach_each_of_their_volumes() -> None:
    """By affinity and by zone label; a volume that all reach asks for nothing."""
    volumes = some(
        bound_to("d1"), a_volume("d1", affinity=zone("a", "b"), zones=(zone("b"),)),
        bound_to("d2", "more"), a_volume("d2", affinity=zone("b", "c")),
        bound_to("d3", "shared"), a_volume("d3"),
    )  # fmt: skip
    found = volumes.of(mounting("data", "more", "shared"))
    assert found == VolumeView(terms=(zone("a", "b"), zone("b"), zone("b", "c")))


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([], "does not exist in namespace team"),
        ([bound_to("disk")], "bound to PersistentVolume disk, which does not exist"),
        ([replace(bound_to("disk"), deleting=True), a_volume()], "is being deleted"),
        ([replace(bound_to("disk"), phase="Lost")], "has lost its PersistentVolume disk"),
        ([a_claim()], "is not bound yet"),
        ([a_claim(storage_class="fast"), StorageClass("fast", "1")], "is not bound yet"),
        ([a_claim(storage_class="fast")], "its StorageClass fast does not exist"),
        (
            [a_claim(storage_class="late", volume=VolumeName("disk")), WAITS, a_volume()],
            "is not bound to PersistentVolume disk yet",
        ),
        ([a_claim(storage_class="local"), LOCAL], "finds no free PersistentVolume"),
    ],
)
def test_a_claim_that_is_not_ready_is_named_with_its_reason(
    rows: list[Claim | Volume | StorageClass], why: str
) -> None:
    """And says nothing of nodes."""
    found = view(*rows)
    assert found.waits_for.startswith("PersistentVolumeClaim data ")
    assert why in found.waits_for
    assert not found.terms


def test_a_claim_that_is_bound_with_its_pod_is_not_waited_for() -> None:
    """Its class may make its volume anywhere, or in its topologies."""
    claim = a_claim(storage_class="late")
    assert view(claim, WAITS) == VolumeView()
    assert view(claim, replace(WAITS, topologies=zone("a"))) == VolumeView(terms=(zone("a"),))


def test_where_no_volume_is_made_those_that_are_free_and_fit_say_where() -> None:
    """Size, access modes, mode, class, labels and being free must fit; their nodes are one list."""
    claim = a_claim(storage_class="local", selector=(Requirement("disk", "In", ("ssd",)),))
    good = a_volume(storage_class="local", labels={"disk": "ssd"})

    def at(node: str, **fields: object) -> Volume:
        affinity = (NodeSelectorTerm((Requirement("host", "In", (node,)),)),)
        return replace(good, name=VolumeName(node), affinity=affinity, **fields)  # type: ignore[arg-type]

    found = view(
        claim, LOCAL, at("n2"), at("n1"),
        at("small", size_bytes=GI - 1),
        at("other-modes", access_modes=("ReadWriteMany",)),
        at("block", block=True),
        at("other-class", storage_class="late"),
        at("other-attributes", attributes_class="gold"),
        at("hdd", labels={"disk": "hdd"}),
        at("taken", claim=("team", "other"), claim_uid="u"),
        at("released", available=False),
        at("going", deleting=True),
    )  # fmt: skip
    host = NodeSelectorTerm((Requirement("host", "In", ("n1", "n2")),))
    assert found == VolumeView(terms=((host,),))
    everywhere = view(claim, LOCAL, at("n1"), replace(good, affinity=None))
    assert everywhere == VolumeView()


def test_a_volume_kept_for_a_claim_comes_before_all_that_are_free() -> None:
    """As long as it fits, and is not kept for a claim of the same name that is gone."""
    claim = a_claim(storage_class="local")
    free = a_volume("free", storage_class="local", affinity=zone("a"))
    kept = a_volume("kept", storage_class="local", affinity=zone("b"), claim=claim.key)
    assert view(claim, LOCAL, free, kept).terms == (zone("b"),)
    assert view(claim, LOCAL, free, replace(kept, size_bytes=1)).terms == (zone("a"),)
    assert view(claim, LOCAL, free, replace(kept, claim_uid="older")).terms == (zone("a"),)


def test_a_volume_that_is_being_made_ties_the_pod_to_the_node_it_is_made_for() -> None:
    """Another pod with the same claim came first."""
    found = view(a_claim(storage_class="late", selected_node=NodeName("n3")), WAITS)
    here = NodeSelectorTerm(fields=(Requirement("metadata.name", "In", ("n3",)),))
    assert found == VolumeView(terms=((here,),))


def test_an_ephemeral_volume_needs_the_claim_that_was_made_for_its_pod() -> None:
    """Not yet there, it is on its way; one of the same name is an older pod's, or a user's."""
    pod = mounting(ephemeral=("web-scratch",))
    claim = a_claim("web-scratch", storage_class="late", pod=pod.uid)
    assert "is not made yet" in some(WAITS).of(pod).waits_for
    assert (
        "is not the pod's own" in some(WAITS, replace(claim, pod=PodUid("old"))).of(pod).waits_for
    )
    assert some(WAITS, claim).of(pod) == VolumeView()


def test_each_change_names_the_claims_that_it_may_concern() -> None:
    """One volume its claim; a free one every unbound claim of its class, a little later."""
    volumes, data, more = Volumes(), ("team", "data"), ("team", "more")
    assert volumes.upsert_claim(a_claim(storage_class="local")) == {data}
    assert volumes.upsert_claim(a_claim(storage_class="local", resource_version="2")) == set()
    volumes.upsert_claim(a_claim("more", storage_class="local"))
    assert volumes.upsert_class(LOCAL) == {data, more}
    free = a_volume(storage_class="local")
    assert volumes.upsert_volume(free) == set()
    assert volumes.concerned_by_free() == {data, more}
    assert volumes.upsert_volume(replace(free, resource_version="2")) == set()
    assert volumes.upsert_volume(a_volume("made", storage_class="local", claim=data)) == {data}
    assert volumes.upsert_claim(replace(bound_to("made"), storage_class="local")) == {data}
    assert volumes.remove_volume(VolumeName("made")) == {data}
    assert volumes.remove_volume(VolumeName("made")) == set()
    assert volumes.concerned_by_free() == set()
    assert volumes.upsert_volume(replace(free, available=False)) == set()
    assert volumes.concerned_by_free() == {more}
    assert volumes.remove_class("local") == {more}
    assert volumes.remove_claim(data) == {data}
    assert volumes.remove_claim(data) == set()


def test_a_new_list_removes_what_is_not_in_it() -> None:
    """Of each of the three."""
    volumes = some(a_claim(storage_class="local"), LOCAL, a_volume(storage_class="local"))
    assert volumes.of(mounting("data")) == VolumeView()
    volumes.replace_volumes([])
    assert "finds no free" in volumes.of(mounting("data")).waits_for
    volumes.replace_classes([])
    assert "local does not exist" in volumes.of(mounting("data")).waits_for
    assert volumes.replace_claims([a_claim("more")]) == {("team", "data"), ("team", "more")}
    assert "does not exist in" in volumes.of(mounting("data")).waits_for


# -- pods and gangs ------------------------------------------------------------------------------


def a_cluster() -> KubeState:
    cluster = KubeState(scheduler_name=SCHEDULER)
    cluster.settle_kind(("batch", "Job"), "watched")
    return cluster


def looked_at(cluster: KubeState, claims: set[ClaimKey]) -> set[GangId]:
    """The gangs that are touched once each has had its turn."""
    concerned = cluster.volumes_changed(claims)
    return {touched for gang_id in concerned for touched in cluster.look_at_volumes(gang_id)}


def test_a_claim_of_many_pods_costs_each_gang_its_own_look() -> None:
    """All mount the claims of one namespace, and one of these comes and goes: nothing is done for
    all of them at once, and one look is enough for each."""

    cluster = a_cluster()
    names = tuple(f"claim-{at}" for at in range(64))
    cluster.volumes.upsert_class(WAITS)
    cluster.volumes.replace_claims([a_claim(name, storage_class="late") for name in names])
    for at in range(200):
        cluster.upsert_pod(replace(a_pod(f"pod-{at}").build(), volume_claims=names))
    changed = cluster.volumes.remove_claim(("team", names[-1]))
    assert cost(lambda: cluster.volumes_changed(changed)) <= 200 * 20
    gang_id = GangId("uid-pod-7")
    assert cluster.look_at_volumes(gang_id) == {gang_id}
    assert cluster.look_at_volumes(gang_id) == set()
    assert "claim-63 does not exist" in cluster.waits_for(gang_id)


def test_a_claim_that_becomes_ready_touches_the_gangs_of_its_pods_once() -> None:
    """And its volume's nodes become role of what they ask for."""
    cluster, pod = a_cluster(), mounting("data")
    gang_id = GangId(pod.uid)
    cluster.upsert_pod(pod)
    cluster.upsert_pod(a_pod("other").build())
    assert "does not exist" in cluster.waits_for(gang_id)
    assert looked_at(cluster, cluster.volumes.upsert_claim(bound_to("disk"))) == {gang_id}
    changed = cluster.volumes.upsert_volume(a_volume(affinity=zone("b")))
    assert looked_at(cluster, changed) == {gang_id}
    assert looked_at(cluster, changed) == set()
    assert cluster.waits_for(gang_id) == ""
    gang = cluster.gang(gang_id)
    assert gang is not None
    assert gang.shape.volume_terms == (zone("b"),)


def test_pods_of_one_template_and_one_claim_have_one_shape() -> None:
    """Shapes are keys: what is equal is the same object; a pod's newer row keeps its terms."""
    cluster, job = a_cluster(), a_gang_job(size=2)
    cluster.upsert_owner(job)
    cluster.volumes.upsert_claim(bound_to("disk"))
    cluster.volumes.upsert_volume(a_volume(affinity=zone("b")))
    pods = [
        replace(a_pod(f"train-{i}").of(job, i).build(), volume_claims=("data",)) for i in range(2)
    ]
    for pod in (*pods, replace(pods[1], resource_version="2")):
        cluster.upsert_pod(pod)
    one, other = cluster.pods_of(held_by(job))
    assert one.shape is other.shape
    assert one.shape.volume_terms == (zone("b"),)


def test_only_pods_that_have_no_place_yet_keep_their_gang_waiting() -> None:
    """One that is pinned has been looked at; one that ends needs nothing."""
    cluster, job = a_cluster(), a_gang_job(size=3)
    cluster.upsert_owner(job)
    gang_id = held_by(job)
    for builder in (
        a_pod("train-0").of(job, 0).pinned(7, "n1", gang=job.uid),
        a_pod("train-1").of(job, 1).deleting(),
        a_pod("train-2").of(job, 2).in_phase("Failed"),
    ):
        cluster.upsert_pod(replace(builder.build(), volume_claims=("data",)))
    assert cluster.waits_for(gang_id) == ""
    late = replace(a_pod("train-3").of(job, 1).build(), volume_claims=("data",))
    cluster.upsert_pod(late)
    assert "data does not exist" in cluster.waits_for(gang_id)
    cluster.remove_pod(late.uid)
    assert cluster.waits_for(gang_id) == ""


def a_gang_with_disks(*zones: str) -> tuple[KubeState, GangId]:
    """Rank i mounts a volume of zone i of an Indexed Job; a pod for each."""
    cluster, job = a_cluster(), a_gang_job(size=len(zones))
    cluster.upsert_owner(job)
    for rank, name in enumerate(zones):
        cluster.volumes.upsert_claim(bound_to(f"disk-{rank}", f"data-{rank}"))
        cluster.volumes.upsert_volume(a_volume(f"disk-{rank}", affinity=zone(name)))
        pod = a_pod(f"train-{rank}").of(job, rank).build()
        cluster.upsert_pod(replace(pod, volume_claims=(f"data-{rank}",)))
    return cluster, held_by(job)


def test_ranks_whose_volumes_are_in_different_places_each_ask_for_their_own() -> None:
    """Where all are in one place, the gang's shape says it."""
    cluster, gang_id = a_gang_with_disks("a", "b", "a")
    gang = cluster.gang(gang_id)
    assert gang is not None
    assert [shape.volume_terms for shape in gang.shapes] == [
        (zone("a"),), (zone("b"),), (zone("a"),),
    ]  # fmt: skip
    cluster, gang_id = a_gang_with_disks("a", "a")
    gang = cluster.gang(gang_id)
    assert gang is not None
    assert (gang.volume_terms, gang.shape.volume_terms) == ((), (zone("a"),))


def test_pods_that_nothing_numbers_are_refused_when_their_volumes_are_apart() -> None:
    """It could not be told who goes where; the sentence says what helps."""
    cluster, gang_id = a_gang_with_disks("a", "b")
    for pod in cluster.pods_of(gang_id):
        cluster.remove_pod(pod.uid)
    job = cluster.gang_owner_of(gang_id)
    assert isinstance(job, BatchJob)
    for rank in range(2):
        pod = a_pod(f"late-{rank}").of(job).build()
        cluster.upsert_pod(replace(pod, volume_claims=(f"data-{rank}",)))
    with pytest.raises(BadInput, match="reached from different nodes"):
        cluster.gang(gang_id)


def test_members_that_are_not_there_yet_will_mount_what_their_template_names() -> None:
    """A leader is alone at first; its workers' role is one with it, and follows the claim."""
    cluster = KubeState(scheduler_name=SCHEDULER)
    cluster.settle_kind(("leaderworkerset.x-k8s.io", "LeaderWorkerSet"), "watched")
    shape = a_pod().build().shape
    template = PodTemplate(shape, volume_claims=("data",))
    group = LeaderWorkerSet(
        "uid-lws", "team", "serve", "1", api_version="leaderworkerset.x-k8s.io/v1",
        size=3, leader=template, worker=template,
    )  # fmt: skip
    cluster.upsert_owner(group)
    cluster.volumes.upsert_claim(bound_to("disk"))
    cluster.volumes.upsert_volume(a_volume(affinity=zone("b")))
    leader = replace(
        a_pod("serve-0").build(),
        volume_claims=("data",),
        owner=OwnerReference(group.api_version, group.kind, group.name, group.uid),
        labels={
            "leaderworkerset.sigs.k8s.io/group-index": "0",
            "leaderworkerset.sigs.k8s.io/worker-index": "0",
        },
    )
    (gang_id,) = cluster.upsert_pod(leader)
    gang = cluster.gang(gang_id)
    assert gang is not None
    assert [role.count for role in gang.roles] == [1, 2]
    assert {role.shape.volume_terms for role in gang.roles} == {(zone("b"),)}
    cluster.remove_pod(leader.uid)
    moved = cluster.volumes.upsert_volume(a_volume(affinity=zone("c")))
    assert looked_at(cluster, moved) == {gang_id}
    cluster.forget(gang_id)
    assert looked_at(cluster, moved) == set()
