"""The scheduler stand-in: stock filters, the extender protocol, when it tries again."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bridge.sim.kube.apiserver import binding, kinds
from bridge.sim.kube.apiserver.core import Target
from bridge.sim.kube.apiserver.objects import Object, condition
from bridge.sim.kube.embedded import EmbeddedKubernetes
from bridge.sim.kube.scheduler.extender import ExtenderConfig
from tests.unit.sim.kube.builders import a_node, a_pod
from tests.unit.sim.kube.clocks import ManualClock
from tests.unit.sim.kube.https import Handler, Service, serving
from tests.unit.sim.kube.tls import Authority

Json = Any
OURS = "slurm-bridge-scheduler"


def _node_of(k8s: EmbeddedKubernetes, name: str = "p") -> str:
    pod = k8s.get(kinds.PODS, name)
    assert pod is not None
    return str(pod["spec"].get("nodeName", ""))


def _told(k8s: EmbeddedKubernetes, name: str = "p") -> Object:
    pod = k8s.get(kinds.PODS, name)
    assert pod is not None
    return condition(pod, "PodScheduled") or {}


@pytest.mark.parametrize(
    ("pod", "message"),
    [
        (a_pod(cpu="5"), "0/1 nodes are available: 1 Insufficient cpu."),
        (a_pod(gpu=1), "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."),
        (
            a_pod(cpu="5", gpu=1),
            "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient nvidia.com/gpu.",
        ),
        (
            a_pod(selector={"zone": "b"}),
            "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
        ),
        (
            a_pod(pinned_to="n2"),
            "0/1 nodes are available: 1 node(s) didn't satisfy plugin(s) [NodeAffinity].",
        ),
        (a_pod(pinned_to="n1"), ""),
        (a_pod(cpu="4"), ""),
        (a_pod(selector={"kubernetes.io/hostname": "n1"}), ""),
    ],
)
async def test_stock_filters(
    k8s: EmbeddedKubernetes, clock: ManualClock, pod: Object, message: str
) -> None:
    """A pod that fits is bound; one that doesn't is told why in kube-scheduler's words."""
    await k8s.create(a_node())
    await clock.advance(1)
    await k8s.create(pod)
    await clock.advance(1)
    assert _node_of(k8s) == ("" if message else "n1")
    if message:
        assert _told(k8s)["reason"] == "Unschedulable"
        assert _told(k8s)["message"] == message


async def test_taints(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """An untolerated NoSchedule or NoExecute taint keeps a pod off, a tolerated one does not."""
    taint = {"key": "a", "value": "b", "effect": "NoExecute"}
    await k8s.create(a_node(taints=[taint]))
    await clock.advance(1)
    await k8s.create(a_pod("no"))
    tolerates = [{"key": "a", "operator": "Equal", "value": "b"}]
    await k8s.create(a_pod("yes", tolerations=tolerates))
    await clock.advance(1)
    assert _node_of(k8s, "no") == ""
    assert "1 node(s) had untolerated taint(s)" in _told(k8s, "no")["message"]
    assert _node_of(k8s, "yes") == "n1"


async def test_ports(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """Two pods that want the same port of the host don't share a node."""
    await k8s.create(a_node())
    await clock.advance(1)
    for name in ("a", "b"):
        await k8s.create(a_pod(name, ports=[8080]))
        await clock.advance(1)
    assert _node_of(k8s, "a") == "n1"
    assert "didn't have free ports" in _told(k8s, "b")["message"]
    await k8s.delete(kinds.PODS, "a")
    await clock.advance(20)
    assert _node_of(k8s, "b") == "n1"


