"""What must be done so that Slurm knows the Kubernetes nodes as they are: pure.

A Slurm node is ours when it is external and carries the feature of this Kubernetes cluster;
nothing else is ever deleted or registered. A node on which slurmd runs is hybrid when a Kubernetes
node has its name: it gets our features beside its own and is drained while it is cordoned or not
ready, and nothing else of it is changed (`hybrid`). Three rules keep a node that is ours:

- While there is a reason that nothing new may start there (`closed`), it is drained with that
  reason, which starts with `DRAIN_REASON`; when there is none any more, it is undrained.
- What Slurm can't be told of a registered node (that it has other CPUs, memory or devices, that it
  answers again) is told by making it anew, once it is idle. Features and topology are changed at
  once, also while jobs run there.
- What an admin has drained or set down in Slurm, with any other reason, is left so: neither rule
  touches it before the admin has brought it back.

| field | who says it | on change |
|---|---|---|
| address | setting, else InternalIP | told when the node is made anew |
| CPUs, memory | allocatable less others' pods and headroom | less: drain, anew; more: when anew |
| devices | allocatable less others' pods | less: drain, anew; more: anew |
| class, partitions | labels, taints, annotation | at once; a class in use is kept |
| topology | annotation, else setting and labels | at once; lost labels change nothing |
| weight | nobody | never told |
| drain | cordon, readiness, what is less, retirement | at once, in both directions |
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bridge import names
from bridge.errors import BadInput
from bridge.model import devices
from bridge.model.ids import NodeName, SlurmNodeName
from bridge.model.job import Gres
from bridge.model.node import Node
from bridge.model.resources import Resources
from bridge.model.scheduling import PodShape, Taint
from bridge.nodes import definition, hybrid
from bridge.slurm import NodeDefinition, SlurmNode
from bridge.state.slurm_names import SlurmNames

DRAIN_REASON = "slurm-bridge: "
"""The reason of each drain of ours starts so; drains by others are never changed or undone."""
CORDONED = f"{DRAIN_REASON}cordoned in Kubernetes"
NOT_READY = f"{DRAIN_REASON}not ready in Kubernetes"
"""Kubernetes' word for why follows, where it has one."""
LESS = f"{DRAIN_REASON}it has less to give than Slurm knows: registered again once it is idle"
_GONE = "its Kubernetes node is deleted or lost its label"
RETIRED = DRAIN_REASON + _GONE


@dataclass(frozen=True, slots=True)
class Register:
    """Make the node in Slurm."""

    node: NodeName
    definition: NodeDefinition
    closed: str = ""
    """The reason with which it is drained at once; "" where jobs may start there."""


@dataclass(frozen=True, slots=True)
class Delete:
    """Take the node out of Slurm; it runs nothing."""

    slurm_node: SlurmNodeName
    why: str
    healing: bool = False
    """The node is deleted only to be registered again, because Slurm had lost it."""


@dataclass(frozen=True, slots=True)
class Drain:
    """Let nothing new start there; or, of a node that is drained, only change the reason."""

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
    active: tuple[str, ...] | None = None
    """Those of them that are active; None: all."""


@dataclass(frozen=True, slots=True)
class SetTopology:
    """The node's place in Slurm's topology, from now on: `name:root:…:leaf`."""

    slurm_node: SlurmNodeName
    topology: str


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


InSlurm = Register | Delete | Drain | Undrain | SetFeatures | SetTopology
"""What changes Slurm's nodes."""
Action = InSlurm | AddTaint | RemoveTaint | Refuse
Amounts = definition.Capacity | NodeDefinition
"""What a node has to give."""


