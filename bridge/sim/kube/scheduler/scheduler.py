"""One pod at a time: filter, extenders, score; then bind, several at once.

As kube-scheduler with DefaultPreemption off and percentageOfNodesToScore 100. DRA, pod affinity
and topology spread are not looked at.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bridge.sim.kube import demand
from bridge.sim.kube.apiserver import binding, kinds
from bridge.sim.kube.apiserver.core import ApiServer, Target
from bridge.sim.kube.apiserver.failure import ApiFailure
from bridge.sim.kube.apiserver.objects import Object, condition, key_of, with_condition
from bridge.sim.kube.apiserver.request import SCHEDULER
from bridge.sim.kube.apiserver.store import Change, Subscription
from bridge.sim.kube.controllers.events import Recorder
from bridge.sim.kube.demand import Demand
from bridge.sim.kube.scheduler.cluster import Cluster
from bridge.sim.kube.scheduler.extender import Extender, ExtenderFailure
from bridge.sim.kube.scheduler.queue import SchedulingQueue, Waiting
from bridge.sim.kube.scheduler.volumes import VolumeFailure, Volumes

_BINDERS: Final = 16
_EXTENDER_POINTS: Final = 10
"""Extender scores 0..10 are stretched to the plugins' 0..100."""


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Nodes that are left for a pod, and why the others are not."""

    nodes: Mapping[str, Object]
    refused: Mapping[str, str]
    by_extender: bool = False
    """Whether an extender took some away."""


class Scheduler:
    """Schedules the pods that name `name` in spec.schedulerName."""

    def __init__(
        self,
        api: ApiServer,
        *,
        name: str,
        extenders: Sequence[Extender] = (),
        queue: SchedulingQueue | None = None,
    ) -> None:
        self._api = api
        self._name = name
        self._extenders = extenders
        self._queue = queue or SchedulingQueue(api.clock)
        self._cluster = Cluster()
        self._pods = api.store.subscribe(kinds.PODS.table, since=0)
        self._nodes = api.store.subscribe(kinds.NODES.table, since=0)
        self._volumes = Volumes(api)
        self._storage = [
            api.store.subscribe(kind.table, since=0)
            for kind in (kinds.CLAIMS, kinds.VOLUMES, kinds.STORAGE_CLASSES)
        ]
        self._binders = asyncio.Semaphore(_BINDERS)
        self._events = Recorder(api, name, newer=True)
        self._rng = random.Random(0)

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                tasks.create_task(self._follow_nodes())
                tasks.create_task(self._follow_pods())
                for changes in self._storage:
                    tasks.create_task(self._follow_storage(changes))
                tasks.create_task(self._schedule())
        finally:
            self._queue.close()
            for extender in self._extenders:
                await extender.close()

    async def _follow_nodes(self) -> None:
        while True:
            for change in await self._nodes.take():
                node = change.current.object
                if change.type == "DELETED":
                    self._cluster.drop_node(node["metadata"]["name"])
                    continue
                self._cluster.set_node(node)
                if change.previous is None or _offers_differ(node, change.previous):
                    self._queue.move()
                else:
                    self._queue.stir()

    async def _follow_storage(self, changes: Subscription) -> None:
        while True:
            await changes.take()
            self._queue.move()

    async def _follow_pods(self) -> None:
        while True:
            for change in await self._pods.take():
                self._notice(change)

    def _notice(self, change: Change) -> None:
        pod = change.current.object
        uid, node = pod["metadata"]["uid"], pod["spec"].get("nodeName")
        ended = pod["status"].get("phase") in ("Succeeded", "Failed")
        if change.type == "DELETED" or ended:
            self._queue.drop(uid)
            if self._cluster.remove(uid):
                self._queue.move()
        elif node:
            self._queue.drop(uid)
            self._cluster.place(uid, node, demand.of_pod(pod))
            self._queue.stir()
        elif self._is_ours(pod) and not self._cluster.holds(uid):
            before = change.previous
            if before is None or before["spec"] != pod["spec"]:
                self._queue.add(key_of(pod), pod)

    def _is_ours(self, pod: Object) -> bool:
        spec = pod["spec"]
        return (
            spec.get("schedulerName") == self._name
            and not spec.get("schedulingGates")
            and "deletionTimestamp" not in pod["metadata"]
        )

    async def _schedule(self) -> None:
        while True:
            waiting = await self._queue.pop()
            stored = self._api.store.get(kinds.PODS.table, waiting.key)
            pod = stored.object if stored else None
            if pod is None or pod["metadata"]["uid"] != waiting.uid or not self._is_ours(pod):
                self._queue.drop(waiting.uid)
                continue
            if not pod["spec"].get("nodeName"):
                await self._attempt(waiting, pod)

    async def _attempt(self, waiting: Waiting, pod: Object) -> None:
        """Find the pod a node.

        1. The stock filters leave the nodes that could take it.
        2. The extenders may refuse some of them.
        3. Of several, the one with the highest score wins.
        4. The pod takes its share at once; the binding happens beside the next attempt.
        """
        moves = self._queue.moves
        wants = demand.of_pod(pod)
        try:
            found = await self._candidates(pod, wants)
            if not found.nodes:
                message = self._explain(found.refused)
                await self._fail(waiting, pod, "Unschedulable", message, moves, found.by_extender)
                return
            node = next(iter(found.nodes))
            if len(found.nodes) > 1:
                node = await self._best(pod, wants, found.nodes)
        except ExtenderFailure as problem:
            await self._fail(waiting, pod, "SchedulerError", str(problem), moves)
            return
        self._cluster.place(waiting.uid, node, wants)
        await self._binders.acquire()
        self._tasks.create_task(self._bind(waiting, pod, node))

    async def _candidates(self, pod: Object, wants: Demand) -> _Candidates:
        """Where the pod may go. A nominated node is tried alone first."""
        feasible, refused = self._cluster.fitting(wants)
        if pod["spec"].get("volumes"):
            unreachable = self._volumes.refusals(pod, feasible)
            refused = {**refused, **unreachable}
            feasible = {name: feasible[name] for name in feasible.keys() - unreachable.keys()}
        nominated = pod["status"].get("nominatedNodeName")
        if nominated in feasible:
            found = await self._ask_extenders(pod, {nominated: feasible[nominated]}, {})
            if found.nodes:
                return found
        return await self._ask_extenders(pod, feasible, refused)

    async def _ask_extenders(
        self, pod: Object, feasible: Mapping[str, Object], refused: Mapping[str, str]
    ) -> _Candidates:
        found = _Candidates(feasible, refused)
        for extender in self._extenders:
            if not found.nodes:
                break
            answer = await extender.filter(pod, found.nodes)
            left = {name: found.nodes[name] for name in answer.nodes}
            fewer = found.by_extender or len(left) < len(found.nodes)
            found = _Candidates(left, {**found.refused, **answer.refused}, fewer)
        return found

    async def _best(self, pod: Object, wants: Demand, feasible: Mapping[str, Object]) -> str:
        scores = {name: self._cluster.emptiness(name, wants) for name in feasible}
        for extender in self._extenders:
            for name, points in (await extender.prioritize(pod, feasible)).items():
                if name in scores:
                    scores[name] += points * _EXTENDER_POINTS
        most = max(scores.values())
        return self._rng.choice([name for name, score in scores.items() if score == most])

    async def _bind(self, waiting: Waiting, pod: Object, node: str) -> None:
        namespace, name = key_of(pod)
        try:
            await self._volumes.bind(pod, node)
            binder = next((one for one in self._extenders if one.config.bind_verb), None)
            if binder is not None:
                await binder.bind(pod, node)
            else:
                target = Target(kinds.PODS, namespace, name, "binding", SCHEDULER)
                metadata = {"name": name, "namespace": namespace, "uid": waiting.uid}
                wish = {"metadata": metadata, "target": {"kind": "Node", "name": node}}
                await binding.bind(self._api, target, wish)
        except (ExtenderFailure, VolumeFailure, ApiFailure) as problem:
            if not self._is_bound(waiting):
                self._cluster.remove(waiting.uid)
                self._queue.move()
                moves = self._queue.moves
                await self._fail(waiting, pod, "SchedulerError", str(problem), moves)
        else:
            message = f"Successfully assigned {namespace}/{name} to {node}"
            await self._events.normal(pod, "Scheduled", message, action="Binding")
        finally:
            self._binders.release()

    def _is_bound(self, waiting: Waiting) -> bool:
        stored = self._api.store.get(kinds.PODS.table, waiting.key)
        return stored is not None and bool(stored.object["spec"].get("nodeName"))

    async def _fail(
        self,
        waiting: Waiting,
        pod: Object,
        reason: str,
        message: str,
        moves: int,
        by_extender: bool = False,
    ) -> None:
        """Back into the queue, and say why in the pod's condition and in an event."""
        self._queue.put_back(
            waiting,
            moves_before=moves,
            retry=reason == "SchedulerError",
            by_extender=by_extender,
        )
        await self._events.warning(pod, "FailedScheduling", message, action="Scheduling")
        known = condition(pod, "PodScheduled") or {}
        if (known.get("reason"), known.get("message")) == (reason, message):
            return
        said = {
            "type": "PodScheduled",
            "status": "False",
            "observedGeneration": pod["metadata"].get("generation", 1),
            "reason": reason,
            "message": message,
            "lastProbeTime": None,
        }

        def told(now: Object) -> Object:
            if now["metadata"]["uid"] != waiting.uid or now["spec"].get("nodeName"):
                return now
            conditions = with_condition(now["status"].get("conditions"), said, now=self._api.now())
            return {**now, "status": {**now["status"], "conditions": conditions}}

        try:
            namespace, name = waiting.key
            await self._api.patch(Target(kinds.PODS, namespace, name, "status", SCHEDULER), told)
        except ApiFailure as problem:
            if problem.code != 404:
                raise

    def _explain(self, refused: Mapping[str, str]) -> str:
        total = len(self._cluster.nodes)
        if not total:
            return "no nodes available to schedule pods"
        counts = Counter(reason for reasons in refused.values() for reason in reasons.split("; "))
        listed = ", ".join(sorted(f"{count} {reason}" for reason, count in counts.items()))
        return f"0/{total} nodes are available: {listed}."


def _offers_differ(node: Object, before: Object) -> bool:
    """Whether a node changed in a way that may make room."""

    def offer(one: Object) -> tuple[object, ...]:
        spec, status = one.get("spec") or {}, one.get("status") or {}
        return (
            one["metadata"].get("labels"),
            spec.get("taints"),
            spec.get("unschedulable"),
            status.get("allocatable"),
            (condition(one, "Ready") or {}).get("status"),
        )

    return offer(node) != offer(before)
