"""Controllers, extenders and webhooks as processes of their own, two of each."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge import names
from tests.arena import manifests
from tests.arena.api import Object, wait_for
from tests.arena.arena import NAMESPACE, PLAIN_NAMESPACE, Arena, Nodes, gated, node_of
from tests.arena.fixtures import Begin
from tests.arena.processes import LEASE, Processes
from tests.flows.explaining import Researcher

LEASE_PATH = (
    f"/apis/coordination.k8s.io/v1/namespaces/{LEASE['leaseNamespace']}/leases/{LEASE['leaseName']}"
)
HAND_OVER_S = 5.0


@pytest.fixture(scope="module", autouse=True)
def split(stage: Arena) -> Iterator[None]:
    """Bridges of these stories are several processes on both stacks."""
    stage.is_split = True
    yield
    stage.is_split = False


@pytest.fixture
def bridge(arena: Arena, begin: Begin) -> Iterator[Processes]:
    """At work, with two nodes of 8 GPUs; what a story took away comes back."""
    begin(Nodes(count=2))
    assert isinstance(arena.bridge, Processes)
    yield arena.bridge
    arena.start_slurm()
    arena.bridge.start()


def leader(arena: Arena) -> str:
    """Name of the controller that leads, as followers find it; "" while nobody does."""
    assert isinstance(arena.bridge, Processes)
    lease = arena.kubernetes.find(LEASE_PATH) or {}
    holder = str((lease.get("spec") or {}).get("holderIdentity") or "")
    for name, port in arena.bridge.rpc_ports.items():
        if holder.startswith(f"127.0.0.1:{port}/"):
            return name
    return ""


def a_training(arena: Arena, name: str, *, pods: int = 2) -> None:
    """Each of its pods fills a node."""
    arena.create(manifests.job(name, NAMESPACE, count=pods, gang=True, gpus=8))


def wait_training(arena: Arena, name: str, *, pods: int = 2) -> list[Object]:
    return arena.wait_pods(pods, "are bound", node_of, of_job=name)


def jobs_of(arena: Arena, name: str) -> list[int]:
    """The live jobs of that workload."""
    return [job["job_id"] for job in arena.slurm.live_jobs() if job["name"].endswith(f"/{name}")]


def test_a_killed_leader_is_followed_within_seconds(arena: Arena, bridge: Processes) -> None:
    """What waited still waits, in the same job; what ran goes on; new pods are bound."""
    a_training(arena, "runs")
    before = wait_training(arena, "runs")
    a_training(arena, "waits")
    wait_for("it is queued", lambda: jobs_of(arena, "waits"))
    queued = jobs_of(arena, "waits")
    first = leader(arena)
    bridge.parts[first].kill()
    killed_s = time.monotonic()
    wait_for("another one leads", lambda: leader(arena) not in ("", first), every_s=0.02)
    assert time.monotonic() - killed_s < HAND_OVER_S
    arena.kubernetes.delete(f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs/runs")
    wait_training(arena, "waits")
    assert jobs_of(arena, "waits") == queued
    assert {node_of(pod) for pod in before} != {""}
    bridge.start()
    assert leader(arena) != first, "the one that came back waits for its turn"


def test_a_leader_that_is_told_to_stop_hands_over_at_once(arena: Arena, bridge: Processes) -> None:
    """It gives the Lease up when its last request is answered."""
    first = leader(arena)
    assert bridge.parts[first].stop() == 0
    wait_for("another one leads", lambda: leader(arena) not in ("", first), seconds=2.0)
    arena.create(manifests.pod("bare", NAMESPACE, cpu="1"))
    arena.wait_bound("bare")


def test_a_leader_that_slept_does_nothing_more(arena: Arena, bridge: Processes) -> None:
    """Another one leads by then. Awake again, it writes to neither side, and ends."""
    first = leader(arena)
    sleeper = bridge.parts[first]
    assert sleeper.pid is not None
    os.kill(sleeper.pid, signal.SIGSTOP)
    try:
        wait_for("another one leads", lambda: leader(arena) not in ("", first))
        a_training(arena, "meanwhile")
        wait_training(arena, "meanwhile")
        arena.kubernetes.delete(f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs/meanwhile")
        arena.wait_idle()
        a_training(arena, "later")
        wait_training(arena, "later")
        jobs = jobs_of(arena, "later")
    finally:
        os.kill(sleeper.pid, signal.SIGCONT)
    wait_for("it gives up", lambda: "leads_no_more" in sleeper.log())
    assert jobs_of(arena, "later") == jobs
    assert len(arena.slurm.live_jobs()) == 1
    wait_training(arena, "later")


def test_without_a_controller_pods_are_admitted_and_none_is_bound(
    arena: Arena, bridge: Processes
) -> None:
    """The webhook needs nobody; the extender says whom it misses, and goes on when he is back."""
    for controller in bridge.of("controller"):
        controller.end()
    arena.stop_slurm()
    arena.create(manifests.pod("gated", NAMESPACE, cpu="1"))
    pod = arena.kubernetes.pod(NAMESPACE, "gated")
    assert pod is not None
    assert gated(pod), "a pod is admitted also while Slurm and the controller are away"
    arena.without_webhooks()
    toleration = {"key": names.MANAGED_NODE_TAINT, "operator": "Exists"}
    arena.create(
        manifests.pod(
            "ungated", PLAIN_NAMESPACE, cpu="1", schedulerName=names.SCHEDULER_NAME,
            tolerations=[toleration],
        )
    )  # fmt: skip
    wait_for("kube-scheduler is told", lambda: "no controller" in _events(arena, "ungated"))
    assert [one.ready() for one in bridge.of("webhook")] == ["", ""]
    assert all("controller" in one.ready() for one in bridge.of("extender"))
    arena.start_slurm()
    arena.register_webhooks("")
    bridge.start()
    arena.wait_bound("gated")
    arena.wait_bound("ungated", namespace=PLAIN_NAMESPACE)


def test_any_replica_of_each_may_go(arena: Arena, bridge: Processes) -> None:
    """The others go on, whichever of them is asked."""
    for kind in ("webhook", "extender"):
        bridge.of(kind)[0].kill()
    a_training(arena, "train")
    wait_training(arena, "train")
    bridge.start()
    for kind in ("webhook", "extender"):
        bridge.of(kind)[1].kill()
    arena.create(manifests.pod("bare", NAMESPACE, cpu="1"))
    arena.wait_bound("bare")


def _events(arena: Arena, pod: str) -> str:
    """All that is said of the pod."""
    found = arena.kubernetes.events(PLAIN_NAMESPACE)
    return "\n".join(
        str(event.get("note")) for event in found if event["regarding"].get("name") == pod
    )


def test_a_controller_that_does_not_lead_says_who_does(
    arena: Arena, bridge: Processes, tmp_path: Path
) -> None:
    """And the command asks that one; after a change of leaders too."""
    token = tmp_path / "token"
    token.write_text(arena.admin_token())
    arena.create(manifests.pod("bare", NAMESPACE, cpu="1"))
    arena.wait_bound("bare")

    def queue_by(controller: str) -> str:
        asked = Researcher(arena, token, port=bridge.api_ports[controller])
        return asked.told("queue", "-n", NAMESPACE)

    first = leader(arena)
    (second,) = {"controller-0", "controller-1"} - {first}
    for name in (first, second):
        assert "pod/team/bare" in queue_by(name)
    assert bridge.parts[first].stop() == 0
    wait_for("another one leads", lambda: leader(arena) == second)
    wait_for("it answers", lambda: "pod/team/bare" in queue_by(second))
