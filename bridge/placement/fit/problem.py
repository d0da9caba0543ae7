"""What each granted node has for slots of different shapes, from both sides, as bins.

Everything that pods share on a node is a dimension of its bin: Slurm's CPUs, memory and GRES,
Kubernetes' resources and count of pods, each host port, and the node itself if slots stay alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bridge.model.ids import NodeName, PodUid
from bridge.model.job import NodeGrant
from bridge.model.scheduling import HostPort, PodShape
from bridge.placement import filters
from bridge.placement.filters import uncounted
from bridge.placement.fit import grants
from bridge.placement.fit.neighbours import Kind
from bridge.placement.fit.packing import OPEN, Bins, Counts, Indices
from bridge.placement.fit.room import USABLE_EVER, USABLE_NOW
from bridge.placement.table import Snapshot, ports
from bridge.placement.topology import Fabric


@dataclass(frozen=True, slots=True)
class PackingProblem:
    """The granted nodes along the topology, and the gang's slots by kind.

    `kinds` (slots,) are numbers of `distinct`. `places` (slots,) are numbers of `nodes`, OPEN for
    slots without a node. `codes` are, for each kind, the predicates that the nodes fail first, the
    pods beside it left out. Nodes that only taken slots are on come last, and have no grant.
    """

    fabric: Fabric
    nodes: list[NodeName]
    rows: Indices
    grants: list[Sequence[NodeGrant]]
    distinct: tuple[Kind, ...]
    kinds: Indices
    places: Indices
    codes: tuple[filters.Codes, ...]

    @classmethod
    def of(
        cls,
        fabric: Fabric,
        kinds: Sequence[Kind],
        of_slot: Indices,
        by_node: Mapping[NodeName, Sequence[NodeGrant]],
        taken: Mapping[int, NodeName],
    ) -> "PackingProblem":
        """The problem of slots of these kinds; `of_slot` (slots,) are their numbers."""
        size = len(of_slot)
        granted = list(by_node)
        along = [granted[place] for place in fabric.order(granted)]
        held = [taken[slot] for slot in sorted(taken) if 0 <= slot < size]
        nodes = list(dict.fromkeys((*along, *held)))
        rows = fabric.rows(nodes)
        position = {node: place for place, node in enumerate(nodes)}
        places = [position[taken[slot]] if slot in taken else OPEN for slot in range(size)]
        return cls(
            fabric=fabric,
            nodes=nodes,
            rows=rows,
            grants=[by_node.get(node, ()) for node in nodes],
            distinct=tuple(kinds),
            kinds=of_slot,
            places=np.array(places, dtype=np.intp),
            codes=tuple(
                filters.first_failures(fabric.snapshot, kind.shape, rows, now=True)
                for kind in kinds
            ),
        )

    @property
    def shapes(self) -> tuple[PodShape, ...]:
        """(kinds,) what a pod of each kind asks for."""
        return tuple(kind.shape for kind in self.distinct)

    @property
    def has_terms(self) -> bool:
        """Whether terms about other pods count."""
        return any(kind.identity is not None for kind in self.distinct)

    def open_kinds(self) -> list[int]:
        """The kinds of slots without a node."""
        return sorted(set(self.kinds[self.places == OPEN].tolist()))

    def taken_counts(self) -> Counts:
        """(nodes, kinds) how many slots have their node already."""
        counts = np.zeros((len(self.nodes), len(self.distinct)), dtype=np.int64)
        placed = self.places != OPEN
        np.add.at(counts, (self.places[placed], self.kinds[placed]), 1)
        return counts


@dataclass(frozen=True, slots=True)
class Capacities:
    """What the nodes have beside the slots that they have already, as bins.

    `granted` is limited by Slurm's grant alone. `ever` is also limited by what the node has, as if
    all other pods were gone. `now` is also limited by what is free.
    """

    granted: Bins
    ever: Bins
    now: Bins

    @classmethod
    def of(
        cls,
        problem: PackingProblem,
        resource_map: Mapping[str, str],
        holding: frozenset[PodUid] | None,
        *,
        one_per_node: bool,
    ) -> "Capacities":
        """The capacities for a problem; the other arguments are those of `assign.assign`."""
        snapshot, taken = problem.fabric.snapshot, problem.taken_counts()
        slurm, held = grants.dimensions(problem.grants, problem.shapes, resource_map)
        amounts, whole, free = _amounts(snapshot, problem, taken, holding, resource_map)
        port_demands, closed, lasting = _ports(snapshot, problem)
        node_demands = np.full((len(problem.shapes), int(one_per_node)), 1, dtype=np.int64)
        demands = np.hstack((slurm, amounts, port_demands, node_demands))
        singles = np.ones(
            (len(problem.nodes), port_demands.shape[1] + int(one_per_node)), dtype=np.int64
        )
        singles -= taken @ np.hstack((port_demands, node_demands))
        held = held - taken @ slurm
        codes = np.stack(problem.codes, axis=1)
        open_now = singles - np.pad(closed, ((0, 0), (0, int(one_per_node))))
        open_ever = singles - np.pad(lasting, ((0, 0), (0, int(one_per_node))))
        no_limit = np.full_like(whole, grants.NO_LIMIT)
        unbounded = np.full(codes.shape, grants.UNBOUNDED, dtype=np.int64)
        return cls(
            Bins(demands, np.hstack((held, no_limit, singles)), unbounded),
            Bins(demands, np.hstack((held, whole, open_ever)), unbounded * USABLE_EVER[codes]),
            Bins(demands, np.hstack((held, free, open_now)), unbounded * USABLE_NOW[codes]),
        )


def _amounts(
    snapshot: Snapshot,
    problem: PackingProblem,
    taken: Counts,
    holding: frozenset[PodUid] | None,
    resource_map: Mapping[str, str],
) -> tuple[Counts, Counts, Counts]:
    """(shapes, resources) what pods ask for; (nodes, resources) what the nodes have beside taken
    slots and pods that stay (of what Slurm does not count: beside all pods that nobody is ending);
    (nodes, resources) what is free.
    """
    lines = snapshot.resources
    demands = np.zeros((len(problem.shapes), len(lines)), dtype=np.int64)
    for kind, shape in enumerate(problem.shapes):
        asks = lines.asks(shape.requests)
        demands[kind, asks.lines] = asks.amounts[:, 0]
    mine = taken @ demands
    allocatable = snapshot.allocatable[:, problem.rows]
    whole = (allocatable - snapshot.staying[:, problem.rows]).T - mine
    free = (allocatable - snapshot.used[:, problem.rows]).T
    beside = (allocatable - snapshot.lasting[:, problem.rows]).T
    if holding is not None:
        to_come = np.maximum(mine - _held(snapshot, problem, holding), 0)
        free, beside = free - to_come, beside - to_come
    counted = [line for name, line in lines.items() if uncounted.is_counted(name, resource_map)]
    beside[:, counted] = whole[:, counted]
    return demands, np.minimum(whole, beside), free


def _held(snapshot: Snapshot, problem: PackingProblem, pods: frozenset[PodUid]) -> Counts:
    """(nodes, resources) what these pods hold."""
    held = np.zeros((snapshot.size, len(snapshot.resources)), dtype=np.int64)
    for pod in pods:
        holding = snapshot.pods.get(pod)
        if holding is not None:
            asks = snapshot.resources.asks(holding.shape.requests)
            held[holding.row, asks.lines] += asks.amounts[:, 0]
    return held[problem.rows]


def _ports(snapshot: Snapshot, problem: PackingProblem) -> tuple[Counts, Counts, Counts]:
    """(shapes, ports) 1 where a pod takes the port; (nodes, ports) 1 where it is taken already;
    (nodes, ports) 1 where a pod has it that nobody is ending and that is not the gang's own.

    A dimension is a port at one address. A pod with "every address" takes all dimensions of the
    port, and one more for the addresses that no shape names.
    """
    asked = {port for shape in problem.shapes for port in shape.host_ports}
    dimensions = sorted(
        {(port.port, port.protocol, ports.address(port)) for port in asked}
        | {(port.port, port.protocol, ports.EVERY_ADDRESS) for port in asked}
    )
    demands = np.zeros((len(problem.shapes), len(dimensions)), dtype=np.int64)
    closed = np.zeros((len(problem.nodes), len(dimensions)), dtype=np.int64)
    lasting = np.zeros_like(closed)
    for at, (number, protocol, address) in enumerate(dimensions):
        for kind, shape in enumerate(problem.shapes):
            demands[kind, at] = any(
                (port.port, port.protocol) == (number, protocol)
                and ports.address(port) in (ports.EVERY_ADDRESS, address)
                for port in shape.host_ports
            )
        probe = PodShape(host_ports=(HostPort(number, protocol, address),))
        closed[:, at] = filters.ports_taken(snapshot, probe, problem.rows)
        lasting[:, at] = filters.ports_taken(snapshot, probe, problem.rows, snapshot.lasting_ports)
    return demands, closed, lasting
