"""The controllers of apps/v1: how many pods, called what, in which order."""

from typing import Any

import pytest

from bridge.sim.kube.apiserver import kinds
from bridge.sim.kube.apiserver.failure import ApiFailure
from bridge.sim.kube.apiserver.objects import Object, controller_of
from bridge.sim.kube.embedded import EmbeddedKubernetes
from tests.unit.sim.kube.builders import a_node
from tests.unit.sim.kube.clocks import ManualClock


def an_app(kind: str, name: str = "web", *, start_s: float = 0.0, **spec: Any) -> Object:
    """A Deployment, ReplicaSet or StatefulSet; its containers run `start_s` after binding."""
    marks = {"kwok.x-k8s.io/start-seconds": str(start_s)}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "default", "annotations": {"team": "blue"}},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}, "annotations": marks},
                "spec": {"containers": [{"name": "main", "image": "busybox:1"}]},
            },
            **spec,
        },
    }


def _pods(k8s: EmbeddedKubernetes) -> list[Object]:
    """Those that are neither over nor ending."""
    return [
        pod
        for pod in k8s.observe().pods.values()
        if pod["status"]["phase"] in ("Pending", "Running")
        and "deletionTimestamp" not in pod["metadata"]
    ]


def _names(k8s: EmbeddedKubernetes) -> list[str]:
    return sorted(pod["metadata"]["name"] for pod in _pods(k8s))


