"""Where pods may run, where best, and which pod on which granted node. Pure numpy.

May import: `bridge.model`, `bridge.names`, `bridge.errors`. No I/O, no asyncio, no clock, no
logging. One writer keeps a `table.NodeTable` up to date; everybody else asks a
`snapshot.Snapshot`, which never changes.

    predicates  which nodes can take a shape, ever or now, and why the others can't
    classes     nodes that are alike to the scheduler, and the classes a shape may go to
    paths       where a node hangs in the fabric
    topology    the fabric's tree: order and distance
    assign      a gang's slots onto the nodes that Slurm granted; `mixed` where they differ
    score       which of several nodes is best
    members     pod (anti-)affinity among a gang's own pods
"""

from bridge.placement.assign import assign
from bridge.placement.classes import class_of, classes, feasible_classes
from bridge.placement.predicates import Feasibility, check_node, feasible
from bridge.placement.score import ScoreWeights, score
from bridge.placement.snapshot import Snapshot
from bridge.placement.table import NodeTable
from bridge.placement.topology import order

__all__ = [
    "NodeTable",
    "Snapshot",
    "feasible",
    "Feasibility",
    "check_node",
    "classes",
    "class_of",
    "feasible_classes",
    "order",
    "assign",
    "score",
    "ScoreWeights",
]
