"""Pods of different shapes as Slurm tasks, which are all alike within a job.

Three ways, with what each holds beyond what the pods ask for:

- *riding*: the small ones ride along. One task per pod of the main shape, enlarged by its share of
  the others: eight GPU workers and a launcher are eight tasks of a worker and an eighth launcher,
  rounded up. What the launcher needs is then granted beside any worker.
- *maximum*: a task for every pod, each with the most of every resource.
- *het*: a component of a het job for each shape. Nothing is wasted, but components never share a
  node and only backfill starts them.

A job has one constraint for all of its tasks. So pods that may run on different nodes (selectors,
taints they tolerate) are components, unless those that may run on more nodes can ride with the
others: a launcher that may run anywhere goes where its workers go. What pods say about other pods
makes no such difference: a constraint can't say it.

What is held in vain counts only beyond one CPU a task: so much is rounding. It does not count at
all where there are too few nodes for components that share none.
"""

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, Protocol

from bridge.model import slurm_amounts
from bridge.model.gang import Gang, Role
from bridge.model.resources import Resources
from bridge.model.scheduling import PodShape
from bridge.placement.fit.neighbours import GangPods, Kind

How = Literal["alike", "riding", "maximum", "het"]
Kinds = Mapping[PodShape, int]
"""How many pods there are of each shape."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that may be wasted of any resource, as a fraction of what is held."""

    riding: float = 0.1
    maximum: float = 0.1


@dataclass(frozen=True, slots=True)
class Tasks:
    """A number of tasks of one shape: a job, or a component of a het job."""

    count: int
    shape: PodShape


@dataclass(frozen=True, slots=True)
class Plan:
    """How a gang becomes tasks; `waste` is the wasted fraction of the most wasted resource."""

    components: tuple[Tasks, ...]
    how: How
    waste: float = 0.0
    of: str = ""
    """The resource that `waste` is of: cpu, memory, or an extended resource's name."""
    is_rounding: bool = False
    """Whether no more than one CPU per task is wasted."""

    @property
    def tasks_are_pods(self) -> bool:
        """Whether each task asks for exactly what one pod asks for."""
        return self.how in ("alike", "het")

    def __str__(self) -> str:
        if self.how == "alike":
            return ""
        said = {
            "riding": "small pods ride along in the others' tasks",
            "maximum": "every task is as large as the largest pod",
            "het": f"{len(self.components)} components of a het job",
        }[self.how]
        return f"{said}, {self.waste:.0%} of {self.of} unused" if self.waste >= 0.005 else said


class Nodes(Protocol):
    """The questions about nodes that a plan depends on."""

    def can_run(self, shape: PodShape) -> bool:
        """Whether some node can ever take a pod of that shape."""

    def takes_all_of(self, shape: PodShape, other: PodShape) -> bool:
        """Whether each node that may take `shape` may take `other` too, whatever they ask for."""

    def can_hold(self, components: Sequence[Tasks], *, alone: bool) -> bool:
        """Whether there are enough nodes for components that share none."""


def plan(gang: Gang, *, limits: Limits, counted: Container[str], alone: bool, nodes: Nodes) -> Plan:
    """Chooses how the gang's pods become tasks.

    `counted` are the extended resources that Slurm counts; `alone`: each pod has a node of its own,
    so nothing rides. Pods that have to keep apart from others do not ride either.
    """
    kinds = _as_slurm_sees(gang.kinds)
    if len(kinds) <= 1:
        return Plan((Tasks(gang.size, next(iter(kinds), gang.shape)),), "alike")
    groups: dict[PodShape, dict[PodShape, int]] = {}
    for shape, count in kinds.items():
        groups.setdefault(replace(shape.without_pod_terms, requests=Resources()), {})[shape] = count
    alone = alone or any(shape.pod_anti_affinity or shape.spread for shape in kinds)
    found = _joined(groups, partial(_merged, limits, counted, nodes, alone=alone), nodes, alone)
    if found.how == "het" and not nodes.can_hold(found.components, alone=alone):
        at_any_price = partial(_merged, Limits(1.0, 1.0), counted, nodes, alone=alone)
        together = _joined(groups, at_any_price, nodes, alone)
        if nodes.can_hold(together.components, alone=alone):
            return together
    return found


