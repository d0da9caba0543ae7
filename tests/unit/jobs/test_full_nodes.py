"""Jobs leave out nodes that are full of what only Kubernetes counts."""

from dataclasses import replace

import pytest

from bridge import names
from bridge.jobs.full_nodes import FullNodes, Key, NoRoom, Question
from bridge.jobs.jobspec import Where
from bridge.jobs.node_constraints import NodeConstraints
from bridge.jobs.tasks import Tasks
from bridge.model.devices import ResourceMap
from bridge.model.ids import NodeName, PodUid, SlurmNodeName
from bridge.model.pod_identity import PodIdentity
from bridge.model.resources import Resources
from bridge.model.scheduling import PodShape
from bridge.placement.filters.classes import class_of
from bridge.placement.fit.neighbours import GangPods, Kind
from bridge.state.kube_state import KubeState
from bridge.state.slurm_facts import Capacities
from bridge.state.slurm_state import SlurmState
from tests.builders import SCHEDULER, TOLERATION, a_node, app, beside, spread_by

TPU, HOST = "example.com/tpu", names.HOSTNAME_LABEL
ASKS = PodShape(requests=Resources(cpu_milli=1000, extended=((TPU, 4),)), tolerations=(TOLERATION,))
PLAIN = PodShape(requests=Resources(cpu_milli=1000), tolerations=(TOLERATION,))


class Cluster:
    """Two nodes with four TPUs each, of one class."""

    def __init__(self) -> None:
        self.state = KubeState(scheduler_name=SCHEDULER)
        for name in ("n1", "n2"):
            base = a_node(name, labels={HOST: name})
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
        self,
        shape: PodShape = ASKS,
        *,
        size: int = 1,
        where: Where | None = None,
        who: PodIdentity | None = None,
    ) -> Where:
        pods = GangPods((Kind(shape, who),), is_single=size == 1)
        return self.full_nodes.leave_out(
            Tasks(size, shape), pods, where or self.where, asked=self.asked.append
        )

    def run(
        self, pod: str, node: str, shape: PodShape = ASKS, who: PodIdentity | None = None
    ) -> None:
        self.state.table.occupy(PodUid(pod), NodeName(node), shape, identity=who)


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
    question = Question(ASKS, it.where)
    first = it.full_nodes.look_up(snapshot, question)
    assert it.full_nodes.look_up(it.state.table.snapshot(), question) is first
    it.run("p", "n1")
    assert it.full_nodes.look_up(it.state.table.snapshot(), question) != first
    it.state.remove_node(NodeName("n2"))
    assert it.full_nodes.look_up(it.state.table.snapshot(), question).full.room == 0


APART = replace(PLAIN, pod_anti_affinity=(beside(HOST),))
BESIDE = replace(PLAIN, pod_affinity=(beside(HOST),))
SPREAD = replace(PLAIN, spread=(spread_by("zone"),))


def test_a_node_whose_pods_keep_the_pod_away_is_left_out() -> None:
    """By its own anti-affinity or by theirs; pods that no term is about follow nothing."""
    for mine, theirs in ((APART, PLAIN), (PLAIN, APART)):
        it = Cluster()
        it.run("p", "n1", theirs, app())
        assert it.leave_out(mine, who=app()).excluded == (SlurmNodeName("n1"),)
        (key,) = it.asked
        assert not it.full_nodes.has_changed(key)
        it.run("p", "n1", theirs, app("other"))
        assert it.full_nodes.has_changed(key) == (mine is APART)
        it.asked.clear()
        assert it.leave_out(PLAIN, who=app("another")).excluded == ()
        assert it.asked == []


def test_a_pod_that_is_being_deleted_keeps_nobody_away() -> None:
    """Its room is worth waiting for."""
    it = Cluster()
    it.state.table.occupy(PodUid("p"), NodeName("n1"), PLAIN, identity=app(), ending=True)
    assert it.leave_out(APART, who=app()).excluded == ()


