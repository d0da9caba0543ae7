"""Jobs leave out nodes that are full of what only Kubernetes counts."""

from dataclasses import replace

import pytest

from bridge.jobs.full_nodes import FullNodes, Key, NoRoom
from bridge.jobs.jobspec import Where
from bridge.model.devices import ResourceMap
from bridge.model.ids import NodeName, PodUid, SlurmNodeName
from bridge.model.resources import Resources
from bridge.model.scheduling import PodShape
from bridge.placement.filters.classes import class_of
from bridge.state.kube_state import KubeState
from bridge.state.slurm_state import SlurmState
from tests.builders import SCHEDULER, TOLERATION, a_node

TPU = "example.com/tpu"
ASKS = PodShape(requests=Resources(cpu_milli=1000, extended=((TPU, 4),)), tolerations=(TOLERATION,))
PLAIN = PodShape(requests=Resources(cpu_milli=1000), tolerations=(TOLERATION,))


class Cluster:
    """Two nodes with four TPUs each, of one class."""

    def __init__(self) -> None:
        self.state = KubeState(scheduler_name=SCHEDULER)
        for name in ("n1", "n2"):
            base = a_node(name)
            more = replace(base.allocatable, extended=((TPU, 4),))
            self.state.upsert_node(replace(base, allocatable=more))
        self.full_nodes = FullNodes(
            cluster=self.state, slurm_state=SlurmState(), resource_map=ResourceMap({})
        )
        self.asked: list[Key] = []
        node_class = class_of(self.state.table.snapshot(), NodeName("n1"))
        assert node_class is not None
        self.where = Where(classes=(node_class,))

    def leave_out(
        self, shape: PodShape = ASKS, *, size: int = 1, where: Where | None = None
    ) -> Where:
        where = where or self.where
        return self.full_nodes.leave_out(shape, where, size=size, asked=self.asked.append)

    def run(self, pod: str, node: str, shape: PodShape = ASKS) -> None:
        self.state.table.occupy(PodUid(pod), NodeName(node), shape)


def test_a_full_node_is_left_out_until_it_has_room() -> None:
    """The question is remembered, so that a waiting job can follow it."""
    it = Cluster()
    assert it.leave_out().excluded == ()
    (key,) = it.asked
    assert not it.full_nodes.has_changed(key)
    it.run("p", "n1")
    assert it.full_nodes.has_changed(key)
    assert it.leave_out().excluded == (SlurmNodeName("n1"),)
    assert not it.full_nodes.has_changed(key)
    it.state.table.vacate(PodUid("p"))
    assert it.full_nodes.has_changed(key)


def test_a_gang_that_finds_too_little_room_is_not_queued_and_told_why() -> None:
    """Slurm would start it, for nothing."""
    it = Cluster()
    assert it.leave_out(size=2).excluded == ()
    it.run("p", "n1")
    with pytest.raises(NoRoom, match=r"1 of its 2 pods find room now: .* 0 of 4 example.com/tpu"):
        it.leave_out(size=2)
    it.run("q", "n2")
    with pytest.raises(NoRoom, match=r"its pod finds no room now: 2 nodes: 0 of 4"):
        it.leave_out()


def test_a_gang_that_no_pods_are_in_the_way_of_is_slurms_to_refuse() -> None:
    """Too few nodes, or too small ones: Slurm says so, and what is short is told then."""
    it = Cluster()
    assert it.leave_out(size=3).excluded == ()
    it.run("p", "n1")
    assert it.leave_out(size=3).excluded == (SlurmNodeName("n1"),)


def test_a_job_for_one_named_node_looks_at_that_one() -> None:
    """Its classes are not asked."""
    it = Cluster()
    it.run("p", "n1")
    named = it.leave_out(where=Where(required=(SlurmNodeName("n2"),)))
    assert (named.required, named.excluded) == ((SlurmNodeName("n2"),), ())
    with pytest.raises(NoRoom):
        it.leave_out(where=Where(required=(SlurmNodeName("n1"),)))


def test_pods_that_ask_for_nothing_such_follow_nothing() -> None:
    """They are most of all pods; their jobs need no look when others come and go."""
    it = Cluster()
    it.run("p", "n1")
    assert it.leave_out(PLAIN) == it.where
    assert it.asked == []


def test_a_question_that_is_not_remembered_counts_as_changed() -> None:
    """Its job is looked at once more, which is never wrong."""
    assert Cluster().full_nodes.has_changed("other")


def test_gangs_of_one_shape_cost_one_look_while_nothing_changes() -> None:
    """A change of nodes lets thousands of them ask in a row; pods that come are seen at once."""
    it = Cluster()
    snapshot = it.state.table.snapshot()
    first = it.full_nodes._look_up(snapshot, ASKS, it.where)
    assert it.full_nodes._look_up(it.state.table.snapshot(), ASKS, it.where) is first
    it.run("p", "n1")
    assert it.full_nodes._look_up(it.state.table.snapshot(), ASKS, it.where) != first
    it.state.remove_node(NodeName("n2"))
    assert it.full_nodes._look_up(it.state.table.snapshot(), ASKS, it.where).room == 0
