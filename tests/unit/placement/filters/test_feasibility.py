"""Which nodes can take a shape: against the oracle, and the words for users."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model.ids import NodeName
from bridge.model.pod_identity import PodIdentity
from bridge.model.resources import Resources
from bridge.model.scheduling import (
    HostPort,
    NodeSelectorTerm,
    PodShape,
    Requirement,
    Taint,
    Toleration,
)
from bridge.placement.filters import Predicate, check_node, feasible
from bridge.placement.table import NodeTable
from tests.builders import a_node
from tests.unit.placement import clusters
from tests.unit.placement.oracle import OURS, Cluster

GPU = "nvidia.com/gpu"


def asking(cpu: int = 0, gpu: int = 0, **fields: object) -> PodShape:
    """A shape with these requests."""
    requests = Resources(cpu_milli=cpu * 1000, extended=((GPU, gpu),) if gpu else ())
    return replace(PodShape(requests=requests), **fields)  # type: ignore[arg-type]


def table(*nodes: object) -> NodeTable:
    """A table of these nodes."""
    made = NodeTable(scheduler_name=OURS)
    for node in nodes:
        made.upsert(node)  # type: ignore[arg-type]
    return made


@given(clusters.clusters(), clusters.shapes)
def test_first_failures_equal_the_oracle(cluster: Cluster, shape: PodShape) -> None:
    """For every node, ever and now, the first failing predicate is the one the oracle finds; the
    counts in the summary add up to the number of nodes."""
    snapshot = clusters.table_of(cluster).snapshot()
    for now in (False, True):
        answer = feasible(snapshot, shape, now=now)
        rows = {name: row for row, name in enumerate(snapshot.names) if name}
        for name in cluster.nodes:
            expected = cluster.failure(name, shape, now=now)
            assert Predicate(answer.first_failure[rows[name]]).name == expected
            assert answer.mask[rows[name]] == (expected == "FITS")
        assert set(answer.names()) <= cluster.nodes.keys()
        parts = [part for part in answer.summary().split("; ") if part[0].isdigit()]
        assert sum(int(part.split()[0]) for part in parts) == len(cluster.nodes)


@given(clusters.clusters(), clusters.shapes)
def test_check_node_equals_the_oracle(cluster: Cluster, shape: PodShape) -> None:
    """`check_node` says None exactly where the oracle fits the pod, ever and now."""
    snapshot = clusters.table_of(cluster).snapshot()
    for name in cluster.nodes:
        for now in (False, True):
            expected = cluster.failure(name, shape, now=now)
            reason = check_node(snapshot, shape, name, now=now)
            assert (reason is None) == (expected == "FITS")
            assert reason is None or reason.startswith(f"node {name}: ")


BESIDE_OTHERS = st.tuples(
    clusters.populated(
        clusters.clusters(
            clusters.domain_nodes, clusters.with_terms(clusters.small_shapes, most=1), least=1
        )
    ),
    clusters.with_terms(clusters.small_shapes),
) | st.tuples(
    clusters.populated(clusters.clusters(shape=clusters.with_terms(clusters.plain_shapes))),
    clusters.with_terms(clusters.shapes),
)


@given(BESIDE_OTHERS, clusters.identities)
def test_terms_about_other_pods_equal_the_oracle(
    case: tuple[Cluster, PodShape], who: PodIdentity
) -> None:
    """For a pod that is somebody, the first failure is the one of kube-scheduler's plugins, and a
    sentence says it."""
    cluster, shape = case
    shape = clusters.spread_in(shape, who.namespace)
    snapshot = clusters.table_of(cluster).snapshot()
    answer = feasible(snapshot, shape, now=True, identity=who)
    rows = {name: row for row, name in enumerate(snapshot.names) if name}
    for name in cluster.nodes:
        expected = cluster.failure(name, shape, now=True, who=who)
        assert Predicate(answer.first_failure[rows[name]]).name == expected
        assert (check_node(snapshot, shape, name, identity=who) is None) == (expected == "FITS")
    parts = [part for part in answer.summary().split("; ") if part[0].isdigit()]
    assert sum(int(part.split()[0]) for part in parts) == len(cluster.nodes)


def test_a_summary_says_what_is_in_the_way_on_how_many_nodes() -> None:
    """Most frequent reason first, with the amounts that are free."""
    tainted = (Taint("x", "y", "NoSchedule"),)
    cluster = table(
        *(a_node(f"t{number}", taints=tainted) for number in range(12)),
        *(a_node(f"g{number}") for number in range(3)),
    )
    for number in range(3):
        cluster.occupy(f"p{number}", NodeName(f"g{number}"), asking(gpu=4))  # type: ignore[arg-type]
    summary = feasible(cluster.snapshot(), asking(gpu=5), now=True).summary()
    assert summary == "12 nodes: taint x=y:NoSchedule; 3 nodes: 4 of 8 nvidia.com/gpu free"


@pytest.mark.parametrize(
    ("shape", "changes", "reason"),
    [
        (asking(cpu=65), {}, "64 cpu in all, 65 asked"),
        (asking(), {"max_pods": 0}, "0 pods in all, 1 asked"),
        (
            PodShape(requests=Resources(memory_bytes=1 << 40)), {},
            "512Gi memory in all, 1024Gi asked",
        ),
        (PodShape(requests=Resources(extended=(("x/y", 1),))), {}, "0 x/y in all, 1 asked"),
        (asking(), {"unschedulable": True}, "cordoned"),
        (asking(), {"ready": False}, "not ready"),
        (asking(), {"deleting": True}, "being deleted"),
        (asking(node_selector=(("zone", "a"),)), {}, "no label zone=a"),
        (asking(affinity_terms=()), {}, "required node affinity not met"),
        (
            asking(volume_terms=((NodeSelectorTerm((Requirement("zone", "In", ("a",)),)),),)), {},
            "a volume of the pod can't be reached from there",
        ),
        (
            asking(), {"taints": (Taint("node.kubernetes.io/disk-pressure", "", "NoSchedule"),)},
            "taint node.kubernetes.io/disk-pressure:NoSchedule",
        ),
        (asking(host_ports=(HostPort(80),)), {}, "a host port is taken"),
    ],
)  # fmt: skip
def test_each_reason_is_said_in_words(
    shape: PodShape, changes: dict[str, object], reason: str
) -> None:
    """A node that can't take the pod now says why in one phrase."""
    cluster = table(replace(a_node("n"), **changes))  # type: ignore[arg-type]
    cluster.occupy("p", NodeName("n"), PodShape(host_ports=(HostPort(80),)))  # type: ignore[arg-type]
    assert check_node(cluster.snapshot(), shape, NodeName("n")) == f"node n: {reason}"


