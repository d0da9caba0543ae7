"""The placement core on a ladder of cluster sizes, beside a plain loop over objects.

Floors: filter and score of one shape at 15,000 nodes at least 20 times as fast as the same
predicates in a plain loop; ten times the nodes at most 12 times the time, and not one step of the
interpreter more; at most 1 KiB of memory a node; updating a node, or binding a pod, costs the same
at 100 and at 50,000. Times are processor time, so that other processes on the machine do not
count, printed beside their budgets.

    python -m bench.placement
"""

import argparse
import gc
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from bench import clusters, plain
from bench.report import Report
from bench.steps import steps
from bench.timing import interleaved
from bridge.model.gang import Assignment, Gang
from bridge.model.ids import GangId, NodeName, PodUid, SlurmJobId, SlurmNodeName
from bridge.model.job import Allocation, Gres, NodeGrant
from bridge.model.pod_identity import PodIdentity
from bridge.model.resources import Resources
from bridge.model.scheduling import PodShape
from bridge.placement.filters import check_node, feasible, uncounted
from bridge.placement.filters.classes import classes, feasible_classes
from bridge.placement.fit.assign import assign
from bridge.placement.score import score_rows
from bridge.placement.table import NodeTable, Snapshot
from bridge.placement.table.interning import Memo

SIZES = (100, 1_000, 5_000, 15_000, 50_000)
GANGS = (1, 64, 512, 4_096)
PER_NODE = 4
PLAIN_UP_TO = 15_000
"""Nodes; beyond that the plain loop takes seconds a call."""
LEADER = replace(clusters.SHAPE, requests=Resources(cpu_milli=2000, memory_bytes=8 << 30))
"""The first of each eight ranks, where a gang has two shapes."""
MAP = {clusters.GPU: "gpu", clusters.EFA: "efa"}

BUDGET_QUERY_MS = 1.0
BUDGET_GANG_MS = 5.0
"""Architecture §8: filter and score of a shape; placing a gang of 512 (both at 15,000 nodes)."""
BUDGET_TERMS_MS = 5.0
"""Filter of a shape with terms about other pods, at 15,000 nodes and 50,000 pods."""


