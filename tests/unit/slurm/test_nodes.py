import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import BadInput
from bridge.model.ids import SlurmNodeName
from bridge.model.job import Gres
from bridge.slurm import gres as gres_strings
from bridge.slurm.nodes import NodeDefinition, SlurmNode
from bridge.slurm.wire.v0_0_44 import Wire44


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
        ({"features": ("a\n",)}, "features"),
        ({"features": ("a\x1b[2J",)}, "features"),
        ({"features": ("",)}, "features"),
        ({"name": "n1\n"}, "name"),
        ({"address": "10.0.0.1\n"}, "address"),
        ({"hostname": "n1\n"}, "hostname"),
        ({"topology": "t:r\n"}, "topology"),
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


@pytest.mark.parametrize("feature", ["a|b", "a&b", "(a)", "a*2", "!a"])
def test_a_feature_that_no_job_could_ask_for_is_refused(feature: str) -> None:
    """Constraints have these operators. When a node is registered, and when it changes."""
    with pytest.raises(BadInput, match="can't stand in a node's definition"):
        _definition(features=(feature,)).check()
    with pytest.raises(BadInput, match="can't stand in a node's definition"):
        Wire44().node_changes(
            features=(feature,),
            state=None,
            reason=None,
            comment=None,
            weight=None,
            topology=None,
            address=None,
        )


@pytest.mark.parametrize(
    "item",
    [
        Gres("gpu", "h100+", 8),
        Gres("gpu", "a:b", 8),
        Gres("gpu", "a/b", 8),
        Gres("gpu", "no_consume", 8),
        Gres("gpu", "h100(x)", 8),
        Gres("1gpu", "", 8),
        Gres("", "", 8),
        Gres("gpu", "h100\n", 8),
    ],
)
def test_gres_that_would_not_be_read_back_are_refused(item: Gres) -> None:
    """Slurm shows them in the list of all nodes, which one of them would make unreadable."""
    with pytest.raises(BadInput) as caught:
        _definition(gres=(Gres("efa", "", 4), item)).check()
    assert caught.value.field == "gres"


@given(
    st.lists(
        st.builds(Gres, st.text(max_size=5), st.text(max_size=5), st.integers(0, 10**6)), max_size=3
    ).map(tuple)
)
def test_the_gres_of_a_node_are_read_back_as_they_were_written(gres: tuple[Gres, ...]) -> None:
    """Or the node is refused."""
    try:
        _definition(gres=gres).check()
    except BadInput:
        return
    assert gres_strings.parse(gres_strings.format(gres)) == gres


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
