"""Node classes: complete, stable, and what they can't say is said by name."""

import random
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import BadInput
from bridge.model.ids import NodeName
from bridge.model.node import Cause, Node
from bridge.model.scheduling import NodeSelectorTerm, PodShape, Requirement, Taint
from bridge.placement.filters.classes import class_of, classes, feasible_classes
from bridge.placement.table import NodeTable
from tests.builders import a_node
from tests.unit.placement import clusters
from tests.unit.placement.oracle import OURS, Cluster, selected, tolerated

GOING = Cause("taint spot/itn", taint="spot/itn")
STATE = ("node.kubernetes.io/", "karpenter.sh/")


def table(*nodes: Node) -> NodeTable:
    """A table of these nodes, as the settings make it."""
    made = NodeTable(class_ignore_keys=("instance-id",), scheduler_name=OURS)
    for node in nodes:
        made.upsert(node)
    return made


def wanting(key: str, *values: str) -> PodShape:
    """A shape whose affinity wants one of these values."""
    term = NodeSelectorTerm((Requirement(key, "In", values),))
    return PodShape(affinity_terms=(term,))


@given(clusters.clusters(), clusters.shapes)
def test_classes_and_names_are_complete(cluster: Cluster, shape: PodShape) -> None:
    """A node passes selectors and lasting taints if and only if its class or its name is chosen. A
    chosen class holds for nodes yet to come too, whatever their name and wide labels are."""
    table_now = clusters.table_of(cluster)
    snapshot = table_now.snapshot()
    chosen, named = feasible_classes(snapshot, shape)
    members = classes(snapshot)
    assert not set(named) & {n for c in chosen for n in members[c]}
    for name, node in cluster.nodes.items():
        lasting = [taint for taint in node.taints if not taint.key.startswith(STATE)]
        expected = selected(node, shape) and tolerated(lasting, shape)
        key = class_of(snapshot, name)
        assert (key in chosen or name in named) == expected
    for node in cluster.nodes.values():
        labels = {**node.labels, "kubernetes.io/hostname": "new-7"}
        twin = replace(node, name=NodeName("twin"), labels=labels)
        table_now.upsert(twin)
        later = table_now.snapshot()
        table_now.remove(twin.name)
        if class_of(later, twin.name) in chosen and class_of(later, node.name) in chosen:
            assert selected(twin, shape)


def test_no_class_promises_the_absence_of_a_label_that_names_single_nodes() -> None:
    """No node has it yet; the next of that class may."""
    table = NodeTable(scheduler_name=OURS)
    table.upsert(replace(a_node("n"), labels={"zone": "a"}))
    absent = Requirement("kubernetes.io/hostname", "DoesNotExist")
    shape = PodShape(affinity_terms=(NodeSelectorTerm(expressions=(absent,)),))
    assert feasible_classes(table.snapshot(), shape) == ((), (NodeName("n"),))


@given(st.lists(clusters.nodes, max_size=6), st.randoms(use_true_random=False))
def test_classes_do_not_depend_on_history(nodes: list[Node], dice: random.Random) -> None:
    """Any order of arrival, and nodes that came and went between, give the same classes."""
    final = {node.name: node for node in nodes}
    straight, winding = clusters.a_table(), clusters.a_table()
    for node in final.values():
        straight.upsert(node)
    shuffled = [*nodes, *final.values()]
    dice.shuffle(shuffled)
    for node in shuffled:
        winding.upsert(node)
        if dice.random() < 0.3:
            winding.remove(dice.choice(shuffled).name)
            classes(winding.snapshot())
    for node in final.values():
        winding.upsert(node)
    assert classes(winding.snapshot()) == classes(straight.snapshot())


@given(st.lists(clusters.nodes, max_size=6))
def test_every_node_is_in_exactly_one_class(nodes: list[Node]) -> None:
    """Classes part the nodes, and `class_of` agrees."""
    cluster = clusters.a_table()
    for node in nodes:
        cluster.upsert(node)
    snapshot = cluster.snapshot()
    every = classes(snapshot)
    members = [name for names in every.values() for name in names]
    assert sorted(members) == sorted({node.name for node in nodes})
    for name, names in every.items():
        assert {class_of(snapshot, member) for member in names} == {name}


def test_names_are_the_same_in_every_process() -> None:
    """The hash of a class is a fixed function of labels and taints."""
    node = a_node("n", labels={"zone": "a"}, taints=(Taint("x", "y", "NoSchedule"),))
    name = class_of(table(node).snapshot(), NodeName("n"))
    code = (
        "from bridge.model.scheduling import Taint\n"
        "from bridge.placement.filters.classes import class_of\n"
        "from bridge.placement.table import NodeTable\n"
        "from tests.builders import a_node\n"
        "t = NodeTable(scheduler_name='ours')\n"
        "t.upsert(a_node('m', labels={'zone': 'a'}, taints=(Taint('x', 'y', 'NoSchedule'),)))\n"
        "print(class_of(t.snapshot(), 'm'))"
    )
    other = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={"PYTHONHASHSEED": "77"},
    )  # fmt: skip
    assert other.stdout.strip() == name == "class-7aa1d6362268"


