"""What must be done so that Slurm knows the Kubernetes nodes as they are."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from bridge import names
from bridge.model.devices import ResourceMap
from bridge.model.ids import NodeName, SlurmNodeName
from bridge.model.job import Gres
from bridge.model.node import Node
from bridge.model.resources import Resources
from bridge.model.scheduling import PodShape, Taint
from bridge.nodes import actions, definition, drains, plan
from bridge.slurm import NodeDefinition, SlurmNode
from tests.builders import GI, SCHEDULER, a_node

RULES = definition.Rules(
    cluster="0123456789abcdef",
    gpu_type_label="nvidia.com/gpu.product",
    resource_map=ResourceMap({"nvidia.com/gpu": "gpu", "nvidia.com/mig-*": "gpu:*"}),
)
TAINT = Taint.managed(SCHEDULER)


def in_slurm(name: str = "node-1", *flags: str, **fields: Any) -> SlurmNode:
    """As a registration of `a_node` leaves it."""
    return replace(
        SlurmNode(
            name=SlurmNodeName(name),
            states=frozenset({"IDLE", "EXTERNAL", *flags}),
            cpus=64,
            memory_mib=512 * 1024,
            gres=(Gres("gpu", "h100", 8),),
            features=("class-x", "k8s-01234567", "slurm-bridge"),
        ),
        **fields,
    )


def planned(
    nodes: list[Node],
    slurm_nodes: list[SlurmNode],
    *,
    in_use: tuple[str, ...] = (),
    gres_names: frozenset[str] | None = frozenset({"gpu"}),
    told_gres: Mapping[SlurmNodeName, tuple[Gres, ...]] = MappingProxyType({}),
) -> list[actions.Action]:
    return plan.plan(
        nodes={node.name: node for node in nodes},
        slurm_nodes={node.name: node for node in slurm_nodes},
        classes={node.name: "class-x" for node in nodes},
        others={},
        rules=RULES,
        scheduler_name=SCHEDULER,
        classes_in_use=in_use,
        gres_names=gres_names,
        told_gres=told_gres,
    )


def in_slurm_only(found: list[actions.Action]) -> list[actions.Action]:
    """What changes Slurm."""
    return [one for one in found if isinstance(one, actions.InSlurm)]


def test_a_labelled_node_is_registered_then_tainted_then_left_alone() -> None:
    """The taint follows the registration, never the other way round."""
    node = a_node()
    (first,) = planned([node], [])
    assert isinstance(first, actions.Register)
    assert planned([node], [in_slurm()]) == [actions.AddTaint(node.name)]
    assert planned([replace(node, taints=(TAINT,))], [in_slurm()]) == []


def test_a_node_without_the_label_is_not_registered_but_tainted_if_slurm_has_it() -> None:
    """A hybrid node, which runs slurmd itself, is kept from pods that don't wait in Slurm."""
    node = replace(a_node(), labels={})
    assert planned([node], []) == []
    native = in_slurm(states=frozenset({"IDLE"}), features=())
    first, *_ = planned([node], [native])
    assert first == actions.AddTaint(node.name)


def test_a_node_that_slurm_lost_is_made_anew_only_when_idle() -> None:
    """NOT_RESPONDING external nodes never recover by themselves; Slurm may set them down."""
    node = replace(a_node(), taints=(TAINT,))
    for flags in (("NOT_RESPONDING",), ("NOT_RESPONDING", "DOWN")):
        (healed,) = planned([node], [in_slurm("node-1", *flags, reason="Not responding")])
        assert isinstance(healed, actions.Delete)
    busy = in_slurm("node-1", "NOT_RESPONDING", allocated_cpus=4)
    assert planned([node], [busy]) == []


def test_slices_cut_anew_are_a_loss_but_a_label_that_is_away_is_none() -> None:
    """As many GPUs of other profiles are not those that Slurm would give."""
    extended = (("nvidia.com/gpu", 4), ("nvidia.com/mig-2g.20gb", 4))
    node = replace(a_node(), allocatable=replace(a_node().allocatable, extended=extended))
    taken = replace(node, taints=(TAINT,))
    as_cut = (Gres("gpu", "h100", 4), Gres("gpu", "2g.20gb", 4))
    before = (Gres("gpu", "h100", 4), Gres("gpu", "1g.10gb", 4))
    assert planned([taken], [in_slurm(gres=as_cut)]) == []
    assert (
        planned([replace(taken, labels={names.EXTERNAL_NODE_LABEL: ""})], [in_slurm(gres=as_cut)])
        == []
    )
    (action,) = planned([taken], [in_slurm(gres=before)])
    assert isinstance(action, actions.Delete)


