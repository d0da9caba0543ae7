"""Which nodes can take a shape, ever or now, and why the others can't.

Each question is asked of a `Snapshot` about one shape, and answered for all nodes at once. The
folder changes no snapshot, and knows neither gangs nor Slurm's grants.

    feasibility  `feasible` for all nodes, `check_node` for one
    failures     the first predicate that each node fails
    selectors    node selectors and required node affinity
    reasons      first failures in words
    classes      nodes that no selector and no taint tells apart
    uncounted    resources that Slurm does not count
    density      how many pods of a shape a node holds at most
    storage      where a claim that is bound with its pod can be bound
"""

from bridge.placement.filters.feasibility import Feasibility, check_node, feasible

__all__ = ["Feasibility", "check_node", "feasible"]
