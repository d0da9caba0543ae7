"""Hybrid nodes, where slurmd and a kubelet run: pods and native jobs in one queue, never on one
node, beside external nodes, nodes that only Slurm has and nodes that only Kubernetes has."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from bridge import names
from tests.arena import manifests
from tests.arena.api import Object, state, wait_for
from tests.arena.arena import NAMESPACE, Arena, Nodes, condition, node_of
from tests.arena.fixtures import Begin
from tests.arena.real import RealArena
from tests.e2e.stack import slurmds
from tests.e2e.stack.slurmds import Slurmd
from tests.flows.members import slurm_id, why_disrupted

SMALL = Nodes(count=1, cpus=8, memory_gib=16, gpus=0)
NATIVE = "only-slurm"
"""A node of Slurm's that Kubernetes does not have, in the partition of the pods."""
ADMINS = ("slurm-bridge", "a100")
"""The features that the admin gave the nodes with a slurmd."""
POOL = "example.com/pool"


@dataclass
class Mixed:
    """The nodes of a story, of each kind."""

    external: list[str]
    hybrid: list[str]
    only_kubernetes: list[str]


Mix = Callable[..., Mixed]


@pytest.fixture
def slurm_nodes(arena: Arena) -> Iterator[contextlib.ExitStack]:
    """Nodes with slurmds leave Slurm after the story has ended and nothing runs there."""
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def mix(arena: Arena, slurm_nodes: contextlib.ExitStack, begin: Begin) -> Mix:
    """Start a story's bridge, with so many nodes of each kind."""

    def start(
        *, external: int = 0, hybrid: int = 1, only_kubernetes: int = 0, **settings: Any
    ) -> Mixed:
        made = begin(replace(SMALL, count=external), **settings)
        shared = _add(arena, hybrid, "hybrid", "hybrid")
        others = _add(arena, only_kubernetes, "only-k8s", "only-k8s")
        natives = [Slurmd(name, features=ADMINS) for name in (*shared, NATIVE)]
        slurm_nodes.enter_context(arena.with_slurmds(natives))
        wait_for("they have classes", lambda: all(len(_ours(arena, one)) == 2 for one in shared))
        arena.wait_tainted(shared)
        return Mixed(made, shared, others)

    return start


def _add(arena: Arena, count: int, prefix: str, pool: str) -> list[str]:
    nodes = Nodes(count=count, cpus=8, memory_gib=16, gpus=0, prefix=prefix, external=False)
    made = arena.add_nodes(nodes) if count else []
    for name in made:
        arena.kubernetes.patch(f"/api/v1/nodes/{name}", {"metadata": {"labels": {POOL: pool}}})
    return made


def _ours(arena: Arena, name: str) -> set[str]:
    """The features of a node that are not the admin's."""
    return set(arena.slurm.node(name)["features"]) - set(ADMINS)


@contextlib.contextmanager
def native_job(
    arena: Arena, node: str = "", *, partition: str = "slurm-bridge", **fields: Any
) -> Iterator[int]:
    """A batch job of one CPU (on that node); it is gone at the end."""
    where = {"required_nodes": [node]} if node else {}
    said = {
        "name": "native", "partition": partition, "flags": [], "tasks": 1, "cpus_per_task": 1,
        "memory_per_node": {"number": 64, "set": True, "infinite": False},
        "script": "#!/bin/sh\nsleep 600\n", "standard_output": "/dev/null", **where, **fields,
    }  # fmt: skip
    job_id = arena.slurm.submit(**said)
    try:
        yield job_id
    finally:
        arena.slurm.cancel(job_id)
        wait_for("it is gone", lambda: _is_over(arena, job_id))


def _is_over(arena: Arena, job_id: int) -> bool:
    states = arena.slurm.job(job_id)["job_state"]
    return states[0] not in ("PENDING", "RUNNING") and "COMPLETING" not in states


def wait_running(arena: Arena, job_id: int, *, seconds: float = 20.0) -> Object:
    wait_for("it runs", lambda: state(arena.slurm.job(job_id)) == "RUNNING", seconds=seconds)
    return arena.slurm.job(job_id)


def small_pod(name: str, **more: Any) -> Object:
    return manifests.pod(name, NAMESPACE, cpu="1", memory="64Mi", **more)


def on_hybrid(pod: Object) -> Object:
    """The pod, for hybrid nodes only."""
    pod["spec"]["nodeSelector"] = {POOL: "hybrid"}
    return pod


def waits(arena: Arena, name: str) -> Object:
    return arena.wait_pod(name, "waits in Slurm", lambda pod: "waits in" in str(condition(pod)))


