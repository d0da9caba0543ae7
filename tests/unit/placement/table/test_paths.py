"""Where a node hangs in the fabric, by its annotation and its labels."""

import pytest

from bridge.model.node import Node
from bridge.placement.table.paths import Path, path_in, paths_of
from tests.builders import a_node

SPEC = "topology.slinky.slurm.net/spec"
LAYER = "topology.k8s.aws/network-node-layer-"


def path_of(node: Node, *, topology: str = "") -> Path:
    """The node's switches from the top down."""
    return path_in(paths_of(node), topology)


@pytest.mark.parametrize(
    ("labels", "annotations", "path"),
    [
        ({}, {}, ()),
        ({f"{LAYER}2": "b", f"{LAYER}1": "a", f"{LAYER}10": "z"}, {}, ("a", "b", "z")),
        ({f"{LAYER}1": "a"}, {SPEC: "topo:root:x:y"}, ("topo", "root", "x", "y")),
        ({}, {SPEC: "topo-switch:s2,topo-block:b2"}, ("topo-switch", "s2")),
        ({f"{LAYER}1": "a"}, {SPEC: ""}, ("a",)),
        ({f"{LAYER}x": "a", f"{LAYER}1": ""}, {}, ()),
        (
            {f"{LAYER}1": "a", "topology.k8s.aws/capacity-block-id": "cb",
             "nvidia.com/gpu.clique": "q.1"}, {}, ("a", "q.1"),
        ),
        (
            {f"{LAYER}1": "a", "topology.k8s.aws/capacity-block-id": "cb",
             "topology.k8s.aws/ultraserver-id": "us"}, {}, ("a", "us"),
        ),
        ({"topology.k8s.aws/capacity-block-id": "cb"}, {SPEC: "t:b1"}, ("t", "b1", "cb")),
        ({"topology.k8s.aws/capacity-block-id": "cb"}, {}, ("cb",)),
        ({}, {SPEC: " t : b1 ,, t:b2 ,"}, ("t", "b1")),
        ({}, {SPEC: ":" * 1000}, ()),
        ({}, {SPEC: "t" + ":x" * 1000}, ("t",) + ("x",) * 63),
    ],
)  # fmt: skip
def test_paths(labels: dict[str, str], annotations: dict[str, str], path: tuple[str, ...]) -> None:
    """The annotation wins over the layers; the NVLink domain is the innermost level."""
    assert path_of(a_node(labels=labels, annotations=annotations)) == path


def test_a_named_topology_can_be_chosen() -> None:
    """Of several named topologies the settings choose one."""
    node = a_node(annotations={SPEC: "tree:s2, block:b2"})
    assert path_of(node, topology="block") == ("block", "b2")
    assert path_of(node, topology="other") == ()


def test_labels_stand_in_where_the_annotation_has_another_topology() -> None:
    """A path from labels has no name, so it is good for any topology the node doesn't name."""
    node = a_node(annotations={SPEC: "tree:s2"}, labels={f"{LAYER}1": "a"})
    assert path_of(node) == path_of(node, topology="tree") == ("tree", "s2")
    assert path_of(node, topology="block") == ("a",)
