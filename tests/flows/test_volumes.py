"""Volumes: a pod queues when its claims are ready, and runs where its volumes are reached."""

from collections.abc import Callable

import pytest

from bridge import names
from tests.arena import manifests
from tests.arena.api import Object, path_of, state, wait_for
from tests.arena.arena import NAMESPACE, Arena, Nodes, condition, node_of
from tests.arena.fixtures import Begin

ZONE = "topology.kubernetes.io/zone"
A, B = "us-west-2a", "us-west-2b"
TWO_ZONES = Nodes(count=4, zones=(A, B))
CLAIMS = f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims"
SELECTED_NODE = "volume.kubernetes.io/selected-node"


def a_pod(name: str, *claims: str, gpus: int = 0) -> Object:
    return manifests.pod(name, NAMESPACE, volumes=manifests.mounted(*claims), gpus=gpus)


def disk_of(node: str, name: str) -> Object:
    return manifests.volume(name, "kubernetes.io/hostname", node, storage_class="local")


def claim(arena: Arena, name: str, test: Callable[[Object], object]) -> Object:
    def found() -> Object | None:
        row = arena.kubernetes.find(f"{CLAIMS}/{name}")
        return row if row is not None and test(row) else None

    row: Object = wait_for(f"claim {name}", found)
    return row


def is_bound(row: Object) -> bool:
    return bool(row["status"].get("phase") == "Bound")


def bound_claim(arena: Arena, name: str, volume: Object) -> None:
    arena.create(volume)
    arena.create(manifests.claim(name, NAMESPACE, volumeName=volume["metadata"]["name"]))
    claim(arena, name, is_bound)


def waits_for_volume(pod: Object) -> bool:
    return (condition(pod) or {}).get("reason") == "VolumesNotReady"


def classes_in(arena: Arena, zone: str) -> set[str]:
    """Slurm features that are the node classes of the zone's nodes."""
    nodes = arena.kubernetes.get("/api/v1/nodes", labelSelector=f"{ZONE}={zone}")["items"]
    known = arena.slurm.nodes()
    found = {f for node in nodes for f in known[node["metadata"]["name"]]["features"]}
    return {one for one in found if one.startswith(names.CLASS_FEATURE_PREFIX)}


@pytest.mark.parametrize(
    "volume",
    [
        manifests.volume("disk-b", ZONE, B),
        manifests.volume(
            "disk-b", "", "", labels={ZONE: B}, local=None, nodeAffinity=None,
            hostPath={"path": "/disk"},
        ),
    ],
    ids=["by affinity", "by label"],
)  # fmt: skip
def test_a_pod_runs_in_the_zone_of_its_volume_and_slurm_was_told(
    arena: Arena, begin: Begin, volume: Object
) -> None:
    """By the constraints of its job: it never waits for, nor gets, a node elsewhere."""
    begin(TWO_ZONES)
    bound_claim(arena, "data", volume)
    arena.create(a_pod("train", "data", gpus=1))
    pod = arena.wait_bound("train")
    node = arena.kubernetes.get(f"/api/v1/nodes/{node_of(pod)}")
    assert node["metadata"]["labels"][ZONE] == B
    told = set(arena.job_of(pod)["features"].split("|"))
    assert told == classes_in(arena, B)
    assert not told & classes_in(arena, A)


def test_a_pod_whose_claim_is_not_bound_is_not_in_slurm_until_it_is(
    arena: Arena, begin: Begin
) -> None:
    """It is told which claim it waits for; other pods are served meanwhile."""
    begin(TWO_ZONES)
    arena.create(manifests.claim("data", NAMESPACE))
    arena.create(a_pod("train", "data"))
    pod = arena.wait_pod("train", "is told", waits_for_volume)
    assert "PersistentVolumeClaim data is not bound yet" in (condition(pod) or {})["message"]
    wait_for("an event", lambda: "WaitsForVolumes" in reasons(arena, pod))
    arena.create(manifests.pod("other", NAMESPACE))
    arena.wait_bound("other")
    assert [job["name"] for job in arena.slurm.live_jobs()] == [f"{NAMESPACE}/other"]
    arena.create(manifests.volume("disk", ZONE, B))
    arena.wait_bound("train")
    assert reasons(arena, pod).count("WaitsForVolumes") == 1