async def test_never_more_than_there_is(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """Of ten pods that come at once, as many are bound as fit."""
    await k8s.create(a_node(cpu="4"))
    await clock.advance(1)
    for index in range(10):
        await k8s.create(a_pod(f"p{index}", cpu="1"))
    await clock.advance(1)
    assert len(k8s.observe().on("n1")) == 4
    phases = {pod["status"]["phase"] for pod in k8s.observe().pods.values()}
    assert phases == {"Running", "Pending"}, "no kubelet had to refuse one"


async def test_gated_pods_wait(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """A gated pod is not looked at; without its gate it is bound."""
    await k8s.create(a_node())
    await k8s.create(a_pod(gates=["example.com/g"]))
    await clock.advance(60)
    assert _node_of(k8s) == ""
    assert _told(k8s)["reason"] == "SchedulingGated"
    await k8s.patch(
        kinds.PODS, "p", lambda pod: {**pod, "spec": {**pod["spec"], "schedulingGates": []}}
    )
    await clock.advance(1)
    assert _node_of(k8s) == "n1"


async def test_priority_first(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """Of waiting pods the one of the higher PriorityClass is tried first."""
    await k8s.create(
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": "high"},
            "value": 1000,
        }
    )
    await k8s.create(a_pod("low", cpu="4"))
    await k8s.create(a_pod("high", cpu="4", priority_class="high"))
    await clock.advance(15)
    await k8s.create(a_node(cpu="4"))
    await clock.advance(15)
    assert _node_of(k8s, "high") == "n1"
    assert _node_of(k8s, "low") == ""


async def test_tries_again_when_room_comes(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """A deleted pod, a new node or a removed cordon move what was unschedulable."""
    await k8s.create(a_node(cpu="4"))
    await clock.advance(1)
    await k8s.create(a_pod("first", cpu="4"))
    await clock.advance(1)
    await k8s.create(a_pod("second", cpu="4"))
    await clock.advance(30)
    assert _node_of(k8s, "second") == ""
    await k8s.delete(kinds.PODS, "first")
    await clock.advance(1)
    assert _node_of(k8s, "second") == "n1"


async def test_spreads(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """Without an extender the emptiest node is taken."""
    for name in ("n1", "n2"):
        await k8s.create(a_node(name))
    await clock.advance(1)
    for name in ("a", "b"):
        await k8s.create(a_pod(name, cpu="1"))
        await clock.advance(1)
    assert {_node_of(k8s, "a"), _node_of(k8s, "b")} == {"n1", "n2"}


async def test_events(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """FailedScheduling while it can't, Scheduled when it could."""
    await k8s.create(a_pod())
    await clock.advance(1)
    await k8s.create(a_node())
    await clock.advance(15)
    events = {
        stored.object["reason"]: stored.object["message"]
        for stored in k8s.api.store.scan(kinds.EVENTS.table)
    }
    assert events["FailedScheduling"] == "no nodes available to schedule pods"
    assert events["Scheduled"] == "Successfully assigned default/p to n1"


# With an extender: real sockets, so real time


class Bridge:
    """An extender that a test tells what to answer."""

    def __init__(self, k8s: EmbeddedKubernetes) -> None:
        self._k8s = k8s
        self.allowed: set[str] = set()
        self.refusal = "waiting in Slurm: Priority"
        self.error = ""
        self.invented = ""
        self.bind_error = ""
        self.scores: dict[str, int] = {}
        self.field = "FailedAndUnresolvableNodes"

    def filter(self, args: Json) -> Json:
        """Only `allowed` passes."""
        if self.error:
            return {"Error": self.error}
        if self.invented:
            return {"NodeNames": [self.invented]}
        names = args["NodeNames"]
        refused = {name: self.refusal for name in names if name not in self.allowed}
        return {"NodeNames": [name for name in names if name in self.allowed], self.field: refused}

    def prioritize(self, args: Json) -> Json:
        """Fixed scores."""
        return [{"Host": name, "Score": self.scores.get(name, 0)} for name in args["NodeNames"]]

    async def bind(self, args: Json) -> Json:
        """POSTs the Binding, as the real extender does."""
        if self.bind_error:
            return {"Error": self.bind_error}
        name, namespace = args["PodName"], args["PodNamespace"]
        target = Target(kinds.PODS, namespace, name, "binding")
        metadata = {"name": name, "namespace": namespace, "uid": args["PodUID"]}
        wish = {"metadata": metadata, "target": {"kind": "Node", "name": args["Node"]}}
        await binding.bind(self._k8s.api, target, wish)
        return {"Error": ""}


@pytest.fixture
async def real() -> AsyncIterator[EmbeddedKubernetes]:
    """In real time."""
    async with EmbeddedKubernetes() as kubernetes:
        await kubernetes.add_nodes([a_node("n1"), a_node("n2"), a_node("n3")])
        yield kubernetes


@pytest.fixture
def bridge(real: EmbeddedKubernetes) -> Bridge:
    """The extender's answers."""
    return Bridge(real)


@pytest.fixture
async def extender(
    real: EmbeddedKubernetes, bridge: Bridge, tmp_path: Path
) -> AsyncIterator[Service]:
    """The extender's server, which wants a client certificate, and a scheduler that has one."""
    authority = Authority.make(tmp_path)
    handlers: dict[str, Handler] = {
        "/scheduler/filter": bridge.filter,
        "/scheduler/prioritize": bridge.prioritize,
        "/scheduler/bind": bridge.bind,
    }
    async with serving(handlers, authority.server_context(clients=True)) as service:
        config = ExtenderConfig(
            service.url + "/scheduler",
            filter_verb="filter",
            prioritize_verb="prioritize",
            bind_verb="bind",
            tls=authority.client_context("kube-scheduler"),
        )
        real.start_scheduler(OURS, extenders=[config])
        yield service
        await real.stop_scheduler(OURS)


def _verbs(service: Service) -> list[str]:
    return [path.rpartition("/")[2] for path, _ in service.calls]


async def test_extender_decides(
    real: EmbeddedKubernetes, bridge: Bridge, extender: Service
) -> None:
    """The pod goes to the one node that the extender lets through, bound by the extender."""
    bridge.allowed = {"n2"}
    await real.create(a_pod(scheduler=OURS))
    seen = await real.until(lambda now: now.on("n2"))
    assert _verbs(extender) == ["filter", "bind"], "one candidate left: nothing to prioritize"
    args = extender.calls[0][1]
    assert set(args) == {"Pod", "Nodes", "NodeNames"}
    assert args["Nodes"] is None
    assert sorted(args["NodeNames"]) == ["n1", "n2", "n3"]
    assert "kind" not in args["Pod"], "as Go sends what its informers hold"
    pod = seen.pods[("default", "p")]
    assert extender.calls[1][1] == {
        "PodName": "p",
        "PodNamespace": "default",
        "PodUID": pod["metadata"]["uid"],
        "Node": "n2",
    }


async def test_pinned_pod_is_one_name(
    real: EmbeddedKubernetes, bridge: Bridge, extender: Service
) -> None:
    """The extender of a pinned pod sees that one node only."""
    bridge.allowed = {"n1", "n2", "n3"}
    await real.create(a_pod(scheduler=OURS, pinned_to="n3"))
    await real.until(lambda now: now.on("n3"))
    assert extender.calls[0][1]["NodeNames"] == ["n3"]


async def test_nominated_node_comes_first(
    real: EmbeddedKubernetes, bridge: Bridge, extender: Service
) -> None:
    """A pod with status.nominatedNodeName is tried there alone, and goes there if it can."""
    bridge.allowed = {"n1", "n2", "n3"}
    bridge.scores = {"n1": 10}
    await real.create(a_pod(scheduler=OURS, gates=["example.com/g"]))
    nominate = {"nominatedNodeName": "n3"}
    await real.patch(
        kinds.PODS,
        "p",
        lambda pod: {**pod, "status": {**pod["status"], **nominate}},
        subresource="status",
    )
    await real.patch(
        kinds.PODS, "p", lambda pod: {**pod, "spec": {**pod["spec"], "schedulingGates": []}}
    )
    await real.until(lambda now: now.on("n3"))
    assert extender.calls[0][1]["NodeNames"] == ["n3"]
    assert _verbs(extender) == ["filter", "bind"]


async def test_scores(real: EmbeddedKubernetes, bridge: Bridge, extender: Service) -> None:
    """Among several the extender's scores decide."""
    bridge.allowed = {"n1", "n2", "n3"}
    bridge.scores = {"n3": 10}
    await real.create(a_pod(scheduler=OURS))
    await real.until(lambda now: now.on("n3"))
    assert _verbs(extender) == ["filter", "prioritize", "bind"]


async def test_refused(real: EmbeddedKubernetes, bridge: Bridge, extender: Service) -> None:
    """Refused everywhere: Unschedulable, with the extender's own words."""
    await real.create(a_pod(scheduler=OURS))
    await real.until(lambda now: _told(real).get("reason") == "Unschedulable")
    assert _told(real)["message"] == ("0/3 nodes are available: 3 waiting in Slurm: Priority.")
    bridge.allowed = {"n1"}
    await real.create(a_pod("other"))  # any event in the cluster brings the pod back
    await real.until(lambda now: _node_of(real) == "n1", timeout_s=20)


async def test_extender_error(real: EmbeddedKubernetes, bridge: Bridge, extender: Service) -> None:
    """An error is no refusal: SchedulerError, and another try after the back-off."""
    bridge.error = "no leader"
    await real.create(a_pod(scheduler=OURS))
    await real.until(lambda now: _told(real).get("reason") == "SchedulerError")
    assert _told(real)["message"] == "no leader"
    bridge.error = ""
    bridge.allowed = {"n1"}
    await real.until(lambda now: now.on("n1"), timeout_s=20)


async def test_bind_fails(real: EmbeddedKubernetes, bridge: Bridge, extender: Service) -> None:
    """A failed bind gives the pod's share back and is tried again."""
    bridge.allowed = {"n1"}
    bridge.bind_error = "job 7 is not running any more"
    await real.create(a_pod(scheduler=OURS, cpu="4"))
    await real.until(lambda now: _told(real).get("reason") == "SchedulerError")
    bridge.bind_error = ""
    await real.until(lambda now: now.on("n1"), timeout_s=20)


async def test_foreign_node(real: EmbeddedKubernetes, bridge: Bridge, extender: Service) -> None:
    """An extender that names a node which was no candidate is an error."""
    bridge.invented = "n9"
    await real.create(a_pod(scheduler=OURS))
    await real.until(lambda now: _told(real).get("reason") == "SchedulerError")
    assert 'claims a filtered node "n9"' in _told(real)["message"]


async def test_others_are_left_alone(
    real: EmbeddedKubernetes, bridge: Bridge, extender: Service
) -> None:
    """Pods of another scheduler are not ours, and the extender never hears of them."""
    await real.create(a_pod())
    await real.until(lambda now: any(now.on(node) for node in ("n1", "n2", "n3")))
    assert extender.calls == []


async def test_extender_is_down(real: EmbeddedKubernetes, tmp_path: Path) -> None:
    """Nobody listens: SchedulerError with the address, nothing is bound."""
    authority = Authority.make(tmp_path)
    config = ExtenderConfig(
        "https://127.0.0.1:1/scheduler", filter_verb="filter", tls=authority.client_context("k")
    )
    real.start_scheduler(OURS, extenders=[config])
    await real.create(a_pod(scheduler=OURS))
    await real.until(lambda now: _told(real).get("reason") == "SchedulerError")
    assert "https://127.0.0.1:1/scheduler/filter" in _told(real)["message"]
    await real.stop_scheduler(OURS)
