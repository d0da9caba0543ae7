"""Two tenants: what one of them writes, the other doesn't notice.

`elsewhere` is the hostile one: its pods name our scheduler; `team` is the other. Without webhooks
what admission refuses reaches the controller too.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bridge import names
from tests.arena import api, manifests
from tests.arena.api import Object, state, wait_for
from tests.arena.arena import NAMESPACE, PLAIN_NAMESPACE, Arena, Nodes, condition, node_of
from tests.arena.fixtures import Begin

JOB = names.JOB_PREFIX
CRDS = Path(__file__).parents[1] / "manifests" / "crds"
UNICODE_NINES = "９" * 100


def pod(name: str, **fields: Any) -> Object:
    """A pod of the hostile tenant's."""
    return manifests.pod(name, PLAIN_NAMESPACE, schedulerName=names.SCHEDULER_NAME, **fields)


def job(name: str, annotations: dict[str, str], **asks: Any) -> Object:
    """A Job of the hostile tenant's; the API server bounds what annotations say in all only."""
    return manifests.job(
        name, PLAIN_NAMESPACE, annotations=annotations, schedulerName=names.SCHEDULER_NAME, **asks
    )


def owned(one: Object, owner: Object, **changes: Any) -> Object:
    """`one` with a controller as its author likes to write it."""
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"].get("uid", "made-up"),
        "controller": True,
        **changes,
    }
    meta = {**one["metadata"], "ownerReferences": [reference]}
    return {**one, "metadata": meta}


# -- 1. nothing that a user writes ends the process or holds its loop ------------------------------


@dataclass(frozen=True)
class Input:
    """What is created under a name of its own; `crd`: of a kind that is installed first."""

    makes: Callable[[Arena, str], list[Object]]
    crd: str = ""
    told: str = ""
    """What its pods' condition says; "" where the garbage collector takes them."""


def _empty(api_version: str, kind: str, **spec: Any) -> Callable[[Arena, str], list[Object]]:
    """A pod whose controller is an owner that names no pods."""

    def makes(arena: Arena, name: str) -> list[Object]:
        annotations = {names.GANG_ANNOTATION: "true"}
        meta = {"name": name, "namespace": PLAIN_NAMESPACE, "annotations": annotations}
        owner = {"apiVersion": api_version, "kind": kind, "metadata": meta, "spec": spec}
        made = arena.create(owner)
        return [made, arena.create(owned(pod(name), made))]

    return makes


def _job(annotations: dict[str, str]) -> Callable[[Arena, str], list[Object]]:
    return lambda arena, name: [arena.create(job(name, annotations))]


def _odd_owner(arena: Arena, name: str) -> list[Object]:
    odd = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "\x01" * 800}}
    return [arena.create(owned(pod(name), odd))]


CLAUSES = "&".join(f"({'|'.join(f'f{n}{m}' for m in range(9))})" for n in range(100))
INPUTS = [
    *(
        Input(_job({JOB + suffix: text}), told=f"annotation {JOB}{suffix}")
        for suffix in ("priority", "cpu-per-task", "min-nodes", "mem-per-node", "timelimit", "gres")
        for text in ("9" * 5000, UNICODE_NINES)
    ),
    Input(
        _job({names.GANG_ANNOTATION: "true", names.GANG_SIZE_ANNOTATION: "2147483647"}),
        told="gangs.maxPods",
    ),
    Input(
        _empty(
            "scheduling.k8s.io/v1alpha2", "PodGroup", schedulingPolicy={"gang": {"minCount": 2}}
        ),
        told="does not say how many pods",
    ),
    Input(
        _empty("jobset.x-k8s.io/v1alpha2", "JobSet", replicatedJobs=[]),
        crd="jobsets.jobset.x-k8s.io", told="has no pods",
    ),
    Input(
        _empty("kubeflow.org/v2beta1", "MPIJob", mpiReplicaSpecs={}),
        crd="mpijobs.kubeflow.org", told="does not say how many pods",
    ),
    Input(_odd_owner),
    Input(_job({JOB + "constraints": CLAUSES}), told=f"annotation {JOB}constraints"),
    Input(_job({JOB + "account": "a" * 250_000}), told=f"annotation {JOB}account"),
]  # fmt: skip


