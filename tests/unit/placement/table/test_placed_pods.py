"""Who the pods on the nodes are, after any changes, in any snapshot."""

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from bridge.model.ids import NodeName, PodUid
from bridge.model.pod_identity import PodIdentity
from bridge.model.scheduling import PodSelector, PodShape, PodTerm, Requirement
from bridge.placement.filters import pod_selectors
from bridge.placement.table import NodeTable, Snapshot
from tests.builders import a_node, app, to_app
from tests.unit.placement import clusters
from tests.unit.placement.oracle import OURS

NODES = [NodeName(f"n{number}") for number in range(3)]
KEEPER = PodShape(pod_anti_affinity=(PodTerm("zone", to_app("a")),))
SELECTORS = (
    to_app("a"),
    PodSelector(("team",), ()),
    PodSelector(("team", "other"), (Requirement("app", "NotIn", ("a",)),)),
    PodSelector((), (Requirement("batch.kubernetes.io/job-completion-index", "In", ("0",)),), ()),
    PodSelector((), (), (Requirement("org", "In", ("y",)),)),
)


@dataclass
class Placed:
    """The pods, plainly."""

    pods: dict[PodUid, tuple[NodeName, PodIdentity | None, PodShape, bool]] = field(
        default_factory=dict
    )

    def count(self, selector: PodSelector, *, ending: bool) -> Counter[NodeName]:
        """How many pods on each node the selector selects."""
        names = {*selector.namespaces, *(["other"] if selector.namespace_selector else [])}
        every = selector.namespace_selector == ()
        return Counter(
            node
            for node, who, _, goes in self.pods.values()
            if who is not None
            and (ending or not goes)
            and (every or who.namespace in names)
            and all(_meets(who, one) for one in selector.labels or ())
        )

    def keepers(self, *, ending: bool) -> set[NodeName]:
        """Nodes of pods that keep app a away."""
        return {
            node
            for node, _, shape, goes in self.pods.values()
            if shape is KEEPER and (ending or not goes)
        }


def _meets(who: PodIdentity, one: Requirement) -> bool:
    value = who.all_labels().get(one.key)
    return value in one.values if one.operator == "In" else value not in one.values


class PlacedPodsMachine(RuleBasedStateMachine):
    """Pods come, change and go; snapshots are kept and asked again later."""

    def __init__(self) -> None:
        super().__init__()
        self.table = NodeTable(scheduler_name=OURS)
        for name in NODES:
            self.table.upsert(a_node(name, labels={"zone": name}))
        self.table.set_namespace("team", {"org": "x"})
        self.table.set_namespace("other", {"org": "y"})
        self.placed = Placed()
        self.kept: list[tuple[Snapshot, Placed]] = []

    @rule(
        pod=clusters.pods,
        node=st.sampled_from(NODES),
        who=st.none() | clusters.identities,
        keeps=st.booleans(),
        ending=st.booleans(),
    )
    def occupy(
        self, pod: PodUid, node: NodeName, who: PodIdentity | None, keeps: bool, ending: bool
    ) -> None:
        """A pod comes, moves, or is somebody else now."""
        shape = KEEPER if keeps else PodShape()
        self.table.occupy(pod, node, shape, identity=who, ending=ending)
        self.placed.pods[pod] = (node, who, shape, ending)

    @rule(pod=clusters.pods)
    def vacate(self, pod: PodUid) -> None:
        """A pod goes, if it is there."""
        self.table.vacate(pod)
        self.placed.pods.pop(pod, None)

    @rule()
    def keep(self) -> None:
        """A reader keeps a snapshot."""
        self.kept.append((self.table.snapshot(), Placed(dict(self.placed.pods))))

    @invariant()
    def answers_are_those_of_their_time(self) -> None:
        """By the pods as they were when the snapshot was taken."""
        for snapshot, placed in [*self.kept[-2:], (self.table.snapshot(), self.placed)]:
            for ending in (True, False):
                for selector in SELECTORS:
                    counts = pod_selectors.placed(snapshot, [selector], ending=ending)
                    expected = placed.count(selector, ending=ending)
                    assert [int(counts[snapshot.row(name)]) for name in NODES] == [
                        expected[name] for name in NODES
                    ]
                away = pod_selectors.keeping_away(snapshot, app("a"), ending=ending)
                rows = [int(row) for rows in away.values() for row in rows]
                assert {snapshot.names[row] for row in rows} == placed.keepers(ending=ending)


TestPlacedPods = PlacedPodsMachine.TestCase


def test_who_has_gone_is_forgotten() -> None:
    """10,000 different pods, one after the other, leave nothing behind, and are told apart."""
    table = NodeTable(scheduler_name=OURS)
    table.upsert(a_node("n0"))
    for number in range(10_000):
        who = PodIdentity.of("team", {"app": f"a{number}"})
        table.occupy(PodUid("p"), NodeName("n0"), PodShape(), identity=who)
        if number % 100 == 0:
            snapshot = table.snapshot()
            for name, count in ((f"a{number}", 1), (f"a{number - 1}", 0)):
                assert pod_selectors.placed(snapshot, [to_app(name)], ending=True).sum() == count
            assert len(snapshot.placed.templates.values) < 2_200


def test_a_change_of_labels_frees_no_room() -> None:
    """The pod stays where it is, so nobody is told to look for room until somebody ends it."""
    table = NodeTable(scheduler_name=OURS)
    table.upsert(a_node("n0"))
    table.occupy(PodUid("p"), NodeName("n0"), PodShape(), identity=app("a"))
    first = table.snapshot()
    assert table.snapshot() is first
    table.occupy(PodUid("p"), NodeName("n0"), PodShape(), identity=app("a"))
    assert table.snapshot() is first
    table.occupy(PodUid("p"), NodeName("n0"), PodShape(), identity=app("b"))
    assert not table.freed
    table.occupy(PodUid("p"), NodeName("n0"), PodShape(), identity=app("b"), ending=True)
    assert table.freed == {"n0"}
    assert pod_selectors.placed(table.snapshot(), [to_app("b")], ending=True).sum() == 1
    assert pod_selectors.placed(table.snapshot(), [to_app("b")], ending=False).sum() == 0


def test_a_pod_of_a_node_that_comes_later_is_somebody_then() -> None:
    """It waits with its identity."""
    table = NodeTable(scheduler_name=OURS)
    table.occupy(PodUid("p"), NodeName("n0"), KEEPER, identity=app("b"), ending=True)
    table.upsert(a_node("n0"))
    snapshot = table.snapshot()
    assert pod_selectors.placed(snapshot, [to_app("b")], ending=True).sum() == 1
    assert pod_selectors.keeping_away(snapshot, app("a"), ending=True)
    assert not pod_selectors.keeping_away(snapshot, app("a"), ending=False)


def test_namespaces_are_followed() -> None:
    """A namespace that gets a label is selected from then on; a snapshot keeps what it had."""
    table = NodeTable(scheduler_name=OURS)
    table.upsert(a_node("n0"))
    table.occupy(PodUid("p"), NodeName("n0"), PodShape(), identity=app("a", "other"))
    selector = PodSelector((), (), (Requirement("org", "In", ("y",)),))
    found = []
    for labels in ({}, {"org": "y"}, {"org": "z"}):
        table.set_namespace("other", labels)
        found.append(table.snapshot())
    table.remove_namespace("other")
    found.append(table.snapshot())
    counts = [int(pod_selectors.placed(one, [selector], ending=True).sum()) for one in found]
    assert counts == [0, 1, 0, 0]
