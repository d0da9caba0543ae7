"""What Slurm's nodes and partitions are like, kept for those who build jobs."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from enum import Enum
from typing import Any

import structlog

from bridge import slurm
from bridge.nodes import capacities, places, sinks
from bridge.state.slurm_facts import NodeFacts, NodeKind, PartitionFacts
from bridge.state.slurm_state import SlurmState

log = structlog.get_logger(__name__)

_MCS_LABELS = "mcs/label"
"""The MCSPlugin under which jobs may have any label."""


class News(Enum):
    """What is new for waiting gangs."""

    NONE = "none"
    ROOM = "room"
    """News only for jobs that name their nodes: for all others Slurm itself waits. A node is
    drained or comes back, or other jobs have more or less of it."""
    KINDS = "kinds"
    """Nodes, features or partitions are other ones than before. A node that joins is news also
    where its class is known: it may be larger."""


def learn(
    state: SlurmState,
    *,
    nodes: Collection[slurm.SlurmNode],
    partitions: Collection[slurm.Partition],
    configuration: Mapping[str, Any] | None,
) -> News:
    """Keeps in `state` what these nodes and partitions are like."""
    features = frozenset(
        feature for node in nodes for feature in (*node.features, *node.active_features)
    )
    facts = PartitionFacts(
        with_memory_default=frozenset(
            part.name
            for part in partitions
            if part.def_mem_per_cpu_mib or part.def_mem_per_node_mib
        ),
        known=frozenset(part.name for part in partitions),
        max_time_min={part.name: part.max_time_min for part in partitions if part.max_time_min},
        max_nodes={part.name: part.max_nodes for part in partitions if part.max_nodes},
        grace_s={part.name: part.grace_s for part in partitions if part.grace_s},
        topologies=places.of_partitions(partitions),
    )
    kinds = NodeFacts(
        _kinds(nodes), gres_types(configuration), _keeps_labels_apart(configuration or {})
    )
    sizes = capacities.of(nodes)
    known = state.capacities
    before = (state.features, state.partitions, state.nodes, known.groups, known.group_of)
    news = (features, facts, kinds, sizes.groups, sizes.group_of) != before
    answered = sinks.answered(nodes)
    if bool(answered) != bool(state.answered):
        news = True
        log.info("node.sink_found" if answered else "node.sink_gone", nodes=len(answered))
    state.features, state.partitions, state.nodes = features, facts, kinds
    state.answered = answered
    if sizes.without_jobs == known.without_jobs:
        # As the same objects: what is known of them stays true, and is found so at a glance.
        sizes = replace(known, busy_cpus=sizes.busy_cpus)
    if sizes != known:
        state.capacities = sizes
    tier_of = {part.name: part.tier for part in partitions}
    state.node_weights = {node.name: node.weight for node in nodes}
    state.tiers = {
        node.name: max((tier_of.get(part, 1) for part in node.partitions), default=1)
        for node in nodes
    }
    if news:
        return News.KINDS
    return News.ROOM if sizes != known else News.NONE


def _kinds(nodes: Iterable[slurm.SlurmNode]) -> tuple[NodeKind, ...]:
    """Nodes that jobs can't tell apart, in an order that stays the same."""
    found = {
        NodeKind(
            frozenset((*node.features, *node.active_features)),
            frozenset((item.name, item.type) for item in node.gres if item.count),
        )
        for node in nodes
    }
    return tuple(sorted(found, key=lambda kind: (sorted(kind.features), sorted(kind.devices))))


def gres_types(conf: Mapping[str, Any] | None) -> frozenset[str] | None:
    """GresTypes of slurm.conf; None where that is not known."""
    return None if conf is None else frozenset(conf.get("GresTypes") or ())


def _keeps_labels_apart(conf: Mapping[str, Any]) -> bool:
    is_on = "noselect" not in (conf.get("MCSParameters") or ())
    return is_on and conf.get("MCSPlugin") == _MCS_LABELS
