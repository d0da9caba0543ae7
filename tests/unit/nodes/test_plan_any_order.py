"""A node through any changes: how Slurm has it in the end does not depend on the way."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bridge import names
from bridge.model.ids import SlurmNodeName
from bridge.model.node import Cause, Node
from bridge.model.resources import Resources
from bridge.model.scheduling import Taint
from bridge.nodes import actions, definition, drains, marks, plan, reservations
from bridge.slurm import Reservation, SlurmNode
from tests.builders import SCHEDULER, a_node
from tests.unit.nodes.test_plan import RULES

NAME = SlurmNodeName("node-1")
START = replace(a_node(), taints=(Taint.managed(SCHEDULER),))
_MOST_PASSES = 7
"""It is drained, taken out, registered, reserved, undrained and shown; then one finds nothing to
do."""
BEGIN_S = 300_000.0
ENDS_S = (BEGIN_S + 600, BEGIN_S + 900)
SICK, GOING = Cause("KernelDeadlock=True (DockerHung)", "for 120 s"), Cause("taint x", taint="x")
HOWS: tuple[marks.How, ...] = ("taint", "cordon", "none")


class Slurm:
    """One node in Slurm, with or without a job on it, and what its admin does to it."""

    def __init__(self) -> None:
        self.known: SlurmNode | None = None
        self.foreign = Resources()
        """What pods of another scheduler hold."""
        self.admins_reason: str | None = None
        """Of the admin's drain; None while there is none."""
        self.reservations: dict[str, set[SlurmNodeName]] = {}
        self.now_s = BEGIN_S
        self.is_persons_cordon = False
        """Whether a person has cordoned the node, in Kubernetes."""

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

    def turn(self) -> None:
        """A reservation that has begun shows on its node."""
        if self.known is not None:
            begun = reservations.name_of(int(self.now_s), RULES.cluster)
            held = [at for at, nodes in self.reservations.items() if at <= begun and NAME in nodes]
            self.known = replace(self.known, reservation=held[0] if held else "")

    def reserve(self, action: actions.Reserve) -> None:
        """As slurmctld 26.05 does it: in a reservation are only nodes that it has."""
        known: set[SlurmNodeName] = set() if self.known is None else {self.known.name}
        match action:
            case actions.CreateReservation(name, start_s, nodes):
                assert name not in self.reservations
                assert start_s > self.now_s
                assert set(nodes) <= known
                self.reservations[name] = set(nodes)
            case actions.ChangeReservation(name, nodes):
                assert set(nodes) & known
                self.reservations[name] = set(nodes) & known
            case actions.DeleteReservation(name):
                del self.reservations[name]
        self.turn()

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
                for nodes in self.reservations.values():
                    nodes.discard(NAME)  # it may have got another place in Slurm's table
            case actions.Delete():
                assert self.known is not None
                assert self.known.deletable, "a node in use can't be deleted"
                self.known = None
                self.admins_reason = None
            case actions.Drain(_, reason):
                self.flag("DRAIN", on=True, reason=reason)
            case actions.Undrain():
                self.flag("DRAIN", on=False, reason="")
            case actions.SetTopology(_, topology):
                assert self.known is not None
                self.known = replace(self.known, topology=topology)
            case actions.CreateReservation() | actions.ChangeReservation():
                self.reserve(action)
            case actions.DeleteReservation():
                self.reserve(action)
            case _:
                raise AssertionError(f"{action} is called for by nothing")


def written(node: Node, action: actions.Mark) -> Node:
    """The Kubernetes node after that."""
    drained, noted = Taint.drained(), {names.CORDONED_ANNOTATION: names.CORDON_IS_OURS}
    match action:
        case actions.AddDrainedTaint():
            assert drained not in node.taints
            return replace(node, taints=(*node.taints, drained))
        case actions.RemoveDrainedTaint():
            return replace(node, taints=tuple(one for one in node.taints if one != drained))
        case actions.Cordon():
            assert not node.unschedulable
            return replace(node, unschedulable=True, annotations={**node.annotations, **noted})
        case actions.YieldCordon():
            undone = {names.CORDONED_ANNOTATION: names.CORDON_UNDONE}
            return replace(node, annotations={**node.annotations, **undone})
        case actions.Uncordon():
            left = {key: text for key, text in node.annotations.items() if key not in noted}
            is_left = node.unschedulable and not node.cordoned_for_slurm
            return replace(node, unschedulable=is_left, annotations=left)
        case actions.SetCondition(_, condition):
            assert node.drained != condition
            return replace(node, drained=condition)


def settle(slurm: Slurm, node: Node, how: marks.How) -> Node:
    """Passes, until one finds nothing to do; an admin's drain outlasts them all. The node then."""
    for _ in range(_MOST_PASSES):
        found = planned(slurm, node, how)
        if not found:
            return node
        if slurm.admins_reason is not None:
            allowed = actions.Mark | actions.Reserve | actions.SetTopology
            others = [one for one in found if not isinstance(one, allowed)]
            assert all(isinstance(one, actions.Delete) for one in others)
            assert not others or node.deleting or not node.external
        for action in found:
            if isinstance(action, actions.Mark):
                node = written(node, action)
            else:
                slurm.perform(action)
    raise AssertionError(f"does not come to rest: {planned(slurm, node, how)}")


