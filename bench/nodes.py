"""How Slurm follows Kubernetes' nodes on the real stack, and what that costs at rest.

For each number of nodes (kwok's, with GPUs): how long a bridge takes from its start until all of
them are registered, and until they keep other pods off; how much processor time that takes; what it
asks of Slurm while nothing changes, and how much processor time that takes; and how soon a change
on one side is answered on the other. In Kubernetes a node is cordoned: Slurm has it drained. In
Slurm an admin undrains a cordoned node: it is drained again.

The last rows are the plan alone, pure: a pass over nodes that are looked at for the first time,
and one over nodes of which none has changed.

    python -m bench.nodes --nodes 100 1000
"""

import argparse
import json
import re
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from bench import processors
from bench.ground import Ground, opened
from bench.report import OUT, Report
from bridge import names
from bridge.model.devices import ResourceMap
from bridge.model.ids import SlurmNodeName
from bridge.model.resources import Resources
from bridge.model.scheduling import Taint
from bridge.nodes import definition, plan
from bridge.nodes.settled import Settled
from bridge.slurm import SlurmNode
from tests.arena.api import wait_for
from tests.builders import SCHEDULER, a_node
from tests.e2e.stack.nodes import Pool

SEED = 15
_REST_S = 20.0
_TURNS = 5
_REGISTERED_S = 10.0
"""Within which 1,000 nodes have to be registered."""
_FOLLOWED_S = 2.0
_ASKED = re.compile(rb"operations_router: \S+ (GET|POST|DELETE) /slurm/v[0-9.]+/(\S*)")
_SCALE = 1000
_PURE = 15_000


def measure(ground: Ground, count: int, report: Report) -> float:
    """A row for so many nodes; returns the seconds until they were registered."""
    with _unregistered(ground, count) as wanted:
        ground.bridge.start(wait=False)
        wait_for(
            f"{count} nodes are registered",
            lambda: _registrations(ground, f"n{count}-") >= count,
            seconds=120,
            every_s=0.2,
        )
        registered_s = time.time() - _started_s(ground)
        wait_for(
            f"{count} nodes keep other pods off",
            lambda: wanted <= ground.registered(),
            seconds=120,
            every_s=2.0,
        )
        tainted_s = time.time() - _started_s(ground)
        used_s = processors.read(ground.pids()).used_s["bridge"]
        ground.bridge.wait_ready()
        time.sleep(3)
        asked, share = _at_rest(ground)
        changes = sum(times for (method, _), times in asked.items() if method != "GET")
        looks = asked["GET", "nodes/"]
        node = min(wanted)
        cordon_s, undrain_s = [], []
        for _ in range(_TURNS):
            _cordon(ground, node, True)
            cordon_s.append(_until(lambda: _is_drained(ground, node)))
            ground.slurm.http.post(f"/node/{node}", json={"state": ["UNDRAIN"]})
            undrain_s.append(_until(lambda: _is_drained(ground, node)))
            _cordon(ground, node, False)
            _until(lambda: not _is_drained(ground, node))
        report.row(
            nodes=count,
            registered_s=registered_s,
            tainted_s=tainted_s,
            bridge_ms_per_node=1000 * used_s / count,
            rest_looks_per_s=looks / _REST_S,
            rest_others_per_s=(sum(asked.values()) - looks) / _REST_S,
            rest_changes=changes,
            rest_core=share,
            cordon_s=statistics.median(cordon_s),
            undrained_s=statistics.median(undrain_s),
            slowest_s=max(*cordon_s, *undrain_s),
        )
        report.at_most(f"{count:,} nodes: changes at rest", changes, 0)
        report.at_most(f"{count:,} nodes: looks at rest", looks / _REST_S, 1.1, "1/s")
        slowest = max(statistics.median(cordon_s), statistics.median(undrain_s))
        report.at_most(f"{count:,} nodes: a change is followed", slowest, _FOLLOWED_S, "s")
    return registered_s


def _registrations(ground: Ground, prefix: str) -> int:
    """How many the bridge has told of: to list nodes as often would be a load on Slurm itself."""
    return sum(
        '"node.registered"' in line and f'"node": "{prefix}' in line
        for line in ground.bridge.log().splitlines()
    )


def _started_s(ground: Ground) -> float:
    """When the bridge began its work, by the clock on the wall: to start Python takes as long again
    on a busy machine."""
    lines = [line for line in ground.bridge.log().splitlines() if '"bridge.started"' in line]
    return datetime.fromisoformat(json.loads(lines[-1])["timestamp"]).timestamp()


@contextmanager
def _unregistered(ground: Ground, count: int) -> Iterator[set[str]]:
    """So many nodes, ready in Kubernetes while no bridge runs; they are gone again afterwards."""
    ground.bridge.stop()
    wanted = set(ground.stack.create_nodes(Pool(count=count, prefix=f"n{count}", efa=0, seed=SEED)))
    try:
        yield wanted
    finally:
        if not ground.bridge.running:
            ground.bridge.start()
        for name in wanted:
            ground.kubernetes.delete(f"/api/v1/nodes/{name}")
        wait_for(
            "they are gone from Slurm",
            lambda: not wanted & ground.slurm.nodes().keys(),
            seconds=180,
            every_s=0.5,
        )