def test_a_mixed_partition_has_one_queue_and_each_node_one_side(arena: Arena, mix: Mix) -> None:
    """A gang of the external and both hybrid nodes starts when a native job has left one of these;
    the node that only Slurm has gets no pods, that which only Kubernetes has neither, and native
    jobs run on nodes with a slurmd alone. What Slurm says of a hybrid node stays as it was."""
    nodes = mix(external=1, hybrid=2, only_kubernetes=1)
    known = arena.slurm.node(nodes.hybrid[0])
    assert (known["cpus"], known["real_memory"]) == (8, 16384)
    assert known["topology"] == "fabric:root:with-slurmd"
    assert "EXTERNAL" not in known["state"]
    with native_job(arena, nodes.hybrid[0]) as first:
        wait_running(arena, first)
        beside = small_pod("beside")
        beside["spec"]["nodeSelector"] = {names.HOSTNAME_LABEL: nodes.hybrid[1]}
        arena.create(beside)
        bound = arena.wait_bound("beside")
        assert node_of(bound) == nodes.hybrid[1]
        with native_job(arena, nodes.hybrid[1]) as second:
            wait_for("it waits", lambda: arena.slurm.job(second)["state_reason"] == "Resources")
        arena.create(manifests.job("train", NAMESPACE, count=3, gang=True, cpu="6"))
        assert len(arena.wait_pods(3, "wait", condition, of_job="train")) == 3
    arena.delete_pod("beside")
    pods = arena.wait_pods(3, "are bound", node_of, of_job="train", seconds=40)
    assert {node_of(pod) for pod in pods} == {*nodes.external, *nodes.hybrid}
    arena.create(small_pod("none-left"))
    with native_job(arena, nodes.hybrid[0]) as waiting, native_job(arena) as native:
        assert wait_running(arena, native)["nodes"] == NATIVE
        waits(arena, "none-left")
        assert state(arena.slurm.job(waiting)) == "PENDING", "two CPUs are free there"


def test_our_features_come_back_and_go_alone(arena: Arena, mix: Mix) -> None:
    """slurmctld forgets them of a node of slurm.conf; the admin's features stay as they are, also
    when the Kubernetes node leaves, and then native jobs alone use the node."""
    (node,) = mix().hybrid
    ours = _ours(arena, node)
    arena.slurm.update_node(node, features=[*ADMINS, "new"], features_act=[*ADMINS, "new"])
    wait_for("they are back", lambda: _ours(arena, node) == {*ours, "new"})
    arena.create(small_pod("runs"))
    assert node_of(arena.wait_bound("runs")) == node
    arena.delete_pod("runs")
    arena.wait_gone("runs")
    arena.kubernetes.delete(f"/api/v1/nodes/{node}")
    wait_for("ours are gone", lambda: _ours(arena, node) == {"new"})
    assert arena.slurm.node(node)["state"] == ["IDLE", "DYNAMIC_NORM"]
    with native_job(arena, node) as job_id:
        wait_running(arena, job_id)


def test_what_kubernetes_shuts_slurm_drains(arena: Arena, mix: Mix) -> None:
    """Cordoned, or not ready: with a reason of ours, and no longer than that. What an admin has
    drained stays so."""
    (node,) = mix().hybrid

    def reason() -> str:
        known = arena.slurm.node(node)
        return str(known["reason"]) if "DRAIN" in known["state"] else ""

    arena.cordon(node, True)
    wait_for("it is drained", lambda: reason() == "slurm-bridge: cordoned in Kubernetes")
    arena.cordon(node, False)
    wait_for("it is undrained", lambda: not reason())
    with arena.silent(node):
        wait_for("it is drained", lambda: reason().startswith("slurm-bridge: not ready"))
    wait_for("it is undrained", lambda: not reason())
    arena.slurm.drain(node, "broken fan")
    arena.cordon(node, True)
    arena.cordon(node, False)
    arena.create(on_hybrid(small_pod("web")))
    waits(arena, "web")
    assert reason() == "broken fan"


def test_of_two_nodes_with_one_name_the_second_is_refused(arena: Arena, mix: Mix) -> None:
    """An event on it says what to do; pods run on the first, also when the second has gone."""
    (node,) = mix().hybrid
    (second,) = _add(arena, 1, "second", "hybrid")
    labels = {"metadata": {"labels": {names.SLURM_NODE_NAME_LABEL: node}}}
    arena.kubernetes.patch(f"/api/v1/nodes/{second}", labels)

    def told() -> list[str]:
        events = arena.kubernetes.events("default", second)
        return [one["note"] for one in events if one["reason"] == "NotRegisteredInSlurm"]

    (note,) = wait_for("its admin is told", told)
    assert f"Slurm's node {node} is node {node} already, which is older" in note
    arena.create(on_hybrid(small_pod("first")))
    assert node_of(arena.wait_bound("first")) == node
    arena.kubernetes.delete(f"/api/v1/nodes/{second}")
    arena.delete_pod("first")
    arena.wait_gone("first")
    arena.create(on_hybrid(small_pod("next")))
    assert node_of(arena.wait_bound("next")) == node


