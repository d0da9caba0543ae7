"""What an admin drains in Slurm, what is unhealthy in Kubernetes, and what has an end."""

import time
from datetime import UTC, datetime

from bridge import names
from tests.arena import manifests
from tests.arena.api import Object, wait_for
from tests.arena.arena import NAMESPACE, Arena, Nodes, condition, node_of, phase
from tests.arena.fixtures import Begin

SHORT, LONG = {manifests.JOB + "timelimit": "2"}, {manifests.JOB + "timelimit": "90"}


def test_a_drain_in_slurm_shows_on_the_node_and_keeps_its_meaning(
    arena: Arena, begin: Begin
) -> None:
    """A taint, and a condition with Slurm's reason. A gang that runs there goes on, and a pod that
    replaces one of its pods starts there. When the drain is over, both say so. Autoscalers are
    asked to leave the nodes of a gang, not that of a single pod."""
    nodes = begin(Nodes(count=2))
    arena.create(manifests.job("train", NAMESPACE, count=2, gang=True, gpus=5))
    pods = arena.wait_pods(2, "run", _runs, of_job="train")
    arena.create(manifests.pod("single", NAMESPACE, gpus=1))
    kept = {key: pods[0]["metadata"]["annotations"].get(key) for key, _ in names.DO_NOT_DISRUPT}
    assert kept == dict(names.DO_NOT_DISRUPT)
    single = arena.wait_bound("single")["metadata"]["annotations"]
    assert not single.keys() & dict(names.DO_NOT_DISRUPT).keys()
    for node in nodes:
        assert _drained(arena, node) is None, "it never was"
    first = node_of(pods[0])
    arena.slurm.drain(first, "broken fan")
    told = _wait_says(arena, first, "True")
    assert told["reason"] == "DrainedInSlurm"
    assert told["message"].startswith("broken fan, by ")
    wait_for("it is tainted", lambda: _taints(arena, first))
    (old,) = [pod["metadata"] for pod in pods if node_of(pod) == first]
    arena.delete_pod(old["name"])
    replaced = arena.wait_pods(
        1, "is on the drained node",
        lambda pod: _runs(pod) and pod["metadata"]["uid"] != old["uid"] and node_of(pod) == first,
        of_job="train",
    )  # fmt: skip
    assert "deletionTimestamp" not in replaced[0]["metadata"]
    assert not arena.kubernetes.get(f"/api/v1/nodes/{first}")["spec"].get("unschedulable")
    arena.slurm.bring_back(first)
    _wait_says(arena, first, "False")
    wait_for("the taint is gone", lambda: not _taints(arena, first))


def test_a_drain_in_slurm_shows_as_a_cordon_that_is_undone_with_it(
    arena: Arena, begin: Begin
) -> None:
    """With that setting. Such a cordon does not come back to Slurm as one of Kubernetes; a cordon
    that a person has set stays."""
    theirs, ours = begin(Nodes(count=2), nodes={"drainedInSlurm": "cordon"})
    arena.cordon(theirs, True)
    wait_for("Slurm knows", lambda: "cordoned" in arena.slurm.nodes()[theirs]["reason"])
    for node in (theirs, ours):
        arena.slurm.drain(node, "broken fan")
        _wait_says(arena, node, "True")
    wait_for("it is cordoned", lambda: _is_cordoned(arena, ours))
    for node in (theirs, ours):
        arena.slurm.bring_back(node)
        _wait_says(arena, node, "False")
    wait_for("ours is uncordoned", lambda: not _is_cordoned(arena, ours))
    assert _is_cordoned(arena, theirs)
    arena.create(manifests.pod("web", NAMESPACE, gpus=1))
    assert node_of(arena.wait_bound("web")) == ours
    wait_for("Slurm knows", lambda: "cordoned" in arena.slurm.nodes()[theirs]["reason"])
    assert not arena.slurm.nodes()[ours]["reason"]


def test_nothing_new_starts_on_an_unhealthy_node(arena: Arena, begin: Begin) -> None:
    """One with a bad condition, or a taint of a node that is about to go, is drained in Slurm with
    that reason, one cause at a time, also for pods that tolerate everything; other words of the
    same condition change nothing there. With the last cause the drain goes."""
    sick, healthy = sorted(begin(Nodes(count=2)))
    _set_deadlock(arena, sick, "True", "blocked for more than 120 seconds")
    reason = wait_for("it is drained", lambda: _reason(arena, sick))
    assert reason == (
        "slurm-bridge: unhealthy in Kubernetes: KernelDeadlock=True (DockerHung), which says: "
        "blocked for more than 120 seconds"
    )
    spec = manifests.pod_spec(gpus=4, restartPolicy="Never", tolerations=[{"operator": "Exists"}])
    for name in ("one", "two"):
        arena.create(manifests.pod(name, NAMESPACE, spec=spec))
        assert node_of(arena.wait_bound(name)) == healthy
    taint = {"key": "ToBeDeletedByClusterAutoscaler", "value": "1", "effect": "NoSchedule"}
    taints = arena.kubernetes.get(f"/api/v1/nodes/{sick}")["spec"]["taints"]
    arena.kubernetes.patch(f"/api/v1/nodes/{sick}", {"spec": {"taints": [*taints, taint]}})
    _set_deadlock(arena, sick, "True", "blocked for more than 240 seconds")
    changed_s = arena.slurm.nodes()[sick]["reason_changed_at"]
    arena.hold_for(1.5, lambda: _reason(arena, sick) == reason)
    assert arena.slurm.nodes()[sick]["reason_changed_at"] == changed_s, "a write per heartbeat"
    _set_deadlock(arena, sick, "False", "")
    told = "slurm-bridge: unhealthy in Kubernetes: taint ToBeDeletedByClusterAutoscaler"
    wait_for("the other cause is told", lambda: _reason(arena, sick) == told)
    arena.kubernetes.patch(f"/api/v1/nodes/{sick}", {"spec": {"taints": taints}})
    arena.create(manifests.pod("three", NAMESPACE, gpus=8))
    assert node_of(arena.wait_bound("three")) == sick


