"""Where pods go on the nodes that Slurm gave, and the room that they hold there."""

from dataclasses import replace

import pytest

from bridge import names
from bridge.controller.placer import Placer
from bridge.jobs import jobspec
from bridge.lifecycle import events as ev
from bridge.lifecycle import instructions as do
from bridge.lifecycle.machine import GangMachine
from bridge.model.devices import ResourceMap
from bridge.model.gang import Shortfall
from bridge.model.ids import NodeName, SlurmJobId
from bridge.model.job import JobFacts
from bridge.model.pod import Pod
from bridge.names import HOSTNAME_LABEL
from bridge.state.kube_state import KubeState
from bridge.state.slurm_state import SlurmState
from tests.builders import SCHEDULER, PodBuilder, a_gang, a_node, a_pod, beside, facts
from tests.unit.controller.doubles import Kept, a_machine
from tests.unit.slurm.clocks import ManualClock

NODE, SEVEN = NodeName("n"), SlurmJobId(7)
POD = a_pod("web").asking(cpu=4, gpu=1)


class Placing:
    """A gang of one pod, whose job holds node `n`."""

    def __init__(self, pod: PodBuilder = POD, *, held: tuple[str, ...] = ("n",)) -> None:
        self.clock = ManualClock()
        self.metrics = Kept(self.clock).metrics
        self.cluster = KubeState(scheduler_name=SCHEDULER)
        for name in ("n", "m"):
            self.cluster.upsert_node(a_node(name))
        self.pod: Pod = pod.build()
        self.gang = a_gang("uid-web", shape=self.pod.shape)
        self.machine: GangMachine = a_machine("uid-web", 7)
        self.facts: JobFacts = facts(7, "RUNNING", gang="uid-web", nodes=held)
        self.machine.handle(ev.JobObserved(self.facts), 0.0)
        self.machine.handle(ev.MembersSeen(self.gang, (self.pod,)), 0.0)
        rules = jobspec.Rules("p", 1024, resource_map=ResourceMap({"nvidia.com/gpu": "gpu"}))
        self.placer = Placer(
            cluster=self.cluster, slurm_state=SlurmState(), rules=rules, metrics=self.metrics,
            clock=self.clock,
        )  # fmt: skip

    def place(self) -> ev.Placed | ev.NotPlaced:
        assert self.facts.allocation is not None
        return self.placer.place(self.machine, do.PlaceGang(self.gang, self.facts.allocation))

    def used(self) -> bool:
        """Whether some node holds room for a pod."""
        return bool(self.cluster.table.snapshot().used.any())


def test_each_slot_gets_a_node_that_the_job_holds() -> None:
    """Not the other one, however empty."""
    it = Placing()
    placed = it.place()
    assert isinstance(placed, ev.Placed)
    assert (placed.job_id, placed.assignment.nodes) == (SEVEN, (NODE,))


def test_a_node_that_is_nobodys_place_for_now_is_left_out() -> None:
    """Though the job holds it and there is room."""
    it = Placing(held=("n", "m"))
    assert it.facts.allocation is not None
    without = frozenset({NODE})
    place = do.PlaceGang(it.gang, it.facts.allocation, without=without)
    placed = it.placer.place(it.machine, place)
    assert isinstance(placed, ev.Placed)
    assert placed.assignment.nodes == (NodeName("m"),)
    both = replace(place, without=without | {NodeName("m")})
    assert isinstance(it.placer.place(it.machine, both), ev.NotPlaced)


def test_a_grant_that_can_never_be_used_is_counted() -> None:
    """An admin finds there that Slurm and Kubernetes don't agree of a node."""
    it = Placing(held=("unknown",))
    answer = it.place()
    assert isinstance(answer, ev.NotPlaced)
    assert not answer.shortfall.for_now
    assert it.metrics.grants_returned._value.get() == 1


@pytest.mark.parametrize(
    ("changes", "why"),
    [({"ready": False}, "not ready"), ({"unschedulable": True}, "cordoned")],
)
def test_a_node_on_which_nothing_may_start_is_not_waited_for(
    changes: dict[str, bool], why: str
) -> None:
    """It may be so for hours, and it may have come to be so after Slurm granted the node."""
    it = Placing()
    it.cluster.upsert_node(replace(it.cluster.nodes[NODE], **changes))  # type: ignore[arg-type]
    answer = it.place()
    assert isinstance(answer, ev.NotPlaced)
    said = f"0 of 1 pods fit now; n: {why}"
    assert answer.shortfall == Shortfall(said, for_now=False, nodes=(NODE,))