def plan(
    *,
    nodes: Mapping[NodeName, Node],
    slurm_nodes: Mapping[SlurmNodeName, SlurmNode],
    classes: Mapping[NodeName, str],
    others: Mapping[NodeName, Resources],
    rules: definition.Rules,
    scheduler_name: str,
    classes_in_use: Collection[str] = (),
    gres_names: Collection[str] | None = None,
    told_gres: Mapping[SlurmNodeName, tuple[Gres, ...]] = MappingProxyType({}),
    told_topology: Mapping[SlurmNodeName, str] = MappingProxyType({}),
) -> list[Action]:
    """The actions of one pass, safe to repeat; what has to wait (a busy node) is for a later one.

    `others`: what pods of other schedulers ask for, by node. `classes_in_use`: classes that
    waiting jobs still name; a node keeps such an old class until they don't. `gres_names`: Slurm's
    GresTypes, None where it doesn't tell. `told_gres`: the devices with which nodes were registered
    last, as far as that is known. `told_topology`: the places that Slurm was told of last and does
    not show yet.
    """
    if gres_names is None:
        gres_names = {item.name for known in slurm_nodes.values() for item in known.gres}
    actions: list[Action] = []
    by_slurm_name = SlurmNames(nodes.values())
    for name, node in sorted(nodes.items()):
        known = slurm_nodes.get(node.slurm_name)
        first = by_slurm_name[node.slurm_name]
        is_slurms = known is not None and first == name
        actions += _taint(node, wanted=is_slurms, scheduler_name=scheduler_name)
        if first != name:
            actions += _refuse(node, hybrid.second(node, first)) if known or node.external else []
            continue
        if known is not None and not known.external:
            actions += _keep_hybrid(node, known, classes.get(name, ""), rules, classes_in_use)
            continue
        if not node.external or node.deleting:
            continue
        used = others.get(name, Resources())
        wanted = _define(node, classes.get(name, ""), used, rules)
        if isinstance(wanted, Refuse):
            actions.append(wanted)
        elif known is None:
            actions.append(Register(name, wanted, closed(node) or ""))
        if known is not None and _ours(known, rules):
            if isinstance(wanted, Refuse):
                has = definition.capacity(node, others=used, rules=rules)
                actions += _drain(known, closed(node, known, has))
            else:
                is_told = told_gres.get(known.name) == wanted.gres
                counted = () if is_told else gres_names
                told = told_topology.get(known.name, "")
                actions += _keep(node, known, wanted, counted, classes_in_use, told)
    for slurm_name, known in sorted(slurm_nodes.items()):
        owner = nodes[by_slurm_name[slurm_name]] if slurm_name in by_slurm_name else None
        if _ours(known, rules) and _is_retired(owner):
            actions += _retire(known, owner)
        elif owner is None and not known.external:
            actions += _keep_hybrid(None, known, "", rules, ())
    return actions


def held_by_others(pods: Iterable[tuple[NodeName, PodShape]]) -> dict[NodeName, Resources]:
    """What these pods of other schedulers ask for, by node: not Slurm's to give."""
    found: dict[NodeName, Resources] = defaultdict(Resources)
    for node, shape in pods:
        found[node] = found[node] + shape.requests
    return found


def closed(
    node: Node | None,
    known: SlurmNode | None = None,
    has: Amounts | None = None,
) -> str | None:
    """Why nothing new may start on a node now, as the reason of its drain; None where it may.

    `known`: how Slurm has it, None while it is not registered. `has`: what it has to give.
    """
    if node is None or _is_retired(node):
        return RETIRED
    if reason := shut_in_kubernetes(node):
        return reason
    if known is not None and has is not None and _is_less(known, has):
        return LESS
    return None


def _define(
    node: Node, node_class: str, others: Resources, rules: definition.Rules
) -> NodeDefinition | Refuse:
    try:
        return definition.define(node, node_class=node_class, others=others, rules=rules)
    except BadInput as error:
        return Refuse(node.name, str(error))


def _keep(
    node: Node,
    known: SlurmNode,
    wanted: NodeDefinition,
    counted: Collection[str],
    classes_in_use: Collection[str],
    told_topology: str,
) -> list[Action]:
    outdated = _outdated(known, wanted, counted)
    if outdated is not None:
        return [outdated]
    return [
        *_drain(known, closed(node, known, wanted)),
        *_set_features(known, wanted, classes_in_use),
        *_set_topology(known, wanted, told_topology),
    ]


def _drain(known: SlurmNode, reason: str | None) -> list[Action]:
    """The one rule for all drains of ours. Slurm takes another reason for a node that is drained
    already, so nothing starts there in between."""
    if is_admins(known):
        return []
    if reason is None:
        return [Undrain(known.name)] if known.drained else []
    is_so = known.drained and known.reason == reason
    return [] if is_so else [Drain(known.name, reason)]


def is_admins(known: SlurmNode) -> bool:
    """Whether somebody else has taken it out of use in Slurm: theirs to bring back, not ours.

    Slurm itself sets a node down that does not respond, which nobody else would mend.
    """
    is_out = known.drained or (known.down and not known.not_responding)
    return is_out and not known.reason.startswith(DRAIN_REASON)


