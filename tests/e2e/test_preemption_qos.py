"""Gangs that preempt one another by QOS, with GraceTime and a sink: on a stack of its own."""

import contextlib
import os
import time
from collections.abc import Iterator

import pytest

from tests.arena import manifests
from tests.arena.api import Object, state, wait_for
from tests.arena.arena import NAMESPACE, Arena, Nodes, gated, node_of
from tests.arena.fixtures import Begin
from tests.arena.real import RealArena
from tests.e2e.stack import Settings, Stack
from tests.flows.lost_nodes import wait_lost
from tests.flows.members import by_rank, ends, slurm_id, uid, waiting_job, why_disrupted

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(600),
    pytest.mark.skipif(os.geteuid() != 0, reason="the stack mounts and chroots: needs root"),
]

PORT_BASE = 19000
GRACE_S = 20


@pytest.fixture(scope="module")
def stage() -> Iterator[Arena]:
    """Since a cluster has one PreemptType. The GraceTime of partitions counts for nothing there."""
    with Stack.fresh("qos", PORT_BASE) as stack:
        stack.slurm("sacctmgr", "-i", "add", "qos", "low", f"GraceTime={GRACE_S}")
        stack.slurm("sacctmgr", "-i", "add", "qos", "high", "Preempt=low")
        stack.slurm_cluster.configure("PreemptType", "preempt/qos")
        with contextlib.closing(RealArena(Settings("qos", port_base=PORT_BASE))) as arena:
            arena.set_grace("slurm-bridge", 30 * GRACE_S)
            yield arena


def a_gang(name: str, *, dies: str = "0") -> Object:
    """Two pods with whole nodes, in the QOS of its name."""
    marks = {manifests.JOB + "qos": name, manifests.DIE_SECONDS: dies}
    return manifests.job(
        name, NAMESPACE, count=2, gang=True, gpus=8, grace_s=300, pod_annotations=marks
    )


def are_followed(arena: Arena, before: set[str]) -> bool:
    """Whether both pods of the high gang are bound. None is released while pods of the low gang's
    first run are there."""
    released = [pod for pod in arena.kubernetes.pods(NAMESPACE, of_job="high") if not gated(pod)]
    there = {uid(pod) for pod in arena.kubernetes.pods(NAMESPACE, of_job="low")} & before
    assert not (released and there), "released onto nodes that others still use"
    return sum(bool(node_of(pod)) for pod in released) == 2


@pytest.mark.parametrize("dies", ["3", "grace"])
def test_a_gang_of_a_higher_qos_follows_the_pods_of_a_lower_one(
    arena: Arena, begin: Begin, dies: str
) -> None:
    """The grace of the lower QOS is its pods', whether they end early or use all of it. The high
    gang's pods are released when they are gone, and the low gang runs again after it."""
    begin(Nodes(count=2), sink=True)
    arena.create(a_gang("low", dies=dies))
    pods = by_rank(arena, 2, job="low")
    job_id, first = slurm_id(pods[0]), {uid(pod) for pod in pods}
    assert arena.slurm.job(job_id)["qos"] == "low"
    arena.create(a_gang("high"))
    wait_for("Slurm preempts", lambda: arena.slurm.job(job_id)["preempt_time"]["number"])
    began_s = time.monotonic()
    for pod in pods:
        name = pod["metadata"]["name"]
        told = arena.wait_pod(name, "is told", lambda pod: why_disrupted(pod)[0], seconds=4)
        reason, message = why_disrupted(told)
        assert reason == "PreemptedInSlurm"
        assert f"Slurm job {job_id} makes room for another job" in message
        told = arena.wait_pod(name, "ends", lambda pod: "deletionTimestamp" in pod["metadata"])
        assert GRACE_S / 2 <= told["metadata"]["deletionGracePeriodSeconds"] <= GRACE_S - 2
    assert state(arena.slurm.job(job_id)) == "RUNNING"
    wait_for("the high gang is bound", lambda: are_followed(arena, first), seconds=GRACE_S + 10)
    took_s = time.monotonic() - began_s
    assert state(arena.slurm.job(job_id)) == "CANCELLED", "before its grace was over"
    assert (took_s < GRACE_S / 2) == (dies == "3"), took_s
    high = by_rank(arena, 2, job="high")
    assert {node_of(pod) for pod in high} == {node_of(pod) for pod in pods}
    assert state(arena.job_of(high[0])) == "RUNNING"
    assert waiting_job(arena)["qos"] == "low", "it queues again"
    wait_lost(arena, began_s)
    for pod in high:
        ends(arena, pod, exit_code=0)
    again = by_rank(arena, 2, job="low", seconds=60)
    assert not {slurm_id(pod) for pod in again} & {job_id, slurm_id(high[0])}
    assert not {uid(pod) for pod in again} & first
    arena.delete_job("low")
    for pod in again:  # they would use the whole of their 300 s
        arena.delete_pod(pod["metadata"]["name"], force=True)
