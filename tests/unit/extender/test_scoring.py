"""Scores from the state of both sides."""

from dataclasses import replace

from bridge.extender.scoring import NodeScores
from bridge.model.ids import NodeName, PodUid, SlurmNodeName
from bridge.placement.score import ScoreWeights
from bridge.state.kube_state import KubeState
from bridge.state.slurm_state import SlurmState
from tests.builders import SCHEDULER, a_gang_job, a_node, a_pod

LAYER = "topology.k8s.aws/network-node-layer-"
LEAVES = {"a1": "a", "a2": "a", "b1": "b"}
NAMES = [NodeName(name) for name in LEAVES]


JOB = a_gang_job("train", size=3)


def cluster() -> KubeState:
    """Three nodes on two leaves, and a gang of three."""
    made = KubeState(scheduler_name=SCHEDULER)
    for name, leaf in LEAVES.items():
        made.upsert_node(a_node(name, labels={f"{LAYER}1": "spine", f"{LAYER}2": leaf}))
    made.upsert_owner(JOB)
    for rank in range(3):
        made.upsert_pod(a_pod(f"train-{rank}").of(JOB, rank).build())
    return made


def scores(known: KubeState, side: SlurmState, uid: str, **weights: float) -> list[int]:
    """Of the three nodes, with only these terms."""
    terms = dict.fromkeys(("packing", "waste", "distance", "node_weight", "tier"), 0.0)
    ask = NodeScores(known, side, ScoreWeights(**{**terms, **weights}))
    return list(ask(PodUid(uid), NAMES))


def test_near_the_members_that_have_their_node() -> None:
    """Bound and pinned members attract; ended ones and the pod itself do not."""
    known, side = cluster(), SlurmState()
    assert scores(known, side, "uid-train-0", distance=1) == [0, 0, 0]
    bound = a_pod("train-1").of(JOB, 1).bound("b1").build()
    known.upsert_pod(replace(bound, resource_version="3"))
    found = scores(known, side, "uid-train-0", distance=1)
    assert found[2] == 10 > found[0] == found[1]
    known.upsert_pod(replace(bound, resource_version="4", phase="Succeeded"))
    assert scores(known, side, "uid-train-0", distance=1) == [0, 0, 0]
    pinned = a_pod("train-2").of(JOB, 2).pinned(7, "a1").build()
    known.upsert_pod(replace(pinned, resource_version="5"))
    found = scores(known, side, "uid-train-0", distance=1)
    assert found[0] == 10 > found[1] > found[2]
    assert scores(known, side, "uid-train-2", distance=1) == [0, 0, 0]


def test_slurms_weights_and_tiers_count_by_slurms_names() -> None:
    """A lower Weight and a higher PriorityTier are better; nodes that Slurm lacks are ordinary."""
    known = cluster()
    labels = {**known.nodes[NAMES[0]].labels, "slinky.slurm.net/slurm-nodename": "slurm-a1"}
    known.upsert_node(replace(known.nodes[NAMES[0]], labels=labels))
    side = SlurmState(
        node_weights={SlurmNodeName("slurm-a1"): 9, SlurmNodeName("a2"): 5},
        tiers={SlurmNodeName("slurm-a1"): 3, SlurmNodeName("a2"): 2},
    )
    assert scores(known, side, "uid-train-0", node_weight=1) == [0, 5, 10]
    assert scores(known, side, "uid-train-0", tier=1) == [10, 5, 0]


def test_an_unknown_pod_scores_nothing() -> None:
    """Neither a pod of others nor one that has just gone is an error."""
    assert scores(cluster(), SlurmState(), "uid-gone", distance=1) == [0, 0, 0]