async def test_a_replicaset_keeps_its_count(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """A deleted pod is replaced, a smaller count ends the surplus, pods go with their owner."""
    await k8s.create(a_node())
    await k8s.create(an_app("ReplicaSet", replicas=3))
    await clock.advance(1)
    first = _names(k8s)
    assert len(first) == 3
    await k8s.delete(kinds.PODS, first[0])
    await clock.advance(1)
    assert len(_names(k8s)) == 3
    assert first[0] not in _names(k8s)
    await _patch(k8s, kinds.REPLICA_SETS, replicas=1)
    await clock.advance(1)
    assert len(_names(k8s)) == 1
    found = k8s.get(kinds.REPLICA_SETS, "web")
    assert found is not None
    assert found["status"]["readyReplicas"] == 1
    await k8s.delete(kinds.REPLICA_SETS, "web")
    await clock.advance(1)
    assert _names(k8s) == []


async def test_of_too_many_those_that_wait_go(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """Pods that have no node yet are given up before those that run."""
    await k8s.create(a_node(pods=2))
    await k8s.create(an_app("ReplicaSet", replicas=4))
    await clock.advance(1)
    running = {pod["metadata"]["name"] for pod in _pods(k8s) if pod["spec"].get("nodeName")}
    assert len(running) == 2
    await _patch(k8s, kinds.REPLICA_SETS, replicas=2)
    await clock.advance(1)
    assert set(_names(k8s)) == running


async def test_a_rollout_never_has_too_few_or_too_many(
    k8s: EmbeddedKubernetes, clock: ManualClock
) -> None:
    """Four replicas with a quarter each way: 3 to 5 pods, until all have the new template."""
    await k8s.create(a_node())
    await k8s.create(an_app("Deployment", replicas=4, start_s=2))
    await clock.advance(5)
    (old,) = {(controller_of(pod) or {})["name"] for pod in _pods(k8s)}
    replica_set = k8s.get(kinds.REPLICA_SETS, old)
    assert replica_set is not None
    assert replica_set["metadata"]["annotations"]["team"] == "blue"
    assert (controller_of(replica_set) or {})["name"] == "web"
    await _patch_template(k8s, {"version": "2", "kwok.x-k8s.io/start-seconds": "2"})
    for _ in range(60):
        await clock.advance(0.5)
        ready = sum(1 for pod in _pods(k8s) if pod["status"]["phase"] == "Running")
        assert ready >= 3
        assert len(_pods(k8s)) <= 5
    (new,) = {(controller_of(pod) or {})["name"] for pod in _pods(k8s)}
    assert new != old
    assert len(_pods(k8s)) == 4


async def test_annotations_of_a_deployment_reach_its_replicaset(
    k8s: EmbeddedKubernetes, clock: ManualClock
) -> None:
    """Those of its creation, and those that somebody adds later."""
    await k8s.create(an_app("Deployment", replicas=2))
    await clock.advance(1)

    def annotated(now: Object) -> Object:
        return {**now, "metadata": {**now["metadata"], "annotations": {"team": "red", "x": "y"}}}

    await k8s.patch(kinds.DEPLOYMENTS, "web", annotated)
    await clock.advance(1)
    (stored,) = k8s.api.store.scan(kinds.REPLICA_SETS.table)
    assert stored.object["metadata"]["annotations"] == {
        "team": "red",
        "x": "y",
        "deployment.kubernetes.io/desired-replicas": "2",
        "deployment.kubernetes.io/max-replicas": "3",
        "deployment.kubernetes.io/revision": "1",
    }


async def test_recreate_ends_the_old_first(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """Never a pod of the new template beside one of the old."""
    await k8s.create(a_node())
    await k8s.create(an_app("Deployment", replicas=2, strategy={"type": "Recreate"}))
    await clock.advance(1)
    before = set(_names(k8s))
    await _patch_template(k8s, {"version": "2"})
    await clock.advance(5)
    assert len(_names(k8s)) == 2
    assert not before & set(_names(k8s))


async def test_a_statefulset_goes_in_order(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """The next pod is created when the one before is ready, and has its name for good."""
    await k8s.create(a_node())
    await k8s.create(an_app("StatefulSet", replicas=3, start_s=10, serviceName="web"))
    await clock.advance(5)
    assert _names(k8s) == ["web-0"]
    await clock.advance(10)
    assert _names(k8s) == ["web-0", "web-1"]
    await clock.advance(10)
    assert _names(k8s) == ["web-0", "web-1", "web-2"]
    pod = k8s.get(kinds.PODS, "web-1")
    assert pod is not None
    assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == ("web-1", "web")
    assert pod["metadata"]["labels"]["apps.kubernetes.io/pod-index"] == "1"
    await k8s.delete(kinds.PODS, "web-1")
    await clock.advance(1)
    again = k8s.get(kinds.PODS, "web-1")
    assert again is not None
    assert again["metadata"]["uid"] != pod["metadata"]["uid"]
    await _patch(k8s, kinds.STATEFUL_SETS, replicas=1)
    await clock.advance(5)
    assert _names(k8s) == ["web-0"]


async def test_a_parallel_statefulset_may_start_at_any_number(
    k8s: EmbeddedKubernetes, clock: ManualClock
) -> None:
    """As LeaderWorkerSet's workers are: 1 and 2, at once."""
    wishes: Any = {"podManagementPolicy": "Parallel", "ordinals": {"start": 1}}
    await k8s.create(a_node())
    await k8s.create(an_app("StatefulSet", start_s=10, replicas=2, **wishes))
    await clock.advance(1)
    assert _names(k8s) == ["web-1", "web-2"]


async def test_a_selector_must_match(k8s: EmbeddedKubernetes) -> None:
    """A template whose pods the owner would not find again is refused."""
    app = an_app("Deployment", selector={"matchLabels": {"app": "other"}})
    with pytest.raises(ApiFailure, match="does not match template"):
        await k8s.create(app)


async def _patch(k8s: EmbeddedKubernetes, kind: kinds.Kind, **spec: Any) -> None:
    await k8s.patch(kind, "web", lambda now: {**now, "spec": {**now["spec"], **spec}})


async def _patch_template(k8s: EmbeddedKubernetes, annotations: dict[str, str]) -> None:
    found = k8s.get(kinds.DEPLOYMENTS, "web")
    assert found is not None
    template = found["spec"]["template"]
    metadata = {**template["metadata"], "annotations": annotations}
    await _patch(k8s, kinds.DEPLOYMENTS, template={**template, "metadata": metadata})