def test_a_gang_may_meet_its_own_terms() -> None:
    """Its pods are not placed yet: what they want of each other is no node's fault. What it wants
    of others is."""
    it = Cluster()
    for shape in (APART, BESIDE):
        assert it.leave_out(shape, size=2, who=app()).excluded == ()
    with pytest.raises(NoRoom, match="2 nodes: no pod of app=train on the node"):
        it.leave_out(BESIDE, size=2, who=app("other"))
    it.run("p", "n2", PLAIN, app())
    for who in (app(), app("other")):
        assert it.leave_out(BESIDE, size=2, who=who).excluded == (SlurmNodeName("n1"),)


def test_a_role_may_be_beside_another_one_of_its_gang() -> None:
    """The launcher wants to be where the workers go, which are not placed yet."""
    it = Cluster()
    launcher, workers = Kind(BESIDE, app("launcher")), Kind(PLAIN, app())
    pods = GangPods((launcher,), (workers,))
    asked = it.asked.append
    assert it.full_nodes.leave_out(Tasks(1, BESIDE), pods, it.where, asked=asked) == it.where
    assert it.asked


class Zones(Cluster):
    """Two nodes of 64 CPUs in each of two zones."""

    def __init__(self) -> None:
        super().__init__()
        for name in ("n1", "n2"):
            self.state.remove_node(NodeName(name))
        for zone in ("a", "b"):
            for number in (1, 2):
                name = f"{zone}{number}"
                self.state.upsert_node(a_node(name, labels={HOST: name, "zone": zone}))
        snapshot = self.state.table.snapshot()
        found = {class_of(snapshot, NodeName(name)) for name in ("a1", "b1")}
        self.where = Where(classes=tuple(sorted(name for name in found if name)))


def _asking(cpus: int, **terms: object) -> PodShape:
    return replace(PLAIN, requests=Resources(cpu_milli=cpus * 1000), **terms)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shape", "size", "nodes", "each"),
    [
        (_asking(1, spread=(spread_by("zone"),)), 2, ("a1", "b1"), 1),
        (_asking(1, spread=(spread_by("zone"),)), 4, ("a1", "a2", "b1", "b2"), 1),
        (_asking(1, spread=(spread_by("zone"),)), 6, ("a1", "b1"), 3),
        (_asking(1, spread=(spread_by(HOST),)), 4, ("a1", "a2", "b1", "b2"), 1),
        (_asking(1, spread=(spread_by(HOST),)), 8, ("a1", "a2", "b1", "b2"), 2),
        (_asking(1, pod_anti_affinity=(beside("zone"),)), 2, ("a1", "b1"), 1),
        (_asking(1, pod_affinity=(beside("zone"),)), 4, ("a1",), 4),
        (_asking(40, pod_affinity=(beside("zone"),)), 2, ("a1", "a2"), 1),
    ],
)
def test_nodes_are_chosen_for_pods_whose_terms_a_job_cannot_say(
    shape: PodShape, size: int, nodes: tuple[str, ...], each: int
) -> None:
    """Slurm would pack them where it likes, and each grant would go back."""
    found = Zones().leave_out(shape, size=size, who=app())
    assert (found.required, found.chosen_tasks_per_node) == (nodes, each)


def test_nodes_that_are_free_are_chosen_before_those_that_slurm_will_free() -> None:
    """A job that waits for its nodes keeps its place in the queue, but one need not wait."""
    it, shape = Zones(), _asking(40, pod_affinity=(beside("zone"),))
    it.run("p", "a1", _asking(40), app("other"))
    assert it.leave_out(shape, size=2, who=app()).required == ("b1", "b2")
    (key,) = it.asked
    it.run("q", "b1", _asking(40), app("other"))
    assert it.full_nodes.has_changed(key)
    assert it.leave_out(shape, size=2, who=app()).required == ("a1", "a2")


