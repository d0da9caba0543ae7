"""Gangs: one Slurm job for pods that need each other, ranks along the fabric."""

import random

from bridge import names
from tests.arena import manifests
from tests.arena.api import Object, gpus_by_node, state, wait_for
from tests.arena.arena import NAMESPACE, Arena, Nodes, node_of
from tests.arena.fixtures import Begin

LAYER = names.AWS_NETWORK_LAYER_PREFIX


def rank(pod: Object) -> int:
    return int(pod["metadata"]["annotations"][names.COMPLETION_INDEX])


def path_of(node: Object) -> tuple[str, ...]:
    labels = node["metadata"]["labels"]
    return tuple(labels[f"{LAYER}{level}"] for level in (1, 2, 3))


def nodes_by_name(arena: Arena) -> dict[str, Object]:
    return {n["metadata"]["name"]: n for n in arena.kubernetes.get("/api/v1/nodes")["items"]}


def test_a_gang_of_eight_whole_nodes_lands_on_one_leaf_in_rank_order(
    arena: Arena, begin: Begin
) -> None:
    """Names are shuffled against the fabric, and each other leaf has one busy GPU."""
    begin(Nodes(count=24, per_leaf=8, seed=7))
    by_leaf: dict[tuple[str, ...], list[str]] = {}
    for name, node in nodes_by_name(arena).items():
        by_leaf.setdefault(path_of(node), []).append(name)
    assert sorted(len(members) for members in by_leaf.values()) == [8, 8, 8]
    free, *others = random.Random(3).sample(sorted(by_leaf), 3)
    for number, leaf in enumerate(others):
        selector = {"kubernetes.io/hostname": by_leaf[leaf][3]}
        arena.create(manifests.pod(f"busy-{number}", NAMESPACE, gpus=1, nodeSelector=selector))
    for number in range(len(others)):
        arena.wait_bound(f"busy-{number}")
    arena.create(manifests.job("train", NAMESPACE, count=8, gang=True, gpus=8, cpu="8"))
    pods = arena.wait_pods(8, "are bound", node_of, of_job="train")
    (slurm_job,) = {int(p["metadata"]["labels"][names.JOB_ID_LABEL]) for p in pods}
    ordered = [node_of(pod) for pod in sorted(pods, key=rank)]
    assert set(ordered) == set(by_leaf[free])
    assert ordered == sorted(ordered), "ranks follow the fabric's order within the leaf"
    assert set(gpus_by_node(arena.slurm.job(slurm_job)).values()) == {8}


def test_sixteen_one_gpu_pods_share_two_nodes(arena: Arena, begin: Begin) -> None:
    """Part of a node is part of a node, and neighbours in rank are neighbours on it."""
    begin(Nodes(count=4))
    arena.create(
        manifests.job("train", NAMESPACE, count=16, gang=True, gpus=1, cpu="2", memory="4Gi")
    )
    pods = sorted(arena.wait_pods(16, "are bound", node_of), key=rank)
    nodes = [node_of(pod) for pod in pods]
    assert len(set(nodes)) == 2
    assert len(set(nodes[:8])) == len(set(nodes[8:])) == 1
    job = arena.job_of(pods[0])
    assert sorted(gpus_by_node(job).values()) == [8, 8]


def test_a_gang_waits_as_one_and_starts_as_one(arena: Arena, begin: Begin) -> None:
    """While one node is missing nobody starts; with it all do."""
    begin(Nodes(count=2))
    arena.create(manifests.pod("first", NAMESPACE, gpus=1))
    arena.wait_bound("first")
    arena.create(manifests.job("train", NAMESPACE, count=2, gang=True, gpus=8))
    (waiting,) = wait_for(
        "the gang is queued",
        lambda: [job for job in arena.slurm.live_jobs() if state(job) == "PENDING"],
    )
    assert waiting["tasks"]["number"] == 2
    assert not any(node_of(pod) for pod in arena.kubernetes.pods(NAMESPACE, of_job="train"))
    arena.delete_pod("first")
    arena.wait_pods(2, "are bound", node_of, of_job="train")


