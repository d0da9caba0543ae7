"""The whole embedded Kubernetes: stories, fixtures, speed, kubectl."""

import asyncio
import shutil
import time
from typing import Any

import pytest

from bridge.sim.kube import fixtures
from bridge.sim.kube.apiserver import kinds
from bridge.sim.kube.apiserver.failure import ApiFailure
from bridge.sim.kube.apiserver.objects import condition_is_true
from bridge.sim.kube.embedded import EmbeddedFailure, EmbeddedKubernetes, Observation
from tests.unit.sim.kube.builders import a_job, a_pod

Json = Any


def _complete(name: str = "j") -> Any:
    def check(now: Observation) -> bool:
        job = now.jobs.get(("default", name))
        return job is not None and condition_is_true(job, "Complete")

    return check


async def test_a_thousand_pods() -> None:
    """A Job of 1,000 pods goes from created to complete in seconds, and never oversubscribes."""
    async with EmbeddedKubernetes() as k8s:
        await k8s.add_nodes(fixtures.gpu_nodes(64))
        started = time.process_time()
        job = a_job(runs_s=0.5, parallelism=1000, completions=1000, pod=a_pod(cpu="1"))
        await k8s.create(job)
        seen = await k8s.until(_complete(), timeout_s=110)
        spent = time.process_time() - started
    assert {pod["status"]["phase"] for pod in seen.pods.values()} == {"Succeeded"}
    assert len(seen.pods) == 1000
    assert spent < 30, f"{spent:.1f} s of CPU for 1,000 pods: something is quadratic"


async def test_yaml_and_unknown_kinds() -> None:
    """create takes YAML of several documents, and says so when a kind is not served."""
    text = """
apiVersion: v1
kind: Namespace
metadata: {name: team}
---
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: team}
spec:
  containers: [{name: main, image: busybox}]
"""
    async with EmbeddedKubernetes() as k8s:
        created = await k8s.create(text)
        assert created["metadata"]["namespace"] == "team"
        with pytest.raises(ApiFailure, match="no matches for kind 'Wonder'"):
            await k8s.create({"apiVersion": "example.com/v1", "kind": "Wonder", "metadata": {}})


async def test_two_at_once() -> None:
    """Two embedded clusters know nothing of each other."""
    async with EmbeddedKubernetes() as one, EmbeddedKubernetes() as two:
        await one.create(a_pod())
        assert one.url != two.url
        assert two.observe().pods == {}
        assert one.kubeconfig != two.kubeconfig


async def test_until_gives_up() -> None:
    """A condition that never holds is a TimeoutError, not a hang."""
    async with EmbeddedKubernetes() as k8s:
        with pytest.raises(TimeoutError):
            await k8s.until(lambda now: now.pods, timeout_s=0.1)


async def test_a_broken_part_is_loud() -> None:
    """A mistake inside a part fails the test that uses it."""
    with pytest.raises(EmbeddedFailure, match=r"mistake in bridge\.sim"):
        await _with_an_impossible_pod()


async def _with_an_impossible_pod() -> None:
    """Put what no API server would have stored where the kubelets find it."""
    metadata = {"name": "x", "namespace": "default", "uid": "u"}
    async with EmbeddedKubernetes() as k8s:
        k8s.api.store.put(
            kinds.PODS.table, {"kind": "Pod", "apiVersion": "v1", "metadata": metadata}
        )
        await k8s.until(lambda now: False, timeout_s=5)


def _leaf(node: Json) -> str:
    return str(node["metadata"]["labels"]["topology.k8s.aws/network-node-layer-3"])


def test_gpu_nodes() -> None:
    """Labels of GPUs, network layers, external registration; names say nothing of places."""
    nodes = fixtures.gpu_nodes(64, seed=1)
    assert [node["metadata"]["name"] for node in nodes][:2] == ["gpu-0001", "gpu-0002"]
    leaves = [_leaf(node) for node in nodes]
    assert len(set(leaves)) == 8
    assert all(leaves.count(leaf) == 8 for leaf in leaves)
    assert leaves != sorted(leaves)
    labels = nodes[0]["metadata"]["labels"]
    assert labels["nvidia.com/gpu.product"] == "NVIDIA-H100-80GB-HBM3"
    assert "scheduler.slinky.slurm.net/external-node" in labels
    annotations = nodes[0]["metadata"]["annotations"]
    assert annotations["scheduler.slinky.slurm.net/external-node-partitions"] == "slurm-bridge"
    assert nodes[0]["status"]["allocatable"]["nvidia.com/gpu"] == "8"
    assert fixtures.gpu_nodes(64, seed=1) == nodes
    assert [_leaf(node) for node in fixtures.gpu_nodes(64, seed=2)] != leaves


def test_deeper_fabric() -> None:
    """Each fan-out is one more layer; the highest number is the closest switch."""
    labels = fixtures.gpu_nodes(16, layers=(2, 2, 2))[0]["metadata"]["labels"]
    layers = sorted(label for label in labels if "network-node-layer" in label)
    assert [label[-1] for label in layers] == ["1", "2", "3", "4"]


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl on this machine")
async def test_kubectl() -> None:
    """kubectl creates, waits, gets, describes and deletes against it, with validation on."""
    manifest = """
apiVersion: batch/v1
kind: Job
metadata: {name: j}
spec:
  parallelism: 2
  completions: 2
  template:
    metadata: {annotations: {kwok.x-k8s.io/run-seconds: "1"}}
    spec:
      restartPolicy: Never
      containers: [{name: main, image: busybox, resources: {limits: {nvidia.com/gpu: 8}}}]
"""
    async with EmbeddedKubernetes() as k8s:
        await k8s.add_nodes(fixtures.gpu_nodes(2))
        assert await _kubectl(k8s, "create", "-f", "-", stdin=manifest) == "job.batch/j created\n"
        waited = await _kubectl(k8s, "wait", "--for=condition=complete", "job/j", "--timeout=60s")
        assert waited == "job.batch/j condition met\n"
        assert "2/2" in await _kubectl(k8s, "get", "jobs")
        assert "Completed" in await _kubectl(k8s, "get", "pods", "-o", "wide")
        described = await _kubectl(k8s, "describe", "job", "j")
        assert "SuccessfulCreate" in described
        assert "deleted" in await _kubectl(k8s, "delete", "job", "j")
        assert k8s.observe().pods == {}


async def _kubectl(k8s: EmbeddedKubernetes, *arguments: str, stdin: str = "") -> str:
    process = await asyncio.create_subprocess_exec(
        "kubectl", "--kubeconfig", str(k8s.kubeconfig), *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate(stdin.encode())
    assert process.returncode == 0, out.decode()
    return out.decode()
