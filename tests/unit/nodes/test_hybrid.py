"""Nodes with slurmd and kubelet: Slurm's definition stays, ours is added and taken away."""

from dataclasses import replace
from typing import Any

import pytest

from bridge import names
from bridge.model import node_class
from bridge.model.ids import NodeName, SlurmNodeName
from bridge.model.node import Node
from bridge.nodes import actions, drains, plan
from bridge.slurm import SlurmNode
from bridge.state.slurm_names import SlurmNames
from tests.builders import SCHEDULER, a_node
from tests.unit.nodes.test_plan import RULES, TAINT

PLAIN, OLD = "class-0123456789ab", "class-ba9876543210"
CLASS = node_class.hybrid(PLAIN)
"""Its feature: an external node of the same class has another one."""
MARK, OTHERS_MARK = "k8s-01234567", "k8s-fedcba98"
NAME = SlurmNodeName("node-1")


def kubernetes(**fields: Any) -> Node:
    """A node with a kubelet that nobody wants registered; tainted already."""
    return replace(a_node(), labels={}, taints=(TAINT,), **fields)


def native(*flags: str, features: tuple[str, ...] = ("a100", "nvlink"), **more: Any) -> SlurmNode:
    """A node with a slurmd that has these features, all of them active."""
    fields = {"active_features": features, **more}
    states = frozenset({"IDLE", *flags})
    return SlurmNode(name=NAME, states=states, cpus=32, features=features, **fields)


def planned(
    nodes: list[Node], known: SlurmNode, *, in_use: tuple[str, ...] = ()
) -> list[actions.Action]:
    return plan.plan(
        nodes={node.name: node for node in nodes},
        slurm_nodes={known.name: known},
        classes={node.name: PLAIN for node in nodes},
        others={},
        rules=RULES,
        scheduler_name=SCHEDULER,
        classes_in_use=in_use,
    )


def test_its_own_features_stay_and_ours_are_added() -> None:
    """Nothing else is told, though Kubernetes has more CPUs, more memory and GPUs; where ours are
    there already, nothing is told at all."""
    ours = ("a100", "nvlink", CLASS, MARK)
    assert planned([kubernetes()], native()) == [actions.SetFeatures(NAME, ours)]
    assert planned([kubernetes()], native(features=ours)) == []
    labelled = replace(kubernetes(), labels={names.EXTERNAL_NODE_LABEL: ""})
    assert planned([labelled], native(features=ours)) == []


def test_an_old_class_stays_while_waiting_jobs_name_it() -> None:
    """As for external nodes."""
    known = native(features=("a100", OLD, MARK))
    kept = ("a100", *sorted((CLASS, OLD)), MARK)
    assert planned([kubernetes()], known, in_use=(OLD,)) == [actions.SetFeatures(NAME, kept)]
    assert planned([kubernetes()], known) == [actions.SetFeatures(NAME, ("a100", CLASS, MARK))]


def test_a_feature_of_an_admin_may_begin_like_a_class() -> None:
    """Only what a class can be called is taken away."""
    known = native(features=("class-gold", OLD, MARK))
    assert planned([], known) == [actions.SetFeatures(NAME, ("class-gold",))]


def test_a_feature_that_is_not_active_is_not_made_active() -> None:
    """A plugin of Slurm changes it by a reboot; ours are active at once."""
    (action,) = planned([kubernetes()], native(active_features=("a100",)))
    wanted = ("a100", "nvlink", CLASS, MARK)
    assert action == actions.SetFeatures(NAME, wanted, ("a100", CLASS, MARK))
    told = native(features=wanted, active_features=("a100", CLASS, MARK))
    assert planned([kubernetes()], told) == []


