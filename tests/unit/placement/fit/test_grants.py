"""What a grant holds, counted in pods."""

import pytest

from bridge.model.ids import SlurmNodeName
from bridge.model.job import Gres, NodeGrant
from bridge.model.resources import Resources
from bridge.model.scheduling import PodShape
from bridge.placement.fit import grants

MAP = {"nvidia.com/gpu": "gpu", "amd.com/gpu": "gpu", "nvidia.com/mig-1g.10gb": "gpu:1g.10gb"}
NODE = SlurmNodeName("n")


def shape(cpu_milli: int = 0, memory_mib: int = 0, **extended: int) -> PodShape:
    """A shape by its requests; `nvidia`, `amd`, `mig`, `other` are extended resources."""
    full = {"nvidia": "nvidia.com/gpu", "amd": "amd.com/gpu", "mig": "nvidia.com/mig-1g.10gb",
            "other": "example.com/other"}  # fmt: skip
    pairs = tuple(sorted((full[key], count) for key, count in extended.items()))
    return PodShape(requests=Resources(cpu_milli, memory_mib << 20, 0, pairs))


@pytest.mark.parametrize(
    ("grant", "pod", "slots"),
    [
        (NodeGrant(NODE, 8, 0), shape(cpu_milli=1001), 4),
        (NodeGrant(NODE, 8, 0), shape(), 8),
        (NodeGrant(NODE, 8, 1000), shape(memory_mib=300), 3),
        (NodeGrant(NODE, 8, 0), shape(memory_mib=300), 8),
        (NodeGrant(NODE, 8, 0, (Gres("gpu", "h100", 4),)), shape(nvidia=2), 2),
        (NodeGrant(NODE, 8, 0, (Gres("gpu", "a", 1), Gres("gpu", "b", 2))), shape(nvidia=1), 3),
        (NodeGrant(NODE, 8, 0, (Gres("gpu", "a", 4),)), shape(nvidia=1, amd=1), 2),
        (NodeGrant(NODE, 8, 0, (Gres("gpu", "1g.10gb", 2), Gres("gpu", "a", 4))), shape(mig=1), 2),
        (
            NodeGrant(NODE, 8, 0, (Gres("gpu", "1g.10gb", 2), Gres("gpu", "a", 3))),
            shape(mig=1, nvidia=2), 1,
        ),
        (NodeGrant(NODE, 8, 0), shape(nvidia=1), 0),
        (NodeGrant(NODE, 8, 0), shape(other=1), 8),
    ],
)  # fmt: skip
def test_slots_of_a_grant(grant: NodeGrant, pod: PodShape, slots: int) -> None:
    """Whole CPUs, exact memory, devices by name and type; the scarcest decides."""
    assert grants.slots([[grant]], pod, MAP).tolist() == [slots]


@pytest.mark.parametrize(
    ("pod", "words"),
    [
        (shape(cpu_milli=4000, nvidia=1), "8 CPUs, 4 a pod"),
        (shape(cpu_milli=1000, nvidia=2), "3 gpu, 2 a pod"),
        (shape(memory_mib=900), "1000 MiB of memory, 900 a pod"),
        (shape(mig=1), "0 gpu:1g.10gb, 1 a pod"),
    ],
)
def test_the_scarcest_dimension_is_named(pod: PodShape, words: str) -> None:
    """What the grants hold fewest pods of, with what a pod needs of it."""
    grant = NodeGrant(NODE, 8, 1000, (Gres("gpu", "a", 3),))
    assert grants.scarcest([[grant]], pod, MAP) == words


def test_grants_of_one_node_add_up() -> None:
    """Two Slurm names for one Kubernetes node are one grant."""
    pair = [NodeGrant(NODE, 3, 0), NodeGrant(NODE, 1, 0)]
    assert grants.slots([pair, []], shape(cpu_milli=2000), MAP).tolist() == [2, 0]
