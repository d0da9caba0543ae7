"""Claims and volumes of the embedded Kubernetes: who binds them, and whom they keep off nodes."""

from typing import Any

import pytest

from bridge.sim.kube.apiserver import kinds
from bridge.sim.kube.apiserver.objects import condition
from bridge.sim.kube.embedded import EmbeddedKubernetes
from bridge.sim.kube.scheduler import volumes
from tests.arena import manifests
from tests.unit.sim.kube.builders import a_node, a_pod
from tests.unit.sim.kube.clocks import ManualClock

Json = Any


def mounting(*claims: str, **fields: Any) -> Json:
    pod = a_pod(**fields)
    pod["spec"]["volumes"] = manifests.mounted(*claims)
    return pod


def claim(k8s: EmbeddedKubernetes, name: str = "data") -> Json:
    found = k8s.get(kinds.CLAIMS, name)
    assert found is not None
    return found


def node_of(k8s: EmbeddedKubernetes) -> str:
    pod = k8s.get(kinds.PODS, "p")
    assert pod is not None
    return str(pod["spec"].get("nodeName", ""))


def why(k8s: EmbeddedKubernetes) -> str:
    pod = k8s.get(kinds.PODS, "p")
    assert pod is not None
    return str((condition(pod, "PodScheduled") or {}).get("message", ""))


def disk(name: str, node: str, **fields: Any) -> Json:
    return manifests.volume(name, "kubernetes.io/hostname", node, **fields)


@pytest.fixture
async def two_nodes(k8s: EmbeddedKubernetes, clock: ManualClock) -> EmbeddedKubernetes:
    """n1 and n2, ready."""
    await k8s.create(a_node("n1"))
    await k8s.create(a_node("n2"))
    await clock.advance(1)
    return k8s


async def test_a_claim_is_bound_to_the_smallest_free_volume_that_fits(
    two_nodes: EmbeddedKubernetes, clock: ManualClock
) -> None:
    """A volume that names the claim comes before it; a claim whose volume goes is lost."""
    for name, size in (("large", "9Gi"), ("fits", "3Gi"), ("small", "1Gi")):
        await two_nodes.create(disk(name, "n1", capacity={"storage": size}))
    kept = {"namespace": "default", "name": "other"}
    await two_nodes.create(disk("kept", "n1", claimRef=kept, capacity={"storage": "1Mi"}))
    await two_nodes.create(manifests.claim("huge", "default", size="1Ti"))
    await two_nodes.create(manifests.claim("data", "default", size="2Gi"))
    await two_nodes.create(manifests.claim("other", "default"))
    await clock.advance(1)
    assert claim(two_nodes, "huge")["status"]["phase"] == "Pending"
    assert claim(two_nodes)["spec"]["volumeName"] == "fits"
    assert claim(two_nodes, "other")["spec"]["volumeName"] == "kept"
    await two_nodes.delete(kinds.VOLUMES, "kept")
    await clock.advance(1)
    assert claim(two_nodes, "other")["status"]["phase"] == "Lost"


async def test_a_pod_goes_where_its_bound_volume_is_reached(
    two_nodes: EmbeddedKubernetes, clock: ManualClock
) -> None:
    """And not before the claim is there and bound; told in kube-scheduler's words."""
    await two_nodes.create(mounting("data"))
    await clock.advance(1)
    assert 'persistentvolumeclaim "data" not found' in why(two_nodes)
    await two_nodes.create(manifests.claim("data", "default"))
    await clock.advance(5)
    assert volumes.UNBOUND in why(two_nodes)
    await two_nodes.create(disk("disk", "n2"))
    await clock.advance(10)
    assert node_of(two_nodes) == "n2"


async def test_a_pod_that_is_pinned_elsewhere_is_refused(
    two_nodes: EmbeddedKubernetes, clock: ManualClock
) -> None:
    """Volume node affinity conflict."""
    await two_nodes.create(disk("disk", "n2"))
    await two_nodes.create(manifests.claim("data", "default"))
    await clock.advance(1)
    await two_nodes.create(mounting("data", pinned_to="n1"))
    await clock.advance(1)
    assert volumes.CONFLICT in why(two_nodes)


async def test_a_claim_that_waits_for_its_pod_is_bound_on_the_pods_node(
    two_nodes: EmbeddedKubernetes, clock: ManualClock
) -> None:
    """Only nodes with a free volume will do."""
    await two_nodes.create(manifests.storage_class("local"))
    await two_nodes.create(manifests.claim("data", "default", storage_class="local"))
    await two_nodes.create(mounting("data"))
    await clock.advance(1)
    assert volumes.NO_VOLUME in why(two_nodes)
    await two_nodes.create(disk("disk", "n2", storage_class="local"))
    await clock.advance(10)
    assert node_of(two_nodes) == "n2"
    assert claim(two_nodes)["spec"]["volumeName"] == "disk"


async def test_an_ephemeral_volume_gets_a_claim_that_goes_with_its_pod(
    two_nodes: EmbeddedKubernetes, clock: ManualClock
) -> None:
    """A claim of that name that is not the pod's is no substitute."""
    await two_nodes.create(disk("disk", "n1"))
    pod = mounting()
    template = {"spec": manifests.claim_spec()}
    pod["spec"]["volumes"] = [{"name": "tmp", "ephemeral": {"volumeClaimTemplate": template}}]
    await two_nodes.create(pod)
    await clock.advance(5)
    assert node_of(two_nodes) == "n1"
    assert claim(two_nodes, "p-tmp")["spec"]["volumeName"] == "disk"
    await two_nodes.delete(kinds.PODS, "p", grace_s=0)
    await clock.advance(5)
    assert two_nodes.get(kinds.CLAIMS, "p-tmp") is None
    await two_nodes.create(manifests.claim("p-tmp", "default"))
    await two_nodes.create(pod)
    await clock.advance(1)
    assert 'PVC "p-tmp" was not created for the pod' in why(two_nodes)
