"""What pods are told that no nodes suffice for: which resource is short, and by how much."""

from tests.arena import manifests
from tests.arena.api import Object
from tests.arena.arena import NAMESPACE, Arena, Nodes, condition, node_of
from tests.arena.fixtures import Begin


def told(pod: Object) -> str:
    """What its Allocated condition says while it waits."""
    found = condition(pod)
    return str(found["message"]) if found is not None and found["status"] == "False" else ""


def test_a_pod_that_wants_more_gpus_than_any_node_has_is_told_how_many_they_have(
    arena: Arena, begin: Begin
) -> None:
    """It runs as soon as a node has so many."""
    begin(Nodes(count=2))
    arena.create(manifests.pod("large", NAMESPACE, gpus=16))
    arena.wait_pod("large", "is told", lambda pod: "8 nvidia.com/gpu in all, 16 asked" in told(pod))
    arena.wait_registered(arena.add_nodes(Nodes(count=1, gpus=16, prefix="large")))
    arena.wait_bound("large", seconds=40)


def test_a_gang_that_needs_more_nodes_than_there_are_is_told_how_many_there_are(
    arena: Arena, begin: Begin
) -> None:
    """Slurm keeps its job, with a reason that says nothing of nodes; with another node it runs."""
    begin(Nodes(count=2))
    arena.create(manifests.job("wide", NAMESPACE, count=3, gang=True, gpus=8))
    sentence = "it needs 3 nodes, and partition slurm-bridge has 2"
    arena.wait_pods(3, "are told", lambda pod: sentence in told(pod), of_job="wide")
    arena.wait_registered(arena.add_nodes(Nodes(count=1, prefix="more")))
    arena.wait_pods(3, "run", node_of, of_job="wide", seconds=40)


def test_a_gang_that_slurm_refuses_is_told_which_resource_too_few_nodes_have(
    arena: Arena, begin: Begin
) -> None:
    """There are nodes enough, but half of them have half the GPUs: Slurm's own words say no more
    than that the configuration is not available."""
    begin(Nodes(count=2))
    arena.wait_registered(arena.add_nodes(Nodes(count=2, gpus=4, prefix="half")))
    arena.create(manifests.job("refused", NAMESPACE, count=3, gang=True, gpus=8))
    sentence = (
        "Slurm refused the job: it needs 3 nodes with 8 gpu each, and partition slurm-bridge has "
        "2. Slurm's answer: "
    )
    arena.wait_pods(3, "are told", lambda pod: told(pod).startswith(sentence), of_job="refused")
    arena.wait_registered(arena.add_nodes(Nodes(count=1, prefix="more")))
    arena.wait_pods(3, "run", node_of, of_job="refused", seconds=40)
