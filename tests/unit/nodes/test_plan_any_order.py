"""A node through any changes: how Slurm has it in the end does not depend on the way."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bridge import names
from bridge.model.ids import SlurmNodeName
from bridge.model.node import Node
from bridge.model.resources import Resources
from bridge.model.scheduling import Taint
from bridge.nodes import actions, definition, drains, plan
from bridge.slurm import SlurmNode
from tests.builders import SCHEDULER, a_node
from tests.unit.nodes.test_plan import RULES

NAME = SlurmNodeName("node-1")
START = replace(a_node(), taints=(Taint.managed(SCHEDULER),))
_MOST_PASSES = 4
"""It is taken out, registered and drained; then one finds nothing to do."""


class Slurm:
    """One node in Slurm, with or without a job on it, and what its admin does to it."""

    def __init__(self) -> None:
        self.known: SlurmNode | None = None
        self.foreign = Resources()
        """What pods of another scheduler hold."""
        self.admins_reason: str | None = None
        """Of the admin's drain; None while there is none."""

    def flag(self, flag: str, *, on: bool, **fields: Any) -> None:
        """The node, if it is there, gets the flag or loses it."""
        if self.known is not None:
            flags = self.known.states | {flag} if on else self.known.states - {flag}
            self.known = replace(self.known, states=flags, **fields)

    def drain(self, reason: str) -> None:
        """By the admin; the reason that was there before is overwritten."""
        self.flag("DRAIN", on=True, reason=reason)
        self.admins_reason = None if self.known is None else reason

    def resume(self) -> None:
        """By the admin, whoever has drained it."""
        self.flag("DRAIN", on=False, reason="")
        self.admins_reason = None

    def start_job(self) -> None:
        """Somebody's; where nothing may start, nothing does."""
        if self.known is not None and not self.known.drained and not self.known.not_responding:
            self.known = replace(self.known, allocated_cpus=4)

    def end_job(self) -> None:
        """It is idle again."""
        if self.known is not None:
            self.known = replace(self.known, allocated_cpus=0)

    def perform(self, action: actions.Action) -> None:
        """As slurmctld 26.05 does it; an undrained node has no reason any more."""
        match action:
            case actions.Register(_, wanted, closed):
                assert self.known is None
                self.known = SlurmNode(
                    NAME, frozenset({"IDLE", "EXTERNAL"}), cpus=wanted.cpus,
                    memory_mib=wanted.memory_mib, gres=wanted.gres, features=wanted.features,
                    topology=wanted.topology,
                )  # fmt: skip
                if closed:
                    self.flag("DRAIN", on=True, reason=closed)
            case actions.Delete():
                assert self.known is not None
                assert self.known.idle, "a node in use can't be deleted"
                self.known = None
                self.admins_reason = None
            case actions.Drain(_, reason):
                self.flag("DRAIN", on=True, reason=reason)
            case actions.Undrain():
                self.flag("DRAIN", on=False, reason="")
            case actions.SetTopology(_, topology):
                assert self.known is not None
                self.known = replace(self.known, topology=topology)
            case actions.RemoveTaint() | actions.AddTaint():
                pass
            case _:
                raise AssertionError(f"{action} is called for by nothing")


def settle(slurm: Slurm, node: Node) -> None:
    """Passes, until one finds nothing to do; an admin's drain outlasts them all."""
    for _ in range(_MOST_PASSES):
        found = planned(slurm, node)
        if not found:
            return
        if slurm.admins_reason is not None:
            assert [type(one) for one in found] in ([actions.Delete], [actions.SetTopology])
            assert isinstance(found[0], actions.SetTopology) or node.deleting or not node.external
        for action in found:
            slurm.perform(action)
    raise AssertionError(f"does not come to rest: {planned(slurm, node)}")


def planned(slurm: Slurm, node: Node) -> list[actions.Action]:
    found = plan.plan(
        nodes={node.name: node},
        slurm_nodes={} if slurm.known is None else {NAME: slurm.known},
        classes={node.name: "class-x"},
        others={node.name: slurm.foreign},
        rules=RULES,
        scheduler_name=SCHEDULER,
        gres_names={"gpu"},
    )
    return [one for one in found if not isinstance(one, actions.AddTaint | actions.RemoveTaint)]