@pytest.mark.parametrize("node", [None, kubernetes(deleting=True)])
def test_when_its_kubernetes_node_goes_only_ours_is_taken_away(node: Node | None) -> None:
    """The drain of ours first, so that it is not forgotten; an admin's drain stays."""
    nodes = [] if node is None else [node]
    marked = ("a100", CLASS, MARK)
    assert planned(nodes, native(features=marked)) == [actions.SetFeatures(NAME, ("a100",))]
    drained = native("DRAIN", features=marked, reason=drains.CORDONED)
    assert planned(nodes, drained) == [actions.Undrain(NAME)]
    admins = native("DRAIN", features=marked, reason="fan")
    assert planned(nodes, admins) == [actions.SetFeatures(NAME, ("a100",))]
    assert planned([], native()) == []
    assert planned([], native("DRAIN", reason=drains.CORDONED)) == [], (
        "another cluster's, or none's"
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"unschedulable": True}, drains.CORDONED),
        ({"ready": False}, drains.NOT_READY),
        ({"ready": False, "unready": "KubeletStopped"}, f"{drains.NOT_READY}: KubeletStopped"),
    ],
)
def test_it_is_drained_while_kubernetes_starts_nothing_there(
    change: dict[str, Any], reason: str
) -> None:
    """And undrained afterwards; a drain of an admin's is left, and a node that is down."""
    ours = ("a100", CLASS, MARK)
    shut = kubernetes(**change)
    assert planned([shut], native(features=ours)) == [actions.Drain(NAME, reason)]
    drained = native("DRAIN", features=ours, reason=reason)
    assert planned([shut], drained) == []
    assert planned([kubernetes()], drained) == [actions.Undrain(NAME)]
    for left in (
        native("DRAIN", features=ours, reason="fan"),
        native("DOWN", "NOT_RESPONDING", features=ours, reason="Not responding"),
    ):
        for node in (shut, kubernetes()):
            steps = planned([node], left)
            assert not [step for step in steps if isinstance(step, actions.InSlurm)]


def test_a_node_of_another_cluster_is_left_and_its_admin_is_told() -> None:
    """Two bridges would take each other's features away for ever."""
    theirs = native(features=("a100", OLD, OTHERS_MARK))
    (refused,) = planned([kubernetes()], theirs)
    assert isinstance(refused, actions.Refuse)
    assert OTHERS_MARK in refused.message
    assert planned([], theirs) == []


def aliased(name: str, *, created_s: float, slurm_name: str = NAME, **fields: Any) -> Node:
    labels = {names.SLURM_NODE_NAME_LABEL: slurm_name}
    return replace(a_node(name), labels=labels, created_s=created_s, **fields)


def test_of_two_nodes_with_one_name_in_slurm_the_older_has_it() -> None:
    """The other one is told what to do, and is not tainted; both orders, and a label that goes."""
    older, newer = aliased("b", created_s=1.0, taints=(TAINT,)), aliased("a", created_s=2.0)
    refused, kept = planned([newer, older], native())
    assert isinstance(refused, actions.Refuse)
    assert refused.node == "a"
    assert "Slurm's node node-1 is node b already" in refused.message
    assert names.SLURM_NODE_NAME_LABEL in refused.message
    assert kept == actions.SetFeatures(NAME, ("a100", "nvlink", CLASS, MARK))
    tainted = replace(newer, taints=(TAINT,))
    assert actions.RemoveTaint(NodeName("a")) in planned([tainted, older], native())


def test_a_name_in_slurm_is_the_next_ones_when_its_node_goes() -> None:
    """And removing, or renaming, the younger one changes nothing for the older."""
    older, newer = aliased("b", created_s=1.0), aliased("a", created_s=2.0)
    known = SlurmNames([newer, older])
    assert dict(known) == {NAME: "b"}
    known.remove(NodeName("a"))
    assert dict(known) == {NAME: "b"}
    known.add(newer)
    known.remove(NodeName("b"))
    assert dict(known) == {NAME: "a"}
    known.add(aliased("a", created_s=2.0, slurm_name="other"))
    assert dict(known) == {"other": "a"}
    known.remove(NodeName("a"))
    known.remove(NodeName("a"))
    assert not known