def test_what_one_tenant_writes_ends_nothing_and_is_told_to_him(arena: Arena, begin: Begin) -> None:
    """The same process goes on, also after a restart; the other tenant's pods run."""
    begin(Nodes(count=1))
    for crd in {case.crd for case in INPUTS if case.crd}:
        arena.create_file(CRDS / f"{crd}.yaml")
    arena.without_webhooks()
    before = arena.bridge.pid
    made = [one for at, case in enumerate(INPUTS) for one in case.makes(arena, f"hostile-{at}")]
    for at, case in enumerate(INPUTS):
        if case.told:
            wait_for(f"{at} ({case.told}) is told", lambda: case.told in _said(arena, at))  # noqa: B023
    arena.create(manifests.pod("victim", NAMESPACE, gpus=1, schedulerName=names.SCHEDULER_NAME))
    arena.wait_bound("victim")
    assert arena.bridge.pid == before, "the bridge ended"
    restart(arena)
    arena.create(manifests.pod("later", NAMESPACE, gpus=1, schedulerName=names.SCHEDULER_NAME))
    arena.wait_bound("later")
    for one in made:
        arena.kubernetes.delete(api.path_of(one))
    arena.register_webhooks("")


def _said(arena: Arena, at: int) -> str:
    """All that the hostile tenant's pods of this number are told."""
    pods = arena.kubernetes.pods(PLAIN_NAMESPACE)
    mine = [one for one in pods if f"{one['metadata']['name']}-".startswith(f"hostile-{at}-")]
    return " ".join(str((condition(one) or {}).get("message", "")) for one in mine)


# -- 2. what proves what ---------------------------------------------------------------------------


@dataclass
class Victim:
    """A gang of two that runs, of the other tenant."""

    job_id: int
    pods: dict[str, str]
    """Name → uid."""
    record: Object
    """Its job in Slurm, as far as nobody else may change it."""


KEPT = ("name", "partition", "comment", "admin_comment", "nodes", "user_name", "account")


def a_victim(arena: Arena) -> Victim:
    """Two pods with 4 GPUs each on two nodes."""
    arena.create(manifests.job("victim", NAMESPACE, count=2, gang=True, gpus=8))
    pods = arena.wait_pods(2, "are bound", node_of, of_job="victim")
    found = arena.job_of(pods[0])
    return Victim(
        int(found["job_id"]),
        {one["metadata"]["name"]: one["metadata"]["uid"] for one in pods},
        {key: found.get(key) for key in (*KEPT, "time_limit")},
    )


def stays(arena: Arena, victim: Victim) -> bool:
    """Its pods run where they ran, its job is what it was, and no stranger is in either."""
    pods = {one["metadata"]["name"]: one for one in arena.kubernetes.pods(NAMESPACE)}
    untouched = all(
        name in pods
        and pods[name]["metadata"]["uid"] == uid
        and "deletionTimestamp" not in pods[name]["metadata"]
        for name, uid in victim.pods.items()
    )
    now = arena.slurm.job(victim.job_id)
    same = {key: now.get(key) for key in victim.record} == victim.record
    nodes = {node_of(one) for name, one in pods.items() if name in victim.pods}
    strangers = [one for one in arena.kubernetes.pods(PLAIN_NAMESPACE) if node_of(one) in nodes]
    return untouched and same and state(now) == "RUNNING" and not strangers


def forged_marks(victim: Victim, arena: Arena) -> tuple[dict[str, str], dict[str, str]]:
    """Labels and annotations as the bridge writes them into a pod of the victim's gang."""
    (first, *_) = arena.kubernetes.pods(NAMESPACE, of_job="victim")
    meta = first["metadata"]
    annotations = {
        key: meta["annotations"][key] for key in (names.NODE_ANNOTATION, names.GANG_ID_ANNOTATION)
    }
    return {names.JOB_ID_LABEL: str(victim.job_id)}, annotations