def main() -> int:
    """Run the ladder; 1 when a floor is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    report = Report("placement", arguments.seed)
    for size in SIZES:
        cluster = clusters.a_cluster(size, seed=arguments.seed)
        _queries(report, cluster, arguments.repeats)
        _gangs(report, cluster, arguments.repeats)
    _other_pods(report, arguments.seed, arguments.repeats)
    _growth(report, arguments.seed, arguments.repeats)
    _updates(report, arguments.seed, arguments.repeats)
    _memory(report, arguments.seed)
    return report.finish()


def _filter_and_score(snapshot: Snapshot, near: Sequence[NodeName]) -> Callable[[], object]:
    """What the extender does for one shape, as one call."""
    near_rows = snapshot.rows(near)

    def query() -> object:
        rows = np.flatnonzero(feasible(snapshot, clusters.SHAPE, now=True).mask)
        return score_rows(snapshot, clusters.SHAPE, rows, near=near_rows)

    return query


def _queries(report: Report, cluster: clusters.Cluster, repeats: int) -> None:
    """Filter and score: ours and the plain loop, in turns; and the smaller questions."""
    size, snapshot, naive = len(cluster.nodes), cluster.table().snapshot(), plain.Loop(cluster)
    near = [node.name for node in cluster.nodes[:8]]
    shape, ours = clusters.SHAPE, _filter_and_score(snapshot, near)
    _agree(snapshot, naive)

    def ours_cold() -> object:
        layout = replace(snapshot.layout, memo=Memo())
        return _filter_and_score(replace(snapshot, layout=layout), near)()

    candidates: dict[str, Callable[[], object]] = {
        "filter+score": ours,
        "filter+score, labels new": ours_cold,
        "check one node": partial(check_node, snapshot, shape, near[0]),
        "classes of a shape": partial(feasible_classes, snapshot, shape),
        "full nodes of a shape": partial(
            uncounted.full, snapshot, shape, classes(snapshot).keys(), (), resource_map=MAP
        ),
    }
    if size <= PLAIN_UP_TO:
        candidates["plain"] = partial(naive.filter_and_score, shape, near)
    times = interleaved(candidates, repeats=repeats, clock=time.process_time)
    faster = times.ratio("plain", "filter+score") if size <= PLAIN_UP_TO else None
    for what in candidates:
        first = what == "filter+score"
        if what != "plain":
            report.row(
                what=what, nodes=size, gang=None, ms=times[what] * 1e3,
                plain_ms=times["plain"] * 1e3 if first and faster else None,
                times_faster=faster if first else None,
                budget_ms=BUDGET_QUERY_MS if first and size == 15_000 else None,
            )  # fmt: skip
    if faster and size == 15_000:
        report.at_least("filter+score against a plain loop, 15k nodes", faster, 20, "x")


def _growth(report: Report, seed: int, repeats: int) -> None:
    """Ten times the nodes, in turns."""
    queries = {}
    for size in (5_000, 50_000):
        cluster = clusters.a_cluster(size, seed=seed)
        near = [node.name for node in cluster.nodes[:8]]
        queries[str(size)] = _filter_and_score(cluster.table().snapshot(), near)
    times = interleaved(queries, repeats=repeats, clock=time.process_time)
    growth = times.ratio("50000", "5000")
    report.at_most("filter+score: time(50k) / time(5k)", growth, 12, "x")
    counts = {size: steps(query) for size, query in queries.items()}
    report.row(what="filter+score, steps of Python", nodes=5_000, steps=counts["5000"])
    report.row(what="filter+score, steps of Python", nodes=50_000, steps=counts["50000"])
    more = counts["50000"] - counts["5000"]
    report.at_most("filter+score: steps of Python, 50k less 5k nodes", more, 0, "steps")


def _agree(snapshot: Snapshot, naive: plain.Loop) -> None:
    """Both sides must give the same answer, or their times compare nothing."""
    ours = set(feasible(snapshot, clusters.SHAPE, now=True).names())
    theirs = {name for name, _ in naive.filter_and_score(clusters.SHAPE, [])}
    if ours != theirs:
        raise SystemExit(f"the plain loop disagrees on {len(ours ^ theirs)} nodes")


def _gangs(report: Report, cluster: clusters.Cluster, repeats: int) -> None:
    """Placing gangs on free nodes, ours and slot by slot; and gangs of two shapes."""
    snapshot = _without_pods(cluster).table().snapshot()
    free = [NodeName(name) for name in sorted(feasible(snapshot, clusters.SHAPE, now=True).names())]
    known = {SlurmNodeName(name): name for name in free}
    by_name = {node.name: node for node in cluster.nodes}
    for size in GANGS:
        grants = tuple(
            NodeGrant(
                SlurmNodeName(name), 192, 2000 << 10, (Gres("gpu", "h100", 8), Gres("efa", "", 32))
            )
            for name in free[: -(-size // PER_NODE)]
        )
        if len(grants) * PER_NODE < size:
            break
        gang = Gang(GangId("g"), "team", "Job", "train", size, clusters.SHAPE)
        place = partial(
            assign, snapshot, Allocation(SlurmJobId(1), grants), gang,
            by_slurm_name=known, resource_map=MAP,
        )  # fmt: skip
        leaders = [LEADER if rank % 8 == 0 else clusters.SHAPE for rank in range(size)]
        candidates: dict[str, Callable[[], object]] = {
            "ours": place,
            "mixed": partial(place, shapes=leaders),
            "plain": partial(
                plain.deal, by_name, Allocation(SlurmJobId(1), grants), gang, known, PER_NODE
            ),
        }
        for name in ("ours", "mixed"):
            if not isinstance(result := candidates[name](), Assignment):
                raise SystemExit(f"the gang of {size} should fit: {result}")
        times = interleaved(candidates, repeats=repeats, clock=time.process_time)
        report.row(
            what="place a gang", nodes=len(cluster.nodes), gang=size, ms=times["ours"] * 1e3,
            plain_ms=times["plain"] * 1e3, times_faster=times.ratio("plain", "ours"),
            budget_ms=BUDGET_GANG_MS if (size, len(cluster.nodes)) == (512, 15_000) else None,
        )  # fmt: skip
        report.row(
            what="place a gang of two shapes", nodes=len(cluster.nodes), gang=size,
            ms=times["mixed"] * 1e3,
        )  # fmt: skip


def _other_pods(report: Report, seed: int, repeats: int) -> None:
    """Terms about other pods at 15,000 nodes and 50,000 pods of 500 apps: the filter beside the
    same one without terms, cold (a pod has come since) and with a selector that nobody has asked
    about; and gangs whose pods keep apart or are spread.
    """
    cluster = clusters.a_cluster(15_000, seed=seed)
    table = clusters.populated(cluster, pods=50_000)
    snapshot, who = table.snapshot(), clusters.an_app(7)
    shapes = {
        "filter": clusters.SHAPE,
        "filter with anti-affinity": clusters.APART,
        "filter with spread": clusters.SPREAD,
    }
    numbers = iter(range(10**9))

    def fresh(shape: PodShape, identity: PodIdentity | None) -> object:
        return feasible(replace(snapshot), shape, now=True, identity=identity).mask

    def new_selector() -> object:
        return fresh(clusters.apart_from(f"new-{next(numbers)}"), who)

    candidates: dict[str, Callable[[], object]] = {
        what: partial(fresh, shape, None if what == "filter" else who)
        for what, shape in shapes.items()
    }
    candidates["filter with a new selector"] = new_selector
    times = interleaved(candidates, repeats=repeats, clock=time.process_time)
    for what in candidates:
        report.row(
            what=f"{what}, 50k pods", nodes=15_000, ms=times[what] * 1e3,
            budget_ms=BUDGET_TERMS_MS if what != "filter" else None,
        )  # fmt: skip
    for what in ("filter with anti-affinity", "filter with spread"):
        report.at_most(f"{what} against without, 15k nodes", times.ratio(what, "filter"), 10, "x")
    _spread_gangs(report, snapshot, repeats)


def _spread_gangs(report: Report, snapshot: Snapshot, repeats: int) -> None:
    """512 nodes without pods, 384 pods of an app: one to a node, and spread."""
    fits = feasible(snapshot, clusters.SHAPE, now=True).mask
    empty = fits & (snapshot.used.sum(axis=0) == 0)
    free = [NodeName(name) for name in snapshot.names[empty][:512]]
    known = {SlurmNodeName(name): name for name in free}
    grants = tuple(
        NodeGrant(
            SlurmNodeName(name), 192, 2000 << 10, (Gres("gpu", "h100", 8), Gres("efa", "", 32))
        )
        for name in free
    )
    for what, shape in clusters.kept_apart("new").items():
        gang = Gang(
            GangId("g"), "team", "Job", "train", 384, shape, identity=clusters.an_app_named("new")
        )
        place = partial(
            assign, snapshot, Allocation(SlurmJobId(1), grants), gang,
            by_slurm_name=known, resource_map=MAP,
        )  # fmt: skip
        if not isinstance(result := place(), Assignment):
            raise SystemExit(f"the gang {what} should fit: {result}")
        times = interleaved({"place": place}, repeats=repeats, clock=time.process_time)
        report.row(what=f"place a gang {what}", nodes=15_000, gang=384, ms=times["place"] * 1e3)


def _without_pods(cluster: clusters.Cluster) -> clusters.Cluster:
    """The cluster without pods."""
    return replace(cluster, pods={})


def _updates(report: Report, seed: int, repeats: int) -> None:
    """One changed node, and one bound pod, each with its snapshot, at both ends of the ladder."""
    ends = {}
    for size in (SIZES[0], SIZES[-1]):
        cluster = clusters.a_cluster(size, seed=seed)
        table = cluster.table()
        ends[size] = (_change_node(table, cluster), _bind_pod(table, cluster))
    for index, what in enumerate(("update a node, snapshot", "bind a pod, snapshot")):
        times = interleaved(
            {str(size): steps[index] for size, steps in ends.items()},
            repeats=repeats,
            clock=time.process_time,
        )
        for size in ends:
            report.row(what=what, nodes=size, ms=times[str(size)] * 1e3)
        growth = times.ratio(str(SIZES[-1]), str(SIZES[0]))
        report.at_most(f"{what}: 50k against 100 nodes", growth, 1.5, "x")


def _change_node(table: NodeTable, cluster: clusters.Cluster) -> Callable[[], object]:
    node = cluster.nodes[7]
    states = [replace(node, unschedulable=True), replace(node, allocatable=node.allocatable)]
    newest = [table.snapshot()]

    def step() -> None:
        states.reverse()
        table.upsert(states[0])
        newest[0] = table.snapshot()

    return step


def _bind_pod(table: NodeTable, cluster: clusters.Cluster) -> Callable[[], object]:
    node = cluster.nodes[11].name
    newest = [table.snapshot()]

    def step() -> None:
        table.occupy(PodUid("new"), node, clusters.SHAPE)
        newest[0] = table.snapshot()
        table.vacate(PodUid("new"))

    return step


def _memory(report: Report, seed: int) -> None:
    """What the table and its snapshots take beside the nodes' and pods' own rows."""
    for size in SIZES[-2:]:
        cluster = clusters.a_cluster(size, seed=seed)
        nodes_only = _bytes(partial(_build, _without_pods(cluster)))
        report.row(what="memory, bytes a node", nodes=size, bytes=nodes_only / size)
        everything = _bytes(partial(_build, cluster))
        per_pod = (everything - nodes_only) / len(cluster.pods)
        report.row(what="memory, bytes a pod", nodes=size, bytes=per_pod)
        if size == 15_000:
            report.at_most("memory a node, 15k nodes", nodes_only / size, 1024, "B")


def _build(cluster: clusters.Cluster) -> object:
    """A table in use: a reader holds one snapshot while the next one is taken."""
    table = cluster.table()
    held = table.snapshot()
    feasible(held, clusters.SHAPE, now=True)
    table.occupy(PodUid("new"), cluster.nodes[0].name, clusters.SHAPE)
    return table, held, table.snapshot()


def _bytes(build: Callable[[], object]) -> int:
    gc.collect()
    tracemalloc.start()
    kept = build()
    gc.collect()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del kept
    return size


if __name__ == "__main__":
    raise SystemExit(main())
