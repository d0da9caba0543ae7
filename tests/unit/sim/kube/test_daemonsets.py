"""The DaemonSet controller: which nodes get a pod, and which pods go."""

from typing import Any

import pytest

from bridge.sim.kube.apiserver import kinds
from bridge.sim.kube.apiserver.objects import Object, controller_of, owner_reference
from bridge.sim.kube.embedded import EmbeddedKubernetes
from tests.unit.sim.kube.builders import a_node, a_pod, pinned
from tests.unit.sim.kube.clocks import ManualClock
from tests.unit.sim.kube.test_apps import an_app

TAINT = {"key": "example.com/ours", "effect": "NoSchedule"}


def _where(k8s: EmbeddedKubernetes) -> dict[str, str]:
    """Node of each pod that is not being deleted."""
    return {
        name: str(pod["spec"].get("nodeName", ""))
        for (_, name), pod in k8s.observe().pods.items()
        if "deletionTimestamp" not in pod["metadata"]
    }


def _status(k8s: EmbeddedKubernetes) -> Object:
    found = k8s.get(kinds.DAEMON_SETS, "web")
    assert found is not None
    return dict(found["status"])


async def _with_taint(k8s: EmbeddedKubernetes, node: str, taint: Object) -> None:
    def tainted(now: Object) -> Object:
        return {**now, "spec": {**now["spec"], "taints": [taint]}}

    await k8s.patch(kinds.NODES, node, tainted)


async def test_a_pod_on_each_node(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """Tied to its node by affinity, bound by the scheduler, also on nodes that come later and on
    cordoned ones; it goes with its node."""
    for name in ("n1", "n2"):
        await k8s.create(a_node(name))
    await k8s.create(an_app("DaemonSet"))
    await clock.advance(2)
    assert sorted(_where(k8s).values()) == ["n1", "n2"]
    for pod in k8s.observe().pods.values():
        assert pod["spec"]["affinity"] == pinned(pod["spec"]["nodeName"])
        assert (controller_of(pod) or {})["kind"] == "DaemonSet"
    cordoned = a_node("n3")
    cordoned["spec"]["unschedulable"] = True
    await k8s.create(cordoned)
    await clock.advance(2)
    assert sorted(_where(k8s).values()) == ["n1", "n2", "n3"]
    status = _status(k8s)
    assert (status["desiredNumberScheduled"], status["numberReady"]) == (3, 3)
    await k8s.delete(kinds.NODES, "n1")
    await clock.advance(60)
    assert sorted(_where(k8s).values()) == ["n2", "n3"]
    await k8s.delete(kinds.DAEMON_SETS, "web")
    await clock.advance(5)
    assert _where(k8s) == {}


async def test_selectors_and_taints(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """Node selector and taints are the template's; a later NoSchedule lets pods stay."""
    await k8s.create(a_node("n1", labels={"zone": "a"}))
    await k8s.create(a_node("n2"))
    await k8s.create(a_node("n3", labels={"zone": "a"}, taints=[TAINT]))
    chosen = an_app("DaemonSet")
    chosen["spec"]["template"]["spec"]["nodeSelector"] = {"zone": "a"}
    await k8s.create(chosen)
    await clock.advance(2)
    assert list(_where(k8s).values()) == ["n1"]
    await _with_taint(k8s, "n1", TAINT)
    await clock.advance(5)
    assert list(_where(k8s).values()) == ["n1"]
    assert _status(k8s)["numberMisscheduled"] == 1
    await _with_taint(k8s, "n1", {**TAINT, "effect": "NoExecute"})
    await clock.advance(5)
    assert _where(k8s) == {}


async def test_failed_pods_are_replaced_more_and_more_slowly(
    k8s: EmbeddedKubernetes, clock: ManualClock
) -> None:
    """A pod that fails at once does not turn into a storm of pods."""
    await k8s.create(a_node())
    failing = an_app("DaemonSet")
    marks = failing["spec"]["template"]["metadata"]["annotations"]
    marks["kwok.x-k8s.io/fail-seconds"] = "0"
    await k8s.create(failing)
    seen: set[str] = set()
    for _ in range(60):
        await clock.advance(1)
        seen |= set(_where(k8s))
    assert 4 <= len(seen) <= 8


@pytest.mark.parametrize("namespace", ["default", "team"])
async def test_forged_daemon_pods(
    k8s: EmbeddedKubernetes, clock: ManualClock, namespace: str
) -> None:
    """For the same node it is one too many, and the younger goes; for no node it is not looked
    at; in another namespace nothing of it counts."""
    await k8s.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})
    await k8s.create(a_node())
    await k8s.create(an_app("DaemonSet"))
    await clock.advance(2)
    [mine] = _where(k8s)
    daemons = k8s.get(kinds.DAEMON_SETS, "web")
    assert daemons is not None
    owner = {**owner_reference(daemons), "apiVersion": "nobody.example/v1"}
    hold: Any = {"labels": {"app": "web"}, "owner": owner, "gates": ["example.com/hold"]}
    await k8s.create(a_pod("tied", namespace=namespace, pinned_to="n1", **hold))
    await k8s.create(a_pod("loose", namespace=namespace, **hold))
    await clock.advance(60)
    kept = {"default": {"loose"}, "team": {"tied", "loose"}}[namespace]
    assert set(_where(k8s)) == {mine} | kept
    assert _status(k8s)["currentNumberScheduled"] == 1