def with_labels(one: Object, labels: dict[str, str]) -> Object:
    return {**one, "metadata": {**one["metadata"], "labels": labels}}


def restart(arena: Arena) -> None:
    arena.bridge.kill()
    arena.bridge.start()


def test_admission_refuses_what_the_bridge_alone_writes(arena: Arena, begin: Begin) -> None:
    """Job id, node and gang of another pod, and a DaemonSet that nobody has."""
    begin(Nodes(count=2))
    victim = a_victim(arena)
    labels, annotations = forged_marks(victim, arena)
    daemon_set = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "made-up"}}
    forgeries = [
        with_labels(pod("label"), labels),
        *(pod(f"mark-{n}", annotations={key: text}) for n, (key, text) in
          enumerate(annotations.items())),
        owned(with_labels(pod("daemon", annotations=annotations), labels), daemon_set),
        owned(pod("plain-daemon"), daemon_set),
        owned(manifests.pod("managed-daemon", NAMESPACE, nodeName="gpu-0001"), daemon_set),
    ]  # fmt: skip
    for one in forgeries:
        answer = arena.kubernetes.try_create(one)
        assert answer.status_code in (403, 422), one["metadata"]["name"]
    assert stays(arena, victim)


@pytest.mark.parametrize("when", ["while it runs", "before it starts"])
def test_forged_marks_make_nobody_a_member(arena: Arena, begin: Begin, when: str) -> None:
    """Where no webhook is: a stranger with the victim's job id, node and gang; one with only the
    gang; one whose controller is the victim's Job, by its uid; one with a DaemonSet beside it."""
    begin(Nodes(count=3))
    victim = a_victim(arena)
    labels, annotations = forged_marks(victim, arena)
    of_victim = arena.kubernetes.get(f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs/victim")
    gang = {names.GANG_ID_ANNOTATION: annotations[names.GANG_ID_ANNOTATION]}
    daemon_set = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "made-up"}}
    arena.without_webhooks()
    if when == "before it starts":
        arena.bridge.kill()
    for one in (
        with_labels(pod("a-all", annotations=annotations, gpus=1), labels),
        pod("a-gang", annotations=gang, gpus=1),
        owned(pod("a-child", annotations=gang, gpus=1), of_victim),
        owned(with_labels(pod("a-daemon", annotations=annotations, gpus=1), labels), daemon_set),
        with_labels(owned(pod("a-label", gpus=1), of_victim), labels),
    ):
        arena.create(one)
    if when == "before it starts":
        arena.bridge.start()
    arena.wait_bound("a-gang", namespace=PLAIN_NAMESPACE)  # a pod like any other
    arena.hold_for(3.0, lambda: stays(arena, victim))
    restart(arena)
    arena.hold_for(3.0, lambda: stays(arena, victim))
    arena.register_webhooks("")


