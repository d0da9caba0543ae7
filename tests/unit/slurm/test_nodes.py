import pytest

from bridge.errors import BadInput
from bridge.model.ids import SlurmNodeName
from bridge.model.job import Gres
from bridge.slurm.nodes import NodeDefinition, SlurmNode


def _definition(**fields: object) -> NodeDefinition:
    said: dict[str, object] = {
        "name": "n1", "address": "10.0.0.1", "cpus": 63, "memory_mib": 16000, **fields,
    }  # fmt: skip
    return NodeDefinition(**said)  # type: ignore[arg-type]


def test_the_layout_is_exact() -> None:
    """One socket, one thread: Slurm keeps an odd number of CPUs only when the layout says it."""
    assert _definition().node_conf() == (
        "NodeName=n1 NodeAddr=10.0.0.1 Sockets=1 CoresPerSocket=63 ThreadsPerCore=1 CPUs=63 "
        "RealMemory=16000 State=External"
    )


def test_a_whole_gpu_node() -> None:
    """All GRES are configured together, joined by +, GPUs with a device file each."""
    node = _definition(
        cpus=8,
        features=("class-1", "gpu"),
        topology="topo:root:a:b",
        weight=5,
        gres=(Gres("gpu", "h100", 8), Gres("gpu", "a100", 1), Gres("efa", "", 4)),
    )
    assert node.node_conf().partition("State=External ")[2] == (
        "Weight=5 Feature=class-1,gpu Topology=topo:root:a:b "
        'Gres="gpu:h100:8,gpu:a100:1,efa:4" '
        'GresConf="count=8,name=gpu,type=h100,file=/dev/nvidia[0-7]'
        "+count=1,name=gpu,type=a100,file=/dev/nvidia8"
        '+count=4,name=efa"'
    )


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "n[1-2]"}, "name"),
        ({"name": "n1 State=DOWN"}, "name"),
        ({"address": ""}, "address"),
        ({"address": "10.0.0.1 State=DOWN"}, "address"),
        ({"features": ("a b",)}, "features"),
        ({"features": ("a,b",)}, "features"),
        ({"features": ('a"',)}, "features"),
        ({"topology": "t:r\nState=DOWN"}, "topology"),
        ({"gres": (Gres("gpu", 'h100"', 1),)}, "gres"),
        ({"gres": (Gres("gpu", "h100", -1),)}, "gres"),
    ],
)
def test_values_that_would_change_the_line_are_refused(
    fields: dict[str, object], field: str
) -> None:
    """Labels of Kubernetes end in this line: none may bring settings of its own."""
    with pytest.raises(BadInput) as caught:
        _definition(**fields).node_conf()
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("states", "cpus", "idle"),
    [
        ({"IDLE", "EXTERNAL"}, 0, True),
        ({"IDLE", "DRAIN", "NOT_RESPONDING"}, 0, True),
        ({"MIXED", "EXTERNAL"}, 1, False),
        ({"ALLOCATED", "DRAIN"}, 8, False),
        ({"DOWN"}, 0, True),
        ({"IDLE", "COMPLETING"}, 0, False),
    ],
)
def test_idle_means_that_no_job_is_on_it(states: set[str], cpus: int, idle: bool) -> None:
    """A node without jobs is idle, whatever flags it has: it can be deleted."""
    node = SlurmNode(SlurmNodeName("n"), frozenset(states), allocated_cpus=cpus)
    assert node.idle is idle