def reasons(arena: Arena, pod: Object) -> list[str]:
    of_name = arena.kubernetes.events(NAMESPACE, pod["metadata"]["name"])
    uid = pod["metadata"]["uid"]
    return [event["reason"] for event in of_name if event["regarding"].get("uid") == uid]


def test_a_claim_that_is_bound_with_its_pod_gets_the_one_disk_that_there_is(
    arena: Arena, begin: Begin
) -> None:
    """Slurm is told of the node that has it; kube-scheduler binds the claim when it is pinned."""
    made = begin(TWO_ZONES)
    arena.create(manifests.storage_class("local"))
    arena.create(disk_of(made[-1], "disk"))
    arena.create(manifests.claim("data", NAMESPACE, storage_class="local"))
    arena.create(a_pod("train", "data"))
    pod = arena.wait_bound("train")
    assert node_of(pod) == made[-1]
    assert claim(arena, "data", is_bound)["spec"]["volumeName"] == "disk"
    assert arena.job_of(pod)["nodes"] == made[-1]


def test_a_volume_that_is_made_for_its_pod_is_made_where_its_class_may(
    arena: Arena, begin: Begin
) -> None:
    """allowedTopologies say where Slurm may place the pod; the provisioner is this story."""
    begin(TWO_ZONES)
    where = [{"matchLabelExpressions": [{"key": ZONE, "values": [B]}]}]
    made_by = manifests.storage_class(
        "made", provisioner="disks.example.com", allowedTopologies=where
    )
    arena.create(made_by)
    arena.create(manifests.claim("data", NAMESPACE, storage_class="made"))
    arena.create(a_pod("train", "data"))
    asked = claim(
        arena, "data", lambda row: SELECTED_NODE in row["metadata"].get("annotations", {})
    )
    pod = arena.wait_pod("train", "is pinned", lambda pod: names.JOB_ID_LABEL in labels(pod))
    assert set(arena.job_of(pod)["features"].split("|")) == classes_in(arena, B)
    reference = {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": "data",
        "namespace": NAMESPACE, "uid": asked["metadata"]["uid"],
    }  # fmt: skip
    arena.create(manifests.volume("disk", ZONE, B, storage_class="made", claimRef=reference))
    pod = arena.wait_bound("train")
    assert node_of(pod) == asked["metadata"]["annotations"][SELECTED_NODE]


def labels(pod: Object) -> dict[str, str]:
    found: dict[str, str] = pod["metadata"].get("labels") or {}
    return found


def test_a_pod_whose_claim_is_deleted_while_it_queues_leaves_the_queue(
    arena: Arena, begin: Begin
) -> None:
    """No allocation for a pod that can't run; with a new claim of that name it queues again."""
    begin(Nodes(count=1))
    bound_claim(arena, "data", manifests.volume("disk", ZONE, A))
    arena.create(manifests.pod("holder", NAMESPACE, gpus=8))
    arena.wait_bound("holder")
    arena.create(a_pod("train", "data", gpus=8))
    wait_for("its job waits", lambda: [j for j in arena.slurm.live_jobs() if state(j) == "PENDING"])
    arena.kubernetes.delete(f"{CLAIMS}/data")
    pod = arena.wait_pod("train", "is told", waits_for_volume, seconds=30)
    assert "data does not exist" in (condition(pod) or {})["message"]
    wait_for("its job has left", lambda: len(arena.slurm.live_jobs()) == 1, seconds=30)
    bound_claim(arena, "data", manifests.volume("disk-2", ZONE, A))
    wait_for("its job waits again", lambda: len(arena.slurm.live_jobs()) == 2)
    arena.delete_pod("holder")
    arena.wait_bound("train")


