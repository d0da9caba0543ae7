"""Events, as controllers, scheduler and kubelet record them; the same one again only counts."""

from collections import OrderedDict
from typing import Final

from bridge.sim.kube.apiserver import kinds
from bridge.sim.kube.apiserver.core import ApiServer, Target
from bridge.sim.kube.apiserver.failure import ApiFailure
from bridge.sim.kube.apiserver.objects import Object, timestamp
from bridge.sim.kube.apiserver.request import ADMIN

_KEPT: Final = 5000
"""Events of one recorder; the oldest go first (the real ones go after an hour)."""


class Recorder:
    """Writes events in the name of one component.

    `newer` components (the scheduler) write them in the manner of events.k8s.io: with an action
    and a series instead of a source and a count.
    """

    def __init__(self, api: ApiServer, component: str, *, newer: bool = False) -> None:
        self._api = api
        self._component = component
        self._newer = newer
        self._known: OrderedDict[tuple[str, str, str], tuple[str, str]] = OrderedDict()
        self._number = 0

    async def normal(self, about: Object, reason: str, message: str, *, action: str = "") -> None:
        """Something went as it should."""
        await self._record(about, "Normal", reason, message, action)

    async def warning(self, about: Object, reason: str, message: str, *, action: str = "") -> None:
        """Something did not."""
        await self._record(about, "Warning", reason, message, action)

    async def _record(
        self, about: Object, kind: str, reason: str, message: str, action: str
    ) -> None:
        uid = about["metadata"].get("uid", "")
        key = (uid, reason, message)
        known = self._known.get(key)
        try:
            if known is not None and await self._again(*known):
                return
            namespace = about["metadata"].get("namespace") or "default"
            name = self._name(about)
            event = self._event(about, name)
            event |= {"type": kind, "reason": reason, "message": message}
            await self._api.create(Target(kinds.EVENTS, namespace), event | self._manner(action))
        except ApiFailure:
            return
        self._known[key] = (namespace, name)
        if len(self._known) > _KEPT:
            await self._forget(*self._known.popitem(last=False)[1])

    async def _again(self, namespace: str, name: str) -> bool:
        if self._api.store.get(kinds.EVENTS.table, (namespace, name)) is None:
            return False

        def counted(event: Object) -> Object:
            seen = timestamp(self._api.clock.time(), micro=self._newer)
            if not self._newer:
                return {**event, "count": event.get("count", 1) + 1, "lastTimestamp": seen}
            before = (event.get("series") or {}).get("count", 1)
            return {**event, "series": {"count": before + 1, "lastObservedTime": seen}}

        await self._api.patch(Target(kinds.EVENTS, namespace, name, user=ADMIN), counted)
        return True

    async def _forget(self, namespace: str, name: str) -> None:
        try:
            await self._api.delete(Target(kinds.EVENTS, namespace, name), {})
        except ApiFailure:
            return

    def _name(self, about: Object) -> str:
        self._number += 1
        return f"{about['metadata']['name']}.{self._component}-{self._number:x}"

    def _event(self, about: Object, name: str) -> Object:
        metadata = about["metadata"]
        return {
            "kind": "Event",
            "apiVersion": "v1",
            "metadata": {"name": name},
            "involvedObject": {
                "kind": about["kind"],
                "apiVersion": about["apiVersion"],
                "name": metadata["name"],
                "namespace": metadata.get("namespace", ""),
                "uid": metadata.get("uid", ""),
                "resourceVersion": metadata.get("resourceVersion", ""),
            },
            "reportingComponent": self._component,
        }

    def _manner(self, action: str) -> Object:
        now = self._api.clock.time()
        if self._newer:
            instance = f"{self._component}-embedded"
            moment = timestamp(now, micro=True)
            return {"action": action, "eventTime": moment, "reportingInstance": instance}
        return {
            "source": {"component": self._component},
            "reportingInstance": "",
            "firstTimestamp": timestamp(now),
            "lastTimestamp": timestamp(now),
            "count": 1,
        }
