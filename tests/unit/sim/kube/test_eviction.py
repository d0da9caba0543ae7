"""NoExecute taints, nodes that are gone or out of service, terminating pods without a node."""

from bridge.sim.kube.apiserver import kinds
from bridge.sim.kube.apiserver.objects import Object, condition
from bridge.sim.kube.embedded import EmbeddedKubernetes
from tests.unit.sim.kube.builders import a_node, a_pod
from tests.unit.sim.kube.clocks import ManualClock

_TAINT = {"key": "slinky.slurm.net/managed-node", "value": "s", "effect": "NoExecute"}


async def _taint(k8s: EmbeddedKubernetes, *taints: Object) -> None:
    await k8s.patch(
        kinds.NODES, "n1", lambda node: {**node, "spec": {**node["spec"], "taints": list(taints)}}
    )


async def test_intolerant_pods_go(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """A NoExecute taint takes the pods that don't tolerate it, with DisruptionTarget."""
    tolerates = {"key": _TAINT["key"], "operator": "Equal", "value": "s", "effect": "NoExecute"}
    await k8s.create(a_node())
    await k8s.create(a_pod("stays", node="n1", tolerations=[tolerates]))
    await k8s.create(a_pod("goes", node="n1", annotations={"kwok.x-k8s.io/die-seconds": "9"}))
    await clock.advance(1)
    await _taint(k8s, _TAINT)
    await clock.advance(1)
    going = k8s.get(kinds.PODS, "goes")
    assert going is not None
    assert going["metadata"]["deletionTimestamp"]
    told = condition(going, "DisruptionTarget")
    assert told is not None
    assert told["reason"] == "DeletionByTaintManager"
    await clock.advance(10)
    assert k8s.get(kinds.PODS, "goes") is None
    assert k8s.get(kinds.PODS, "stays") is not None


async def test_tolerated_for_a_while(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """tolerationSeconds is how long the pod may stay, unless the taint goes before."""
    while_ = {"key": _TAINT["key"], "operator": "Exists", "effect": "NoExecute",
              "tolerationSeconds": 60}  # fmt: skip
    await k8s.create(a_node())
    await k8s.create(a_pod(node="n1", tolerations=[while_]))
    await clock.advance(1)
    await _taint(k8s, _TAINT)
    await clock.advance(30)
    await _taint(k8s)
    await clock.advance(100)
    assert k8s.get(kinds.PODS, "p") is not None
    await _taint(k8s, _TAINT)
    await clock.advance(61)
    assert k8s.get(kinds.PODS, "p") is None


async def test_node_is_gone(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """Pods of a deleted node are removed after a quarantine of 40 seconds."""
    await k8s.create(a_node())
    await k8s.create(a_pod(node="n1"))
    await clock.advance(1)
    k8s.kill_kubelet("n1")
    await k8s.delete(kinds.NODES, "n1")
    await clock.advance(30)
    assert k8s.get(kinds.PODS, "p") is not None
    await clock.advance(15)
    assert k8s.get(kinds.PODS, "p") is None


async def test_out_of_service(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """With the out-of-service taint a terminating pod of a dead kubelet is removed at once."""
    await k8s.create(a_node())
    await k8s.create(a_pod(node="n1"))
    await clock.advance(1)
    k8s.kill_kubelet("n1")
    await k8s.delete(kinds.PODS, "p")
    await clock.advance(5)
    assert k8s.get(kinds.PODS, "p") is not None
    out = {"key": "node.kubernetes.io/out-of-service", "value": "x", "effect": "NoExecute"}
    await _taint(k8s, out)
    await clock.advance(1)
    assert k8s.get(kinds.PODS, "p") is None


async def test_cordon_is_a_taint(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """spec.unschedulable puts its taint on, and takes it off again; other taints stay."""
    mine = {"key": "a", "effect": "NoSchedule"}
    await k8s.create(a_node(taints=[mine]))
    await clock.advance(1)

    for value in (True, False):
        await _cordon(k8s, value)
        await clock.advance(1)
        node = k8s.get(kinds.NODES, "n1")
        assert node is not None
        keys = [taint["key"] for taint in node["spec"]["taints"]]
        assert ("node.kubernetes.io/unschedulable" in keys) is value
        assert "a" in keys


async def _cordon(k8s: EmbeddedKubernetes, value: bool) -> None:
    await k8s.patch(
        kinds.NODES, "n1", lambda node: {**node, "spec": {**node["spec"], "unschedulable": value}}
    )
