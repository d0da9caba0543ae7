"""What goes wrong is told where its author looks, with the remedy, and heals by itself."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.arena import manifests
from tests.arena.api import Object, wait_for
from tests.arena.arena import NAMESPACE, PLAIN_NAMESPACE, Arena, Nodes, condition
from tests.arena.fixtures import Begin
from tests.arena.gate import Gate

NEW_PARTITION = f"gold-{secrets.token_hex(2)}"
"""Partitions stay in a stack that stands for several runs."""


@dataclass
class Scene:
    """What a trouble may be made with."""

    arena: Arena
    gate: Gate
    token: Path
    """The file that the bridge reads its token from."""
    node: str = ""
    """A node of the trouble's own."""

    def good_token(self) -> None:
        self.token.write_text(self.arena.slurm.token_file.read_text())


@dataclass(frozen=True)
class Trouble:
    """A cause, where its message stands, what it says, and how the cause goes away."""

    cause: str
    makes: Callable[[Scene], object]
    pod: Callable[[Scene], Object]
    told: Callable[[Scene, Object], str]
    says: tuple[str, ...]
    cure: Callable[[Scene], object]


def _pod(**asks: Any) -> Callable[[Scene], Object]:
    return lambda scene: manifests.pod("web", NAMESPACE, **asks)


def _nothing(scene: Scene) -> None:
    """The pod itself is the cause."""


def in_the_pods_condition(scene: Scene, pod: Object) -> str:
    """status.conditions[Allocated].message"""
    meta = pod["metadata"]
    found = scene.arena.kubernetes.pod(meta["namespace"], meta["name"])
    told = condition(found) if found is not None else None
    return told["message"] if told is not None and told["status"] == "False" else ""


def in_an_event_on_the_node(scene: Scene, pod: Object) -> str:
    """An event with the node as `regarding`."""
    events = scene.arena.kubernetes.events("default", scene.node)
    return " ".join(e["note"] for e in events if e["reason"] == "NotRegisteredInSlurm")


def in_the_log(scene: Scene, pod: Object) -> str:
    """Pods can't be written to when the API server is the cause."""
    lines = scene.arena.bridge.log().splitlines()
    return " ".join(one for one in lines if "outage.began" in one or "reflector.retrying" in one)


# -- causes, and what makes them go away -----------------------------------------------------


def add_a_large_node(scene: Scene) -> None:
    arena = scene.arena
    arena.wait_registered(arena.add_nodes(Nodes(count=1, cpus=256, prefix="large")))


def label_a_node(scene: Scene) -> None:
    name = next(iter(scene.arena.slurm.nodes()))
    labels = {"metadata": {"labels": {"example.com/zone": "moon"}}}
    scene.arena.kubernetes.patch(f"/api/v1/nodes/{name}", labels)


def add_an_empty_node(scene: Scene) -> None:
    (scene.node,) = scene.arena.add_nodes(Nodes(count=1, memory_gib=0, prefix="empty"))


def give_it_memory(scene: Scene) -> None:
    amounts = {"memory": "64Gi"}
    status = {"status": {"capacity": amounts, "allocatable": amounts}}
    scene.arena.kubernetes.patch(f"/api/v1/nodes/{scene.node}/status", status)


def correct_the_annotation(scene: Scene) -> None:
    change = {"metadata": {"annotations": {manifests.JOB + "timelimit": "10"}}}
    scene.arena.kubernetes.patch(f"/api/v1/namespaces/{PLAIN_NAMESPACE}/pods/web", change)


def break_watches(scene: Scene) -> None:
    scene.gate.fail_watch(410, times=8)
    scene.gate.end_watches()


def expire_the_token(scene: Scene) -> None:
    scene.token.write_text(scene.arena.expired_token())


def outages(arena: Arena) -> int:
    """How many the bridge has told of in this story."""
    return arena.bridge.log().count("outage.began")


def wait_until_slurm_fails(make: Callable[[Scene], object]) -> Callable[[Scene], None]:
    """The bridge knows Slurm's nodes, and has noticed before the pod is there to slip in."""

    def make_and_wait(scene: Scene) -> None:
        scene.arena.create(manifests.pod("before", NAMESPACE, gpus=1))
        scene.arena.wait_bound("before")
        before = outages(scene.arena)
        make(scene)
        wait_for("noticed", lambda: outages(scene.arena) > before, seconds=40)

    return make_and_wait


