"""Which nodes can take a shape, ever or now, and why the others can't.

Each question is asked of a `Snapshot` about one shape, and answered for all nodes at once. The
folder changes no snapshot, and knows neither gangs nor Slurm's grants.

    feasibility  `feasible` for all nodes, `check_node` for one
    predicates   the predicates, in the order in which they are checked
    failures     `first_failures`: the first predicate that each node fails
    selectors    node selectors and required node affinity
    tolerations  taints that keep a shape away
    domains      the nodes that have one value of a node label
    pod_terms    pod affinity, anti-affinity and topology spread
    pod_selectors  on which nodes pods are that a selector selects, and whom they keep away
    reasons      first failures in words; of terms about other pods in `pod_term_reasons`
    classes      nodes that no selector and no taint tells apart
    uncounted    resources that Slurm does not count
    density      how many pods of a shape a node can hold at most
    storage      where a claim that is bound with its pod can be bound
"""

from bridge.placement.filters.failures import first_failures, fitting, free, ports_taken
from bridge.placement.filters.feasibility import Feasibility, check_node, feasible
from bridge.placement.filters.predicates import Codes, Predicate

__all__ = [
    "feasible",
    "Feasibility",
    "check_node",
    "first_failures",
    "fitting",
    "free",
    "ports_taken",
    "Predicate",
    "Codes",
]
