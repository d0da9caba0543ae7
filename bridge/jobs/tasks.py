"""Pods of different shapes as Slurm tasks, which are all alike within a job.

Three ways, with what each holds beyond what the pods ask for:

- *riding*: the small ones ride along. One task per pod of the main shape, enlarged by its share of
  the others: eight GPU workers and a launcher are eight tasks of a worker and an eighth launcher,
  rounded up. What the launcher needs is then granted beside any worker.
- *maximum*: a task for every pod, each with the most of every resource.
- *het*: a component of a het job for each shape. Nothing is wasted, but components never share a
  node and only backfill starts them.

Pods that may run on different nodes (selectors, taints they tolerate) are told apart by components
whatever it costs: a job has one constraint for all of its tasks. What pods say about other pods is
no such difference, as Slurm is not told of it.
"""

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from bridge.model.gang import Gang
from bridge.model.resources import Resources
from bridge.model.scheduling import PodShape

_MIB = 1 << 20
How = Literal["alike", "riding", "maximum", "het"]


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that may be held in vain, as a fraction of what is held, of any resource."""

    riding: float = 0.1
    maximum: float = 0.1


@dataclass(frozen=True, slots=True)
class Tasks:
    """So many tasks of one shape: a job, or a component of a het job."""

    count: int
    shape: PodShape


@dataclass(frozen=True, slots=True)
class Plan:
    """How a gang is said to Slurm; `waste` is the worst resource's fraction held in vain."""

    components: tuple[Tasks, ...]
    how: How
    waste: float = 0.0
    of: str = ""
    """The resource that `waste` is of: cpu, memory, or an extended resource's name."""

    def __str__(self) -> str:
        if self.how == "alike":
            return ""
        said = {
            "riding": "small pods ride along in the others' tasks",
            "maximum": "every task is as large as the largest pod",
            "het": f"{len(self.components)} components of a het job",
        }[self.how]
        return f"{said}, {self.waste:.0%} of {self.of} unused" if self.waste >= 0.005 else said


def plan(
    gang: Gang,
    *,
    limits: Limits,
    counted: Container[str],
    alone: bool,
    can_run: Callable[[PodShape], bool],
) -> Plan:
    """The way to take.

    `counted` are the extended resources that Slurm counts; `alone`: each pod has a node of its own,
    so nothing rides (nor do pods that have to keep away from others); `can_run` tells whether some
    node can ever take a pod of that shape.
    """
    kinds = _as_slurm_sees(gang.kinds)
    if len(kinds) <= 1:
        return Plan((Tasks(gang.size, next(iter(kinds), gang.shape)),), "alike")
    groups: dict[PodShape, dict[PodShape, int]] = {}
    for shape, count in kinds.items():
        where = replace(shape.without_pod_terms, requests=Resources())
        groups.setdefault(where, {})[shape] = count
    alone = alone or any(shape.pod_anti_affinity or shape.spread for shape in kinds)
    plans = [
        _merged(group, limits, counted, alone=alone, can_run=can_run) for group in groups.values()
    ]
    if len(plans) == 1:
        return plans[0]
    worst = max(plans, key=lambda one: one.waste)
    return Plan(tuple(c for one in plans for c in one.components), "het", worst.waste, worst.of)


def _as_slurm_sees(kinds: Mapping[PodShape, int]) -> dict[PodShape, int]:
    """How many pods there are of each shape; shapes that differ in terms about other pods only are
    the first of them.
    """
    first: dict[PodShape, PodShape] = {}
    found: dict[PodShape, int] = {}
    for shape, count in kinds.items():
        same = first.setdefault(shape.without_pod_terms, shape)
        found[same] = found.get(same, 0) + count
    return found


def _merged(
    kinds: Mapping[PodShape, int],
    limits: Limits,
    counted: Container[str],
    *,
    alone: bool,
    can_run: Callable[[PodShape], bool],
) -> Plan:
    """Of shapes that differ in their requests only."""
    apart = Plan(tuple(Tasks(count, shape) for shape, count in kinds.items()), "het")
    if len(kinds) == 1:
        return replace(apart, how="alike")
    ways: list[tuple[Plan, float]] = []
    main = _largest(kinds)
    if main is not None and not alone:
        ways.append((_plan([_riding(kinds, main)], "riding", kinds, counted), limits.riding))
    ways.append((_plan([_maximum(kinds)], "maximum", kinds, counted), limits.maximum))
    for way, limit in ways:
        if way.waste <= limit and can_run(way.components[0].shape):
            return way
    return apart


def _largest(kinds: Mapping[PodShape, int]) -> PodShape | None:
    """The shape that asks for at least as much as any other of everything; None where none does."""
    for main in kinds:
        if all(main.requests.at_least(one.requests) == main.requests for one in kinds):
            return main
    return None


def _riding(kinds: Mapping[PodShape, int], main: PodShape) -> Tasks:
    tasks, requests = kinds[main], main.requests
    for shape, count in kinds.items():
        if shape is not main:
            requests = requests + shape.requests.times(-(-count // tasks))
    return Tasks(tasks, replace(main, requests=requests))


def _maximum(kinds: Mapping[PodShape, int]) -> Tasks:
    shapes = list(kinds)
    requests = shapes[0].requests
    for shape in shapes[1:]:
        requests = requests.at_least(shape.requests)
    return Tasks(sum(kinds.values()), replace(shapes[0], requests=requests))


def _plan(
    components: Sequence[Tasks], how: How, kinds: Mapping[PodShape, int], counted: Container[str]
) -> Plan:
    needed = _sum(((count, shape.requests) for shape, count in kinds.items()), counted)
    held = _sum(((tasks.count, tasks.shape.requests) for tasks in components), counted)
    wasted = {name: 1 - needed.get(name, 0) / amount for name, amount in held.items() if amount}
    worst = max(wasted, key=lambda name: wasted[name], default="")
    return Plan(tuple(components), how, max(0.0, wasted.get(worst, 0.0)), worst)


def _sum(of: Iterable[tuple[int, Resources]], counted: Container[str]) -> dict[str, int]:
    """What Slurm counts: whole CPUs and MiB of each pod or task."""
    total: dict[str, int] = {}
    for count, requests in of:
        amounts = {
            "cpu": max(1, -(-requests.cpu_milli // 1000)),
            "memory": -(-requests.memory_bytes // _MIB),
            **{name: n for name, n in requests.extended if name in counted},
        }
        for name, amount in amounts.items():
            total[name] = total.get(name, 0) + count * amount
    return total
