"""The kubelets: what a bound pod lives through, and what a node refuses."""

import pytest

from bridge.sim.kube.apiserver import kinds
from bridge.sim.kube.apiserver.objects import Object, condition_is_true
from bridge.sim.kube.embedded import EmbeddedKubernetes
from tests.unit.sim.kube.builders import a_node, a_pod, pinned
from tests.unit.sim.kube.clocks import ManualClock, settle


def _kwok(**marks: object) -> dict[str, str]:
    return {f"kwok.x-k8s.io/{key.replace('_', '-')}": str(value) for key, value in marks.items()}


def _phase(k8s: EmbeddedKubernetes, name: str = "p") -> str:
    pod = k8s.get(kinds.PODS, name)
    return pod["status"]["phase"] if pod else "gone"


def _pod(k8s: EmbeddedKubernetes, name: str = "p") -> Object:
    pod = k8s.get(kinds.PODS, name)
    assert pod is not None
    return pod


async def test_bound_pod_runs_on(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """Without annotations a bound pod runs until it is deleted."""
    await k8s.create(a_node())
    await k8s.create(a_pod(node="n1"))
    await clock.advance(1000)
    assert _phase(k8s) == "Running"
    status = _pod(k8s)["status"]
    assert status["containerStatuses"][0]["state"]["running"]
    assert condition_is_true(_pod(k8s), "Ready")
    assert status["podIP"]


@pytest.mark.parametrize(
    ("marks", "phases"),
    [
        (_kwok(run_seconds=5), ["Running", "Succeeded"]),
        (_kwok(fail_seconds=5), ["Running", "Failed"]),
        (_kwok(start_seconds=5), ["Pending", "Running"]),
        (_kwok(start_seconds=2, run_seconds=3), ["Running", "Succeeded"]),
        (_kwok(run_seconds=5, fail_seconds=2), ["Failed", "Failed"]),
        (_kwok(run_seconds="soon"), ["Running", "Running"]),
    ],
)
async def test_annotations_drive(
    k8s: EmbeddedKubernetes, clock: ManualClock, marks: dict[str, str], phases: list[str]
) -> None:
    """The annotations of the kwok stages say when a pod starts, succeeds and fails."""
    await k8s.create(a_node())
    await k8s.create(a_pod(node="n1", annotations=marks))
    await clock.advance(4)
    first = _phase(k8s)
    await clock.advance(6)
    assert [first, _phase(k8s)] == phases


async def test_exit_code(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """A failing pod's containers end with the code that its annotation names."""
    await k8s.create(a_node())
    await k8s.create(a_pod(node="n1", annotations=_kwok(fail_seconds=1, exit_code=42)))
    await clock.advance(2)
    ended = _pod(k8s)["status"]["containerStatuses"][0]["state"]["terminated"]
    assert ended["exitCode"] == 42


async def test_pod_deadline(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """activeDeadlineSeconds of the pod ends it with the reason DeadlineExceeded."""
    await k8s.create(a_node())
    await k8s.create(a_pod(node="n1", deadline_s=10))
    await clock.advance(11)
    assert _phase(k8s) == "Failed"
    assert _pod(k8s)["status"]["reason"] == "DeadlineExceeded"


@pytest.mark.parametrize(
    ("marks", "there", "gone"),
    [({}, 0, 1), (_kwok(die_seconds=5), 4, 6), (_kwok(die_seconds="grace"), 29, 31),
     (_kwok(die_seconds=100), 60, 101)],
)  # fmt: skip
async def test_dies_in_its_time(
    k8s: EmbeddedKubernetes, clock: ManualClock, marks: dict[str, str], there: int, gone: int
) -> None:
    """A deleted pod's containers obey at once, late, when grace kills them, or later still."""
    await k8s.create(a_node())
    await k8s.create(a_pod(node="n1", annotations=marks))
    await clock.advance(1)
    await k8s.delete(kinds.PODS, "p")
    await clock.advance(there)
    assert _phase(k8s) == ("Running" if there else "gone")
    await clock.advance(gone - there)
    assert _phase(k8s) == "gone"


async def test_shorter_grace_counts(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """A second DELETE with a shorter grace ends a pod that ignores SIGTERM sooner."""
    await k8s.create(a_node())
    await k8s.create(a_pod(node="n1", annotations=_kwok(die_seconds="grace")))
    await clock.advance(1)
    await k8s.delete(kinds.PODS, "p")
    await clock.advance(1)
    await k8s.delete(kinds.PODS, "p", grace_s=3)
    await clock.advance(4)
    assert _phase(k8s) == "gone"


async def test_held_by_a_finalizer(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """A deleted pod with a finalizer becomes terminal, and stays until the finalizer goes."""
    await k8s.create(a_node())
    await k8s.create(a_pod(node="n1", finalizers=["example.com/hold"]))
    await clock.advance(1)
    await k8s.delete(kinds.PODS, "p")
    await clock.advance(1)
    assert _phase(k8s) == "Failed"
    await k8s.patch(
        kinds.PODS,
        "p",
        lambda pod: {**pod, "metadata": {**pod["metadata"], "finalizers": []}},
    )
    assert _phase(k8s) == "gone"


@pytest.mark.parametrize(
    ("pod", "reason", "word"),
    [
        (a_pod("x", node="n1", cpu="2"), "OutOfcpu", "requested: 2000, used: 3000, capacity: 4000"),
        (a_pod("x", node="n1", memory="15Gi"), "OutOfmemory", "memory"),
        (a_pod("x", node="n1", gpu=8), "UnexpectedAdmissionError", "Requested: 8, Available: 7"),
    ],
)
async def test_refuses_what_does_not_fit(
    k8s: EmbeddedKubernetes, clock: ManualClock, pod: Object, reason: str, word: str
) -> None:
    """Oversubscription shows: a pod over allocatable fails with the kubelet's reason."""
    await k8s.create(a_node(gpu=8))
    await k8s.create(a_pod("first", node="n1", cpu="3", memory="2Gi", gpu=1))
    await clock.advance(1)
    await k8s.create(pod)
    await clock.advance(1)
    assert _phase(k8s, "x") == "Failed"
    assert _pod(k8s, "x")["status"]["reason"] == reason
    assert word in _pod(k8s, "x")["status"]["message"]
    assert _phase(k8s, "first") == "Running"


async def test_too_many_pods(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """A node takes as many pods as it says."""
    await k8s.create(a_node(pods=1))
    await k8s.create(a_pod("first", node="n1"))
    await clock.advance(1)
    await k8s.create(a_pod("second", node="n1"))
    await clock.advance(1)
    assert _pod(k8s, "second")["status"]["reason"] == "OutOfpods"


async def test_refuses_the_wrong_node(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """A pod bound to a node that its affinity excludes is refused there."""
    await k8s.create(a_node())
    pod = a_pod(node="n1")
    pod["spec"]["affinity"] = pinned("n2")
    await k8s.create(pod)
    await clock.advance(1)
    assert _pod(k8s)["status"]["reason"] == "NodeAffinity"


async def test_room_comes_back(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """What an ended or deleted pod held is free for the next."""
    await k8s.create(a_node(cpu="4"))
    await k8s.create(a_pod("a", node="n1", cpu="4", annotations=_kwok(run_seconds=1)))
    await clock.advance(2)
    await k8s.create(a_pod("b", node="n1", cpu="4"))
    await clock.advance(1)
    assert _phase(k8s, "b") == "Running"
    await k8s.delete(kinds.PODS, "b")
    await clock.advance(1)
    await k8s.create(a_pod("c", node="n1", cpu="4"))
    await clock.advance(1)
    assert _phase(k8s, "c") == "Running"


async def test_terminating_pod_still_holds(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """Until its containers have ended, a deleted pod holds what it has."""
    await k8s.create(a_node(cpu="4"))
    await k8s.create(a_pod("a", node="n1", cpu="4", annotations=_kwok(die_seconds=10)))
    await clock.advance(1)
    await k8s.delete(kinds.PODS, "a")
    await k8s.create(a_pod("b", node="n1", cpu="4"))
    await clock.advance(1)
    assert _pod(k8s, "b")["status"]["reason"] == "OutOfcpu"


async def test_nodes_become_ready(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """A new node is made Ready, loses the not-ready taint and has a lease that is renewed."""
    await k8s.create(a_node())
    await settle()
    node = k8s.get(kinds.NODES, "n1")
    assert node is not None
    assert condition_is_true(node, "Ready")
    assert "taints" not in node["spec"]
    lease = k8s.get(kinds.LEASES, "n1", namespace="kube-node-lease")
    assert lease is not None
    await clock.advance(11)
    renewed = k8s.get(kinds.LEASES, "n1", namespace="kube-node-lease")
    assert renewed is not None
    assert renewed["spec"]["renewTime"] > lease["spec"]["renewTime"]


async def test_dead_kubelet(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """Its node becomes Unknown and tainted; its pods are deleted after five minutes, never gone."""
    await k8s.create(a_node())
    await k8s.create(a_pod(node="n1"))
    await clock.advance(1)
    k8s.kill_kubelet("n1")
    await clock.advance(70)
    node = k8s.get(kinds.NODES, "n1")
    assert node is not None
    assert not condition_is_true(node, "Ready")
    effects = {(taint["key"], taint["effect"]) for taint in node["spec"]["taints"]}
    assert ("node.kubernetes.io/unreachable", "NoExecute") in effects
    assert "deletionTimestamp" not in _pod(k8s)["metadata"]
    await clock.advance(310)
    assert "deletionTimestamp" in _pod(k8s)["metadata"]
    assert condition_is_true(_pod(k8s), "DisruptionTarget")
    await clock.advance(1000)
    assert _phase(k8s) == "Running"


async def test_revived_kubelet(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """A kubelet that comes back makes its node Ready and ends what was deleted meanwhile."""
    await k8s.create(a_node())
    await k8s.create(a_pod(node="n1"))
    await clock.advance(1)
    k8s.kill_kubelet("n1")
    await k8s.delete(kinds.PODS, "p")
    await clock.advance(70)
    assert _phase(k8s) == "Running"
    k8s.revive_kubelet("n1")
    await clock.advance(20)
    assert _phase(k8s) == "gone"
    node = k8s.get(kinds.NODES, "n1")
    assert node is not None
    assert condition_is_true(node, "Ready")
