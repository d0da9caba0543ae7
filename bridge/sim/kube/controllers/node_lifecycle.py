"""Nodes' health: a kubelet that no longer renews its lease, and the taints that follow.

Ready False or Unknown becomes the not-ready or unreachable taint (NoSchedule and NoExecute),
spec.unschedulable the unschedulable one, as kube-controller-manager has it.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from bridge.sim.kube.apiserver import kinds
from bridge.sim.kube.apiserver.core import ApiServer, Target
from bridge.sim.kube.apiserver.failure import ApiFailure
from bridge.sim.kube.apiserver.objects import Object, condition, seconds, with_condition
from bridge.sim.kube.apiserver.request import NODE_CONTROLLER

LEASE_NAMESPACE: Final = "kube-node-lease"
_NOT_READY: Final = "node.kubernetes.io/not-ready"
_UNREACHABLE: Final = "node.kubernetes.io/unreachable"
_UNSCHEDULABLE: Final = "node.kubernetes.io/unschedulable"
_OURS: Final = frozenset({_NOT_READY, _UNREACHABLE, _UNSCHEDULABLE})


class NodeLifecycle:
    """One for the whole cluster."""

    def __init__(self, api: ApiServer, *, grace_s: float = 50.0, period_s: float = 5.0) -> None:
        """A node whose lease is older than `grace_s` is Unknown; looked at every `period_s`."""
        self._api = api
        self._grace_s = grace_s
        self._period_s = period_s
        self._nodes = api.store.subscribe(kinds.NODES.table, since=0)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._taint())
            tasks.create_task(self._watch_leases())

    async def _taint(self) -> None:
        while True:
            for change in await self._nodes.take():
                if change.type == "DELETED":
                    continue
                await self._retaint(change.current.object)

    async def _retaint(self, node: Object) -> None:
        wanted = _condition_taints(node)
        known = (node.get("spec") or {}).get("taints") or []
        ours = {(one["key"], one["effect"]) for one in known if one["key"] in _OURS}
        if ours == set(wanted):
            return

        def retainted(now: Object) -> Object:
            others = [
                one
                for one in (now.get("spec") or {}).get("taints") or ()
                if one["key"] not in _OURS or (one["key"], one["effect"]) in wanted
            ]
            there = {(one["key"], one["effect"]) for one in others}
            added = [
                {"key": key, "effect": effect, "timeAdded": self._api.now()}
                for key, effect in wanted
                if (key, effect) not in there
            ]
            spec = {**(now.get("spec") or {}), "taints": [*others, *added]}
            if not spec["taints"]:
                del spec["taints"]
            return {**now, "spec": spec}

        await self._patch(Target(kinds.NODES, name=node["metadata"]["name"]), retainted)

    async def _watch_leases(self) -> None:
        while True:
            await self._api.clock.sleep(self._period_s)
            now = self._api.clock.time()
            for stored in self._api.store.every(kinds.NODES.table):
                name = stored.object["metadata"]["name"]
                lease = self._api.store.get(kinds.LEASES.table, (LEASE_NAMESPACE, name))
                if lease is None:
                    continue
                renewed = (lease.object.get("spec") or {}).get("renewTime")
                ready = condition(stored.object, "Ready")
                if not renewed or ready is None or ready["status"] == "Unknown":
                    continue
                if now - seconds(renewed) > self._grace_s:
                    await self._lost(name)

    async def _lost(self, name: str) -> None:
        def unknown(node: Object) -> Object:
            status = dict(node.get("status") or {})
            status["conditions"] = with_condition(
                status.get("conditions"),
                {
                    "type": "Ready",
                    "status": "Unknown",
                    "reason": "NodeStatusUnknown",
                    "message": "Kubelet stopped posting node status.",
                },
                now=self._api.now(),
            )
            return {**node, "status": status}

        await self._patch(Target(kinds.NODES, "", name, "status", NODE_CONTROLLER), unknown)

    async def _patch(self, target: Target, change: Callable[[Object], Object]) -> None:
        try:
            await self._api.patch(target, change)
        except ApiFailure as problem:
            if problem.code != 404:
                raise


def _condition_taints(node: Object) -> list[tuple[str, str]]:
    ready = condition(node, "Ready")
    found = []
    if ready is not None and ready["status"] != "True":
        key = _NOT_READY if ready["status"] == "False" else _UNREACHABLE
        found += [(key, "NoSchedule"), (key, "NoExecute")]
    if (node.get("spec") or {}).get("unschedulable"):
        found.append((_UNSCHEDULABLE, "NoSchedule"))
    return found