def _outdated(known: SlurmNode, has: Amounts, counted: Collection[str]) -> Delete | None:
    """Takes an idle node out that is to be made anew. Of devices, those whose names are `counted`
    may have become more: Slurm drops all others without a word.

    More CPUs or memory are no reason: pods of other schedulers come and go.
    """
    if not known.idle or is_admins(known):
        return None
    if known.not_responding:
        return Delete(known.name, "it is NOT_RESPONDING and idle: registered again", healing=True)
    if _is_less(known, has):
        return Delete(known.name, "it has less to give than Slurm knows: registered again")
    if _is_more(tuple(item for item in has.gres if item.name in counted), known.gres):
        return Delete(known.name, "it has more devices than Slurm knows: registered again")
    return None


def _is_less(known: SlurmNode, has: Amounts) -> bool:
    """Whether Slurm would give more than there is."""
    return (
        known.cpus > has.cpus or known.memory_mib > has.memory_mib or _is_more(known.gres, has.gres)
    )


def _is_more(gres: tuple[Gres, ...], than: tuple[Gres, ...]) -> bool:
    """Whether there is more of some device."""
    if gres == than:  # of thousands of nodes nearly all
        return False
    counts = _devices(than)
    return any(count > counts[device] for device, count in _devices(gres).items())


def _devices(gres: Iterable[Gres]) -> Counter[tuple[str, str]]:
    """Counts by name, of slices also by type. The type of whole GPUs is left out: it comes from a
    label, and nodes whose label is away for a moment must not all be drained."""
    counts: Counter[tuple[str, str]] = Counter()
    for item in gres:
        counts[item.name, item.type if devices.is_slice(item.type) else ""] += item.count
    return counts


def _set_features(
    known: SlurmNode, wanted: NodeDefinition, classes_in_use: Collection[str]
) -> list[Action]:
    kept = {
        feature
        for feature in known.features
        if feature.startswith(names.CLASS_FEATURE_PREFIX) and feature in classes_in_use
    }
    features = tuple(sorted({*wanted.features, *kept}))
    if features == tuple(sorted(known.features)):
        return []
    return [SetFeatures(known.name, features)]


def _set_topology(known: SlurmNode, wanted: NodeDefinition, told: str) -> list[Action]:
    """A node that has lost its labels stays where it is: they may be away for a moment."""
    if not wanted.topology or wanted.topology in (known.topology, told):
        return []
    return [SetTopology(known.name, wanted.topology)]


def _keep_hybrid(
    node: Node | None,
    known: SlurmNode,
    node_class: str,
    rules: definition.Rules,
    classes_in_use: Collection[str],
) -> list[Action]:
    """A node that Slurm has set down is left to Slurm: with another reason than its own it would
    not bring the node back by itself (ReturnToService=1)."""
    mark = definition.cluster_feature(rules.cluster)
    gone = node is None or node.deleting
    if gone and not hybrid.is_marked(known, mark):
        return []
    if other := hybrid.owner(known, mark):
        return [] if node is None or gone else _refuse(node, hybrid.claimed(node, other))
    wanted = hybrid.features(
        known,
        node_class="" if gone else node_class,
        mark=mark,
        classes_in_use=classes_in_use,
    )
    closed_by = None if node is None or gone else shut_in_kubernetes(node)
    actions = [] if known.down and not gone else _drain(known, closed_by)
    if gone and actions:
        return actions  # our mark goes last: by it the drain is known as this cluster's
    active = hybrid.active_features(known, wanted, mark)
    if set(wanted) != set(known.features) or set(active) != set(known.active_features):
        actions.append(SetFeatures(known.name, wanted, None if active == wanted else active))
    return actions


def _refuse(node: Node, message: str) -> list[Action]:
    return [Refuse(node.name, message)]


def shut_in_kubernetes(node: Node) -> str | None:
    """Why Kubernetes starts nothing new on the node, as the reason of a drain; None if it does."""
    if node.unschedulable:
        return CORDONED
    if not node.ready:
        return f"{NOT_READY}: {node.unready}" if node.unready else NOT_READY
    return None


def _is_retired(node: Node | None) -> bool:
    """Whether Slurm is to have it no more."""
    return node is None or node.deleting or not node.external


def _retire(known: SlurmNode, node: Node | None) -> list[Action]:
    if known.idle or known.down:
        return [Delete(known.name, _GONE)]
    return _drain(known, closed(node))


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
