"""The writer: any order of news, stable rows, snapshots that never change."""

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from bridge.model.ids import NodeName, PodUid
from bridge.model.node import Node
from bridge.model.resources import Resources
from bridge.model.scheduling import HostPort, PodShape
from bridge.placement.filters import feasible
from bridge.placement.table import NodeTable, Snapshot
from bridge.placement.table.amounts import FIXED
from tests.builders import a_node
from tests.unit.placement import clusters
from tests.unit.placement.oracle import OURS, Cluster

PROBE = PodShape(requests=Resources(cpu_milli=500, extended=((clusters.GPU, 1),)))
"""Asked of every snapshot, then and later."""


def content(snapshot: Snapshot) -> dict[str, object]:
    """All that a snapshot says, free of row numbers."""
    rows = {str(name): row for row, name in enumerate(snapshot.names) if name}
    lines = sorted(snapshot.resources.items())
    layout = snapshot.layout
    return {
        name: (
            bool(layout.alive[row]),
            {key: int(snapshot.allocatable[line, row]) for key, line in lines},
            {key: int(snapshot.used[line, row]) for key, line in lines},
            {key: int(snapshot.daemon_used[line, row]) for key, line in lines},
            {key: int(snapshot.staying[line, row]) for key, line in lines},
            {key: int(snapshot.lasting[line, row]) for key, line in lines},
            int(feasible(snapshot, PROBE, now=True).first_failure[row]),
        )
        for name, row in rows.items()
    } | {"pods": sorted(snapshot.pods)}


class AnyNews(RuleBasedStateMachine):
    """News of nodes and pods in any order, snapshots taken in between."""

    taken: Bundle[tuple[Snapshot, dict[str, object]]] = Bundle("taken")

    @initialize()
    def start(self) -> None:
        self.table = clusters.a_table()
        self.cluster = Cluster()

    @rule(node=clusters.nodes)
    def upsert(self, node: Node) -> None:
        self.table.upsert(node)
        self.cluster.nodes[node.name] = node

    @rule(name=clusters.names)
    def remove(self, name: NodeName) -> None:
        self.table.remove(name)
        self.cluster.nodes.pop(name, None)

    @rule(
        pod=clusters.pods, name=clusters.names, shape=clusters.shapes,
        daemon=st.booleans(), ending=st.booleans(),
    )  # fmt: skip
    def occupy(
        self, pod: PodUid, name: NodeName, shape: PodShape, daemon: bool, ending: bool
    ) -> None:
        self.table.occupy(pod, name, shape, daemon=daemon, ending=ending)
        self.cluster.pods[pod] = (name, shape, daemon)

    @rule(pod=clusters.pods)
    def vacate(self, pod: PodUid) -> None:
        self.table.vacate(pod)
        self.cluster.pods.pop(pod, None)

    @rule(target=taken)
    def take(self) -> tuple[Snapshot, dict[str, object]]:
        snapshot = self.table.snapshot()
        return snapshot, content(snapshot)

    @rule(kept=taken)
    def look_again(self, kept: tuple[Snapshot, dict[str, object]]) -> None:
        """A snapshot says for ever what it said when it was taken."""
        snapshot, first_content = kept
        assert content(snapshot) == first_content

    @invariant()
    def says_what_the_oracle_says(self) -> None:
        """Feasibility never depends on the order of the news."""
        snapshot = self.table.snapshot()
        assert set(snapshot.names[snapshot.layout.alive]) == self.cluster.nodes.keys()
        answer = feasible(snapshot, PROBE, now=True)
        fits = {n for n in self.cluster.nodes if self.cluster.failure(n, PROBE, now=True) == "FITS"}
        assert set(answer.names()) == fits

    def teardown(self) -> None:
        """What comes and goes leaves nothing behind."""
        for pod in list(self.cluster.pods):
            self.table.vacate(pod)
        for name in list(self.cluster.nodes):
            self.table.remove(name)
        empty = self.table.snapshot()
        assert not empty.used.any()
        assert not empty.daemon_used.any()
        assert not empty.allocatable.any()
        assert not len(empty.pods)
        assert not len(empty.layout.row_of)
        assert not empty.ports
        assert set(empty.names) <= {""}