def test_nodes_that_give_nothing_now_are_chosen_last() -> None:
    """Cordoned ones are not waited for at all; of those that only Slurm knows to be drained its
    admin may think again."""
    shape = _asking(1, spread=(spread_by("zone"),))
    for drained, chosen in (({"a1"}, ("a2", "b1")), ({"a1", "a2"}, ("a1", "b1"))):
        it = Zones()
        slurm = SlurmState()
        slurm.capacities = Capacities(out_of_service=frozenset(map(SlurmNodeName, drained)))
        it.full_nodes = FullNodes(cluster=it.state, slurm_state=slurm, resource_map=ResourceMap({}))
        assert it.leave_out(shape, size=2, who=app()).required == chosen
    it = Zones()
    for name in ("a1", "a2"):
        node = it.state.nodes[NodeName(name)]
        it.state.upsert_node(replace(node, unschedulable=True, resource_version="2"))
        if name == "a1":
            assert it.leave_out(shape, size=2, who=app()).required == ("a2", "b1")
    with pytest.raises(NoRoom, match="at most"):
        it.leave_out(shape, size=2, who=app())


def test_pods_that_can_not_be_together_beside_those_that_are_there_wait() -> None:
    """Nobody knows when these end, so no place in the queue is worth anything."""
    it, shape = Zones(), _asking(1, pod_anti_affinity=(beside("zone"),))
    it.run("p", "a1", PLAIN, app())
    with pytest.raises(NoRoom, match=r"at most 1 of 2 can be together, by their pod .* by zone"):
        it.leave_out(shape, size=2, who=app())
    it.state.table.vacate(PodUid("p"))
    assert it.leave_out(shape, size=2, who=app()).required == ("a1", "b1")


@pytest.mark.parametrize(
    ("shape", "size", "why"),
    [
        (_asking(1, pod_anti_affinity=(beside("zone"),)), 3, "at most 2 of 3"),
        (_asking(1, pod_anti_affinity=(beside(HOST),)), 5, "at most 4 of 5"),
        (_asking(40, pod_affinity=(beside("zone"),)), 3, "at most 2 of 3"),
        (_asking(1, spread=(spread_by("rack"),)), 2, "at most 0 of 2"),
        (_asking(1, pod_anti_affinity=(beside("zone"),)), 2, ""),
        (_asking(40, pod_affinity=(beside("zone"),)), 2, ""),
        (_asking(1, pod_affinity=(beside("zone", "other"),)), 2, ""),
        (_asking(40), 5, ""),
    ],
)
def test_a_gang_that_can_never_be_together_is_known_at_once(
    shape: PodShape, size: int, why: str
) -> None:
    """By its own terms, whatever other pods there are. Pods that it wants to be beside may come."""
    it = Zones()
    it.run("p", "a1", PLAIN, app())
    found = NodeConstraints(
        cluster=it.state, slurm_state=SlurmState(), resource_map=ResourceMap({})
    ).why_never(Kind(shape, app()), size)
    assert found.startswith(why)
    assert bool(found) == bool(why)


@pytest.mark.parametrize(("shape", "size"), [(SPREAD, 2), (SPREAD, 1), (APART, 1)])
def test_room_beyond_what_a_gang_needs_is_no_change(shape: PodShape, size: int) -> None:
    """Pods come and go all the time: each would have every waiting job built again."""
    it = Zones()
    it.leave_out(shape, size=size, who=app())
    (key,) = it.asked
    it.state.table.occupy(PodUid("p"), NodeName("a1"), PLAIN, stays=True, identity=app("other"))
    assert not it.full_nodes.has_changed(key)


def test_as_many_nodes_are_chosen_as_a_job_names() -> None:
    """A node for each pod is better, but not if Slurm would choose them all."""
    it = Zones()
    for number in range(3, 50):
        for zone in ("a", "b"):
            name = f"{zone}{number}"
            it.state.upsert_node(a_node(name, labels={HOST: name, "zone": zone}))
    found = it.leave_out(SPREAD, size=80, who=app())
    assert (found.required, found.chosen_tasks_per_node) == (("a1", "b1"), 40)


def test_a_waiting_job_keeps_chosen_nodes_that_are_free() -> None:
    """Others may be better, but for another number of tasks on a node it is submitted again, and
    loses its place in the queue."""
    it = Zones()
    it.run("p", "a2", _asking(64), app("other"))
    assert it.leave_out(SPREAD, size=4, who=app()).required == ("a1", "b1")
    (key,) = it.asked
    it.state.table.vacate(PodUid("p"))
    assert not it.full_nodes.has_changed(key)
    it.run("q", "b1", _asking(64), app("other"))
    assert it.full_nodes.has_changed(key)
