"""An autoscaler for stories: pods that it sees as unschedulable get nodes, empty nodes go.

`StandIn` acts on the signals that Karpenter acts on, on any stack: a pod without node and gates
whose condition PodScheduled says Unschedulable, which no present node could take. It packs such
pods onto nodes of one kind.
"""

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from bridge import names
from bridge.model import quantity
from tests.arena.api import Object
from tests.arena.arena import Arena, Nodes, condition, node_of, phase

_EVERY_S = 0.2


class Autoscaler(Protocol):
    """What stories may ask of an autoscaler."""

    @property
    def made(self) -> int:
        """How many nodes it has made so far."""

    def limit(self, nodes: int) -> None:
        """It may have so many nodes at a time from now on."""


@dataclass
class StandIn:
    """Makes nodes of this kind, `most` at most, and removes nodes of its own that have been empty
    for `empty_s`."""

    arena: Arena
    kind: Nodes
    most: int = 20
    empty_s: float = 3.0
    nodes: set[str] = field(default_factory=set)
    made: int = 0
    problem: BaseException | None = None
    _held: set[str] = field(default_factory=set)
    """Nodes that must not be removed."""
    _empty_since_s: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def running(self) -> Iterator["StandIn"]:
        """It looks around until the context ends."""
        stop = threading.Event()
        thread = threading.Thread(target=self._run, args=(stop,), name="autoscaler")
        thread.start()
        try:
            yield self
        finally:
            stop.set()
            thread.join()
        if self.problem is not None:
            raise self.problem

    def limit(self, nodes: int) -> None:
        """As `Autoscaler`."""
        self.most = nodes

    def _run(self, stop: threading.Event) -> None:
        try:
            while not stop.wait(_EVERY_S):
                self._look()
        except BaseException as problem:
            self.problem = problem

    def _look(self) -> None:
        nodes = self.arena.kubernetes.get("/api/v1/nodes")["items"]  # first, as Karpenter does
        pods = self.arena.kubernetes.get("/api/v1/pods")["items"]
        free = {node["metadata"]["name"]: _amounts(node["status"]["allocatable"]) for node in nodes}
        used: set[str] = set()
        for pod in pods:
            node = node_of(pod)
            if node in free and phase(pod) not in ("Succeeded", "Failed"):
                used.add(node)
                _take(free[node], _asked(pod))
        fresh: list[dict[str, int]] = []
        for pod in (one for one in pods if _is_unschedulable(one)):
            asked = _asked(pod)
            place = next(
                (
                    node["metadata"]["name"]
                    for node in nodes
                    if _may_run(pod, node) and _fits(free[node["metadata"]["name"]], asked)
                ),
                None,
            )
            if place is not None:
                used.add(place)
                _take(free[place], asked)
                continue
            room = next((one for one in fresh if _fits(one, asked)), None)
            if room is None and _fits(self._empty_node(), asked):
                room = self._empty_node()
                fresh.append(room)
            if room is not None:
                _take(room, asked)
        self._held = {node["metadata"]["name"] for node in nodes if _is_held(node)}
        self._add(min(len(fresh), self.most - len(self.nodes)))
        self._remove(used)

    def _empty_node(self) -> dict[str, int]:
        kind = self.kind
        return {
            "cpu": kind.cpus * 1000,
            "memory": kind.memory_gib << 30,
            "nvidia.com/gpu": kind.gpus,
        }

    def _add(self, count: int) -> None:
        if count > 0:
            self.made += count
            kind = self.kind
            self.nodes |= set(
                self.arena.add_nodes(
                    Nodes(count, kind.gpus, kind.cpus, kind.memory_gib, prefix="auto")
                )
            )

    def _remove(self, used: set[str]) -> None:
        now_s = time.monotonic()
        for name in sorted(self.nodes):
            if name in used or name in self._held:
                self._empty_since_s.pop(name, None)
            elif now_s - self._empty_since_s.setdefault(name, now_s) > self.empty_s:
                self.nodes.discard(name)
                self.arena.kubernetes.delete(f"/api/v1/nodes/{name}")


def _is_held(node: Object) -> bool:
    annotations = node["metadata"].get("annotations") or {}
    return bool(annotations.get(names.KARPENTER_DO_NOT_DISRUPT) == "true")


def _is_unschedulable(pod: Object) -> bool:
    told = condition(pod, "PodScheduled")
    return (
        told is not None
        and told.get("reason") == "Unschedulable"
        and not node_of(pod)
        and not pod["spec"].get("schedulingGates")
        and not pod["metadata"].get("deletionTimestamp")
    )


def _may_run(pod: Object, node: Object) -> bool:
    """By node selector, required node affinity (one term) and taints."""
    spec, labels = pod["spec"], node["metadata"].get("labels") or {}
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    required = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    for term in (required or {}).get("nodeSelectorTerms") or ():
        for one in term.get("matchExpressions") or ():
            value = labels.get(one["key"])
            holds = {
                "In": value in one.get("values", ()),
                "NotIn": value not in one.get("values", ()),
                "Exists": value is not None,
                "DoesNotExist": value is None,
            }[one["operator"]]
            if not holds:
                return False
    tolerated = {one.get("key") for one in spec.get("tolerations") or ()}
    return all(
        taint["key"] in tolerated or taint["key"].startswith("node.kubernetes.io/")
        for taint in node["spec"].get("taints") or ()
    )


def _amounts(amounts: Object) -> dict[str, int]:
    return {
        name: quantity.milli(text) if name == "cpu" else quantity.whole(text)
        for name, text in amounts.items()
        if name != "pods"
    }


def _asked(pod: Object) -> dict[str, int]:
    total: dict[str, int] = {}
    for container in pod["spec"]["containers"]:
        requests = (container.get("resources") or {}).get("requests") or {}
        for name, amount in _amounts(requests).items():
            total[name] = total.get(name, 0) + amount
    return total


def _fits(free: dict[str, int], asked: dict[str, int]) -> bool:
    return all(free.get(name, 0) >= amount for name, amount in asked.items())


def _take(free: dict[str, int], asked: dict[str, int]) -> None:
    for name, amount in asked.items():
        free[name] = free.get(name, 0) - amount