def planned(slurm: Slurm, node: Node, how: marks.How) -> list[actions.Action]:
    found = plan.plan(
        nodes={node.name: node},
        slurm_nodes={} if slurm.known is None else {NAME: slurm.known},
        classes={node.name: "class-x"},
        others={node.name: slurm.foreign},
        rules=replace(RULES, drained_in_slurm=how),
        scheduler_name=SCHEDULER,
        gres_names={"gpu"},
        reserved=[
            Reservation(name, nodes=",".join(nodes)) for name, nodes in slurm.reservations.items()
        ],
        now_s=slurm.now_s,
    )
    return [one for one in found if not isinstance(one, actions.AddTaint | actions.RemoveTaint)]


def expected_reason(slurm: Slurm, known: SlurmNode, node: Node) -> str:
    """Of the drain that is ours; "" where there should be none."""
    if node.deleting or not node.external:
        return drains.RETIRED
    if slurm.is_persons_cordon:
        return drains.CORDONED
    if node.end_s is not None and node.end_s <= slurm.now_s:
        return drains.ENDED
    if not node.ready:
        return f"{drains.NOT_READY}: {node.unready}"
    if SICK in node.causes:
        return f"{drains.UNHEALTHY}: KernelDeadlock=True (DockerHung)"
    if GOING in node.causes:
        return f"{drains.UNHEALTHY}: taint x"
    has = sum(
        item.count for item in definition.gres_of(node, node.allocatable - slurm.foreign, RULES)
    )
    return drains.LESS if sum(item.count for item in known.gres) > has else ""


def check(slurm: Slurm, node: Node, how: marks.How) -> None:
    """What must hold whenever nothing is left to do."""
    known = slurm.known
    if known is None:
        assert node.deleting or not node.external
    elif slurm.admins_reason is not None:
        assert (known.drained, known.reason) == (True, slurm.admins_reason)
    else:
        reason = expected_reason(slurm, known, node)
        assert (known.drained, drains.cause_of(known.reason)) == (bool(reason), reason)
    check_reservations(slurm, node)
    check_marks(slurm, node, how)


def without_words(known: SlurmNode | None) -> SlurmNode | None:
    """The words of a condition are those of the moment when the node was drained."""
    return known and replace(known, reason=drains.cause_of(known.reason))


def check_reservations(slurm: Slurm, node: Node) -> None:
    """One while the end lies ahead; none otherwise."""
    is_ahead = node.end_s is not None and node.end_s > slurm.now_s
    if slurm.known is None or not node.external or not is_ahead:
        assert slurm.reservations == {}
    else:
        assert node.end_s is not None
        name = reservations.name_of(int(node.end_s), RULES.cluster)
        assert slurm.reservations == {name: {NAME}}


def check_marks(slurm: Slurm, node: Node, how: marks.How) -> None:
    """Of an admin's drain, while it lasts; people's cordons always."""
    is_drained = slurm.known is not None and slurm.admins_reason is not None
    assert (Taint.drained() in node.taints) == (is_drained and how == "taint")
    assert (node.drained is not None and node.drained.status == "True") == is_drained
    if is_drained:
        assert node.drained == marks.condition(slurm.known or SlurmNode(NAME, frozenset()))
    if node.cordoned_for_slurm:
        assert (is_drained, how) == (True, "cordon")
    else:
        assert node.unschedulable == slurm.is_persons_cordon


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
        st.tuples(st.just("causes"), st.sampled_from(((), (SICK,), (GOING,), (SICK, GOING)))),
        st.tuples(st.just("message"), st.none()),
        st.tuples(st.just("ends"), st.sampled_from((None, *ENDS_S))),
        st.tuples(st.just("later"), st.just(700)),
    ),
    max_size=12,
)


def changed(slurm: Slurm, node: Node, what: str, value: Any) -> Node:
    """The node after one of these steps, of which Slurm may have heard too."""
    match what:
        case "ready":
            return replace(node, ready=not value, unready=value)
        case "cordoned":
            if value and node.unschedulable:  # kubectl: already cordoned
                return node
            slurm.is_persons_cordon = value and not node.cordoned_for_slurm
            return replace(node, unschedulable=value)
        case "causes":
            return replace(node, causes=value)
        case "message":
            return replace(node, causes=tuple(replace(one, message="x") for one in node.causes))
        case "ends":
            return replace(node, end_s=value)
        case "later":
            slurm.now_s += value
            slurm.turn()
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


@given(
    steps=steps,
    patience=st.lists(st.booleans(), min_size=12, max_size=12),
    how=st.sampled_from(HOWS),
)
def test_slurm_ends_up_with_the_node_as_if_it_had_just_been_registered(
    steps: list[tuple[str, Any]], patience: list[bool], how: marks.How
) -> None:
    """However it came there, once nothing runs on it and no admin holds it; and what an admin has
    drained stays so, with that reason, until he brings it back, and is shown in Kubernetes
    meanwhile. Some changes come so fast that no pass is made between them. A pass over what was
    done already finds nothing to do."""
    slurm, node = Slurm(), START
    node = settle(slurm, node, how)
    for (what, value), is_seen in zip(steps, patience, strict=False):
        node = changed(slurm, node, what, value)
        if is_seen:
            node = settle(slurm, node, how)
            check(slurm, node, how)
    node = settle(slurm, node, how)
    check(slurm, node, how)
    if slurm.admins_reason is not None:
        slurm.resume()
    slurm.end_job()
    node = settle(slurm, node, how)
    check(slurm, node, how)
    assert START.taints == node.taints
    assert names.CORDONED_ANNOTATION not in node.annotations
    fresh = Slurm()
    fresh.foreign, fresh.now_s = slurm.foreign, slurm.now_s
    settle(fresh, node, how)
    assert without_words(slurm.known) == without_words(fresh.known)
    assert slurm.reservations == fresh.reservations
