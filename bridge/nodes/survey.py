"""Kubernetes' nodes and Slurm's side by side, and what is different: pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from bridge.model import texts
from bridge.model.ids import SlurmNodeName
from bridge.model.node import Node
from bridge.model.resources import Resources
from bridge.model.scheduling import Taint
from bridge.nodes import actions, definition, drains, places, plan
from bridge.placement.filters.classes import class_by_node
from bridge.slurm import Reservation, SlurmNode, gres
from bridge.state.kube_state import KubeState

_OF_ADMIN = "an admin has taken it out of use in Slurm; the bridge leaves it so"
_CONDITIONS = ("DRAIN", "DOWN", "NOT_RESPONDING", "RESERVED", "MAINTENANCE")


@dataclass(frozen=True, slots=True)
class Row:
    """One node. Texts are for people; "" where a side does not have the node."""

    node: str
    kubernetes: str
    """Its state there."""
    slurm: str
    """Its state there, with the reason if it is drained or down."""
    cpus: str
    """What Kubernetes has to give, and what Slurm thinks if that differs: "90, Slurm 96"."""
    memory_mib: str
    devices: str
    topology: str
    to_do: str
    """What the bridge does about it, or waits for; "" if both sides agree."""


def survey(
    *,
    cluster: KubeState,
    slurm_nodes: Mapping[SlurmNodeName, SlurmNode],
    rules: definition.Rules,
    scheduler_name: str,
    gres_names: frozenset[str] | None,
    reserved: Collection[Reservation] | None = None,
    now_s: float = 0.0,
    topologies: Mapping[str, str] = MappingProxyType({}),
) -> list[Row]:
    """A row for each node that is Slurm's or is to be, by name; a node of both sides is one row.

    `topologies`: of partitions that have one of their own."""
    root = places.root(
        rules.topology, slurm_nodes.values(), topologies=topologies, partition=rules.partition
    )
    rules = replace(rules, topology=root.path)
    others = plan.held_by_others(cluster.others())
    planned = plan.plan(
        nodes=cluster.nodes,
        slurm_nodes=slurm_nodes,
        classes=class_by_node(cluster.table.snapshot()),
        others=others,
        rules=rules,
        scheduler_name=scheduler_name,
        gres_names=gres_names,
        reserved=reserved,
        now_s=now_s,
        root=root,
    )
    by_slurm_name = cluster.by_slurm_name
    todo: dict[str, list[str]] = {}
    for action in planned:
        if isinstance(action, actions.SetFeatures) and _has_all(slurm_nodes, action):
            continue  # classes that waiting jobs still name: the bridge knows which
        if isinstance(action, actions.Reserve):
            continue  # of many nodes at once; the node's own time stands beside it
        name, text = _said(action)
        if isinstance(action, actions.OfSlurmNode):
            name = by_slurm_name.get(SlurmNodeName(name), name)
        todo.setdefault(name, []).append(text)
    rows = []
    for name, node in cluster.nodes.items():
        known = slurm_nodes.get(node.slurm_name)
        if by_slurm_name[node.slurm_name] != name:
            known = None
        if known is not None or node.external or name in todo:
            said = "; ".join(todo.get(name, ()))
            rows.append(_row(node, known, others.get(name, Resources()), rules, said))
    for slurm_name, known in slurm_nodes.items():
        if slurm_name not in by_slurm_name:
            rows.append(_of_slurm_alone(known, "; ".join(todo.get(slurm_name, ()))))
    return sorted(rows, key=lambda row: row.node)


def _has_all(slurm_nodes: Mapping[SlurmNodeName, SlurmNode], action: actions.SetFeatures) -> bool:
    return set(action.features) <= set(slurm_nodes[action.slurm_node].features)


def _row(
    node: Node, known: SlurmNode | None, others: Resources, rules: definition.Rules, said: str
) -> Row:
    has = definition.capacity(node, others=others, rules=rules)
    topology = places.place_of(node, rules.topology, rules.topology_labels)
    if known is not None and drains.is_admins(known):
        said = "; ".join(filter(None, (_OF_ADMIN, said)))
    return Row(
        node=node.name,
        kubernetes=_kubernetes(node, is_hybrid=known is not None and not known.external),
        slurm="not registered" if known is None else _slurm(known),
        cpus=_both(str(has.cpus), None if known is None else str(known.cpus)),
        memory_mib=_both(str(has.memory_mib), None if known is None else str(known.memory_mib)),
        devices=_both(gres.format(has.gres), None if known is None else gres.format(known.gres)),
        topology=_both(topology, None if known is None else known.topology),
        to_do=said,
    )


def _of_slurm_alone(known: SlurmNode, said: str) -> Row:
    return Row(
        node=known.name,
        kubernetes="",
        slurm=_slurm(known),
        cpus=str(known.cpus),
        memory_mib=str(known.memory_mib),
        devices=gres.format(known.gres),
        topology=known.topology,
        to_do=said,
    )


def _said(action: actions.OfNode) -> tuple[str, str]:
    """The node, by the name that the action has for it, and what is done, as a sentence's end."""
    match action:
        case actions.Register(node, _, closed):
            return node, "is registered" + (f", drained: {_own(closed)}" if closed else "")
        case actions.Delete(name, why):
            return name, f"leaves Slurm: {why}"
        case actions.Drain(name, reason):
            return name, f"is drained: {_own(reason)}"
        case actions.Undrain(name):
            return name, "is undrained"
        case actions.SetFeatures(name):
            return name, "gets other features"
        case actions.SetTopology(name, topology):
            return name, f"moves to {topology}"
        case actions.SetAddress(name, address):
            return name, f"gets address {address}"
        case actions.AddTaint(node):
            return node, "gets the taint of managed nodes"
        case actions.RemoveTaint(node):
            return node, "loses the taint of managed nodes"
        case actions.AddDrainedTaint(node):
            return node, "gets the taint of nodes drained in Slurm"
        case actions.RemoveDrainedTaint(node):
            return node, "loses the taint of nodes drained in Slurm"
        case actions.Cordon(node):
            return node, "is cordoned: drained in Slurm"
        case actions.Uncordon(node):
            return node, "is uncordoned"
        case actions.YieldCordon(node):
            return node, "stays uncordoned: somebody has undone the bridge's cordon"
        case actions.SetCondition(node, condition):
            return node, f"gets the condition Drained={condition.status}"
        case (
            actions.Refuse(node, message)
            | actions.Complain(node, message)
            | actions.TellUnplaced(node, message)
        ):
            return node, message