def test_a_child_of_another_namespaces_job_does_not_rewrite_it(arena: Arena, begin: Begin) -> None:
    """The victim waits: name, partition and time limit of its job in Slurm stay its own."""
    begin(Nodes(count=1))
    arena.create(manifests.pod("holder", NAMESPACE, gpus=8))
    arena.wait_bound("holder")
    wishes = {JOB + "timelimit": "60"}
    arena.create(manifests.job("waits", NAMESPACE, count=2, gang=True, gpus=4, annotations=wishes))

    def waiting() -> Object | None:
        found = [one for one in arena.slurm.live_jobs() if state(one) == "PENDING"]
        return found[0] if found else None

    before = wait_for("its job waits", waiting)
    parent = arena.kubernetes.get(f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs/waits")
    marks = {JOB + "timelimit": "1", JOB + "partition": "high", JOB + "job-name": "stolen"}
    arena.create(owned(pod("0-child", annotations=marks), parent))

    def is_as_before() -> bool:
        now = arena.slurm.job(int(before["job_id"]))
        kept = ("name", "partition", "time_limit", "admin_comment")
        return [now.get(key) for key in kept] == [before.get(key) for key in kept]

    arena.hold_for(3.0, is_as_before)


def test_an_update_is_judged_by_what_the_pod_was_created_as(arena: Arena, begin: Begin) -> None:
    """A DaemonSet as its owner first, then the gate, in two patches."""
    begin(Nodes(count=1))
    arena.create(manifests.pod("holder", NAMESPACE, gpus=8))
    arena.wait_bound("holder")
    made = arena.create(pod("gated", gpus=8))
    path = f"/api/v1/namespaces/{PLAIN_NAMESPACE}/pods/gated"
    reference = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "x", "uid": "made-up"}
    owners = {"metadata": {"ownerReferences": [{**reference, "controller": True}]}}
    patch = {"Content-Type": "application/merge-patch+json"}
    arena.kubernetes.http.patch(path, json=owners, headers=patch)
    answer = arena.kubernetes.http.patch(
        path, json={"spec": {"schedulingGates": []}}, headers=patch
    )
    assert answer.status_code in (403, 404, 422), answer.text  # 404: its owner does not exist
    now = arena.kubernetes.pod(PLAIN_NAMESPACE, "gated")
    assert now is None or now["spec"]["schedulingGates"] == made["spec"]["schedulingGates"]


# -- 3. what we write we can read ------------------------------------------------------------------


def test_a_job_of_ours_that_cant_be_understood_is_ended(arena: Arena, begin: Begin) -> None:
    """It carries our key and our cluster, so nobody else will ever end it; another cluster's and
    other people's stay."""
    begin(Nodes(count=1))
    own = arena.kubernetes.get("/api/v1/namespaces/kube-system")["metadata"]["uid"]

    def comment(**identity: object) -> str:
        return json.dumps({names.ADMIN_COMMENT_KEY: identity})

    garbled = [comment(cluster=own, gang=7), comment(cluster=own), comment(cluster=own, gang="x",
               generation="1")]  # fmt: skip
    others = [comment(cluster="another", gang=7), json.dumps({"theirs": {"cluster": own}})]
    ended, kept = [_submit(arena, one) for one in garbled], [_submit(arena, one) for one in others]
    for job_id in ended:
        wait_for(
            f"job {job_id} is ended", lambda: state(arena.slurm.job(job_id)) == "CANCELLED",  # noqa: B023
            seconds=40,
        )  # fmt: skip
    assert all(state(arena.slurm.job(job_id)) in ("PENDING", "RUNNING") for job_id in kept)
    for job_id in kept:
        arena.slurm.cancel(job_id)


def _submit(arena: Arena, admin_comment: str) -> int:
    return arena.slurm.submit(
        name="somebody", partition="slurm-bridge", tasks=1, cpus_per_task=1,
        admin_comment=admin_comment,
        memory_per_node={"number": 64, "set": True, "infinite": False},
    )  # fmt: skip


def test_an_owner_with_an_odd_name_leaves_one_job_at_most(arena: Arena, begin: Begin) -> None:
    """Never one more for each time that the bridge looks, and none when its pod is gone."""
    begin(Nodes(count=2))
    arena.without_webhooks()
    odd = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "\x01\u2028" * 400}}
    uids: set[str] = set()
    for _ in range(5):
        arena.kubernetes.try_create(owned(pod("odd", gpus=1), odd))
        found = arena.kubernetes.pod(PLAIN_NAMESPACE, "odd")
        uids |= {found["metadata"]["uid"]} if found else set()
        most = len(uids)
        arena.hold_for(0.7, lambda: len(arena.slurm.live_jobs()) <= most)  # noqa: B023
    arena.delete_pod("odd", PLAIN_NAMESPACE)
    arena.wait_idle(seconds=40)
    arena.register_webhooks("")
