"""Gangs whose slots ask for different things, onto the nodes that Slurm granted.

Examples are a leader beside its workers, or a launcher beside GPU pods. A node takes any mix of
slots that its grant (Slurm's side) and what is free there (Kubernetes' side) hold together. Which
mix goes where is a packing problem (`problem`, `packing`). Of the ways that are found, the one with
the least rank distance is taken; if the greedy rule works, it is one of these ways.

Pod (anti-)affinity counts among slots of one shape, because pods of one template have one shape.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice, product

import numpy as np

from bridge.model.gang import Assignment, Shortfall
from bridge.model.ids import NodeName, PodUid, SlurmNodeName
from bridge.model.job import NodeGrant
from bridge.model.scheduling import PodShape
from bridge.placement.fit import grants, packing, pod_affinity, ranks, room
from bridge.placement.fit.packing import OPEN, Bins, Indices
from bridge.placement.fit.problem import Capacities, PackingProblem
from bridge.placement.fit.room import NodeCapacity
from bridge.placement.topology import Fabric

_MOST_GROUPS = 256
"""Combinations of domains that are tried if several shapes have affinity to themselves."""


def assign(
    fabric: Fabric,
    shapes: Sequence[PodShape],
    by_node: Mapping[NodeName, list[NodeGrant]],
    unknown: list[SlurmNodeName],
    *,
    resource_map: Mapping[str, str],
    taken: Mapping[int, NodeName],
    holding: frozenset[PodUid] | None,
    one_per_node: bool,
) -> Assignment | Shortfall:
    """Do what `assign.assign` does, for slots of these shapes.

    The answer is exact within the bounds of `packing.exact`.
    """
    problem = PackingProblem.of(fabric, shapes, by_node, taken)
    capacities = Capacities.of(problem, resource_map, holding, one_per_node=one_per_node)
    ways = list(_ways(problem, capacities.now))
    if ways:
        best = min(ways, key=lambda way: ranks.length(fabric, problem.rows[way]))
        return Assignment(tuple(problem.nodes[place] for place in best.tolist()))
    for_now = next(_ways(problem, capacities.ever), None) is not None
    by_kind = [_of_kind(problem, capacities, kind, resource_map) for kind in problem.open_kinds()]
    why_of: dict[NodeName, str] = {}
    for capacity in by_kind:
        for node, why in room.at_fault(fabric.snapshot, capacity, for_now=for_now):
            why_of.setdefault(node, why)
    return room.shortfall(
        _fits(problem, capacities.now),
        list(why_of.items()),
        unknown,
        partial(_of_grant, by_kind),
        for_now=for_now,
    )


def _ways(problem: PackingProblem, bins: Bins) -> Iterator[Indices]:
    """(slots,) the problem's places with the open ones filled, in different ways."""
    gaps = np.flatnonzero(problem.places == OPEN)
    for allowed in _groups(problem, bins):
        for filling in packing.fillings(allowed, problem.kinds[gaps]):
            way = problem.places.copy()
            way[gaps] = filling
            yield way


def _groups(problem: PackingProblem, bins: Bins) -> Iterator[Bins]:
    """The bins, cut to what the slots' (anti-)affinity to each other allows."""
    snapshot, most = problem.fabric.snapshot, bins.most.copy()
    along = np.arange(len(problem.nodes))
    masks = []
    for kind, shape in enumerate(problem.shapes):
        taken = problem.rows_of(kind)
        if shape.anti_affinity_keys:
            slots = np.minimum(bins.fitting(kind), 1)
            most[:, kind] = pod_affinity.one_per_domain(
                snapshot, problem.rows, slots, shape.anti_affinity_keys, taken, first=along
            )
        masks.append(pod_affinity.groups(snapshot, problem.rows, shape.affinity_keys, taken))
    for chosen in islice(product(*masks), _MOST_GROUPS):
        yield replace(bins, most=np.where(np.stack(chosen, axis=1), most, 0))


def _of_kind(
    problem: PackingProblem, capacities: Capacities, kind: int, resource_map: Mapping[str, str]
) -> NodeCapacity:
    """What each node can take of one kind, if its slots were the only ones."""
    shape = problem.shapes[kind]
    return NodeCapacity(
        shape=shape,
        nodes=problem.nodes,
        rows=problem.rows,
        codes=problem.codes[kind],
        granted=capacities.granted.fitting(kind),
        ever=capacities.ever.fitting(kind),
        now=capacities.now.fitting(kind),
        scarcest=partial(grants.scarcest, problem.grants, shape, resource_map),
    )


def _fits(problem: PackingProblem, bins: Bins) -> str:
    """Say how many pods find a place, and which ranks don't."""
    gaps = np.flatnonzero(problem.places == OPEN)
    filling = packing.partial(next(_groups(problem, bins), bins), problem.kinds[gaps])
    left = gaps[filling == OPEN].tolist()
    named = ", ".join(map(str, left[:8])) + (", …" if left[8:] else "")
    which = f" (not rank {named})" if left else ""
    return f"{len(gaps) - len(left)} of {len(gaps)} pods fit now{which}"


def _of_grant(by_kind: Sequence[NodeCapacity]) -> str:
    """Say what the grant holds of each kind alone, if no node is at fault."""
    return "; ".join(map(room.of_grant, by_kind)) + ", not all kinds together"