def test_nothing_starts_that_would_outlast_its_node(arena: Arena, begin: Begin) -> None:
    """The end of a node is a reservation in Slurm from then on: a gang with a short limit runs,
    one without says why it waits, until the end is taken back. A node whose end has come is
    drained. Reservations that nobody needs are removed, also those of an earlier bridge."""
    (node,) = begin(Nodes(count=1))
    cluster = arena.kubernetes.get("/api/v1/namespaces/kube-system")["metadata"]["uid"][:8]
    ends = int(time.time()) + 1800
    _set_end(arena, node, _written(ends))
    at = datetime.fromtimestamp(ends // 300 * 300, UTC)
    name = f"slurm-bridge-{cluster}-{at:%Y%m%dT%H%M%SZ}"
    made = wait_for("it is reserved", lambda: arena.slurm.reservations().get(name))
    assert (made["node_list"], made["start_time"]["number"]) == (node, ends // 300 * 300)
    arena.create(manifests.job("long", NAMESPACE, count=2, gang=True, gpus=3, annotations=LONG))
    arena.create(manifests.job("short", NAMESPACE, count=2, gang=True, gpus=3, annotations=SHORT))
    arena.wait_pods(2, "are bound", node_of, of_job="short")
    arena.wait_pods(2, "say why", _is_told_of_reservation, of_job="long")
    arena.delete_job("short")
    _set_end(arena, node, None)
    wait_for("no reservation is left", lambda: not arena.slurm.reservations())
    arena.wait_pods(2, "are bound", node_of, of_job="long")
    arena.bridge.kill()
    arena.slurm.reserve(f"slurm-bridge-{cluster}-20991231T120000Z", [node], in_s=3000)
    arena.slurm.reserve("of-the-admin", [node], in_s=3000)
    arena.bridge.start()
    wait_for("the old one is gone", lambda: list(arena.slurm.reservations()) == ["of-the-admin"])
    arena.slurm.unreserve("of-the-admin")
    _set_end(arena, node, str(int(time.time()) - 60))
    wait_for("it is drained", lambda: "is over" in _reason(arena, node))
    assert not arena.slurm.reservations()


def test_a_maintenance_of_the_admins_keeps_pods_off_in_time(arena: Arena, begin: Begin) -> None:
    """A short gang runs before it; one with a long limit waits, says why, and runs when the
    reservation is gone."""
    nodes = begin(Nodes(count=2))
    arena.slurm.reserve("maintenance", nodes, in_s=1200)
    try:
        arena.create(manifests.job("long", NAMESPACE, count=2, gang=True, gpus=8, annotations=LONG))
        arena.wait_pods(2, "say why", _is_told_of_reservation, of_job="long")
        arena.create(
            manifests.job("short", NAMESPACE, count=2, gang=True, gpus=8, annotations=SHORT)
        )
        arena.wait_pods(2, "are bound", node_of, of_job="short")
        arena.delete_job("short")
    finally:
        arena.slurm.unreserve("maintenance")
    arena.wait_pods(2, "are bound", node_of, of_job="long")


def _runs(pod: Object) -> bool:
    return phase(pod) == "Running"


def _is_told_of_reservation(pod: Object) -> bool:
    told = condition(pod) or {}
    return told.get("reason") == "ReqNodeNotAvail" and "are reserved" in told["message"]


def _drained(arena: Arena, node: str) -> Object | None:
    conditions = arena.kubernetes.get(f"/api/v1/nodes/{node}")["status"]["conditions"]
    return next((one for one in conditions if one["type"] == names.DRAINED_CONDITION), None)


def _wait_says(arena: Arena, node: str, status: str) -> Object:
    """Until the node's condition has that status; the condition."""

    def found() -> Object | None:
        told = _drained(arena, node)
        return told if told is not None and told["status"] == status else None

    told: Object = wait_for(f"node {node} says Drained={status}", found)
    return told


def _taints(arena: Arena, node: str) -> list[Object]:
    spec = arena.kubernetes.get(f"/api/v1/nodes/{node}")["spec"]
    return [one for one in spec.get("taints") or () if one["key"] == names.DRAINED_TAINT]


def _is_cordoned(arena: Arena, node: str) -> bool:
    return bool(arena.kubernetes.get(f"/api/v1/nodes/{node}")["spec"].get("unschedulable"))


def _reason(arena: Arena, node: str) -> str:
    """Of the node's drain in Slurm; "" if it is not drained."""
    found = arena.slurm.nodes()[node]
    return str(found["reason"]) if "DRAIN" in found["state"] else ""


def _set_deadlock(arena: Arena, node: str, status: str, message: str) -> None:
    arena.kubernetes.set_node_condition(
        node, type="KernelDeadlock", status=status, reason="DockerHung", message=message
    )


def _set_end(arena: Arena, node: str, text: str | None) -> None:
    annotations = {names.AVAILABLE_UNTIL: text}
    arena.kubernetes.patch(f"/api/v1/nodes/{node}", {"metadata": {"annotations": annotations}})


def _written(epoch_s: int) -> str:
    return f"{datetime.fromtimestamp(epoch_s, UTC):%Y-%m-%dT%H:%M:%SZ}"
