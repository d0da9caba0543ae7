"""One Kubernetes node as Slurm shall know it."""

from dataclasses import replace

import pytest

from bridge import names
from bridge.errors import BadInput
from bridge.model.devices import ResourceMap
from bridge.model.job import Gres
from bridge.model.resources import Resources
from bridge.nodes import definition, places
from tests.builders import GI, a_node

RULES = definition.Rules(
    cluster="0123456789abcdef",
    topology="fabric:root",
    gpu_type_label="nvidia.com/gpu.product",
    resource_map=ResourceMap(
        {"nvidia.com/gpu": "gpu", "nvidia.com/mig-*": "gpu:*", "vpc.amazonaws.com/efa": "efa"}
    ),
)
LAYERS = {f"{names.AWS_NETWORK_LAYER_PREFIX}{i}": f"nn-{i}" for i in (1, 2, 3)}


def test_a_node_gives_what_pods_of_others_leave_in_whole_cpus() -> None:
    """One thread a core, so that a Kubernetes CPU is a Slurm core; nothing rounded up."""
    others = Resources(cpu_milli=300, memory_bytes=GI + 1)
    found = definition.define(a_node(), node_class="class-x", others=others, rules=RULES)
    assert (found.cpus, found.cores_per_socket, found.threads_per_core) == (63, 63, 1)
    assert found.memory_mib == 511 * 1024 - 1
    assert found.gres == (Gres("gpu", "h100", 8),)
    assert found.address == "10.0.0.1"
    assert found.features == ("class-x", "k8s-01234567", "slurm-bridge")


def test_the_headroom_and_a_common_address_are_the_admins() -> None:
    """Both from the settings."""
    rules = replace(RULES, cpu_headroom_milli=1500, memory_headroom_mib=1024, address="sink")
    found = definition.define(a_node(), node_class="c", others=Resources(), rules=rules)
    assert (found.cpus, found.memory_mib, found.address) == (62, 511 * 1024, "sink")


@pytest.mark.parametrize(
    ("labels", "annotations", "topology"),
    [
        ({}, {}, ""),
        (LAYERS, {}, "fabric:root:nn-1:nn-2:nn-3"),
        ({k: v for k, v in LAYERS.items() if not k.endswith("2")}, {}, "fabric:root:nn-1"),
        (LAYERS, {names.TOPOLOGY_ANNOTATION: "mine:a:b"}, "mine:a:b"),
    ],
)
def test_the_fabrics_layers_become_the_topology_path(
    labels: dict[str, str], annotations: dict[str, str], topology: str
) -> None:
    """Layer 1 is the top; the admin's annotation wins."""
    node = a_node(labels=labels, annotations=annotations)
    assert places.place_of(node, "fabric:root") == topology


def test_slices_are_gpus_of_their_own_type_beside_whole_ones() -> None:
    """And devices that the map does not name are not Slurm's to count."""
    extended = (
        ("example.com/odd", 3),
        ("nvidia.com/gpu", 2),
        ("nvidia.com/mig-1g.10gb", 7),
        ("nvidia.com/mig-2g.20gb", 0),
    )
    node = replace(a_node(), allocatable=replace(a_node().allocatable, extended=extended))
    found = definition.define(node, node_class="c", others=Resources(), rules=RULES)
    assert found.gres == (Gres("gpu", "h100", 2), Gres("gpu", "1g.10gb", 7))
    assert "type=1g.10gb,file=/dev/nvidia[2-8]" in found.node_conf()


def test_a_node_with_nothing_to_give_is_refused_with_what_to_look_at() -> None:
    """No memory, no whole CPU or no address: said on the node."""
    for node, says in (
        (a_node(memory_gi=0), "0 MiB of memory"),
        (a_node(cpu=0), "0 whole CPUs"),
        (replace(a_node(), internal_ip=""), "no InternalIP"),
    ):
        with pytest.raises(BadInput, match=says):
            definition.define(node, node_class="c", others=Resources(), rules=RULES)


@pytest.mark.parametrize(
    ("labels", "annotations", "says"),
    [
        ({names.SLURM_NODE_NAME_LABEL: "_n"}, {}, names.SLURM_NODE_NAME_LABEL),
        ({names.SLURM_NODE_NAME_LABEL: "ALL"}, {}, names.SLURM_NODE_NAME_LABEL),
        ({}, {names.EXTERNAL_NODE_PARTITIONS_ANNOTATION: "a b"},
         names.EXTERNAL_NODE_PARTITIONS_ANNOTATION),
        ({}, {names.EXTERNAL_NODE_PARTITIONS_ANNOTATION: "a|b"},
         names.EXTERNAL_NODE_PARTITIONS_ANNOTATION),
        ({}, {names.TOPOLOGY_ANNOTATION: "fabric:root State=DOWN"}, names.TOPOLOGY_ANNOTATION),
        ({}, {names.TOPOLOGY_ANNOTATION: "fabric:root\n"}, names.TOPOLOGY_ANNOTATION),
        ({}, {names.TOPOLOGY_ANNOTATION: "\x01" * 100_000}, names.TOPOLOGY_ANNOTATION),
    ],
)  # fmt: skip
def test_what_slurm_cannot_be_told_is_said_with_its_place(
    labels: dict[str, str], annotations: dict[str, str], says: str
) -> None:
    """Before anything is sent, so that it is not tried again and again."""
    node = a_node(labels=labels, annotations=annotations)
    with pytest.raises(BadInput, match=says) as refusal:
        definition.define(node, node_class="c", others=Resources(), rules=RULES)
    assert says in refusal.value.field
    assert len(str(refusal.value)) < 700


def test_a_name_that_slurm_reads_otherwise_is_refused_with_the_way_out() -> None:
    """A Kubernetes node may be named `all`; by its label it is another node in Slurm."""
    with pytest.raises(BadInput, match=r"takes for every node.*by label") as refusal:
        definition.define(a_node("all"), node_class="c", others=Resources(), rules=RULES)
    assert names.SLURM_NODE_NAME_LABEL in str(refusal.value)
    named = a_node("all", labels={names.SLURM_NODE_NAME_LABEL: "node-all"})
    found = definition.define(named, node_class="c", others=Resources(), rules=RULES)
    assert found.name == "node-all"