def _at_rest(ground: Ground) -> tuple[Counter[tuple[str, str]], float]:
    """What Slurm is asked about nodes, and the share of a core that the bridge takes."""
    log = ground.stack.layout.log / "slurmrestd.log"
    size, before = log.stat().st_size, processors.read(ground.pids())
    time.sleep(_REST_S)
    used = processors.read(ground.pids()).since(before)
    with log.open("rb") as lines:
        lines.seek(size)
        found = _ASKED.findall(lines.read())
    asked = Counter((method.decode(), path.decode().partition("?")[0]) for method, path in found)
    about = ("node", "new/node", "partitions", "conf")
    return (
        Counter({key: times for key, times in asked.items() if key[1].startswith(about)}),
        used.used_s["bridge"] / _REST_S,
    )


def _until(holds: Callable[[], bool]) -> float:
    """Seconds until it holds."""
    started_s = time.monotonic()
    wait_for("it is followed", holds, seconds=60, every_s=0.02)
    return time.monotonic() - started_s


def _is_drained(ground: Ground, node: str) -> bool:
    shown = ground.slurm.http.get(f"/node/{node}").json()["nodes"]
    return "DRAIN" in shown[0]["state"]


def _cordon(ground: Ground, node: str, cordoned: bool) -> None:
    spec = {"unschedulable": cordoned or None}
    ground.kubernetes.patch(f"/api/v1/nodes/{node}", {"spec": spec})


def _best_of(call: Callable[[], None], times: int) -> float:
    """The shortest of so many, in seconds."""
    found = []
    for _ in range(times):
        started_s = time.perf_counter()
        call()
        found.append(time.perf_counter() - started_s)
    return min(found)


def measure_plan(report: Report) -> None:
    """The plan alone: a first pass, and one over nodes of which none has changed."""
    rules = definition.Rules(
        cluster="0123456789abcdef",
        topology="fabric:root",
        gpu_type_label="nvidia.com/gpu.product",
        resource_map=ResourceMap({"nvidia.com/gpu": "gpu"}),
    )
    nodes, slurm_nodes = {}, {}
    for number in range(_PURE):
        layers = {
            f"{names.AWS_NETWORK_LAYER_PREFIX}{level}": f"nn-{level}-{number >> 3 * (4 - level)}"
            for level in (1, 2, 3)
        }
        node = a_node(f"node-{number}", labels=layers, taints=(Taint.managed(SCHEDULER),))
        nodes[node.name] = node
        wanted = definition.define(node, node_class="class-x", others=Resources(), rules=rules)
        name = SlurmNodeName(node.name)
        slurm_nodes[name] = SlurmNode(
            name, frozenset({"IDLE", "EXTERNAL"}), address=wanted.address, cpus=wanted.cpus,
            memory_mib=wanted.memory_mib, gres=wanted.gres, topology=wanted.topology,
            features=tuple(sorted(wanted.features)),
        )  # fmt: skip
    classes = dict.fromkeys(nodes, "class-x")

    def one(settled: Settled) -> None:
        open_nodes, known = settled.unsettled(
            nodes, slurm_nodes, common=rules, of_node=lambda name, _: classes.get(name)
        )
        planned = plan.plan(
            nodes=open_nodes, slurm_nodes=known, classes=classes, others={}, rules=rules,
            scheduler_name=SCHEDULER, gres_names=frozenset({"gpu"}),
        )  # fmt: skip
        if planned:
            raise AssertionError(f"{planned[0]} is called for by nothing")
        settled.note(planned, nodes)

    first_s = _best_of(lambda: one(Settled()), 3)
    settled = Settled()
    one(settled)
    again_s = _best_of(lambda: one(settled), 5)
    report.row(nodes=_PURE, first_pass_s=first_s, pass_at_rest_s=again_s)
    report.at_least(f"{_PURE:,} nodes: first pass / pass at rest", first_s / again_s, 8)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--nodes", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--pure", action="store_true", help="the plan alone, without a stack")
    parser.add_argument("--stack", default="bench", help="its name; one that is up is used")
    parser.add_argument("--port-base", type=int, default=29000)
    return parser


def main() -> int:
    """Measure, show, write; 1 when a floor is missed."""
    options = _parser().parse_args()
    report = Report("nodes", SEED)
    if not options.pure:
        OUT.mkdir(parents=True, exist_ok=True)
        with opened(
            name=options.stack,
            port_base=options.port_base,
            pool=Pool(count=1, prefix="first", efa=0),
            log=OUT / "nodes-bridge.log",
            nodes={"topology": "fabric:root", "intervalS": 1},
        ) as ground:
            for count in options.nodes:
                registered_s = measure(ground, count, report)
                if count <= _SCALE:
                    report.at_most(f"{count:,} nodes: registered", registered_s, _REGISTERED_S, "s")
    measure_plan(report)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
