"""What must be done so that Slurm knows the Kubernetes nodes as they are: pure.

A Slurm node is ours when it is external and carries the feature of this Kubernetes cluster;
nothing else is ever deleted or registered. A node on which slurmd runs is hybrid when a Kubernetes
node has its name: it gets our features beside its own and is drained while it is cordoned or not
ready, and nothing else of it is changed (`hybrid`). Three rules keep a node that is ours:

- While there is a reason that nothing new may start there (`drains.closed`), it is drained with
  that reason, which starts with `drains.PREFIX`; when there is none any more, it is undrained.
- What Slurm can't be told of a registered node (that it has other CPUs, memory or devices, that it
  answers again) is told by making it anew, once it is idle. The rest is changed at
  once, also while jobs run there.
- What an admin has drained or set down in Slurm, with any other reason, is left so: neither rule
  touches it before the admin has brought it back.

| field | who says it | on change |
|---|---|---|
| address | setting, else InternalIP | at once |
| CPUs, memory | allocatable less others' pods and headroom | less: drain, anew; more: when anew |
|  | ("less" when others have used up the headroom too) |  |
| devices | allocatable less others' pods | less: drain, anew; more: anew |
| class, partitions | labels, taints, annotation | at once; a class in use is kept |
| types of whole GPUs | label | when anew |
| topology | annotation, else labels below the root | at once; lost labels change nothing |
| weight | nobody | never told |
| drain | cordon, end, readiness, conditions and taints, what is less, retirement | at once |
| reservation | the time until which the node is available | at once |

The other way round, `marks` shows on the Kubernetes node what an admin has drained in Slurm.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

from bridge import names
from bridge.errors import BadInput
from bridge.model.ids import NodeName, SlurmNodeName
from bridge.model.job import Gres
from bridge.model.node import Node
from bridge.model.resources import Resources
from bridge.model.scheduling import PodShape, Taint
from bridge.nodes import actions, definition, drains, hybrid, marks, places, reservations
from bridge.nodes.amounts import Amounts, is_less, is_more
from bridge.slurm import NodeDefinition, Reservation, SlurmNode
from bridge.state.slurm_names import SlurmNames

_NO_ROOT = places.Root()


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
    reserved: Collection[Reservation] | None = None,
    now_s: float = 0.0,
    told_address: Mapping[SlurmNodeName, str] = MappingProxyType({}),
    root: places.Root = _NO_ROOT,
) -> list[actions.Action]:
    """The actions of one pass, safe to repeat; what has to wait (a busy node) is for a later one.

    `others`: what pods of other schedulers ask for, by node. `classes_in_use`: classes that
    waiting jobs still name; a node keeps such an old class until they don't. `gres_names`: Slurm's
    GresTypes, None where it doesn't tell. `told_gres`: the devices with which nodes were registered
    last, as far as that is known. `told_topology`, `told_address`: the places and addresses that
    Slurm was told of last and does not show yet. `root`: what is known of Slurm's topology.
    `reserved`: Slurm's reservations, None where it doesn't show them. `now_s`: the time, in seconds
    since the epoch.
    """
    if gres_names is None:
        gres_names = gres_of(slurm_nodes.values())
    kept = None if reserved is None else reservations.kept(reserved, rules.cluster)
    ours = {name for name, known in slurm_nodes.items() if _ours(known, rules)}
    found: list[actions.Action] = []
    keep = rules.without_headroom  # the buffer of a registered node is for others to use
    by_slurm_name = SlurmNames(nodes.values())
    for name, node in sorted(nodes.items()):
        known = slurm_nodes.get(node.slurm_name)
        first = by_slurm_name[node.slurm_name]
        is_slurms = known is not None and first == name
        found += _taint(node, wanted=is_slurms, scheduler_name=scheduler_name)
        if first != name:
            if known or node.external:
                found.append(actions.Refuse(name, hybrid.second(node, first)))
            continue
        is_ours = known is not None and known.name in ours
        is_shown = is_ours or (known is not None and not known.external)  # else another cluster's
        found += marks.mark(node, known if is_shown else None, rules.drained_in_slurm)
        if node.unreadable_end:
            found.append(_unreadable(node))
        if known is not None and not known.external:
            found += hybrid.keep(node, known, classes.get(name, ""), rules, classes_in_use)
            continue
        if not node.external or node.deleting:
            continue
        used = others.get(name, Resources())
        end = reservations.end_of(node, kept, cluster=rules.cluster, now_s=now_s)
        wanted = _define(node, classes.get(name, ""), used, rules if known is None else keep)
        if isinstance(wanted, actions.Refuse):
            found.append(wanted)
        elif known is None:
            found.append(actions.Register(name, wanted, drains.closed(node, end=end) or ""))
        if known is not None and is_ours:
            if isinstance(wanted, actions.Refuse):
                has = definition.capacity(node, others=used, rules=keep)
                found += drains.keep_drain(known, drains.closed(node, known, has, end=end))
            else:
                is_told = told_gres.get(known.name) == wanted.gres
                counted = () if is_told else gres_names
                told = told_topology.get(known.name, "")
                address = told_address.get(known.name, "")
                found += _keep(
                    node, known, wanted, counted, classes_in_use, told, address, rules, end
                )
                found += _tell_unplaced(node, known, wanted, root)
    for slurm_name, known in sorted(slurm_nodes.items()):
        owner = nodes[by_slurm_name[slurm_name]] if slurm_name in by_slurm_name else None
        if slurm_name in ours and drains.is_retired(owner):
            found += _retire(known, owner)
        elif owner is None and not known.external:
            found += hybrid.keep(None, known, "", rules, ())
    if kept is None:
        return found
    leaving = {one.slurm_node for one in found if isinstance(one, actions.Delete)}
    staying = {
        name: known for name, known in slurm_nodes.items() if name in ours and name not in leaving
    }
    found += reservations.plan(
        nodes=nodes, ours=staying, kept=kept, cluster=rules.cluster, now_s=now_s
    )
    return found


def gres_of(nodes: Iterable[SlurmNode]) -> frozenset[str]:
    """The names of the GRES that nodes have: Slurm's GresTypes as far as these tell."""
    return frozenset(item.name for node in nodes for item in node.gres)