@pytest.mark.parametrize(
    "change",
    [
        {"labels": {"zone": "b"}},
        {"taints": (Taint("x", "y", "NoSchedule"),)},
        {"taints": (Taint("slinky.slurm.net/managed-node", "another", "NoExecute"),)},
    ],
)
def test_what_a_selector_or_toleration_can_tell_apart_makes_a_class(
    change: dict[str, object],
) -> None:
    """Labels, excluding taints and another scheduler's ownership count."""
    same = a_node("a", labels={"zone": "a"})
    other = replace(a_node("b", labels={"zone": "a"}), **change)  # type: ignore[arg-type]
    assert len(classes(table(same, other).snapshot())) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"unschedulable": True},
        {"ready": False},
        {"taints": (Taint("node.kubernetes.io/not-ready", "", "NoExecute"),)},
        {"taints": (Taint("karpenter.sh/disrupted", "", "NoSchedule"),)},
        {"taints": (Taint("x", "y", "PreferNoSchedule"),)},
        {"taints": (Taint("slinky.slurm.net/managed-node", OURS, "NoExecute"),)},
        {"taints": (Taint.drained(),)},
        {"taints": (Taint("spot/itn", "1", "NoSchedule"),), "causes": (GOING,)},
        {"deleting": True},
        {"max_pods": 3},
    ],
)
def test_states_and_amounts_make_no_class(change: dict[str, object]) -> None:
    """A node that is cordoned, unready, ours, about to go or smaller stays in its class."""
    same, other = a_node("a"), replace(a_node("b"), **change)  # type: ignore[arg-type]
    assert len(classes(table(same, other).snapshot())) == 1


def test_names_and_topology_make_no_class() -> None:
    """Hostnames, instance ids and switches are no kinds of nodes, even of three nodes."""
    nodes = [
        a_node(
            f"n{number}",
            labels={
                "kubernetes.io/hostname": f"n{number}",
                "instance-id": f"i-{number}",
                "topology.k8s.aws/network-node-layer-1": f"s{number}",
                "slinky.slurm.net/slurm-nodename": f"s-n{number}",
            },
        )
        for number in range(3)
    ]
    assert len(classes(table(*nodes).snapshot())) == 1


def test_a_key_of_more_than_64_values_makes_no_class_while_it_has_them() -> None:
    """The 65th value merges the classes, and taking it away parts them again."""
    cluster = table(*(a_node(f"n{n}", labels={"asset": str(n), "zone": "z"}) for n in range(64)))
    assert len(classes(cluster.snapshot())) == 64
    cluster.upsert(a_node("n64", labels={"asset": "64", "zone": "z"}))
    assert len(classes(cluster.snapshot())) == 1
    assert feasible_classes(cluster.snapshot(), wanting("asset", "3", "5")) == ((), ("n3", "n5"))
    cluster.remove(NodeName("n3"))
    assert len(classes(cluster.snapshot())) == 64


def test_a_selector_on_a_wide_key_names_nodes() -> None:
    """Up to 64 nodes by name, in natural order; other terms still give classes."""
    nodes = [
        a_node(f"n{n}", labels={"kubernetes.io/hostname": f"n{n}", "zone": "ab"[n % 2]})
        for n in range(12)
    ]
    snapshot = table(*nodes).snapshot()
    shape = PodShape(
        affinity_terms=(
            NodeSelectorTerm((Requirement("kubernetes.io/hostname", "In", ("n10", "n2", "n3")),)),
            NodeSelectorTerm((Requirement("zone", "In", ("b",)),)),
        )
    )
    zone_b = class_of(snapshot, NodeName("n1"))
    assert feasible_classes(snapshot, shape) == ((zone_b,), ("n2", "n10"))


def test_too_many_nodes_on_a_wide_key_are_refused_with_its_name() -> None:
    """Beyond 64 nodes the user is told which key it is and what to do."""
    nodes = [a_node(f"n{n}", labels={"kubernetes.io/hostname": f"n{n}"}) for n in range(66)]
    snapshot = table(*nodes).snapshot()
    term = NodeSelectorTerm((Requirement("kubernetes.io/hostname", "NotIn", ("n0",)),))
    with pytest.raises(
        BadInput, match=r"kubernetes\.io/hostname.* 65 nodes.* at most 64"
    ) as caught:
        feasible_classes(snapshot, PodShape(affinity_terms=(term,)))
    assert caught.value.field == "spec.affinity.nodeAffinity"


def test_a_class_that_is_not_tolerated_is_not_chosen() -> None:
    """Lasting taints exclude a class; our own managed-node taint does not."""
    ours = (Taint("slinky.slurm.net/managed-node", OURS, "NoExecute"),)
    snapshot = table(
        a_node("a", taints=ours), a_node("b", taints=(*ours, Taint("x", "y", "NoSchedule")))
    ).snapshot()
    assert feasible_classes(snapshot, PodShape()) == ((class_of(snapshot, NodeName("a")),), ())