def _own(reason: str) -> str:
    return reason.removeprefix(drains.PREFIX)


def _kubernetes(node: Node, *, is_hybrid: bool) -> str:
    unready = f"NotReady ({node.unready})" if node.unready else "NotReady"
    words = ["Ready" if node.ready else unready]
    if node.unschedulable:
        words.append("cordoned by the bridge" if node.cordoned_for_slurm else "cordoned")
    words += [cause.text for cause in node.causes]
    words += ["drained in Slurm"] if Taint.drained() in node.taints else []
    words += [f"until {texts.time(node.end_s)}"] if node.end_s is not None else []
    words += ["being deleted"] if node.deleting else []
    if is_hybrid:
        words.append("hybrid")
    elif not node.external:
        words.append("without the label")
    return ", ".join(words)


def _slurm(known: SlurmNode) -> str:
    flags = [one for one in _CONDITIONS if one in known.states]
    base = next((one for one in ("IDLE", "MIXED", "ALLOCATED", "DOWN") if one in known.states), "")
    state = "+".join(dict.fromkeys(filter(None, (base, *flags))))
    return f"{state} ({known.reason})" if known.reason and (known.drained or known.down) else state


def _both(kubernetes: str, slurm: str | None) -> str:
    if slurm is None or slurm == kubernetes:
        return kubernetes
    return f"{kubernetes or 'none'}, Slurm {slurm or 'none'}"
