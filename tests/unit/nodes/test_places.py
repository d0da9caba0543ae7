"""Where nodes hang in Slurm's topology, and what can be known of it."""

import pytest

from bridge import names
from bridge.model.ids import SlurmNodeName
from bridge.nodes import places
from bridge.slurm import SlurmNode
from tests.builders import a_node

LAYERS = {f"{names.AWS_NETWORK_LAYER_PREFIX}{level}": f"nn-{level}" for level in (1, 2)}
RACK = {"dc/building": "b1", "dc/rack": "r7"}
KEYS = ("dc/building", "dc/rack")
ZONE = {names.ZONE_LABEL: "us-west-2a"}


def in_slurm(number: int, topology: str, *, external: bool = True) -> SlurmNode:
    states = frozenset({"IDLE", *(("EXTERNAL",) if external else ())})
    return SlurmNode(SlurmNodeName(f"n{number}"), states, topology=topology)


def root(*shown: str, setting: str = "", **topologies: str) -> places.Root:
    nodes = [in_slurm(number, topology) for number, topology in enumerate(shown)]
    return places.root(setting, nodes, topologies=topologies, partition="main")


@pytest.mark.parametrize(
    ("shown", "path"),
    [
        (("fabric:root:a:b", "", "fabric:root:c"), "fabric:root"),
        (("fabric:root:a:b", "fabric:b", "fabric:a:c"), "fabric:root"),
        (("fabric:root:a,blocks:b1",), ""),
        (("fabric:root:a", "fabric:top:a"), ""),
        (("blocks:b1", "blocks:b2"), ""),
        (("fabric", "default:"), ""),
        ((), ""),
    ],
)
def test_the_root_is_the_one_below_which_nodes_are(shown: tuple[str, ...], path: str) -> None:
    """A path may begin anywhere in the tree. Blocks have no root, and of two nobody can tell."""
    assert root(*shown).path == path


def test_a_topology_that_is_a_partitions_own_is_not_the_clusters() -> None:
    """Unless jobs that name no partition go there."""
    both = ("fabric:root:a,other:o1:x",)
    assert root(*both, debug="other").path == "fabric:root"
    assert root(*both, main="other", debug="fabric").path == "other:o1"
    assert root("fabric:root:a", debug="fabric").path == "fabric:root"
    assert not root("fabric:root:a", main="other").path


def test_the_setting_wins_and_what_is_not_known_says_why() -> None:
    """The sentence names what stands in the way."""
    assert root("other:top:x", setting="fabric:root").path == "fabric:root"
    assert "several roots (root, top)" in root("fabric:root:a", "fabric:top:b").why
    assert "several topologies (blocks, fabric)" in root("fabric:root:a", "blocks:b1").why
    unknown = root("", "fabric")
    assert (unknown.is_flat, unknown.why) == (True, "no node of Slurm shows a place in a topology")
    assert not root("blocks:b1").is_flat


@pytest.mark.parametrize(
    ("labels", "path"),
    [
        (LAYERS | RACK | ZONE, "fabric:root:nn-1:nn-2"),
        (RACK | ZONE, "fabric:root:b1:b1.r7"),
        ({"dc/rack": "r7"} | ZONE, "fabric:root:us-west-2a"),
        (ZONE, "fabric:root:us-west-2a"),
        ({}, ""),
        ({"dc/building": "root", "dc/rack": "r7"}, "fabric:root:root_:root_.r7"),
        ({names.ZONE_LABEL: "root"}, "fabric:root:root_"),
        ({f"{names.AWS_NETWORK_LAYER_PREFIX}{level}": "x" for level in (1, 2, 3)},
         "fabric:root:x:x_:x__"),
    ],
)  # fmt: skip
def test_layers_come_before_labels_and_labels_before_the_zone(
    labels: dict[str, str], path: str
) -> None:
    """A switch has one name in the whole tree, so racks carry the name of their building."""
    assert places.place_of(a_node(labels=labels), "fabric:root", KEYS) == path


def test_the_annotation_wins_and_without_a_root_nothing_else_is_a_place() -> None:
    """It may name several topologies."""
    spec = "fabric:root:a,blocks:b1"
    node = a_node(labels=LAYERS, annotations={names.TOPOLOGY_ANNOTATION: spec})
    assert places.place_of(node, "fabric:root") == spec
    assert places.place_of(node, "") == spec
    assert places.place_of(a_node(labels=LAYERS), "") == ""
    assert not places.is_by_zone(node)


def test_a_node_of_slurms_files_shows_no_place_and_may_have_one() -> None:
    """Only of nodes that were registered at run time is it known; a name alone is no place."""
    assert places.has_place(in_slurm(1, "", external=False))
    assert places.has_place(in_slurm(1, "blocks:b1"))
    assert not places.has_place(in_slurm(1, ""))
    assert not places.has_place(in_slurm(1, "fabric"))