TROUBLES = [
    Trouble(
        "more CPUs than any node has", _nothing, _pod(cpu="200"),
        in_the_pods_condition, ("1 node: ", "cpu", "Ask for what the nodes have"),
        add_a_large_node,
    ),
    Trouble(
        "a node selector that no node matches", _nothing,
        _pod(nodeSelector={"example.com/zone": "moon"}),
        in_the_pods_condition, ("example.com/zone", "add nodes that can take it"), label_a_node,
    ),
    Trouble(
        "an unknown partition", _nothing,
        _pod(annotations={manifests.JOB + "partition": NEW_PARTITION}),
        in_the_pods_condition,
        (f"no partition '{NEW_PARTITION}'", "slurm-bridge", "Name one of them"),
        lambda scene: scene.arena.add_partition(NEW_PARTITION),
    ),
    Trouble(
        "a malformed annotation where no webhook is",
        lambda scene: scene.arena.without_webhooks(),
        lambda scene: manifests.pod(
            "web", PLAIN_NAMESPACE, annotations={manifests.JOB + "timelimit": "soon"},
            schedulerName="slurm-bridge-scheduler",
        ),
        in_the_pods_condition, (manifests.JOB + "timelimit", "'soon'", "minutes"),
        correct_the_annotation,
    ),
    Trouble(
        "a node without memory", add_an_empty_node,
        lambda scene: manifests.pod(
            "web", NAMESPACE, nodeSelector={"kubernetes.io/hostname": scene.node}
        ),
        in_an_event_on_the_node, ("0 MiB of memory", "status.allocatable"), give_it_memory,
    ),
    Trouble(
        "a Slurm that is down",
        wait_until_slurm_fails(lambda scene: scene.arena.stop_slurm()), _pod(gpus=1),
        in_the_pods_condition, ("Slurm did not take the job", "http"),
        lambda scene: scene.arena.start_slurm(),
    ),
    Trouble(
        "a wrong token",
        wait_until_slurm_fails(lambda scene: scene.token.write_text("not-a-token")),
        _pod(gpus=1), in_the_pods_condition, ("token",), Scene.good_token,
    ),
    Trouble(
        "an expired token", wait_until_slurm_fails(expire_the_token), _pod(gpus=1),
        in_the_pods_condition, ("token",), Scene.good_token,
    ),
    Trouble(
        "an API server that answers 500",
        lambda scene: scene.gate.fail(500, method="PATCH", part="/pods/", times=10**6),
        _pod(gpus=1), in_the_log, ("kubernetes", "the gate says 500", "/pods/web"),
        lambda scene: scene.gate.faults.clear(),
    ),
    Trouble(
        "an API server that answers 429",
        lambda scene: scene.gate.fail(429, method="PATCH", part="/pods/", times=10**6),
        _pod(gpus=1), in_the_log, ("kubernetes", "429", "/pods/web"),
        lambda scene: scene.gate.faults.clear(),
    ),
    Trouble(
        "an API server that has forgotten what was watched (410)", break_watches, _pod(gpus=1),
        in_the_log, ("the gate says 410",), lambda scene: scene.gate.faults.clear(),
    ),
]  # fmt: skip


@pytest.fixture
def gate(arena: Arena, tmp_path: Path) -> Iterator[Gate]:
    """Open as long as the bridge needs it."""
    with arena.open_gate(tmp_path) as opened:
        yield opened
        arena.end_bridge()