def test_with_labels_gangs_share_a_node_with_each_other_only(arena: Arena, mix: Mix) -> None:
    """Slurm's MCS: two pods are on the hybrid node, and a native job waits for their end."""
    if not isinstance(arena, RealArena):
        pytest.skip("the embedded Slurm has no MCSPlugin")
    stack, conf = (
        arena.stack,
        {"MCSPlugin": "mcs/label", "MCSParameters": "ondemand,ondemandselect"},
    )
    slurmds.configure(stack.slurm_cluster, stack.layout, **conf)
    try:
        (node,) = mix(mcsLabel="pods").hybrid
        for name in ("one", "two"):
            arena.create(on_hybrid(small_pod(name)))
            assert node_of(arena.wait_bound(name)) == node
        with native_job(arena, node) as job_id:
            wait_for("it waits", lambda: arena.slurm.job(job_id)["state_reason"] == "Resources")
            for name in ("one", "two"):
                arena.delete_pod(name)
            wait_running(arena, job_id)
    finally:
        slurmds.configure(stack.slurm_cluster, stack.layout, **dict.fromkeys(conf, ""))


def test_a_preempted_gang_has_its_grace_and_the_prolog_waits_for_it(arena: Arena, mix: Mix) -> None:
    """The native job holds the node in Slurm at once; its first process starts when the pods are
    gone. Then the node is used again, and pods of a higher tier get it from a native job."""
    if not isinstance(arena, RealArena):
        pytest.skip("the embedded Slurm runs no Prolog")
    (node,) = mix().hybrid
    stack = arena.stack
    log = slurmds.install_prolog(
        stack.slurm_cluster, stack.layout, stack.kubernetes.api, {node: node}, wait_s=60
    )
    try:
        dies = {manifests.DIE_SECONDS: "6"}
        arena.create(on_hybrid(small_pod("low", grace_s=30, annotations=dies)))
        arena.wait_bound("low")
        output = stack.layout.slurm_root / "tmp" / "native.out"
        script = "#!/bin/sh\necho started\nsleep 600\n"
        with native_job(
            arena, node, partition="high", script=script, standard_output="/tmp/native.out"
        ) as job_id:
            wait_running(arena, job_id)
            while arena.kubernetes.pod(NAMESPACE, "low") is not None:
                left = arena.kubernetes.pod(NAMESPACE, "low") is not None
                assert not left or not output.exists() or "started" not in output.read_text()
            wait_for("it has started", lambda: output.exists() and "started" in output.read_text())
            assert f"waiting for the end of pods on node {node}: team/low" in log.read_text()
            assert arena.slurm.node(node)["state"][0] in ("ALLOCATED", "MIXED")
        arena.create(on_hybrid(small_pod("low")))
        assert node_of(arena.wait_bound("low")) == node, "the node is used again"
        arena.delete_pod("low")
        arena.wait_gone("low")
        with native_job(arena, node) as job_id:
            wait_running(arena, job_id)
            high = small_pod("high", annotations={manifests.JOB + "partition": "high"})
            arena.create(on_hybrid(high))
            assert node_of(arena.wait_bound("high", seconds=40)) == node
            assert state(arena.slurm.job(job_id)) == "PREEMPTED"
    finally:
        slurmds.configure(stack.slurm_cluster, stack.layout, Prolog="", PrologFlags="")


def test_a_preempted_gang_has_the_grace_of_its_partition(arena: Arena, mix: Mix) -> None:
    """Slurm warns the job as any other. The native job waits in the queue while the pods end, and
    starts when the last one is gone, however much of GraceTime is left. The node stays usable."""
    with arena.grace("slurm-bridge", 25):
        (node,) = mix().hybrid
        dies = {manifests.DIE_SECONDS: "4"}
        arena.create(on_hybrid(small_pod("low", grace_s=10, annotations=dies)))
        low = slurm_id(arena.wait_bound("low"))
        with native_job(arena, node, partition="high") as job_id:
            wait_for("Slurm warns", lambda: arena.slurm.job(low)["preempt_time"]["number"])
            warned_s = arena.slurm.job(low)["preempt_time"]["number"]
            told = arena.wait_pod("low", "is told", lambda pod: why_disrupted(pod)[0], seconds=10)
            assert why_disrupted(told)[0] == "PreemptedInSlurm"
            told = arena.wait_pod("low", "ends", lambda pod: "deletionTimestamp" in pod["metadata"])
            assert told["metadata"]["deletionGracePeriodSeconds"] == 10, "all of its own"

            def is_gone() -> bool:
                waited = state(arena.slurm.job(job_id)) == "PENDING"
                left = arena.kubernetes.pod(NAMESPACE, "low") is not None
                assert waited or not left
                return not left

            wait_for("the pod is gone", is_gone)
            started = wait_running(arena, job_id)
            assert state(arena.slurm.job(low)) == "CANCELLED", "by the bridge"
            assert started["start_time"]["number"] < warned_s + 25
            assert arena.slurm.node(node)["state"][0] in ("ALLOCATED", "MIXED")
        arena.create(on_hybrid(small_pod("next")))
        assert node_of(arena.wait_bound("next")) == node, "the node is used again"
