"""Which external nodes a sink answers for: pure.

No slurmd runs on an external node. When a job is shrunk, signalled, suspended, or preempted with
GraceTime, slurmctld tells the job's nodes, at their address and port. If nobody answers there,
Slurm gives the node up some seconds later (NOT_RESPONDING). A sink is any slurmd, with a node of
its own, that listens at the address and the port of external nodes.
"""

from collections.abc import Collection
from typing import Final

from bridge.model.ids import SlurmNodeName
from bridge.slurm import SlurmNode

_AWAY: Final = frozenset(
    {"DOWN", "ERROR", "FUTURE", "NOT_RESPONDING", "POWERED_DOWN", "POWERING_DOWN", "UNKNOWN"}
)
"""States of a node whose slurmd does not answer, as far as Slurm knows."""


def answered(nodes: Collection[SlurmNode]) -> frozenset[SlurmNodeName]:
    """The external nodes for which a slurmd answers, by what Slurm lists.

    Slurm notices the end of a slurmd late (SlurmdTimeout, 300 s by default).
    """
    sinks = {
        (node.address, node.port)
        for node in nodes
        if not node.external and node.address and _AWAY.isdisjoint(node.states)
    }
    if not sinks:
        return frozenset()
    return frozenset(
        node.name for node in nodes if node.external and (node.address, node.port) in sinks
    )
