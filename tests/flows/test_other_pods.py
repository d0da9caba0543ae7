"""Pods that ask to be beside other pods, or away from them, before kube-scheduler sees them."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.arena import manifests
from tests.arena.api import Object
from tests.arena.arena import NAMESPACE, Arena, Nodes, condition, node_of
from tests.arena.fixtures import Begin

HOST = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"
ZONES = ("us-west-2a", "us-west-2b")
GROUP: dict[str, Any] = {"labelSelector": {"matchLabels": {"app": "web"}}}


def apart(key: str) -> dict[str, Any]:
    """spec.affinity of pods of app `web` that keep away from each other."""
    return {"affinity": {"podAntiAffinity": _required({**GROUP, "topologyKey": key})}}


def together(key: str) -> dict[str, Any]:
    """spec.affinity of pods of app `web` that want each other beside them."""
    return {"affinity": {"podAffinity": _required({**GROUP, "topologyKey": key})}}


def spread(key: str) -> dict[str, Any]:
    """spec.topologySpreadConstraints of pods of app `web`."""
    constraint = {"maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule", "topologyKey": key, **GROUP}
    return {"topologySpreadConstraints": [constraint]}


def _required(term: dict[str, Any]) -> dict[str, Any]:
    return {"requiredDuringSchedulingIgnoredDuringExecution": [term]}


def a_web_pod(name: str, **spec: Any) -> dict[str, Any]:
    """A small pod of app `web`."""
    pod = manifests.pod(name, NAMESPACE, cpu="1", memory="64Mi", **spec)
    pod["metadata"]["labels"] = {"app": "web"}
    return pod


def a_web_gang(count: int, cpu: str = "1", **spec: Any) -> dict[str, Any]:
    """A Job of so many pods of app `web` that start together."""
    job = manifests.job("web", NAMESPACE, count=count, gang=True, cpu=cpu, memory="64Mi", **spec)
    job["spec"]["template"]["metadata"].setdefault("labels", {})["app"] = "web"
    return job


@pytest.fixture
def grants(arena: Arena) -> Callable[[str], int]:
    """How many Slurm jobs of the pod or gang have got nodes in this story.

    A job that needs all of the nodes may come before Slurm has all of them, and get none."""
    before = {job["job_id"] for job in arena.slurm.jobs()}

    def count(name: str) -> int:
        jobs = (job for job in arena.slurm.jobs() if job["job_id"] not in before)
        return sum(name in job["name"] and bool(job["nodes"]) for job in jobs)

    return count


@pytest.mark.parametrize("terms", [apart(HOST), spread(HOST)], ids=["anti-affinity", "spread"])
def test_pods_that_keep_apart_run_on_two_hosts(
    arena: Arena, begin: Begin, grants: Callable[[str], int], terms: dict[str, Any]
) -> None:
    """Slurm has room for both on one host: it is told to leave that host out."""
    begin(Nodes(count=2, gpus=0))
    arena.create(a_web_pod("one", **terms))
    first = node_of(arena.wait_bound("one"))
    arena.create(a_web_pod("two", **terms))
    assert node_of(arena.wait_bound("two")) != first
    assert grants("two") == 1


@pytest.mark.parametrize("terms", [apart(HOST), spread(HOST)], ids=["anti-affinity", "spread"])
def test_pods_that_come_at_once_see_each_other(
    arena: Arena, begin: Begin, terms: dict[str, Any]
) -> None:
    """Slurm gives both the same host; the second grant goes back before its pod is pinned."""
    begin(Nodes(count=2, gpus=0))
    for name in ("one", "two"):
        arena.create(a_web_pod(name, **terms))
    hosts = {node_of(arena.wait_bound(name)) for name in ("one", "two")}
    assert len(hosts) == 2


def test_a_pod_without_terms_does_not_join_one_that_keeps_it_away(
    arena: Arena, begin: Begin, grants: Callable[[str], int]
) -> None:
    """The term is the other pod's."""
    begin(Nodes(count=2, gpus=0))
    arena.create(a_web_pod("keeper", **apart(HOST)))
    first = node_of(arena.wait_bound("keeper"))
    arena.create(a_web_pod("plain"))
    assert node_of(arena.wait_bound("plain")) != first
    assert grants("plain") == 1


@pytest.mark.parametrize(
    ("one", "two", "change"),
    [
        (apart(HOST), {}, "the label of two"),
        ({}, apart(HOST), "the label of one"),
        (apart(HOST), apart(HOST), "the end of one"),
    ],
)
def test_a_pod_that_is_kept_away_everywhere_waits_until_that_changes(
    arena: Arena, begin: Begin, one: dict[str, Any], two: dict[str, Any], change: str
) -> None:
    """It holds nothing meanwhile, and says who keeps it away."""
    begin(Nodes(count=1, gpus=0))
    arena.create(a_web_pod("one", **one))
    arena.wait_bound("one")
    arena.create(a_web_pod("two", **two))
    arena.wait_pod("two", "says why", lambda pod: "app=web" in _told(pod))
    arena.hold_for(2.0, lambda: len(arena.slurm.live_jobs()) == 1)
    if change == "the end of one":
        arena.delete_pod("one")
    else:
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{change.split()[-1]}"
        arena.kubernetes.patch(path, {"metadata": {"labels": {"app": "other"}}})
    arena.wait_bound("two")


@pytest.mark.parametrize(
    ("terms", "key", "wanted"),
    [
        (spread(ZONE), ZONE, [2, 2]),
        (spread(HOST), HOST, [1, 1, 1, 1]),
        (apart(HOST), HOST, [1, 1, 1, 1]),
        (together(ZONE), ZONE, [4]),
    ],
    ids=["spread over zones", "spread over hosts", "apart", "together"],
)
def test_a_gang_is_granted_nodes_on_which_it_can_be(
    arena: Arena,
    begin: Begin,
    grants: Callable[[str], int],
    terms: dict[str, Any],
    key: str,
    wanted: list[int],
) -> None:
    """Two nodes in each of two zones. Its job names nodes that will do, so that its first grant is
    of use."""
    begin(Nodes(count=4, gpus=0, zones=ZONES))
    arena.create(a_web_gang(4, **terms))
    pods = arena.wait_pods(4, "runs", lambda pod: bool(node_of(pod)), of_job="web")
    assert sorted(Counter(_domain(arena, pod, key) for pod in pods).values()) == wanted
    assert grants("web") == 1


def test_a_gang_larger_than_any_zone_is_told_so_at_once(arena: Arena, begin: Begin) -> None:
    """Slurm has room for it, in both zones. Nothing is queued."""
    begin(Nodes(count=4, gpus=0, zones=ZONES, cpus=8))
    arena.create(a_web_gang(4, cpu="5", **together(ZONE)))
    (pod, *_) = arena.wait_pods(4, "says why", lambda pod: "at most 2" in _told(pod), of_job="web")
    assert _told(pod).startswith("no nodes can ever take all of its pods: at most 2 of 4")
    assert not arena.slurm.live_jobs()


def _told(pod: Object) -> str:
    return str((condition(pod) or {}).get("message"))


def _domain(arena: Arena, pod: Object, key: str) -> str:
    node = arena.kubernetes.get(f"/api/v1/nodes/{node_of(pod)}")
    return str(node["metadata"]["labels"][key])
