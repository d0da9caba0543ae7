"""What must be done so that Slurm knows the Kubernetes nodes as they are: pure.

A Slurm node is ours when it is external and carries the feature of this Kubernetes cluster;
nothing else is ever drained or deleted. CPUs, memory and devices of a registered node can't be
changed in Slurm, so such a node is drained and made anew when idle.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from bridge import names
from bridge.errors import BadInput
from bridge.model import devices
from bridge.model.ids import NodeName, SlurmNodeName
from bridge.model.job import Gres
from bridge.model.node import Node
from bridge.model.resources import Resources
from bridge.model.scheduling import Taint
from bridge.nodes import definition
from bridge.slurm import NodeDefinition, SlurmNode

DRAIN_REASON = "slurm-bridge: "
"""Starts the reason of each drain of ours; drains by others are never undone."""
CORDONED = f"{DRAIN_REASON}cordoned in Kubernetes"


@dataclass(frozen=True, slots=True)
class Register:
    """Make the node in Slurm."""

    node: NodeName
    definition: NodeDefinition


@dataclass(frozen=True, slots=True)
class Delete:
    """Take the node out of Slurm; it runs nothing."""

    slurm_node: SlurmNodeName
    why: str
    healing: bool = False
    """Only to be made anew: Slurm had lost it."""


@dataclass(frozen=True, slots=True)
class Drain:
    """Let nothing new start there."""

    slurm_node: SlurmNodeName
    reason: str


@dataclass(frozen=True, slots=True)
class Undrain:
    """Jobs may start there again."""

    slurm_node: SlurmNodeName


@dataclass(frozen=True, slots=True)
class SetFeatures:
    """All of the node's features, from now on."""

    slurm_node: SlurmNodeName
    features: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AddTaint:
    """Keep pods away that do not wait in Slurm."""

    node: NodeName


@dataclass(frozen=True, slots=True)
class RemoveTaint:
    """The node is not Slurm's any more."""

    node: NodeName


@dataclass(frozen=True, slots=True)
class Refuse:
    """The node can't be registered; its admin is told on the node."""

    node: NodeName
    message: str


InSlurm = Register | Delete | Drain | Undrain | SetFeatures
"""What changes Slurm's nodes."""
Action = InSlurm | AddTaint | RemoveTaint | Refuse


def plan(
    *,
    nodes: Mapping[NodeName, Node],
    slurm_nodes: Mapping[SlurmNodeName, SlurmNode],
    classes: Mapping[NodeName, str],
    others: Mapping[NodeName, Resources],
    rules: definition.Rules,
    scheduler_name: str,
    classes_in_use: Collection[str] = (),
) -> list[Action]:
    """The actions of one pass, safe to repeat; what has to wait (a busy node) is for a later one.

    `others`: what pods of other schedulers ask for, by node. `classes_in_use`: classes that
    waiting jobs still name; a node keeps such an old class until they don't.
    """
    actions: list[Action] = []
    for name, node in sorted(nodes.items()):
        known = slurm_nodes.get(node.slurm_name)
        actions += _taint(node, wanted=known is not None, scheduler_name=scheduler_name)
        if not node.external or node.deleting:
            continue
        wanted = _define(node, classes.get(name, ""), others.get(name, Resources()), rules)
        if isinstance(wanted, Refuse):
            actions.append(wanted)
        elif known is None:
            actions.append(Register(name, wanted))
        elif _ours(known, rules):
            actions += _keep(known, wanted, classes_in_use, cordoned=node.unschedulable)
    by_slurm_name = {node.slurm_name: node for node in nodes.values()}
    for slurm_name, known in sorted(slurm_nodes.items()):
        owner = by_slurm_name.get(slurm_name)
        if _ours(known, rules) and (owner is None or not owner.external):
            actions += _retire(known, "its Kubernetes node is gone or lost its label")
    return actions


def _define(
    node: Node, node_class: str, others: Resources, rules: definition.Rules
) -> NodeDefinition | Refuse:
    try:
        return definition.define(node, node_class=node_class, others=others, rules=rules)
    except BadInput as error:
        return Refuse(node.name, str(error))


def _keep(
    known: SlurmNode, wanted: NodeDefinition, classes_in_use: Collection[str], *, cordoned: bool
) -> list[Action]:
    if known.not_responding and known.idle:
        return [Delete(known.name, "it is NOT_RESPONDING and idle: made anew", healing=True)]
    if _lost(known, wanted):
        return _retire(known, "it has less to give than Slurm knows: made anew")
    if cordoned and not known.drained:
        return [Drain(known.name, CORDONED)]
    if not cordoned and known.drained and known.reason == CORDONED:
        return [Undrain(known.name)]
    kept = {
        feature
        for feature in known.features
        if feature.startswith(names.CLASS_FEATURE_PREFIX) and feature in classes_in_use
    }
    features = tuple(sorted({*wanted.features, *kept}))
    if features != tuple(sorted(known.features)):
        return [SetFeatures(known.name, features)]
    return []


def _lost(known: SlurmNode, wanted: NodeDefinition) -> bool:
    """Whether Slurm would give more than there is."""
    has = _devices(wanted.gres)
    return (
        known.cpus > wanted.cpus
        or known.memory_mib > wanted.memory_mib
        or any(count > has[device] for device, count in _devices(known.gres).items())
    )


def _devices(gres: Iterable[Gres]) -> Counter[tuple[str, str]]:
    """Counts by name, of slices also by type. The type of whole GPUs is left out: it comes from a
    label, and nodes whose label is away for a moment must not all be drained."""
    counts: Counter[tuple[str, str]] = Counter()
    for item in gres:
        counts[item.name, item.type if devices.is_slice(item.type) else ""] += item.count
    return counts


def _retire(known: SlurmNode, why: str) -> list[Action]:
    if known.idle or "DOWN" in known.states:
        return [Delete(known.name, why)]
    if not known.drained:
        return [Drain(known.name, DRAIN_REASON + why)]
    return []


def _taint(node: Node, *, wanted: bool, scheduler_name: str) -> list[Action]:
    taint = Taint.managed(scheduler_name)
    has = taint in node.taints
    if wanted and not has and not node.deleting:
        return [AddTaint(node.name)]
    if has and not wanted and not node.external:
        return [RemoveTaint(node.name)]
    return []


def _ours(known: SlurmNode, rules: definition.Rules) -> bool:
    return known.external and definition.cluster_feature(rules.cluster) in known.features