def _joined(
    groups: Mapping[PodShape, Kinds], merged: Callable[[Kinds], Plan], nodes: Nodes, alone: bool
) -> Plan:
    """The groups' plans as one. A group whose pods may run on all nodes of another one joins that
    where its pods ride along: they are the small ones, and the others' nodes do not get fewer."""
    left = dict(groups)
    plans: dict[PodShape, Plan] = {}
    for narrow in groups:
        if narrow not in left:
            continue
        kinds = dict(left[narrow])
        for wide in () if alone else tuple(left):
            if wide == narrow or not nodes.takes_all_of(narrow, wide):
                continue
            both = dict(kinds)
            for shape, count in left[wide].items():
                as_narrow = replace(narrow, requests=shape.requests)
                both[as_narrow] = both.get(as_narrow, 0) + count
            main = _largest(both)
            others_ride = main in kinds and both[main] == kinds[main]
            if others_ride and merged(both).how == "riding":
                kinds = both
                del left[wide]
                plans.pop(wide, None)
        plans[narrow] = merged(kinds)
    if len(plans) == 1:
        return next(iter(plans.values()))
    worst = max(plans.values(), key=lambda one: one.waste)
    components = tuple(one for found in plans.values() for one in found.components)
    return Plan(components, "het", worst.waste, worst.of)


def roles_of(gang: Gang, component: Tasks) -> tuple[str, ...]:
    """The names of the roles whose pods become the tasks of this component of the gang's plan."""
    return tuple(role.name for role in _roles_of(gang, component))


def pods_of(gang: Gang, component: Tasks) -> GangPods:
    """The pods that become the tasks of this component of the gang's plan."""
    if not gang.roles:
        others = (shape for shape in gang.kinds if shape != component.shape)
        return GangPods(
            (Kind(component.shape, gang.identity),),
            tuple(Kind(shape, gang.identity) for shape in others) if gang.volume_terms else (),
            is_single=gang.size == 1,
        )
    mine = dict.fromkeys(Kind(one.shape, one.identity) for one in _roles_of(gang, component))
    every = dict.fromkeys(Kind(one.shape, one.identity) for one in gang.roles)
    return GangPods(tuple(mine), tuple(one for one in every if one not in mine), gang.size == 1)


def _roles_of(gang: Gang, component: Tasks) -> tuple[Role, ...]:
    """Those of the component's own shape; else those that only differ from it in what they ask for,
    which have become its tasks together."""
    wanted = _place_and_requests(component.shape)
    exact = tuple(role for role in gang.roles if _place_and_requests(role.shape) == wanted)
    if exact:
        return exact
    place = replace(wanted, requests=Resources())
    return tuple(
        role
        for role in gang.roles
        if replace(_place_and_requests(role.shape), requests=Resources()) == place
    )


def _place_and_requests(shape: PodShape) -> PodShape:
    return replace(shape.without_pod_terms, volume_terms=())


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
    limits: Limits, counted: Container[str], nodes: Nodes, kinds: Kinds, *, alone: bool
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
        if (way.is_rounding or way.waste <= limit) and nodes.can_run(way.components[0].shape):
            return way
    return apart


def _largest(kinds: Kinds) -> PodShape | None:
    """The shape that asks for at least as much as any other of everything; None where none does."""
    for main in kinds:
        if all(main.requests.at_least(one.requests) == main.requests for one in kinds):
            return main
    return None


def _riding(kinds: Kinds, main: PodShape) -> Tasks:
    tasks, requests = kinds[main], slurm_amounts.in_slurm_units(main.requests)
    for shape, count in kinds.items():
        if shape is not main:
            share = slurm_amounts.in_slurm_units(shape.requests).times(-(-count // tasks))
            requests = requests + share
    return Tasks(tasks, replace(main, requests=requests))


def _maximum(kinds: Kinds) -> Tasks:
    shapes = list(kinds)
    requests = shapes[0].requests
    for shape in shapes[1:]:
        requests = requests.at_least(shape.requests)
    return Tasks(sum(kinds.values()), replace(shapes[0], requests=requests))


def _plan(components: Sequence[Tasks], how: How, kinds: Kinds, counted: Container[str]) -> Plan:
    needed = _sum(((count, shape.requests) for shape, count in kinds.items()), counted)
    held = _sum(((tasks.count, tasks.shape.requests) for tasks in components), counted)
    wasted = {name: 1 - needed.get(name, 0) / amount for name, amount in held.items() if amount}
    worst = max(wasted, key=lambda name: wasted[name], default="")
    is_rounding = all(
        amount - needed.get(name, 0)
        <= (sum(one.count for one in components) if name == "cpu" else 0)
        for name, amount in held.items()
    )
    return Plan(tuple(components), how, wasted.get(worst, 0.0), worst, is_rounding)


def _sum(of: Iterable[tuple[int, Resources]], counted: Container[str]) -> dict[str, int]:
    """What Slurm counts: whole CPUs and MiB of each pod or task."""
    total: dict[str, int] = {}
    for count, requests in of:
        amounts = {
            "cpu": slurm_amounts.whole_cpus(requests),
            "memory": slurm_amounts.memory_mib(requests),
            **{name: n for name, n in requests.extended if name in counted},
        }
        for name, amount in amounts.items():
            total[name] = total.get(name, 0) + count * amount
    return total