def test_the_gang_annotation_binds_the_pods_of_any_job(arena: Arena, begin: Begin) -> None:
    """`gang: "true"` on a plain Job: one Slurm job for all of its pods."""
    begin(Nodes(count=2))
    wish = {manifests.JOB + "gang": "true"}
    arena.create(manifests.job("loose", NAMESPACE, count=3, gpus=1, annotations=wish))
    pods = arena.wait_pods(3, "are bound", node_of)
    assert len({pod["metadata"]["labels"][names.JOB_ID_LABEL] for pod in pods}) == 1
    assert arena.job_of(pods[0])["tasks"]["number"] == 3


def test_a_failed_member_comes_back_on_its_node(arena: Arena, begin: Begin) -> None:
    """Same Slurm job, same slot, same node; the others are not touched."""
    begin(Nodes(count=3))
    arena.create(manifests.job("train", NAMESPACE, count=3, gang=True, gpus=8))
    before = sorted(arena.wait_pods(3, "are bound", node_of), key=rank)
    arena.delete_pod(before[1]["metadata"]["name"])

    def replaced(pod: Object) -> bool:
        new = pod["metadata"]["uid"] != before[1]["metadata"]["uid"]
        return bool(node_of(pod)) and new and rank(pod) == 1

    (after,) = arena.wait_pods(1, "has come back", replaced)
    assert node_of(after) == node_of(before[1])
    assert (
        after["metadata"]["labels"][names.JOB_ID_LABEL]
        == before[0]["metadata"]["labels"][names.JOB_ID_LABEL]
    )
    now = {pod["metadata"]["uid"] for pod in arena.kubernetes.pods(NAMESPACE)}
    assert {before[0]["metadata"]["uid"], before[2]["metadata"]["uid"]} <= now


def test_a_gang_whose_members_never_come_gives_its_nodes_back(arena: Arena, begin: Begin) -> None:
    """A gang of three of which a Job makes two: the next in the queue gets the node, and an event
    says why the two were ended."""
    begin(Nodes(count=1), gangs={"membersTimeoutS": 4})
    wish = {manifests.JOB + "gang": "true", manifests.JOB + "gang-size": "3"}
    arena.create(
        manifests.job("short", NAMESPACE, count=2, gpus=2, annotations=wish, backoff_limit=0)
    )
    arena.wait_pods(2, "are bound", node_of, of_job="short")
    arena.create(manifests.pod("next", NAMESPACE, gpus=8))
    arena.wait_bound("next", seconds=30)
    told = [
        event["note"]
        for event in arena.kubernetes.events(NAMESPACE)
        if event["reason"] == "MembersMissing"
    ]
    assert any("1 of 3 pods of Job/team/short did not come within 4 s" in note for note in told)


def test_a_gang_that_grows_while_it_waits_keeps_its_place(arena: Arena, begin: Begin) -> None:
    """An elastic Job: its job in Slurm is changed, under its id."""
    begin(Nodes(count=1))
    arena.create(manifests.pod("first", NAMESPACE, gpus=8))
    arena.wait_bound("first")
    arena.create(manifests.job("train", NAMESPACE, count=2, gang=True, gpus=1, cpu="1"))
    (waiting,) = wait_for(
        "the gang is queued",
        lambda: [job for job in arena.slurm.live_jobs() if state(job) == "PENDING"],
    )
    assert waiting["tasks"]["number"] == 2
    path = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs/train"
    arena.kubernetes.patch(path, {"spec": {"parallelism": 4, "completions": 4}})
    wait_for(
        "its job has four tasks",
        lambda: arena.slurm.job(waiting["job_id"])["tasks"]["number"] == 4,
    )
    arena.delete_pod("first")
    pods = arena.wait_pods(4, "are bound", node_of, of_job="train")
    assert {int(pod["metadata"]["labels"][names.JOB_ID_LABEL]) for pod in pods} == {
        waiting["job_id"]
    }