def test_room_that_somebody_holds_for_now_is_no_grant_given_back() -> None:
    """The pod in the way is about to go."""
    it = Placing(a_pod("web").asking(gpu=8))
    it.cluster.upsert_other(a_pod("theirs").asking(gpu=1).bound("n").deleting().build())
    answer = it.place()
    assert isinstance(answer, ev.NotPlaced)
    assert answer.shortfall.for_now
    assert it.metrics.grants_returned._value.get() == 0


def test_a_pod_that_is_to_be_pinned_holds_its_room_from_then_on() -> None:
    """The next gang that is placed counts with it, before the API server has answered."""
    it = Placing()
    assert it.placer.pin(do.PinPod(it.pod, NODE, SEVEN, slot=it.pod.shape)) is None
    assert it.used()


@pytest.mark.parametrize(
    ("pod", "says"),
    [
        (a_pod("web").asking(cpu=5, gpu=1), "it asks for more cpu than Slurm gave its slot"),
        (a_pod("web").asking(cpu=4, gpu=2), "nvidia.com/gpu"),
    ],
)
def test_a_pod_that_asks_for_more_than_its_slot_is_not_pinned(pod: PodBuilder, says: str) -> None:
    """It came when its slot had its node already; it holds no room."""
    it = Placing()
    misfit = it.placer.pin(do.PinPod(pod.build(), NODE, SEVEN, slot=it.pod.shape))
    assert misfit is not None
    assert says in misfit.why
    assert not it.used()


def test_a_pod_is_not_pinned_to_a_node_that_is_gone_or_silent() -> None:
    """Nobody would ever run it there; the gang is told which node that is."""
    it = Placing()
    node = it.cluster.nodes[NODE]
    it.cluster.upsert_node(replace(node, ready=False, resource_version="2"))
    for _ in range(2):
        misfit = it.placer.pin(do.PinPod(it.pod, NODE, SEVEN, slot=it.pod.shape))
        assert misfit is not None
        assert misfit.lost_node == NODE
        it.cluster.remove_node(NODE)
    assert not it.used()


def test_a_pod_that_asks_for_less_than_its_slot_is_pinned() -> None:
    """If its node can take it."""
    it = Placing()
    smaller = a_pod("web").asking(cpu=1).build()
    assert it.placer.pin(do.PinPod(smaller, NODE, SEVEN, slot=it.pod.shape)) is None


def test_a_pod_that_came_late_is_not_pinned_beside_one_that_keeps_it_away() -> None:
    """Its slot was placed before the other pod came. Pods that were placed just now are not asked:
    the placement has looked at them together."""
    away = (beside(HOSTNAME_LABEL, "db"),)
    it = Placing(a_pod("web").labelled(app="web").keeping_away(*away))
    node = it.cluster.nodes[NODE]
    it.cluster.upsert_node(
        replace(node, labels={**node.labels, HOSTNAME_LABEL: "n"}, resource_version="2")
    )
    late = do.PinPod(it.pod, NODE, SEVEN, slot=it.pod.shape, late=True)
    assert it.placer.pin(late) is None
    it.cluster.unpin(it.pod)
    it.cluster.upsert_other(a_pod("theirs").labelled(app="db").bound("n").build())
    misfit = it.placer.pin(late)
    assert misfit is not None
    assert misfit.why == "node n: its anti-affinity keeps it away from a pod of app=db on the node"
    assert it.placer.pin(replace(late, late=False)) is None


def test_after_a_start_pods_hold_the_places_that_their_job_gives_them() -> None:
    """Not those that only their annotations name: whoever may write these would take others'
    room."""
    honest = Placing(a_pod("web").asking(cpu=4).pinned(7, "n"))
    honest.placer.pin_again(honest.machine)
    assert honest.used()
    liar = Placing(a_pod("web").asking(cpu=4).pinned(7, "m"))
    liar.placer.pin_again(liar.machine)
    assert not liar.used()
    assert liar.pod.annotations[names.NODE_ANNOTATION] == "m"


def test_a_job_without_an_allocation_holds_no_node() -> None:
    """Nor does one that holds a node that Kubernetes does not know."""
    it = Placing()
    waiting = a_machine("uid-other", 8)
    assert it.placer.holds(it.machine, NODE)
    assert not it.placer.holds(it.machine, NodeName("m"))
    assert not it.placer.holds(it.machine, NodeName("unknown"))
    assert not it.placer.holds(waiting, NODE)
    assert not it.placer.holds(a_machine("uid-none"), NODE)
