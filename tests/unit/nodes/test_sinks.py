"""A sink is known by what Slurm lists."""

from dataclasses import replace

import pytest

from bridge.model.ids import SlurmNodeName
from bridge.nodes import sinks
from bridge.slurm import SlurmNode


def node(name: str, *states: str, address: str = "10.0.0.1", port: int = 6818) -> SlurmNode:
    """A node as Slurm lists it."""
    return SlurmNode(SlurmNodeName(name), frozenset(states), address=address, port=port)


SINK = node("sink", "IDLE", "DYNAMIC_NORM")
EXTERNAL = node("n1", "ALLOCATED", "EXTERNAL", "DYNAMIC_NORM")


def test_a_slurmd_at_the_address_and_port_of_external_nodes_answers_for_them() -> None:
    """Those that were registered with another address are lost as before."""
    other = node("n2", "IDLE", "EXTERNAL", address="10.0.0.2")
    assert sinks.answered([SINK, EXTERNAL, other]) == {"n1"}
    assert not sinks.answered([EXTERNAL, other])
    assert not sinks.answered([replace(SINK, port=6819), EXTERNAL])


@pytest.mark.parametrize("state", ["DOWN", "NOT_RESPONDING", "UNKNOWN"])
def test_a_slurmd_that_does_not_respond_answers_for_nobody(state: str) -> None:
    """Slurm finds that out some minutes after its end."""
    assert not sinks.answered([replace(SINK, states=SINK.states | {state}), EXTERNAL])


def test_a_drained_sink_answers() -> None:
    """An admin may drain it, so that no job ever runs there."""
    assert sinks.answered([replace(SINK, states=SINK.states | {"DRAIN"}), EXTERNAL]) == {"n1"}


def test_an_external_node_is_no_sink() -> None:
    """Whatever it says: nobody listens there."""
    assert not sinks.answered([EXTERNAL, replace(EXTERNAL, name=SlurmNodeName("n3"))])