def test_ephemeral_volumes_of_a_gang_are_bound_where_each_pod_runs(
    arena: Arena, begin: Begin
) -> None:
    """Their claims come after the pods and are bound one by one, each on the disk of its node."""
    made = begin(Nodes(count=4))
    arena.create(manifests.storage_class("local"))
    for node in made[:2]:
        arena.create(disk_of(node, f"disk-{node}"))
    scratch = {"volumeClaimTemplate": {"spec": manifests.claim_spec("local")}}
    arena.create(
        manifests.job(
            "train", NAMESPACE, count=2, gang=True, gpus=8,
            volumes=[{"name": "scratch", "ephemeral": scratch}],
        )
    )  # fmt: skip
    pods = arena.wait_pods(2, "are bound", node_of, of_job="train")
    assert {node_of(pod) for pod in pods} == set(made[:2])
    assert len({labels(pod)[names.JOB_ID_LABEL] for pod in pods}) == 1
    for pod in pods:
        row = claim(arena, f"{pod['metadata']['name']}-scratch", is_bound)
        assert row["spec"]["volumeName"] == f"disk-{node_of(pod)}"
    arena.delete_job("train")
    wait_for("the claims go with the pods", lambda: not arena.kubernetes.get(CLAIMS)["items"])


def test_members_of_a_gang_whose_volumes_are_in_two_zones_run_in_both(
    arena: Arena, begin: Begin
) -> None:
    """Each where its own volume is; Slurm is told of each by a component of one het job."""
    begin(TWO_ZONES)
    for name, zone in (("disk-a", A), ("disk-b", B)):
        arena.create(manifests.volume(name, ZONE, zone))
    scratch = {"volumeClaimTemplate": {"spec": manifests.claim_spec()}}
    arena.create(
        manifests.job(
            "train", NAMESPACE, count=2, gang=True, gpus=1,
            volumes=[{"name": "scratch", "ephemeral": scratch}],
        )
    )  # fmt: skip
    pods = arena.wait_pods(2, "are bound", node_of, of_job="train", seconds=60)
    for pod in pods:
        row = claim(arena, f"{pod['metadata']['name']}-scratch", is_bound)
        node = arena.kubernetes.get(f"/api/v1/nodes/{node_of(pod)}")
        assert node["metadata"]["labels"][ZONE][-1] == row["spec"]["volumeName"][-1]
    assert len({labels(pod)[names.JOB_ID_LABEL] for pod in pods}) == 1


def test_a_member_that_comes_late_runs_where_its_volume_is_on_its_own(
    arena: Arena, begin: Begin
) -> None:
    """Its gang runs already, in another zone: it is not touched, and no pod is lost to the wrong
    node. A StatefulSet makes the next pod only when the one before is ready."""
    begin(TWO_ZONES)
    for at, zone in enumerate((A, B)):
        bound_claim(arena, f"data-quorum-{at}", manifests.volume(f"disk-{at}", ZONE, zone))
    quorum = manifests.stateful_set("quorum", NAMESPACE, count=2, gang=True, claims=("data",))
    arena.create(quorum)
    first, late = (arena.wait_bound(f"quorum-{at}", seconds=40) for at in range(2))
    zones = [
        arena.kubernetes.get(f"/api/v1/nodes/{node_of(pod)}")["metadata"]["labels"][ZONE]
        for pod in (first, late)
    ]
    assert zones == [A, B]
    assert labels(first)[names.JOB_ID_LABEL] != labels(late)[names.JOB_ID_LABEL]
    again = arena.wait_bound("quorum-0")
    assert again["metadata"]["uid"] == first["metadata"]["uid"]
    notes = [event.get("note", "") for event in arena.kubernetes.events(NAMESPACE, "quorum-1")]
    assert any(note.startswith("It queues on its own") for note in notes), notes
    arena.kubernetes.delete(path_of(quorum))
