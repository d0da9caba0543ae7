"""Devices: what the pods use and what the `gres` annotation says of it."""

from dataclasses import replace

import pytest

from bridge.errors import BadInput
from bridge.jobs import gres
from bridge.model.devices import ResourceMap
from bridge.model.resources import Resources
from bridge.model.scheduling import NodeSelectorTerm, PodShape, Requirement
from bridge.state.slurm_facts import NodeKind

LABEL = "nvidia.com/gpu.product"
MAP = ResourceMap(
    {
        "nvidia.com/gpu": "gpu",
        "nvidia.com/mig-*": "gpu:*",
        "aws.amazon.com/neuron": "neuron",
        "vpc.amazonaws.com/efa": "efa",
    }
)
GPU, MIG = "nvidia.com/gpu", "nvidia.com/mig-1g.10gb"
H100 = NodeKind(frozenset({"x"}), frozenset({("gpu", "h100"), ("efa", "")}))
A100 = NodeKind(frozenset({"y"}), frozenset({("gpu", "a100")}))
MIXED = NodeKind(frozenset({"z"}), frozenset({("gpu", "h100"), ("gpu", "1g.10gb")}))
SLICED = NodeKind(frozenset({"s"}), frozenset({("gpu", "1g.10gb")}))


def asking(**counts: int) -> PodShape:
    named = {"gpu": GPU, "mig": MIG, "efa": "vpc.amazonaws.com/efa", "odd": "example.com/odd"}
    extended = tuple(sorted((named[name], count) for name, count in counts.items()))
    return PodShape(requests=Resources(extended=extended))


def built(shape: PodShape, wish: str = "", *kinds: NodeKind) -> tuple[str, str]:
    tres = gres.build(shape, wish, resource_map=MAP, type_label=LABEL, kinds=kinds)
    return tres.per_task, tres.per_node


@pytest.mark.parametrize(
    ("asked", "wish", "per_task", "per_node"),
    [
        ({}, "", "", ""),
        ({"gpu": 2, "efa": 4}, "", "gres/efa:4,gres/gpu:2", ""),
        ({"mig": 3}, "", "gres/gpu:1g.10gb:3", ""),
        ({"odd": 3}, "", "", ""),
        ({"gpu": 8}, "gpu:1", "gres/gpu:8", ""),
        ({"gpu": 8}, "gpu:h100:1", "gres/gpu:h100:8", ""),
        ({"gpu": 1}, "GPU:h100:4", "gres/gpu:h100:4", ""),
        ({"gpu": 1}, "gres/gpu=4", "gres/gpu:4", ""),
        ({"gpu": 2}, "efa:4", "gres/gpu:2", "gres/efa:4"),
        ({}, "gpu:2", "", "gres/gpu:2"),
        ({}, "gpu:h100", "", "gres/gpu:h100:1"),
        ({"mig": 1}, "gpu:1g.10gb:2", "gres/gpu:1g.10gb:2", ""),
        ({"gpu": 1, "mig": 2}, "gpu:h100", "gres/gpu:1g.10gb:2,gres/gpu:h100:1", ""),
    ],
)
def test_pods_devices_are_asked_per_task_the_rest_per_node(
    asked: dict[str, int], wish: str, per_task: str, per_node: str
) -> None:
    """The annotation names a type and raises a count, never lowers one."""
    assert built(asking(**asked), wish) == (per_task, per_node)


@pytest.mark.parametrize(
    ("asked", "wish", "says"),
    [
        ({"mig": 1}, "gpu:4", "gpu:1g.10gb"),
        ({"mig": 1}, "gpu:h100:4", "gpu:1g.10gb"),
        ({"gpu": 1, "mig": 1}, "", "name a type for these"),
        ({}, "gpu:2,gpu:3", "each once"),
        ({}, "gpu:0", "each once"),
        ({}, "gpu:h100:x:1", "name\\[:type\\]"),
        ({}, "g pu", "name\\[:type\\]"),
        ({"gpu": 1}, "gpu:h200", "have gpu:a100, gpu:h100, not gpu:h200"),
    ],
)
def test_what_slurm_could_not_tell_apart_or_never_give_is_refused(
    asked: dict[str, int], wish: str, says: str
) -> None:
    """With what to write instead."""
    kinds = (H100, A100) if "h200" in wish else ()
    with pytest.raises(BadInput, match=says) as refusal:
        built(asking(**asked), wish, *kinds)
    assert refusal.value.field == "metadata.annotations[slurmjob.slinky.slurm.net/gres]"


def selecting(shape: PodShape, *values: str) -> PodShape:
    wanted = Requirement(LABEL, "In", values)
    return replace(shape, affinity_terms=(NodeSelectorTerm(expressions=(wanted,)),))


@pytest.mark.parametrize(
    ("shape", "kinds", "said"),
    [
        (replace(asking(gpu=2), node_selector=((LABEL, "NVIDIA-H100-80GB-HBM3"),)), (H100,),
         "gres/gpu:h100:2"),
        (selecting(asking(gpu=2), "NVIDIA-H100-80GB-HBM3"), (H100,), "gres/gpu:h100:2"),
        (selecting(asking(gpu=2), "NVIDIA-H100-80GB-HBM3", "NVIDIA-A100"), (H100, A100),
         "gres/gpu:2"),
        (selecting(asking(gpu=2), "NVIDIA-H100-80GB-HBM3"), (A100,), "gres/gpu:2"),
        (asking(gpu=2), (H100, A100), "gres/gpu:2"),
        (asking(gpu=2), (MIXED,), "gres/gpu:h100:2"),
        (asking(gpu=2), (MIXED, H100, SLICED), "gres/gpu:h100:2"),
        (asking(gpu=2), (MIXED, A100), "gres/gpu:2"),
        (asking(gpu=2), (SLICED,), "gres/gpu:2"),
        (asking(gpu=1, mig=2), (MIXED,), "gres/gpu:1g.10gb:2,gres/gpu:h100:1"),
    ],
)  # fmt: skip
def test_the_type_comes_from_the_selector_or_from_nodes_with_slices(
    shape: PodShape, kinds: tuple[NodeKind, ...], said: str
) -> None:
    """Only where the nodes bear it in Slurm; a type that none has would wait for ever."""
    assert built(shape, "", *kinds)[0] == said


def test_a_type_is_written_as_the_nodes_have_it() -> None:
    """Slurm compares types letter by letter."""
    kind = NodeKind(frozenset(), frozenset({("gpu", "H100")}))
    assert built(asking(gpu=1), "gpu:h100", kind)[0] == "gres/gpu:H100:1"
