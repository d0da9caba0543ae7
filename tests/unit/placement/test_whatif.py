"""What if: against the oracle's cluster after the same changes."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.model.ids import NodeName, PodUid
from bridge.model.scheduling import HostPort, PodShape
from bridge.placement import NodeTable, feasible, slots, what_if
from bridge.placement.failures import Predicate
from tests.builders import a_node
from tests.unit.placement import clusters, oracle
from tests.unit.placement.oracle import OURS, Cluster
from tests.unit.placement.test_table import content


@given(
    clusters.clusters(),
    clusters.shapes,
    st.sets(clusters.pods),
    st.sets(clusters.names, max_size=2),
    st.sets(clusters.names, max_size=2),
)
def test_a_supposed_cluster_answers_like_a_real_one(
    cluster: Cluster,
    shape: PodShape,
    ended: set[PodUid],
    back: set[NodeName],
    drained: set[NodeName],
) -> None:
    """Ended pods, returned and drained nodes: every first failure as if it had happened."""
    now = clusters.table_of(cluster).snapshot()
    before = content(now)
    supposed = what_if(now, ended=ended, back=back, drained=drained)
    real = oracle.without(cluster, pods=ended)
    for name in back & cluster.nodes.keys():
        taints = cluster.nodes[name].taints
        kept = tuple(t for t in taints if not t.key.startswith(("node.kub", "karpenter.sh/")))
        real = oracle.changed(real, name, ready=True, unschedulable=False, taints=kept)
    for name in drained & cluster.nodes.keys():
        real = oracle.changed(real, name, unschedulable=True)
    found = feasible(supposed, shape, now=True)
    counts = slots(supposed, shape)
    for name in cluster.nodes:
        row = supposed.row(name)
        assert Predicate(found.first_failure[row]).name == real.failure(name, shape, now=True)
        assert counts[row] == oracle.how_many(real, name, shape)
    on_nodes = {uid for uid, (node, *_) in real.pods.items() if node in real.nodes}
    assert set(supposed.pods) == on_nodes
    assert len(supposed.pods) == len(on_nodes)
    assert content(now) == before


def test_a_port_held_twice_needs_both_pods_gone() -> None:
    """Supposing one of two holders gone does not free the port."""
    table = NodeTable(scheduler_name=OURS)
    table.upsert(a_node("n"))
    shape = PodShape(host_ports=(HostPort(80),))
    for pod in ("p", "q"):
        table.occupy(PodUid(pod), NodeName("n"), shape)
    snapshot = table.snapshot()
    one = what_if(snapshot, ended=[PodUid("p")])
    both = what_if(snapshot, ended=[PodUid("p"), PodUid("q")])
    assert [slots(each, shape).sum() for each in (snapshot, one, both)] == [0, 0, 1]


def test_nothing_supposed_shares_everything() -> None:
    """An empty supposition copies no column."""
    table = NodeTable(scheduler_name=OURS)
    table.upsert(a_node("n"))
    snapshot = table.snapshot()
    same = what_if(snapshot)
    assert same.used is snapshot.used
    assert same.layout is snapshot.layout