def test_a_node_that_lost_capacity_is_drained_and_made_anew_when_idle() -> None:
    """Slurm can't be told that a registered node has less."""
    node = replace(a_node(gpu=7), taints=(TAINT,))
    (drain,) = planned([node], [in_slurm(allocated_cpus=4)])
    assert isinstance(drain, actions.Drain)
    assert drain.reason.startswith("slurm-bridge: ")
    drained = in_slurm("node-1", "DRAIN", allocated_cpus=4, reason=drain.reason)
    assert planned([node], [drained]) == []
    (delete,) = planned([node], [replace(drained, allocated_cpus=0)])
    assert isinstance(delete, actions.Delete)
    whole = replace(a_node(), taints=(TAINT,))
    assert planned([whole], [drained]) == [actions.Undrain(SlurmNodeName("node-1"))]


def test_a_node_that_has_nothing_left_to_give_is_drained_but_not_taken_out() -> None:
    """It could not be registered again; its admin is told."""
    node = replace(a_node(memory_gi=0), taints=(TAINT,))
    for known in (in_slurm(), in_slurm(allocated_cpus=4)):
        refuse, drain = planned([node], [known])
        assert isinstance(refuse, actions.Refuse)
        assert drain == actions.Drain(known.name, drains.LESS)


def test_a_node_that_got_devices_is_made_anew_when_idle() -> None:
    """Its device plugin came after it, or was away for a while; CPUs and memory come and go with
    the pods of others, and are no reason."""
    node = replace(a_node(), taints=(TAINT,))
    bare = in_slurm(gres=())
    (delete,) = planned([node], [bare])
    assert isinstance(delete, actions.Delete)
    assert planned([node], [replace(bare, allocated_cpus=4)]) == []
    assert planned([node], [in_slurm(cpus=32, memory_mib=1024)]) == []


def test_devices_that_slurm_does_not_take_are_not_told_to_it_again_and_again() -> None:
    """It drops those that are not among its GresTypes; where it does not say which these are, those
    that no node has. And what it was told when the node was registered, it has."""
    node = replace(a_node(), taints=(TAINT,))
    bare = in_slurm(gres=())
    assert planned([node], [bare], gres_names=frozenset({"efa"})) == []
    assert planned([node], [bare], gres_names=None) == []
    other = in_slurm("other", states=frozenset({"IDLE"}), features=())
    assert len(planned([node], [bare, other], gres_names=None)) == 1
    told = {bare.name: (Gres("gpu", "h100", 8),)}
    assert planned([node], [bare], told_gres=told) == []


def test_a_node_is_drained_while_nothing_may_start_there_and_no_longer() -> None:
    """The reason says what is in the way now. What an admin has drained, or set down, is left
    alone, whatever becomes of the node; so it is when its reason was ours before."""
    name, node = SlurmNodeName("node-1"), replace(a_node(), taints=(TAINT,))
    silent = replace(node, ready=False, unready="NodeStatusUnknown")
    not_ready = "slurm-bridge: not ready in Kubernetes"
    reasons = {
        drains.CORDONED: replace(silent, unschedulable=True),
        f"{not_ready}: NodeStatusUnknown": silent,
        not_ready: replace(silent, unready=""),
    }
    for reason, closed in reasons.items():
        for before in (in_slurm(), in_slurm("node-1", "DRAIN", reason=drains.LESS)):
            assert planned([closed], [before]) == [actions.Drain(name, reason)]
        ours = in_slurm("node-1", "DRAIN", reason=reason)
        assert planned([closed], [ours]) == []
        assert planned([node], [ours]) == [actions.Undrain(name)]
        for flag, theirs in (("DRAIN", "broken fan"), ("DRAIN", ""), ("DOWN", "broken fan")):
            known = in_slurm("node-1", flag, reason=theirs)
            less = replace(closed, allocatable=a_node(gpu=7).allocatable)
            for now in (node, closed, less):
                assert in_slurm_only(planned([now], [known])) == []


