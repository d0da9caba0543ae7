"""Who takes pods off nodes: NoExecute taints, and nodes that are gone or out of service."""

import asyncio
from collections.abc import Callable
from typing import Final

from bridge.sim.kube import requests, taints
from bridge.sim.kube.apiserver import kinds
from bridge.sim.kube.apiserver.core import ApiServer, Target
from bridge.sim.kube.apiserver.failure import ApiFailure
from bridge.sim.kube.apiserver.objects import Key, Object, key_of, with_condition
from bridge.sim.kube.apiserver.request import NODE_CONTROLLER, POD_COLLECTOR, User
from bridge.sim.kube.controllers.queue import WorkQueue

_QUARANTINE_S: Final = 40.0
_OUT_OF_SERVICE: Final = "node.kubernetes.io/out-of-service"


class Eviction:
    """The taint-eviction controller and the pod garbage collector, for all nodes."""

    def __init__(self, api: ApiServer, *, quarantine_s: float = _QUARANTINE_S) -> None:
        self._api = api
        self._quarantine_s = quarantine_s
        self._pods = api.store.subscribe(kinds.PODS.table, since=0)
        self._nodes = api.store.subscribe(kinds.NODES.table, since=0)
        self._queue: WorkQueue[Key] = WorkQueue(api.clock)
        self._on_node: dict[str, set[Key]] = {}
        self._gone_since: dict[str, float] = {}
        self._tainted_since: dict[Key, float] = {}

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_pods())
            tasks.create_task(self._follow_nodes())
            tasks.create_task(self._queue.work(self._look))

    async def _follow_pods(self) -> None:
        while True:
            for change in await self._pods.take():
                pod = change.current.object
                key, node = key_of(pod), pod["spec"].get("nodeName") or ""
                if change.type == "DELETED":
                    self._on_node.get(node, set()).discard(key)
                    self._tainted_since.pop(key, None)
                    continue
                self._on_node.setdefault(node, set()).add(key)
                old = ((change.previous or {}).get("spec") or {}).get("nodeName") or ""
                if change.previous is None or old != node:
                    if old != node:
                        self._on_node.get(old, set()).discard(key)
                    self._queue.add(key)
                elif pod["metadata"].get("deletionTimestamp"):
                    self._queue.add(key)

    async def _follow_nodes(self) -> None:
        while True:
            for change in await self._nodes.take():
                node = change.current.object
                before = (change.previous or {}).get("spec") or {}
                now = node.get("spec") or {}
                if change.type == "MODIFIED" and before.get("taints") == now.get("taints"):
                    continue
                for key in self._on_node.get(node["metadata"]["name"], set()):
                    self._queue.add(key)

    async def _look(self, key: Key) -> None:
        stored = self._api.store.get(kinds.PODS.table, key)
        if stored is None:
            return
        pod = stored.object
        name = pod["spec"].get("nodeName") or ""
        if not name:
            if pod["metadata"].get("deletionTimestamp"):
                await self._end_unscheduled(pod)
            return
        node = self._api.store.get(kinds.NODES.table, ("", name))
        if node is None:
            await self._orphaned(key, pod, name)
            return
        self._gone_since.pop(name, None)
        await self._tainted(key, pod, node.object)

    async def _end_unscheduled(self, pod: Object) -> None:
        """No kubelet will ever end it: it has Failed, or a Job would wait for it for ever."""

        def failed(now: Object) -> Object:
            if now["status"].get("phase") in ("Succeeded", "Failed"):
                return now
            return {**now, "status": {**now["status"], "phase": "Failed"}}

        await self._change_status(pod, failed, POD_COLLECTOR)
        await self._remove(pod)

    async def _orphaned(self, key: Key, pod: Object, node: str) -> None:
        """The node is gone: after a quarantine the pod is, too."""
        now = self._api.clock.monotonic()
        due = self._gone_since.setdefault(node, now) + self._quarantine_s
        if due > now:
            self._queue.add_after(key, due - now)
            return
        await self._disrupt(
            pod, "DeletionByPodGC", "PodGC: node no longer exists", POD_COLLECTOR, fail=True
        )
        await self._remove(pod)

    async def _tainted(self, key: Key, pod: Object, node: Object) -> None:
        executing = [taint for taint in taints.of_node(node) if taint.effect == "NoExecute"]
        out = any(taint.key == _OUT_OF_SERVICE for taint in taints.of_node(node))
        if pod["metadata"].get("deletionTimestamp"):
            if out:
                await self._disrupt(
                    pod,
                    "DeletionByPodGC",
                    "PodGC: node is out of service",
                    POD_COLLECTOR,
                    fail=True,
                )
                await self._remove(pod)
            return
        stays_s = taints.tolerated_for_s(pod, executing)
        if stays_s is None:
            self._tainted_since.pop(key, None)
            return
        now = self._api.clock.monotonic()
        due = self._tainted_since.setdefault(key, now) + stays_s
        if due > now:
            self._queue.add_after(key, due - now)
            return
        message = "Taint manager: deleting due to NoExecute taint"
        await self._disrupt(pod, "DeletionByTaintManager", message, NODE_CONTROLLER)
        await self._delete(pod, {}, NODE_CONTROLLER)

    async def _disrupt(
        self, pod: Object, reason: str, message: str, user: User, *, fail: bool = False
    ) -> None:
        """Put the DisruptionTarget condition on the pod (and let it fail, if nobody else can)."""

        def disrupted(now: Object) -> Object:
            status = dict(now["status"])
            status["conditions"] = with_condition(
                status.get("conditions"),
                {
                    "type": "DisruptionTarget",
                    "status": "True",
                    "lastProbeTime": None,
                    "reason": reason,
                    "message": message,
                },
                now=self._api.now(),
            )
            if fail and status.get("phase") not in ("Succeeded", "Failed"):
                status["phase"] = "Failed"
            return {**now, "status": status}

        await self._change_status(pod, disrupted, user)

    async def _change_status(
        self, pod: Object, change: Callable[[Object], Object], user: User
    ) -> None:
        namespace, name = key_of(pod)
        try:
            await self._api.patch(Target(kinds.PODS, namespace, name, "status", user), change)
        except ApiFailure as problem:
            if problem.code != 404:
                raise

    async def _remove(self, pod: Object) -> None:
        await self._delete(pod, {"gracePeriodSeconds": 0}, POD_COLLECTOR)

    async def _delete(self, pod: Object, options: Object, user: User) -> None:
        namespace, name = key_of(pod)
        await requests.delete(
            self._api, Target(kinds.PODS, namespace, name, user=user), pod, **options
        )
