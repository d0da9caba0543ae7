"""From `kubectl create` to the pod's node on the real stack: ours beside the stock kube-scheduler.

Four works: a gang Job (Indexed, with a subdomain: one Slurm job), a Job of independent pods (one
Slurm job each), bare pods, and single pods one by one on an idle cluster. The stock kube-scheduler
gets the same objects, nodes and client QPS, in alternating rounds. Times are read by one watcher
on one monotonic clock, from before the create call to the watch event with nodeName (bindings).

All of it shares one machine's processors, and maybe with other work. So the row also has what a
pod costs in processor time by part (`bridge` to `slurm`, ms a pod), and in `others` the share of
the machine that went elsewhere. `seen` and `pinned` are medians of the way to the first watch
event and to the patch that pins; `ratio` is ours per stock in pods/s. Exits non-zero when anything
does not complete; floors come with the work on speed.

    python -m bench.e2e --pods 50 500 --rounds 3
"""

import argparse
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from bench import processors
from bench.bindings import Bindings, Marks
from bench.ground import OURS, STOCK, Ground, Side, opened
from bench.report import OUT, Report, Value
from tests.arena import manifests
from tests.arena.api import Object
from tests.e2e.stack.nodes import Pool

SEED = 9
ASKS = {"cpu": "4", "memory": "16Gi", "gpus": 1}
CONNECTIONS = 8
_PARTS = {
    "bridge": ("bridge",),
    "sched": ("kube-scheduler", "bridge-scheduler"),
    "api": ("kube-apiserver",),
    "etcd": ("etcd",),
    "kcm": ("kube-controller-manager",),
    "kwok": ("kwok",),
    "slurm": ("slurmctld", "slurmrestd"),
}
"""Column → processes."""


@dataclass(slots=True)
class Result:
    """One work of one round under one scheduler; `seconds` is what it took in all."""

    work: str
    side: str
    turn: int
    wanted: int
    seconds: float = 0.0
    seen_s: list[float] = field(default_factory=list)
    pinned_s: list[float] = field(default_factory=list)
    bound_s: list[float] = field(default_factory=list)
    used_s: dict[str, float] = field(default_factory=dict)
    capacity_s: float = 0.0
    elsewhere_s: float = 0.0

    @property
    def complete(self) -> bool:
        return len(self.bound_s) == self.wanted

    @property
    def pods_per_s(self) -> float:
        return len(self.bound_s) / self.seconds if self.seconds else 0.0

    def take(self, marks: Iterable[Marks], created_s: Callable[[str], float]) -> None:
        """Add pods; `created_s` tells when the one of that name was asked for."""
        for pod in marks:
            start_s = created_s(pod.name)
            self.seen_s.append(pod.seen_s - start_s)
            if pod.pinned_s is not None:
                self.pinned_s.append(pod.pinned_s - start_s)
            if pod.bound_s is not None:
                self.bound_s.append(pod.bound_s - start_s)

    def charge(self, used: processors.Reading, seconds: float, cpus: int) -> None:
        """Add time on the clock and of the processors."""
        self.seconds += seconds
        self.capacity_s += seconds * cpus
        self.elsewhere_s += used.elsewhere_s
        for name, amount in used.used_s.items():
            self.used_s[name] = self.used_s.get(name, 0.0) + amount