def held_by_others(pods: Iterable[tuple[NodeName, PodShape, str]]) -> dict[NodeName, Resources]:
    """What these pods of other schedulers ask for, by node: not Slurm's to give.

    A pod is (node, shape, DaemonSet or ""). Of a DaemonSet's pods on a node only the largest
    counts, amount by amount: a roll-out with a surge has two of them for a moment.
    """
    found: dict[NodeName, Resources] = defaultdict(Resources)
    daemons: dict[tuple[NodeName, str], Resources] = {}
    for node, shape, daemon_set in pods:
        key = node, daemon_set
        if not daemon_set:
            found[node] = found[node] + shape.requests
        elif key in daemons:
            daemons[key] = daemons[key].at_least(shape.requests)
        else:
            daemons[key] = shape.requests
    for (node, _), requests in daemons.items():
        found[node] = found[node] + requests
    return found


def _define(
    node: Node, node_class: str, others: Resources, rules: definition.Rules
) -> NodeDefinition | actions.Refuse:
    try:
        return definition.define(node, node_class=node_class, others=others, rules=rules)
    except BadInput as error:
        return actions.Refuse(node.name, str(error))


def _keep(
    node: Node,
    known: SlurmNode,
    wanted: NodeDefinition,
    counted: Collection[str],
    classes_in_use: Collection[str],
    told_topology: str,
    told_address: str,
    rules: definition.Rules,
    end: drains.End,
) -> list[actions.Action]:
    outdated = _outdated(known, wanted, counted)
    if outdated is not None:
        return [outdated]
    return [
        *drains.keep_drain(known, drains.closed(node, known, wanted, end=end)),
        *_set_features(known, wanted, classes_in_use),
        *_set_topology(node, known, wanted, told_topology, rules),
        *_set_address(known, wanted, told_address),
    ]


def _outdated(known: SlurmNode, has: Amounts, counted: Collection[str]) -> actions.Delete | None:
    """Takes an idle node out that is to be made anew. Of devices, those whose names are `counted`
    may have become more: Slurm drops all others without a word.

    More CPUs or memory are no reason: pods of other schedulers come and go.
    """
    if not known.idle or known.reservation or drains.is_admins(known):
        return None
    if known.not_responding:
        return actions.Delete(
            known.name, "it is NOT_RESPONDING and idle: registered again", healing=True
        )
    if is_less(known, has):
        return actions.Delete(known.name, "it has less to give than Slurm knows: registered again")
    if is_more(tuple(item for item in has.gres if item.name in counted), known.gres):
        return actions.Delete(known.name, "it has more devices than Slurm knows: registered again")
    return None


def _set_features(
    known: SlurmNode, wanted: NodeDefinition, classes_in_use: Collection[str]
) -> list[actions.Action]:
    kept = {
        feature
        for feature in known.features
        if feature.startswith(names.CLASS_FEATURE_PREFIX) and feature in classes_in_use
    }
    features = tuple(sorted({*wanted.features, *kept}))
    if features == tuple(sorted(known.features)):
        return []
    return [actions.SetFeatures(known.name, features)]


def _set_topology(
    node: Node, known: SlurmNode, wanted: NodeDefinition, told: str, rules: definition.Rules
) -> list[actions.Action]:
    """A node that has lost its labels stays where it is, also if it still has its zone: they may be
    away for a moment."""
    if not wanted.topology or wanted.topology in (known.topology, told):
        return []
    is_below_root = known.topology.startswith(f"{rules.topology}:")
    if is_below_root and places.is_by_zone(node, rules.topology_labels):
        return []
    return [actions.SetTopology(known.name, wanted.topology)]


def _set_address(known: SlurmNode, wanted: NodeDefinition, told: str) -> list[actions.Action]:
    if not known.address or wanted.address in (known.address, told):
        return []
    return [actions.SetAddress(known.name, wanted.address)]


def _tell_unplaced(
    node: Node, known: SlurmNode, wanted: NodeDefinition, root: places.Root
) -> list[actions.Action]:
    if wanted.topology or places.has_place(known) or (root.is_flat and not root.path):
        return []
    return [actions.TellUnplaced(node.name, places.unplaced(node, root))]


def _retire(known: SlurmNode, node: Node | None) -> list[actions.Action]:
    if known.deletable:
        return [actions.Delete(known.name, drains.GONE)]
    return drains.keep_drain(known, drains.closed(node))


def _taint(node: Node, *, wanted: bool, scheduler_name: str) -> list[actions.Action]:
    taint = Taint.managed(scheduler_name)
    has = taint in node.taints
    if wanted and not has and not node.deleting:
        return [actions.AddTaint(node.name)]
    if has and not wanted and not node.external:
        return [actions.RemoveTaint(node.name)]
    return []


def _unreadable(node: Node) -> actions.Complain:
    return actions.Complain(
        node.name,
        f"the end of node {node.name} can't be read from {node.unreadable_end}: write a time like "
        "2026-11-30T12:00:00Z, 20261130T120000Z or seconds since 1970",
    )


def _ours(known: SlurmNode, rules: definition.Rules) -> bool:
    return known.external and definition.cluster_feature(rules.cluster) in known.features