def test_a_node_is_registered_as_it_is() -> None:
    """One on which nothing may start yet is drained in the same step."""
    (register,) = planned([replace(a_node(), ready=False)], [])
    assert isinstance(register, actions.Register)
    assert register.closed == drains.NOT_READY
    (register,) = planned([a_node()], [])
    assert isinstance(register, actions.Register)
    assert not register.closed


def test_a_node_that_is_being_deleted_leaves_slurm() -> None:
    """Its pods run on until their end, nothing new starts there, and it is not registered again."""
    node = replace(a_node(), taints=(TAINT,), deleting=True)
    busy = in_slurm(allocated_cpus=4)
    assert planned([node], [busy]) == [actions.Drain(busy.name, drains.RETIRED)]
    assert [type(step) for step in planned([node], [in_slurm()])] == [actions.Delete]
    assert planned([node], []) == []


def test_a_cordoned_node_is_drained_until_it_is_uncordoned() -> None:
    """With our reason. What an admin has drained is left alone, whatever is cordoned."""
    node = replace(a_node(), taints=(TAINT,))
    cordoned = replace(node, unschedulable=True)
    assert planned([cordoned], [in_slurm()]) == [
        actions.Drain(SlurmNodeName("node-1"), drains.CORDONED)
    ]
    ours = in_slurm("node-1", "DRAIN", reason=drains.CORDONED)
    assert planned([cordoned], [ours]) == []
    assert planned([node], [ours]) == [actions.Undrain(SlurmNodeName("node-1"))]
    for reason in ("broken fan", ""):
        theirs = in_slurm("node-1", "DRAIN", reason=reason)
        for now in (node, cordoned):
            assert in_slurm_only(planned([now], [theirs])) == []


def test_a_node_that_is_gone_leaves_slurm_and_loses_its_taint() -> None:
    """Deleted, or its label taken off; while busy it is only drained."""
    assert [type(step) for step in planned([], [in_slurm()])] == [actions.Delete]
    assert [type(step) for step in planned([], [in_slurm(allocated_cpus=1)])] == [actions.Drain]
    unlabelled = replace(a_node(), labels={}, taints=(TAINT,))
    assert [type(step) for step in planned([unlabelled], [in_slurm()])] == [actions.Delete]
    assert planned([unlabelled], []) == [actions.RemoveTaint(unlabelled.name)]


def test_nodes_of_others_are_never_touched() -> None:
    """Native nodes, and external ones of another Kubernetes cluster."""
    native = in_slurm(states=frozenset({"IDLE"}), features=("a100",))
    other = in_slurm("node-2", features=("class-x", "k8s-ffffffff"))
    assert planned([], [native, other]) == []


def test_a_new_class_is_added_and_an_old_one_kept_while_jobs_name_it() -> None:
    """So that no waiting job ever names a feature that no node has."""
    node = replace(a_node(), taints=(TAINT,))
    old = in_slurm(features=("class-old", "k8s-01234567", "slurm-bridge"))
    (step,) = planned([node], [old], in_use=("class-old",))
    assert isinstance(step, actions.SetFeatures)
    assert set(step.features) == {"class-x", "class-old", "k8s-01234567", "slurm-bridge"}
    (step,) = planned([node], [old])
    assert isinstance(step, actions.SetFeatures)
    assert "class-old" not in step.features


def test_a_node_that_cannot_be_registered_is_told_and_the_others_are_served() -> None:
    """One admin's mistake is nobody else's trouble."""
    steps = planned([a_node("bad", memory_gi=0), a_node("good")], [])
    assert [type(step) for step in steps] == [actions.Refuse, actions.Register]