def test_an_unknown_node_is_named() -> None:
    """A node that Kubernetes does not have is the reason."""
    reason = check_node(table().snapshot(), asking(), NodeName("gone"))
    assert reason == "node gone is not known to Kubernetes"


def test_requests_beyond_64_bits_fit_nowhere() -> None:
    """An absurd request neither overflows nor fits."""
    shape = PodShape(requests=Resources(memory_bytes=10**30, extended=((GPU, 10**30),)))
    cluster = table(a_node("n"))
    assert not feasible(cluster.snapshot(), shape, now=False).mask.any()
    cluster.occupy("p", NodeName("n"), shape)  # type: ignore[arg-type]
    assert check_node(cluster.snapshot(), asking(gpu=1), NodeName("n")) is not None
    cluster.vacate("p")  # type: ignore[arg-type]
    assert check_node(cluster.snapshot(), asking(gpu=8), NodeName("n")) is None


def test_a_toleration_for_everything_tolerates_states_too() -> None:
    """`operator: Exists` without a key goes to cordoned nodes, as in Kubernetes; but not to one
    that does not answer, where nobody would run it."""
    node = replace(a_node("n"), unschedulable=True)
    shape = asking(tolerations=(Toleration(operator="Exists"),))
    assert check_node(table(node).snapshot(), shape, NodeName("n")) is None
    silent = table(replace(node, ready=False)).snapshot()
    assert check_node(silent, shape, NodeName("n")) == "node n: not ready"