TestAnyNews = AnyNews.TestCase
TestAnyNews.settings = settings(max_examples=60, stateful_step_count=30)


def table() -> NodeTable:
    """An empty one."""
    return NodeTable(scheduler_name=OURS)


def test_nothing_new_is_the_same_snapshot() -> None:
    """A heartbeat that changes nothing makes no new generation."""
    nodes = table()
    nodes.upsert(a_node("n"))
    before = nodes.snapshot()
    nodes.upsert(replace(a_node("n"), resource_version="2"))
    nodes.occupy(PodUid("p"), NodeName("n"), PodShape())
    nodes.vacate(PodUid("p"))
    assert nodes.snapshot() is not before
    before = nodes.snapshot()
    nodes.upsert(replace(a_node("n"), resource_version="3"))
    nodes.vacate(PodUid("unknown"))
    nodes.remove(NodeName("unknown"))
    assert nodes.snapshot() is before


def test_pods_alone_leave_the_layout_as_it_is() -> None:
    """What was computed from labels and taints survives a bound pod."""
    nodes = table()
    nodes.upsert(a_node("n"))
    before = nodes.snapshot()
    nodes.occupy(PodUid("p"), NodeName("n"), PodShape())
    after = nodes.snapshot()
    assert after is not before
    assert after.layout is before.layout


def test_nodes_that_only_pods_name_leave_the_table_as_it_is() -> None:
    """Whoever may create a pod may write any node into it: no row, and nothing is computed anew."""
    nodes = table()
    nodes.upsert(a_node("n"))
    before = nodes.snapshot()
    for number in range(200):
        nodes.occupy(PodUid(f"p{number}"), NodeName(f"ghost-{number}"), PROBE)
    assert nodes.snapshot() is before
    for number in range(199):
        nodes.vacate(PodUid(f"p{number}"))
    for name in ("ghost-198", "ghost-199"):
        nodes.upsert(a_node(name))
    after = nodes.snapshot()
    rows = [after.row(NodeName(name)) for name in ("ghost-198", "ghost-199")]
    assert after.used[FIXED["cpu"], rows].tolist() == [0, 500]


def test_a_pod_that_moves_holds_only_its_new_node() -> None:
    """The same pod with the same shape on another node, or now as a daemon pod, is held once."""
    nodes = table()
    shape = PodShape(requests=Resources(cpu_milli=1000))
    for name in ("a", "b"):
        nodes.upsert(a_node(name))
    for name, daemon in (("a", False), ("b", False), ("b", True)):
        nodes.occupy(PodUid("p"), NodeName(name), shape, daemon=daemon)
    snapshot = nodes.snapshot()
    a, b = snapshot.row(NodeName("a")), snapshot.row(NodeName("b"))
    assert snapshot.used[FIXED["cpu"], [a, b]].tolist() == [0, 1000]
    assert snapshot.daemon_used[FIXED["cpu"], [a, b]].tolist() == [0, 1000]


def test_rows_stay_while_others_come_and_go() -> None:
    """A node keeps its row; a freed row is used again."""
    nodes = table()
    for name in ("a", "b", "c"):
        nodes.upsert(a_node(name))
    row = nodes.snapshot().row(NodeName("c"))
    nodes.remove(NodeName("a"))
    nodes.upsert(a_node("d"))
    after = nodes.snapshot()
    assert after.row(NodeName("c")) == row
    assert after.row(NodeName("d")) == 0
    assert after.row(NodeName("a")) == -1


