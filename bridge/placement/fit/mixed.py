"""A gang whose slots ask for different things, onto the nodes that Slurm granted.

A leader beside its workers, a launcher beside GPU pods: a node takes any mix of them that its
grant (Slurm's side) and what is free there (Kubernetes' side) hold together (`sides`). Which mix
goes where is a problem of bins (`packing`); of the ways that are found the one with the least rank
distance is taken, and the greedy rule is always among them where it works.

Pod (anti-)affinity counts among slots of one shape: pods of one template have one shape.
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
from bridge.placement.fit import grants, packing, pod_affinity
from bridge.placement.fit import room as rooms
from bridge.placement.fit.packing import OPEN, Bins, Indices
from bridge.placement.fit.problem import Case, Sides
from bridge.placement.fit.room import Room
from bridge.placement.topology import Fabric

_MOST_GROUPS = 256
"""Combinations of domains that are tried where several shapes each want to be together."""


def assign(
    fabric: Fabric,
    shapes: Sequence[PodShape],
    by_node: Mapping[NodeName, list[NodeGrant]],
    unknown: list[SlurmNodeName],
    *,
    resource_map: Mapping[str, str],
    taken: Mapping[int, NodeName],
    holding: frozenset[PodUid] | None,
    alone: bool,
) -> Assignment | Shortfall:
    """As `assign.assign`, for slots of these shapes. Exact up to the bounds of `packing.exact`."""
    case = Case.of(fabric, shapes, by_node, taken)
    sides = Sides.of(case, resource_map, holding, alone=alone)
    ways = list(_ways(case, sides.now))
    if ways:
        best = min(ways, key=lambda way: _rank_distance(case, way))
        return Assignment(tuple(case.nodes[place] for place in best.tolist()))
    for_now = next(_ways(case, sides.ever), None) is not None
    solo = [_solo(case, sides, kind, resource_map) for kind in case.open_kinds()]
    at_fault: dict[NodeName, str] = {}
    for room in solo:
        for node, why in rooms.blamed(fabric.snapshot, room, for_now=for_now):
            at_fault.setdefault(node, why)
    return rooms.shortfall(
        _fits(case, sides.now),
        list(at_fault.items()),
        unknown,
        partial(_otherwise, solo),
        for_now=for_now,
    )


def _ways(case: Case, bins: Bins) -> Iterator[Indices]:
    """(slots,) the case's places with the open ones filled, in different ways."""
    gaps = np.flatnonzero(case.places == OPEN)
    for allowed in _groups(case, bins):
        for filling in packing.fillings(allowed, case.kinds[gaps]):
            whole = case.places.copy()
            whole[gaps] = filling
            yield whole


def _groups(case: Case, bins: Bins) -> Iterator[Bins]:
    """The bins cut to what the slots' (anti-)affinity to each other allows."""
    snapshot, most = case.fabric.snapshot, bins.most.copy()
    along = np.arange(len(case.nodes))
    masks = []
    for kind, shape in enumerate(case.shapes):
        there = case.rows_of(kind)
        if shape.anti_affinity_keys:
            fitting = np.minimum(bins.fitting(kind), 1)
            most[:, kind] = pod_affinity.apart(
                snapshot, case.rows, fitting, shape.anti_affinity_keys, there, first=along
            )
        masks.append(pod_affinity.groups(snapshot, case.rows, shape.affinity_keys, there))
    for chosen in islice(product(*masks), _MOST_GROUPS):
        yield replace(bins, most=np.where(np.stack(chosen, axis=1), most, 0))


def _rank_distance(case: Case, places: Indices) -> int:
    rows = case.rows[places]
    return int(case.fabric.distances(rows[:-1], rows[1:]).sum())


def _solo(case: Case, sides: Sides, kind: int, resource_map: Mapping[str, str]) -> Room:
    """What each node takes of one kind, were its slots the only ones."""
    return Room(
        shape=case.shapes[kind],
        nodes=case.nodes,
        rows=case.rows,
        codes=case.codes[kind],
        granted=sides.granted.fitting(kind),
        ever=sides.ever.fitting(kind),
        now=sides.now.fitting(kind),
        scarcest=partial(grants.scarcest, case.grants, case.shapes[kind], resource_map),
    )


def _fits(case: Case, bins: Bins) -> str:
    """How many find a place, and which ranks don't."""
    gaps = np.flatnonzero(case.places == OPEN)
    filling = packing.partial(next(_groups(case, bins), bins), case.kinds[gaps])
    left = gaps[filling == OPEN].tolist()
    named = ", ".join(map(str, left[:8])) + (", …" if left[8:] else "")
    which = f" (not rank {named})" if left else ""
    return f"{len(gaps) - len(left)} of {len(gaps)} pods fit now{which}"


def _otherwise(solo: Sequence[Room]) -> str:
    """No node is at fault: what the grant holds of each kind alone, and that it is not enough."""
    return "; ".join(map(rooms.of_grant, solo)) + ", not all kinds together"