@pytest.fixture
def scene(arena: Arena, gate: Gate, begin: Begin, tmp_path: Path) -> Iterator[Scene]:
    """One node, and a bridge whose token and whose way to the API server can go bad."""
    made = Scene(arena, gate, tmp_path / "token")
    made.good_token()
    begin(
        Nodes(count=1),
        kubernetes={"kubeconfig": str(gate.kubeconfig)},
        slurm={"tokenFile": str(made.token)},
    )
    yield made
    gate.faults.clear()
    made.good_token()


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.cause)
def test_it_is_told_with_its_remedy_and_the_pod_runs_when_the_cause_is_gone(
    scene: Scene, trouble: Trouble
) -> None:
    """Where its author looks; and nobody makes the pod anew or restarts anything."""
    trouble.makes(scene)
    pod = scene.arena.create(trouble.pod(scene))
    namespace = pod["metadata"]["namespace"]
    text = wait_for("it is told", lambda: trouble.told(scene, pod), seconds=40)
    for words in trouble.says:
        assert words in text
    now = scene.arena.kubernetes.pod(namespace, "web")
    assert now is not None
    assert trouble.cause.endswith("(410)") or "nodeName" not in now["spec"]
    trouble.cure(scene)
    bound = scene.arena.wait_bound("web", namespace=namespace, seconds=60)
    assert bound["metadata"]["uid"] == pod["metadata"]["uid"]


@pytest.mark.parametrize(
    ("suffix", "value", "says"),
    [
        ("timelimit", "soon", "minutes"),
        ("cpu-per-task", "many", "quantity"),
        ("max-nodes", "-1", "whole number"),
        ("gang", "perhaps", "true"),
    ],
)
def test_a_malformed_annotation_is_refused_when_the_pod_is_created(
    arena: Arena, begin: Begin, suffix: str, value: str, says: str
) -> None:
    """By the webhook: kubectl prints the annotation and the accepted forms."""
    begin(None)
    wish = {manifests.JOB + suffix: value}
    answer = arena.kubernetes.try_create(manifests.pod("typo", NAMESPACE, annotations=wish))
    assert answer.status_code in (400, 403, 422)
    assert manifests.JOB + suffix in answer.json()["message"]
    assert says in answer.json()["message"]


def test_a_slurm_that_is_down_harms_nobody_who_runs(arena: Arena, begin: Begin) -> None:
    """Running pods stay as they are; /readyz tells, and tells when it is over."""
    begin(Nodes(count=1))
    arena.create(manifests.pod("runs", NAMESPACE, gpus=1))
    runs = arena.wait_bound("runs")
    arena.stop_slurm()
    wait_for("not ready", lambda: "] slurm: " in arena.bridge.ready(), seconds=60)
    arena.start_slurm()
    wait_for("ready again", lambda: arena.bridge.ready() == "", seconds=40)
    now = arena.kubernetes.pod(NAMESPACE, "runs")
    assert now is not None
    assert now["metadata"]["uid"] == runs["metadata"]["uid"]
    assert "deletionTimestamp" not in now["metadata"]


def test_an_owner_that_cannot_be_printed_has_one_job(arena: Arena, begin: Begin) -> None:
    """The name in an owner reference may be any text; the job is its pod's all the same."""
    begin(Nodes(count=2))
    keeper = arena.create(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "k", "namespace": NAMESPACE}}
    )
    manifest = manifests.pod("odd", NAMESPACE, gpus=8)
    manifest["metadata"]["ownerReferences"] = [
        _reference("example.com/v1", "Odd\n", "\x01" * 800, secrets.token_hex(16))
        | {"controller": True},
        # The garbage collector leaves the pod while one of its owners exists.
        _reference("v1", "ConfigMap", "k", keeper["metadata"]["uid"]),
    ]
    arena.create(manifest)
    pod = arena.wait_bound("odd")
    arena.hold_for(3, lambda: len(arena.slurm.live_jobs()) == 1)
    job = arena.job_of(pod)
    for text in ("name", "comment", "admin_comment", "current_working_directory"):
        assert job[text].isprintable()
        assert len(job[text]) <= 1024
    arena.bridge.kill()
    arena.bridge.start()
    arena.hold_for(3, lambda: [one["job_id"] for one in arena.slurm.live_jobs()] == [job["job_id"]])
    arena.delete_pod("odd")
    arena.wait_idle()
    arena.kubernetes.delete(f"/api/v1/namespaces/{NAMESPACE}/configmaps/k")


def _reference(api_version: str, kind: str, name: str, uid: str) -> Object:
    return {"apiVersion": api_version, "kind": kind, "name": name, "uid": uid}