def test_a_cluster_that_shrank_is_scanned_no_longer_than_needed() -> None:
    """Free rows at the end are given up, and used again without ever doubling a row."""
    nodes = table()
    for number in range(300):
        nodes.upsert(a_node(f"n{number}"))
    for number in range(20, 300):
        nodes.remove(NodeName(f"n{number}"))
    assert nodes.snapshot().size == 20
    nodes.remove(NodeName("n3"))
    for number in range(300, 400):
        nodes.upsert(a_node(f"n{number}"))
    grown = nodes.snapshot()
    assert grown.size == 119
    assert sorted(grown.names) == sorted({*(f"n{n}" for n in range(20)), *(
        f"n{n}" for n in range(300, 400))} - {"n3"})  # fmt: skip


def test_growth_keeps_everything() -> None:
    """A thousand nodes and a new resource later, the first node is as it was."""
    nodes = table()
    nodes.upsert(a_node("first", gpu=3))
    nodes.occupy(PodUid("p"), NodeName("first"), PodShape(requests=Resources(cpu_milli=1500)))
    early = nodes.snapshot()
    for number in range(1000):
        nodes.upsert(a_node(f"n{number}", labels={"zone": f"z{number % 90}"}))
    rare = Resources(extended=(("example.com/rare", 2),))
    nodes.upsert(replace(a_node("last"), allocatable=rare))
    late = nodes.snapshot()
    for snapshot in (early, late):
        row = snapshot.row(NodeName("first"))
        assert snapshot.allocatable[snapshot.resources["nvidia.com/gpu"], row] == 3
        assert snapshot.used[FIXED["cpu"], row] == 1500
    assert feasible(late, PodShape(requests=rare), now=True).names() == ["last"]
    assert early.size < 100


def test_a_copy_is_used_again_only_when_nobody_looks_at_it() -> None:
    """Snapshots that are still held stay as they are; dropped ones cost no new memory."""
    nodes = table()
    for number in range(2000):
        nodes.upsert(a_node(f"n{number}"))
    held = [nodes.snapshot()]
    columns = [held[0].used[0]]
    for number in range(20):
        nodes.occupy(PodUid(f"p{number}"), NodeName("n7"), PodShape(requests=Resources(1000)))
        snapshot = nodes.snapshot()
        if number % 5 == 0:
            held.append(snapshot)
            columns.append(snapshot.used[0])
    row = snapshot.row(NodeName("n7"))
    assert [int(snapshot.used[0, row]) for snapshot in held] == [0, 1000, 6000, 11000, 16000]
    del held
    nodes.occupy(PodUid("later"), NodeName("n7"), PodShape(requests=Resources(1000)))
    assert int(nodes.snapshot().used[0, row]) == 21000
    assert [int(column[row]) for column in columns] == [0, 1000, 6000, 11000, 16000]


def test_copies_are_brought_up_to_date_not_made_anew() -> None:
    """With one reader that always takes the newest, two blocks of memory take turns."""
    nodes = table()
    for number in range(100):
        nodes.upsert(a_node(f"n{number}"))
    blocks = set()
    newest = nodes.snapshot()
    for number in range(50):
        nodes.occupy(PodUid(f"p{number}"), NodeName(f"n{number}"), PodShape())
        newest = nodes.snapshot()
        blocks.add(newest.used.__array_interface__["data"][0])
    assert int(newest.used[FIXED["pods"]].sum()) == 50
    assert len(blocks) <= 2


def test_snapshots_are_read_only() -> None:
    """A reader that writes is told so at once."""
    nodes = table()
    nodes.upsert(a_node("n"))
    snapshot = nodes.snapshot()
    for array in (snapshot.used, snapshot.allocatable, snapshot.layout.ready, snapshot.names):
        assert not array.flags.writeable


def test_a_port_is_free_again_when_its_last_holder_is_gone() -> None:
    """Ports are counted: pods that came past the scheduler may hold one twice."""
    nodes = table()
    nodes.upsert(a_node("n"))
    shape = PodShape(host_ports=(HostPort(80),))
    for pod in ("p", "q"):
        nodes.occupy(PodUid(pod), NodeName("n"), shape)
    free = []
    for pod in ("p", "q"):
        nodes.vacate(PodUid(pod))
        free.append(bool(feasible(nodes.snapshot(), shape, now=True).mask.any()))
    assert free == [False, True]
