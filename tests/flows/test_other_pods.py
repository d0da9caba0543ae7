"""Pods that ask to be beside other pods, or away from them, before kube-scheduler sees them."""

from typing import Any

import pytest

from tests.arena import manifests
from tests.arena.arena import NAMESPACE, Arena, Nodes, node_of
from tests.arena.fixtures import Begin

HOST = "kubernetes.io/hostname"
OWN = {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": HOST}
APART: dict[str, Any] = {
    "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [OWN]}}
}
SPREAD: dict[str, Any] = {
    "topologySpreadConstraints": [{"maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule", **OWN}]
}


def a_web_pod(name: str, **spec: Any) -> dict[str, Any]:
    """A small pod of app `web`."""
    pod = manifests.pod(name, NAMESPACE, cpu="1", memory="64Mi", **spec)
    pod["metadata"]["labels"] = {"app": "web"}
    return pod


@pytest.mark.parametrize("terms", [APART, SPREAD], ids=["anti-affinity", "spread"])
def test_pods_that_keep_apart_run_on_two_hosts(
    arena: Arena, begin: Begin, terms: dict[str, Any]
) -> None:
    """Slurm has room for both on one host, and gives it: the second one's grant goes back with the
    reason, and its next job leaves that host out."""
    begin(Nodes(count=2, gpus=0))
    arena.create(a_web_pod("one", **terms))
    first = node_of(arena.wait_bound("one"))
    arena.create(a_web_pod("two", **terms))
    assert node_of(arena.wait_bound("two")) != first


def test_a_pod_without_terms_does_not_join_one_that_keeps_it_away(
    arena: Arena, begin: Begin
) -> None:
    """The term is the other pod's."""
    begin(Nodes(count=2, gpus=0))
    arena.create(a_web_pod("keeper", **APART))
    first = node_of(arena.wait_bound("keeper"))
    arena.create(a_web_pod("plain"))
    assert node_of(arena.wait_bound("plain")) != first
