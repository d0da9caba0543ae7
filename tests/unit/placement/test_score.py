"""Scores: integers 0 to 10, each term in its direction."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model.ids import NodeName, PodUid
from bridge.model.resources import Resources
from bridge.model.scheduling import PodShape
from bridge.placement.score import ScoreWeights, score
from bridge.placement.table import NodeTable
from tests.builders import a_node
from tests.unit.placement import clusters
from tests.unit.placement.oracle import OURS, Cluster

LAYER = "topology.k8s.aws/network-node-layer-"
GPU = PodShape(requests=Resources(extended=(("nvidia.com/gpu", 2),)))
PLAIN = PodShape(requests=Resources(cpu_milli=1000))


def names(*texts: str) -> list[NodeName]:
    """As node names."""
    return [NodeName(text) for text in texts]


def table(**gpus: int) -> NodeTable:
    """Nodes <leaf><number> with so many GPUs."""
    made = NodeTable(scheduler_name=OURS)
    for name, count in gpus.items():
        labels = {f"{LAYER}1": "spine" if name[0] < "x" else "other", f"{LAYER}2": name[0]}
        made.upsert(a_node(name, gpu=count, labels=labels))
    return made


@given(
    clusters.clusters(), clusters.shapes, st.lists(clusters.names, max_size=8),
    st.lists(clusters.names, max_size=3), st.dictionaries(clusters.names, st.integers(1, 100)),
)  # fmt: skip
def test_scores_are_integers_from_0_to_10_by_candidate(
    cluster: Cluster,
    shape: PodShape,
    candidates: list[NodeName],
    near: list[NodeName],
    weights: dict[NodeName, int],
) -> None:
    """Whatever the inputs and the order of rows; unknown nodes get 0; the same node gets the same
    score."""
    snapshot = clusters.table_of(cluster).snapshot()
    scores = score(snapshot, shape, candidates, near=near, node_weights=weights)
    other_rows = Cluster(dict(reversed(cluster.nodes.items())), cluster.pods)
    again = score(
        clusters.table_of(other_rows).snapshot(), shape, candidates,
        near=near, node_weights=weights,
    )  # fmt: skip
    assert again.tolist() == scores.tolist()
    assert scores.shape == (len(candidates),)
    assert scores.dtype == np.int64
    assert all(0 <= value <= 10 for value in scores)
    by_name: dict[NodeName, int] = {}
    for name, value in zip(candidates, scores.tolist(), strict=True):
        assert by_name.setdefault(name, value) == value
        assert name in cluster.nodes or value == 0


def test_gpu_pods_fill_nodes_that_are_begun() -> None:
    """Whole GPU nodes stay whole for those who need them."""
    nodes = table(a1=8, a2=8)
    nodes.occupy(PodUid("p"), NodeName("a2"), GPU)
    whole, begun = score(nodes.snapshot(), GPU, names("a1", "a2"))
    assert begun > whole


def test_pods_without_gpus_leave_gpu_nodes_alone() -> None:
    """A plain pod prefers a node that has none, then one whose GPUs are in use."""
    nodes = table(a1=8, a2=8, a3=0)
    nodes.occupy(PodUid("p"), NodeName("a2"), PodShape(requests=Resources(
        extended=(("nvidia.com/gpu", 8),))))  # fmt: skip
    idle, busy, none = score(nodes.snapshot(), PLAIN, names("a1", "a2", "a3"))
    assert idle < busy == none


def test_nearer_to_the_gang_is_better() -> None:
    """The gang's own node, then its leaf, then its spine, then elsewhere."""
    nodes = table(a1=0, a2=0, b1=0, x1=0)
    scores = score(nodes.snapshot(), PLAIN, names("a1", "a2", "b1", "x1"), near=names("a1"))
    assert scores.tolist() == sorted(scores.tolist(), reverse=True)
    assert len(set(scores.tolist())) == 4
    assert (scores[0], scores[-1]) == (10, 0)


def test_what_slurm_prefers_counts() -> None:
    """The lighter of Slurm's node weights, the higher of its tiers."""
    nodes = table(a1=0, a2=0).snapshot()
    weights = {NodeName("a1"): 10, NodeName("a2"): 20}
    assert score(nodes, PLAIN, names("a1", "a2"), node_weights=weights).tolist() == [10, 0]
    assert score(nodes, PLAIN, names("a1", "a2"), tiers=weights).tolist() == [0, 10]


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (ScoreWeights(distance=0), [0, 10]),
        (ScoreWeights(tier=0), [10, 7]),
        (ScoreWeights(distance=0, tier=0), [0, 0]),
    ],
)
def test_weights_decide_between_terms(weights: ScoreWeights, expected: list[int]) -> None:
    """A weight of 0 leaves its term out; without any term all are equal."""
    scores = score(
        table(a1=0, a2=0).snapshot(), PLAIN, names("a1", "a2"),
        near=names("a1"), tiers={NodeName("a2"): 2}, weights=weights,
    )  # fmt: skip
    assert scores.tolist() == expected


def test_nodes_that_are_gone_change_no_score() -> None:
    """Neither their row, nor what Slurm says of them, counts for the candidates that exist."""
    nodes = table(a1=0, a2=0, z9=8).snapshot()
    weights = {NodeName("a1"): 5, NodeName("a2"): 6, NodeName("gone"): 1}
    alone = score(nodes, PLAIN, names("a1", "a2"), node_weights=weights, tiers=weights)
    beside = score(nodes, PLAIN, names("gone", "a1", "a2"), node_weights=weights, tiers=weights)
    assert beside.tolist() == [0, *alone.tolist()]


def test_no_candidates_no_scores() -> None:
    """An empty list is answered by an empty array."""
    assert score(table().snapshot(), PLAIN, []).tolist() == []


def test_the_order_in_which_resources_are_seen_changes_no_score() -> None:
    """Shares of 1, 12 and 20 of 20 devices: their sum is rounded the same in any order."""
    asked = {"a/gpu": 1, "b/gpu": 12, "c/gpu": 20}
    shape = PodShape(requests=Resources(extended=tuple(asked.items())))
    values = set()
    for order in permutations(asked):
        made = NodeTable(scheduler_name=OURS)
        for name in order:
            other = Resources(extended=((name, 1),))
            made.upsert(replace(a_node(name.replace("/", "-")), allocatable=other))
        whole = Resources(extended=tuple((name, 20) for name in asked))
        made.upsert(replace(a_node("n"), allocatable=whole))
        values.add(int(score(made.snapshot(), shape, names("n"))[0]))
    assert len(values) == 1


@pytest.mark.parametrize("device", ["nvidia.com/mig-1g.10gb", "google.com/tpu", "rdma/hca"])
def test_every_kind_of_device_is_worth_keeping_whole(device: str) -> None:
    """MIG slices, TPUs and InfiniBand adapters as GPUs; hugepages and the like are not devices."""
    made = NodeTable(scheduler_name=OURS)
    for name, resource in (("with", device), ("without", "hugepages-2Mi")):
        amounts = Resources(64000, 1 << 40, 0, ((resource, 8),))
        made.upsert(replace(a_node(name), allocatable=amounts))
    idle, none = score(made.snapshot(), PLAIN, names("with", "without"))
    assert idle < none