def expected_reason(slurm: Slurm, known: SlurmNode, node: Node) -> str:
    """Of the drain that is ours; "" where there should be none."""
    if node.deleting or not node.external:
        return drains.RETIRED
    if node.unschedulable:
        return drains.CORDONED
    if not node.ready:
        return f"{drains.NOT_READY}: {node.unready}"
    has = sum(
        item.count for item in definition.gres_of(node, node.allocatable - slurm.foreign, RULES)
    )
    return drains.LESS if sum(item.count for item in known.gres) > has else ""


def check(slurm: Slurm, node: Node) -> None:
    """What must hold whenever nothing is left to do."""
    known = slurm.known
    if known is None:
        assert node.deleting or not node.external
    elif slurm.admins_reason is not None:
        assert (known.drained, known.reason) == (True, slurm.admins_reason)
    else:
        reason = expected_reason(slurm, known, node)
        assert (known.drained, known.reason) == (bool(reason), reason)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("ready"), st.sampled_from(("", "NodeStatusUnknown", "KubeletNotReady"))),
        st.tuples(st.just("cordoned"), st.booleans()),
        st.tuples(st.just("devices"), st.sampled_from((0, 4, 8))),
        st.tuples(st.just("foreign"), st.sampled_from((0, 4, 8))),
        st.tuples(st.just("leaf"), st.sampled_from(("a", "b"))),
        st.tuples(st.just("labelled"), st.booleans()),
        st.tuples(st.just("busy"), st.booleans()),
        st.tuples(st.just("lost"), st.booleans()),
        st.tuples(st.just("drain"), st.sampled_from(("broken fan", ""))),
        st.tuples(st.just("resume"), st.none()),
    ),
    max_size=12,
)


def changed(slurm: Slurm, node: Node, what: str, value: Any) -> Node:
    """The node after one of these steps, of which Slurm may have heard too."""
    match what:
        case "ready":
            return replace(node, ready=not value, unready=value)
        case "cordoned":
            return replace(node, unschedulable=value)
        case "devices":
            return replace(node, allocatable=a_node(gpu=value).allocatable)
        case "foreign":
            slurm.foreign = Resources(extended=(("nvidia.com/gpu", value),) if value else ())
        case "leaf":
            place = {names.TOPOLOGY_ANNOTATION: f"fabric:root:{value}"}
            return replace(node, annotations={**node.annotations, **place})
        case "labelled":
            labels = {**START.labels}
            if not value:
                del labels[names.EXTERNAL_NODE_LABEL]
            return replace(node, labels=labels)
        case "busy" if value:
            slurm.start_job()
        case "busy":
            slurm.end_job()
        case "lost":
            slurm.flag("NOT_RESPONDING", on=value)
        case "drain":
            slurm.drain(value)
        case "resume":
            slurm.resume()
    return node


@given(steps=steps, patience=st.lists(st.booleans(), min_size=12, max_size=12))
def test_slurm_ends_up_with_the_node_as_if_it_had_just_been_registered(
    steps: list[tuple[str, Any]], patience: list[bool]
) -> None:
    """However it came there, once nothing runs on it and no admin holds it; and what an admin has
    drained stays so, with that reason, until he brings it back. Some changes come so fast that no
    pass is made between them. A pass over what was done already finds nothing to do."""
    slurm, node = Slurm(), START
    settle(slurm, node)
    for (what, value), is_seen in zip(steps, patience, strict=False):
        node = changed(slurm, node, what, value)
        if is_seen:
            settle(slurm, node)
            check(slurm, node)
    settle(slurm, node)
    check(slurm, node)
    if slurm.admins_reason is not None:
        slurm.resume()
    slurm.end_job()
    settle(slurm, node)
    fresh = Slurm()
    fresh.foreign = slurm.foreign
    settle(fresh, node)
    assert slurm.known == fresh.known