def test_the_headroom_is_a_buffer() -> None:
    """A node is registered without it; a registered node has less only when others have used it up
    too, and is then registered anew with a whole one."""
    rules = replace(RULES, cpu_headroom_milli=500, memory_headroom_mib=1024)
    node = replace(a_node(), taints=(TAINT,))

    def step(known: SlurmNode | None, cpu_milli: int, memory_bytes: int) -> list[actions.Action]:
        return plan.plan(
            nodes={node.name: node},
            slurm_nodes={known.name: known} if known else {},
            classes={node.name: "class-x"},
            others={node.name: Resources(cpu_milli, memory_bytes)},
            rules=rules,
            scheduler_name=SCHEDULER,
            gres_names=frozenset({"gpu"}),
        )

    first = registered(step(None, 300, GI))
    assert (first.cpus, first.memory_mib) == (63, 510 * 1024)
    known = in_slurm(cpus=first.cpus, memory_mib=first.memory_mib)
    assert step(known, 1000, 2 * GI) == [], "the buffer is used up"
    for held in ((1001, GI), (300, 2 * GI + 1)):
        assert [type(one) for one in step(known, *held)] == [actions.Delete]
        (drain,) = step(replace(known, allocated_cpus=4), *held)
        assert drain == actions.Drain(known.name, drains.LESS)
        anew = registered(step(None, *held))
        known_anew = in_slurm(cpus=anew.cpus, memory_mib=anew.memory_mib)
        assert step(known_anew, *held) == [], "once"
    drained = replace(known, states=known.states | {"DRAIN"}, reason=drains.LESS)
    assert step(drained, 1000, GI) == [actions.Undrain(drained.name)]


def test_a_registered_node_is_kept_in_step_while_others_use_its_buffer() -> None:
    """Though it could not be registered so: it would have no whole CPU to give."""
    node = replace(a_node(cpu=2), taints=(TAINT,))
    (step,) = plan.plan(
        nodes={node.name: node},
        slurm_nodes={SlurmNodeName("node-1"): in_slurm(cpus=1)},
        classes={node.name: "class-y"},
        others={node.name: Resources(cpu_milli=900)},
        rules=replace(RULES, cpu_headroom_milli=500),
        scheduler_name=SCHEDULER,
        gres_names=frozenset({"gpu"}),
    )
    assert isinstance(step, actions.SetFeatures)


def registered(steps: list[actions.Action]) -> NodeDefinition:
    (step,) = steps
    assert isinstance(step, actions.Register)
    return step.definition


def test_of_a_daemon_sets_pods_on_a_node_the_largest_counts() -> None:
    """Amount by amount, each DaemonSet and each node for itself; other pods are added up."""
    small = PodShape(requests=Resources(cpu_milli=100, memory_bytes=2 * GI))
    large = PodShape(requests=Resources(cpu_milli=200, memory_bytes=GI))
    one, two = NodeName("node-1"), NodeName("node-2")
    held = plan.held_by_others(
        [
            (one, small, "kube-system/a"),
            (one, large, "kube-system/a"),
            (one, small, "kube-system/b"),
            (two, small, "kube-system/a"),
            (two, small, ""),
            (two, large, ""),
        ]
    )
    assert held == {
        one: Resources(cpu_milli=300, memory_bytes=4 * GI),
        two: Resources(cpu_milli=400, memory_bytes=5 * GI),
    }


@pytest.mark.parametrize(
    ("shown", "does"),
    [
        ({"address": "10.0.0.9"}, actions.SetAddress(SlurmNodeName("node-1"), "10.0.0.1")),
        ({"address": ""}, None),
        ({"cpus": 32}, None),
        ({"cpus": 96}, actions.Drain(SlurmNodeName("node-1"), drains.LESS)),
        ({"memory_mib": 1024}, None),
        ({"memory_mib": 1 << 20}, actions.Drain(SlurmNodeName("node-1"), drains.LESS)),
        ({"gres": ()}, None),
        ({"gres": (Gres("gpu", "h100", 9),)}, actions.Drain(SlurmNodeName("node-1"), drains.LESS)),
        ({"gres": (Gres("gpu", "a100", 8),)}, None),
        ({"gres": (Gres("gpu", "", 8),)}, None),
        ({"features": ("class-x", "k8s-01234567")},
         actions.SetFeatures(
             SlurmNodeName("node-1"), ("class-x", "k8s-01234567", "slurm-bridge"))),
        ({"features": ("class-x", "gone", "k8s-01234567", "slurm-bridge")},
         actions.SetFeatures(
             SlurmNodeName("node-1"), ("class-x", "k8s-01234567", "slurm-bridge"))),
        ({"topology": "fabric:root:a"}, None),
        ({"weight": 7}, None),
    ],
)  # fmt: skip
def test_each_field_of_a_busy_node_follows_its_rule(
    shown: dict[str, Any], does: actions.Action | None
) -> None:
    """What Slurm shows of it is more, less, other or gone, and a job runs there."""
    node = replace(a_node(), taints=(TAINT,))
    steps = planned([node], [in_slurm(allocated_cpus=4, **shown)])
    assert steps == ([] if does is None else [does])
