"""Hybrid nodes, on which slurmd and a kubelet run: what the bridge adds to Slurm's definition.

Slurm's own definition stays: CPUs, memory, GRES, topology, weight, partitions. The bridge adds the
features that are its own, by which the pods' jobs ask for the node (its class, and the mark of
this Kubernetes cluster), and takes only these away again. slurmctld forgets them of a node that
slurm.conf describes, when it starts or reads slurm.conf again; the next pass adds them anew.
"""

import re
from collections.abc import Collection

from bridge import names
from bridge.model import node_class as classes
from bridge.model.ids import NodeName
from bridge.model.node import Node
from bridge.nodes import actions, definition, drains
from bridge.slurm import SlurmNode

_MARK = re.compile(r"k8s-[0-9a-f]{8}")
"""The mark of any Kubernetes cluster, see `definition.cluster_feature`."""


def keep(
    node: Node | None,
    known: SlurmNode,
    node_class: str,
    rules: definition.Rules,
    classes_in_use: Collection[str],
) -> list[actions.Action]:
    """What is to be done about a node on which slurmd runs; `node` is None where Kubernetes has
    none of its name.

    A node that Slurm has set down is left to Slurm: with another reason than its own it would not
    bring the node back by itself (ReturnToService=1).
    """
    mark = definition.cluster_feature(rules.cluster)
    gone = node is None or node.deleting
    if gone and not is_marked(known, mark):
        return []
    if other := owner(known, mark):
        if node is None or gone:
            return []
        return [actions.Refuse(node.name, claimed(node, other))]
    wanted = features(
        known,
        node_class="" if gone else node_class,
        mark=mark,
        classes_in_use=classes_in_use,
    )
    closed_by = None if node is None or gone else drains.shut_in_kubernetes(node)
    found = [] if known.down and not gone else drains.keep_drain(known, closed_by)
    if gone and found:
        return found  # our mark goes last: by it the drain is known as this cluster's
    active = active_features(known, wanted, mark)
    if set(wanted) != set(known.features) or set(active) != set(known.active_features):
        found.append(actions.SetFeatures(known.name, wanted, None if active == wanted else active))
    return found


def features(
    known: SlurmNode, *, node_class: str, mark: str, classes_in_use: Collection[str]
) -> tuple[str, ...]:
    """All features of the node, with ours as they are to be: its class, and old classes that
    waiting jobs still name. Without `node_class` none is ours any more."""
    others = [one for one in known.features if not _is_ours(one, mark)]
    if not node_class:
        return tuple(others)
    kept = {one for one in known.features if one in classes_in_use and classes.is_class(one)}
    return (*others, *sorted({classes.hybrid(node_class), *kept}), mark)


def active_features(known: SlurmNode, wanted: tuple[str, ...], mark: str) -> tuple[str, ...]:
    """The features that are to be active: others stay as they are, ours always are."""
    active = frozenset(known.active_features)
    return tuple(one for one in wanted if one in active or _is_ours(one, mark))


def owner(known: SlurmNode, mark: str) -> str:
    """The mark of another Kubernetes cluster to which the node belongs; "" if there is none."""
    return next((one for one in known.features if _MARK.fullmatch(one) and one != mark), "")


def is_marked(known: SlurmNode, mark: str) -> bool:
    """Whether the bridge of this Kubernetes cluster has added its features to the node."""
    return mark in known.features


def second(node: Node, first: NodeName) -> str:
    """What is wrong with a node whose name in Slurm is another node's already."""
    return (
        f"node {node.name} is no node of Slurm: Slurm's node {node.slurm_name} is node {first} "
        f"already, which is older. Give node {node.name} another name in Slurm by its label "
        f"{names.SLURM_NODE_NAME_LABEL}, or delete node {first}"
    )


def claimed(node: Node, mark: str) -> str:
    """What is wrong with a node that has the mark of another Kubernetes cluster in Slurm."""
    return (
        f"node {node.name} gets no pods through Slurm: Slurm's node {node.slurm_name} has the "
        f"feature {mark} of another Kubernetes cluster. If that cluster does not use it any more, "
        "take this feature off the node in Slurm (scontrol update nodename=… features=…)"
    )


def _is_ours(feature: str, mark: str) -> bool:
    return feature == mark or classes.is_class(feature)
