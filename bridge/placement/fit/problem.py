"""What each granted node has for slots of different shapes, from both sides, as bins.

Everything that pods share on a node is a dimension: Slurm's CPUs, memory and GRES; Kubernetes'
resources and count of pods; each host port; and the node itself where pods stay alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bridge.model.ids import NodeName, PodUid
from bridge.model.job import NodeGrant
from bridge.model.scheduling import HostPort, PodShape
from bridge.placement.filters import failures
from bridge.placement.fit import grants
from bridge.placement.fit.packing import OPEN, Bins, Counts, Indices
from bridge.placement.fit.room import USABLE_EVER, USABLE_NOW
from bridge.placement.table import ports
from bridge.placement.table.snapshot import Snapshot
from bridge.placement.topology import Fabric


@dataclass(frozen=True, slots=True)
class Case:
    """Granted nodes along the topology, and the gang's slots by kind.

    `kinds` (slots,) numbers into `shapes`; `places` (slots,) numbers into `nodes`, OPEN for slots
    without a node; `codes`: of each shape, the predicate that each node fails first. Nodes that
    only taken slots are on come last, without a grant.
    """

    fabric: Fabric
    nodes: list[NodeName]
    rows: Indices
    grants: list[Sequence[NodeGrant]]
    shapes: tuple[PodShape, ...]
    kinds: Indices
    places: Indices
    codes: tuple[failures.Codes, ...]

    @classmethod
    def of(
        cls,
        fabric: Fabric,
        shapes: Sequence[PodShape],
        by_node: Mapping[NodeName, Sequence[NodeGrant]],
        taken: Mapping[int, NodeName],
    ) -> "Case":
        """From the shape of each slot."""
        granted = list(by_node)
        along = [granted[place] for place in fabric.order(granted)]
        there = [taken[slot] for slot in sorted(taken) if 0 <= slot < len(shapes)]
        nodes = list(dict.fromkeys((*along, *there)))
        rows = fabric.rows(nodes)
        distinct = tuple(dict.fromkeys(shapes))
        number = {shape: kind for kind, shape in enumerate(distinct)}
        position = {node: place for place, node in enumerate(nodes)}
        places = [position[taken[slot]] if slot in taken else OPEN for slot in range(len(shapes))]
        return cls(
            fabric=fabric,
            nodes=nodes,
            rows=rows,
            grants=[by_node.get(node, ()) for node in nodes],
            shapes=distinct,
            kinds=np.array([number[shape] for shape in shapes], dtype=np.intp),
            places=np.array(places, dtype=np.intp),
            codes=tuple(
                failures.failures(fabric.snapshot, shape, rows, now=True) for shape in distinct
            ),
        )

    def rows_of(self, kind: int) -> Indices:
        """Rows of the nodes that slots of this kind have already."""
        rows: Indices = self.rows[self.places[(self.kinds == kind) & (self.places != OPEN)]]
        return np.extract(rows >= 0, rows)

    def open_kinds(self) -> list[int]:
        """Kinds of the slots without a node."""
        return sorted(set(self.kinds[self.places == OPEN].tolist()))

    def taken_counts(self) -> Counts:
        """(nodes, shapes) slots that have their node."""
        counts = np.zeros((len(self.nodes), len(self.shapes)), dtype=np.int64)
        there = self.places != OPEN
        np.add.at(counts, (self.places[there], self.kinds[there]), 1)
        return counts


@dataclass(frozen=True, slots=True)
class Sides:
    """Bins by what Slurm gave (`granted`), also by the node were all other pods gone (`ever`),
    also by what is free (`now`); beside the slots that have their node.
    """

    granted: Bins
    ever: Bins
    now: Bins

    @classmethod
    def of(
        cls,
        case: Case,
        resource_map: Mapping[str, str],
        holding: frozenset[PodUid] | None,
        *,
        alone: bool,
    ) -> "Sides":
        """As `assign.assign` says of `holding`; `alone`: one slot a node."""
        snapshot, taken = case.fabric.snapshot, case.taken_counts()
        slurm, held = grants.dimensions(case.grants, case.shapes, resource_map)
        amounts, whole, free = _amounts(snapshot, case, taken, holding)
        port_demands, closed = _ports(snapshot, case)
        alone_demands = np.full((len(case.shapes), int(alone)), 1, dtype=np.int64)
        demands = np.hstack((slurm, amounts, port_demands, alone_demands))
        singles = np.ones((len(case.nodes), port_demands.shape[1] + int(alone)), dtype=np.int64)
        singles -= taken @ np.hstack((port_demands, alone_demands))
        held = held - taken @ slurm
        codes = np.stack(case.codes, axis=1)
        open_now = singles - np.pad(closed, ((0, 0), (0, int(alone))))
        no_limit = np.full_like(whole, grants.NO_LIMIT)
        known = np.full(codes.shape, grants.UNBOUNDED, dtype=np.int64)
        return cls(
            Bins(demands, np.hstack((held, no_limit, singles)), known),
            Bins(demands, np.hstack((held, whole, singles)), known * USABLE_EVER[codes]),
            Bins(demands, np.hstack((held, free, open_now)), known * USABLE_NOW[codes]),
        )


def _amounts(
    snapshot: Snapshot, case: Case, taken: Counts, holding: frozenset[PodUid] | None
) -> tuple[Counts, Counts, Counts]:
    """(shapes, resources) what pods ask for; (nodes, resources) what nodes have beside lasting
    pods and the taken slots, and what is free.
    """
    lines = snapshot.resources
    demands = np.zeros((len(case.shapes), len(lines)), dtype=np.int64)
    for kind, shape in enumerate(case.shapes):
        asks = lines.asks(shape.requests)
        demands[kind, asks.lines] = asks.amounts[:, 0]
    mine = taken @ demands
    whole = (snapshot.allocatable[:, case.rows] - snapshot.lasting[:, case.rows]).T - mine
    free = (snapshot.allocatable[:, case.rows] - snapshot.used[:, case.rows]).T
    if holding is not None:
        free = free - np.maximum(mine - _held(snapshot, case, holding), 0)
    return demands, whole, free


def _held(snapshot: Snapshot, case: Case, pods: frozenset[PodUid]) -> Counts:
    """(nodes, resources) what these pods hold."""
    held = np.zeros((snapshot.size, len(snapshot.resources)), dtype=np.int64)
    for pod in pods:
        holding = snapshot.pods.get(pod)
        if holding is not None:
            asks = snapshot.resources.asks(holding.shape.requests)
            held[holding.row, asks.lines] += asks.amounts[:, 0]
    return held[case.rows]


def _ports(snapshot: Snapshot, case: Case) -> tuple[Counts, Counts]:
    """(shapes, ports) 1 where a pod takes the port, and (nodes, ports) 1 where it is taken.

    A dimension is a port at one address; "every address" takes all the port's dimensions, and one
    of its own, for the addresses that no shape names.
    """
    asked = {port for shape in case.shapes for port in shape.host_ports}
    dimensions = sorted(
        {(one.port, one.protocol, ports.address(one)) for one in asked}
        | {(one.port, one.protocol, ports.EVERY_ADDRESS) for one in asked}
    )
    demands = np.zeros((len(case.shapes), len(dimensions)), dtype=np.int64)
    closed = np.zeros((len(case.nodes), len(dimensions)), dtype=np.int64)
    for at, (port, protocol, address) in enumerate(dimensions):
        for kind, shape in enumerate(case.shapes):
            demands[kind, at] = any(
                (one.port, one.protocol) == (port, protocol)
                and ports.address(one) in (ports.EVERY_ADDRESS, address)
                for one in shape.host_ports
            )
        probe = PodShape(host_ports=(HostPort(port, protocol, address),))
        closed[:, at] = failures.ports_taken(snapshot, probe, case.rows)
    return demands, closed