class Bench:
    """Measures one work after the other on one ground."""

    def __init__(self, ground: Ground, bindings: Bindings, *, seed: int, cpus: int) -> None:
        self._ground = ground
        self._bindings = bindings
        self._chooser = random.Random(seed)
        self._cpus = cpus
        self.results: list[Result] = []

    def warm(self, side: Side) -> None:
        """One pod of no account: connections are open and code is loaded afterwards."""
        self._singles(Result("warm", side.name, 0, 1), side, 1)

    def job(self, side: Side, turn: int, count: int, *, gang: bool) -> None:
        """A Job of `count` pods."""
        result = Result(f"{'gang' if gang else 'independent'} {count}", side.name, turn, count)
        manifest = manifests.job(
            result.work.replace(" ", "-"), side.namespace, count=count, gang=gang, **_asks(side)
        )
        self._timed(result, side, [manifest], timeout_s=60 + count / 5)
        self._end(result, side)

    def bare(self, side: Side, turn: int, count: int) -> None:
        """`count` pods without an owner, created over several connections."""
        result = Result(f"bare {count}", side.name, turn, count)
        pods = [_pod(f"bare-{number}", side) for number in range(count)]
        self._timed(result, side, pods, timeout_s=60 + count / 5)
        self._end(result, side)

    def singles(self, side: Side, turn: int, count: int) -> None:
        """Pod after pod, each on an idle cluster, at no fixed moment of anybody's period."""
        result = Result(f"single x{count}", side.name, turn, count)
        self._singles(result, side, count)
        self._end(result, side)

    def _singles(self, result: Result, side: Side, count: int) -> None:
        for number in range(count):
            time.sleep(self._chooser.uniform(0.0, 1.0))
            self._timed(result, side, [_pod(f"single-{number}", side)], timeout_s=60)
            self._ground.clear(side)

    def _timed(
        self, result: Result, side: Side, manifests: Sequence[Object], *, timeout_s: float
    ) -> None:
        self._bindings.begin(side.namespace)
        created_s: dict[str, float] = {}

        def create(manifest: Object) -> None:
            created_s[manifest["metadata"]["name"]] = time.monotonic()
            self._ground.kubernetes.create(manifest)

        before, start_s = processors.read(self._ground.pids()), time.monotonic()
        with ThreadPoolExecutor(CONNECTIONS) as connections:
            list(connections.map(create, manifests))
        wanted = result.wanted if len(manifests) == 1 and _is_job(manifests[0]) else len(manifests)
        self._bindings.wait_bound(side.namespace, wanted, timeout_s=timeout_s)
        marks = self._bindings.marks(side.namespace)
        used = processors.read(self._ground.pids()).since(before)
        end_s = max((pod.bound_s for pod in marks if pod.bound_s is not None), default=start_s)
        result.charge(used, end_s - min(created_s.values()), self._cpus)
        result.take(marks, lambda name: created_s.get(name, min(created_s.values())))

    def _end(self, result: Result, side: Side) -> None:
        self.results.append(result)
        print(
            f"round {result.turn + 1} {side.name:5} {result.work:16} "
            f"{len(result.bound_s)} of {result.wanted} in {result.seconds:.2f} s, "
            f"{result.pods_per_s:.1f}/s, elsewhere {result.elsewhere_s / result.capacity_s:.0%}",
            file=sys.stderr,
        )
        if not result.complete:
            for pod in self._ground.kubernetes.pods(side.namespace)[:400]:
                if not pod["spec"].get("nodeName"):
                    print(f"  unbound: {_state(pod)}", file=sys.stderr)
                    break
        self._ground.clear(side)


def report_on(results: Sequence[Result], *, seed: int) -> Report:
    """A row per work and scheduler: medians of the rounds, percentiles of all their pods."""
    report = Report("e2e", seed)
    for work in dict.fromkeys(result.work for result in results):
        by_side = {
            side.name: [one for one in results if one.work == work and one.side == side.name]
            for side in (OURS, STOCK)
        }
        ratios = [
            ours.pods_per_s / stock.pods_per_s
            for ours, stock in zip(by_side["ours"], by_side["stock"], strict=False)
            if stock.pods_per_s
        ]
        for side, rounds in by_side.items():
            if rounds:
                ratio = statistics.median(ratios) if side == "ours" and ratios else None
                report.row(work=work, by=side, **_cells(rounds, ratio))
    return report


def _cells(rounds: Sequence[Result], ratio: float | None) -> dict[str, Value]:
    bound = [value for one in rounds for value in one.bound_s]
    cells: dict[str, Value] = {
        "bound": f"{len(bound)}/{sum(one.wanted for one in rounds)}",
        "pods/s": _short(statistics.median(one.pods_per_s for one in rounds)),
        "ratio": _short(ratio),
        "p50 s": _percentile(bound, 50),
        "p99 s": _percentile(bound, 99),
        "seen": _percentile([value for one in rounds for value in one.seen_s], 50),
        "pinned": _percentile([value for one in rounds for value in one.pinned_s], 50),
    }
    for part, processes in _PARTS.items():
        used_s = sum(one.used_s.get(name, 0.0) for one in rounds for name in processes)
        cells[part] = _short(used_s * 1000 / max(1, len(bound)))
    capacity_s = sum(one.capacity_s for one in rounds)
    elsewhere_s = sum(one.elsewhere_s for one in rounds)
    cells["others"] = f"{elsewhere_s / capacity_s:.0%}" if capacity_s else ""
    return cells


def _short(value: float | None) -> float | None:
    """Three digits are more than such a machine can vouch for."""
    return None if value is None else float(f"{value:.3g}")


def _percentile(values: Sequence[float], percent: int) -> float | None:
    """By nearest rank; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return _short(ordered[max(0, -(-percent * len(ordered) // 100) - 1)])


def _asks(side: Side) -> Object:
    return {**ASKS, **side.spec}


def _pod(name: str, side: Side) -> Object:
    return manifests.pod(name, side.namespace, **_asks(side))


def _is_job(manifest: Object) -> bool:
    return bool(manifest["kind"] == "Job")


def _state(pod: Object) -> str:
    conditions = pod["status"].get("conditions") or ()
    told = "; ".join(
        f"{one['type']}={one['status']} {one.get('message', '')}" for one in conditions
    )
    return f"{pod['metadata']['name']}: {told or 'no condition'}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--pods", type=int, nargs="+", default=[500], help="sizes of the Jobs")
    parser.add_argument("--bare", type=int, default=200, help="bare pods at once")
    parser.add_argument("--single", type=int, default=20, help="pods one by one")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=["gang", "independent", "bare", "single"])
    parser.add_argument("--scheduler", choices=["ours", "stock"], help="measure one side alone")
    parser.add_argument("--nodes", type=int, default=64)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--stack", default="bench", help="its name; one that is up is used")
    parser.add_argument("--port-base", type=int, default=29000)
    return parser


def run(bench: Bench, ground: Ground, options: argparse.Namespace) -> None:
    """All rounds; who begins a round changes."""
    works: dict[str, Callable[[Side, int], None]] = {}
    for count in options.pods:
        works[f"gang {count}"] = lambda s, t, n=count: bench.job(s, t, n, gang=True)  # type: ignore[misc]
        works[f"independent {count}"] = lambda s, t, n=count: bench.job(s, t, n, gang=False)  # type: ignore[misc]
    works["bare"] = lambda s, t: bench.bare(s, t, options.bare)
    works["single"] = lambda s, t: bench.singles(s, t, options.single)
    sides = [side for side in (OURS, STOCK) if options.scheduler in (None, side.name)]
    for turn in range(options.rounds):
        for side in sides if turn % 2 == 0 else reversed(sides):
            ground.let(side)
            bench.warm(side)
            for name, work in works.items():
                if not options.only or name.split()[0] in options.only:
                    work(side, turn)


def main() -> int:
    """Measure, show, write; 1 when a pod got no node."""
    options = _parser().parse_args()
    if max(*options.pods, options.bare) > options.nodes * 8:
        raise SystemExit(f"{options.nodes} nodes have {options.nodes * 8} GPUs: ask for less")
    pool = Pool(count=options.nodes, efa=0, seed=options.seed)
    OUT.mkdir(parents=True, exist_ok=True)
    log = OUT / "e2e-bridge.log"
    with (
        opened(name=options.stack, port_base=options.port_base, pool=pool, log=log) as ground,
        Bindings(ground.stack.kubernetes.api) as bindings,
    ):
        bench = Bench(ground, bindings, seed=options.seed, cpus=os.cpu_count() or 1)
        run(bench, ground, options)
    code = report_on(bench.results, seed=options.seed).finish()
    missing = [one for one in bench.results if not one.complete]
    for one in missing:
        print(f"not complete: round {one.turn + 1}, {one.side}, {one.work}", file=sys.stderr)
    return 1 if missing else code


if __name__ == "__main__":
    sys.exit(main())
