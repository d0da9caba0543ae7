"""Events on Kubernetes' objects, where users look: `kubectl describe`, `kubectl get events`.

Never in the way: `emit` neither waits nor raises, and what can't be delivered is dropped and
counted. The same thing said again about the same object is one event with a count
(events.k8s.io/v1 `series`), written at most once a minute.
"""

import asyncio
import hashlib
import itertools
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

import structlog

from bridge.clock import Clock
from bridge.fairness import FairQueue
from bridge.kube.api import errors, times
from bridge.kube.api.client import KubeClient
from bridge.kube.api.throttle import TokenBucket, full_jitter
from bridge.retry import Backoff

_log = structlog.get_logger()

EventType = Literal["Normal", "Warning"]

_NOTE_BYTES = 1024
_NAME_LIMIT = 128
_TRIES = 3


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """The object that an event is about; `namespace` "" for nodes and other cluster-wide ones."""

    kind: str
    api_version: str
    namespace: str
    name: str
    uid: str


@dataclass(slots=True)
class _Series:
    """One event as the API server has it, and what was said since."""

    key: "_Key"
    name: str
    regarding: ObjectRef
    type: EventType
    reason: str
    note: str
    action: str
    first_s: float
    last_s: float
    count: int = 1
    written: int = 0
    """Count that the API server has; 0: not there yet."""
    written_at: float = float("-inf")


_Key = tuple[ObjectRef, EventType, str, str, str]


class EventRecorder:
    """Collects events and writes them in the background, while `run` runs.

    `queue_size` bounds the events of one namespace that wait to be created (namespaces take
    turns), `remembered` the different events that are counted; the oldest are forgotten (the same
    thing said later is a new event then).
    """

    def __init__(
        self,
        client: KubeClient,
        *,
        clock: Clock,
        instance: str,
        component: str = "slinky.slurm.net/slurm-bridge",
        queue_size: int = 500,
        remembered: int = 10_000,
        repeat_s: float = 60.0,
        per_s: float = 50.0,
    ) -> None:
        self.dropped = 0
        self._client = client
        self._clock = clock
        self._component = component
        self._instance = instance[:_NAME_LIMIT]
        self._queue_size = queue_size
        self._remembered = remembered
        self._repeat_s = repeat_s
        self._bucket = TokenBucket(per_s=per_s, burst=max(1, int(per_s)), clock=clock)
        self._series: OrderedDict[_Key, _Series] = OrderedDict()
        self._fresh: FairQueue[_Series] = FairQueue()
        self._wake = asyncio.Event()
        self._numbers = itertools.count()

    def emit(
        self,
        *,
        regarding: ObjectRef,
        type: EventType,  # noqa: A002  (the field's own name)
        reason: str,
        note: str,
        action: str,
    ) -> None:
        """Say it. `reason` and `action` are single CamelCase words, `note` is for people."""
        note = _cut(note)
        key = (regarding, type, reason, note, action)
        now_s = self._clock.time()
        known = self._series.get(key)
        if known is not None:
            known.count += 1
            known.last_s = now_s
            self._series.move_to_end(key)
            return
        if self._fresh.of(regarding.namespace) >= self._queue_size:
            self.dropped += 1
            return
        series = _Series(
            key=key,
            name=self._name(regarding, now_s),
            regarding=regarding,
            type=type,
            reason=reason[:_NAME_LIMIT],
            note=note,
            action=action[:_NAME_LIMIT],
            first_s=now_s,
            last_s=now_s,
        )
        self._series[key] = series
        while len(self._series) > self._remembered:
            self._series.popitem(last=False)
        self._fresh.add(series, tenant=regarding.namespace)
        self._wake.set()

    async def run(self) -> None:
        """Write what is emitted, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._create_fresh())
            tasks.create_task(self._count_repeats())

    async def _create_fresh(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._fresh:
                await self._write(self._fresh.take())

    async def _count_repeats(self) -> None:
        """Now and then the counts that grew, and forget what was not said again for long."""
        while True:
            await self._clock.sleep(self._repeat_s / 4)
            now = self._clock.monotonic()
            for key, series in list(self._series.items()):
                if not series.written or now - series.written_at < self._repeat_s:
                    continue
                if series.count > series.written:
                    await self._write(series)
                elif self._series.get(key) is series and self._is_over(series):
                    del self._series[key]

    def _is_over(self, series: _Series) -> bool:
        """Nothing for six repeats: the next one is news again (as in client-go)."""
        return self._clock.time() - series.last_s > 6 * self._repeat_s

    async def _write(self, series: _Series) -> None:
        backoff = Backoff(first_s=1.0, most_s=30.0, draw=full_jitter)
        for attempt in range(1, _TRIES + 1):
            await self._bucket.take()
            count = series.count
            try:
                await self._send(series, count)
            except errors.Unavailable as error:
                if attempt == _TRIES:
                    self._drop(series, error)
                    return
                await self._clock.sleep(backoff.next_s())
            except Exception as error:  # refused, or a mistake of ours: never worth a halt
                self._drop(series, error)
                return
            else:
                series.written = count
                series.written_at = self._clock.monotonic()
                return

    async def _send(self, series: _Series, count: int) -> None:
        if series.written:
            patch = {"series": self._counted(series, count)}
            try:
                await self._client.patch(f"{_path(series)}/{series.name}", patch)
            except errors.NotFound:  # the API server forgets events after an hour
                series.name = self._name(series.regarding, self._clock.time())
            else:
                return
        try:
            await self._client.create(_path(series), self._body(series, count))
        except errors.AlreadyExists:  # an earlier try arrived after all
            return

    def _body(self, series: _Series, count: int) -> dict[str, Any]:
        about = series.regarding
        body = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": series.name, "namespace": about.namespace or "default"},
            "eventTime": times.micros(series.first_s),
            "reportingController": self._component,
            "reportingInstance": self._instance,
            "regarding": {
                "apiVersion": about.api_version,
                "kind": about.kind,
                "namespace": about.namespace,
                "name": about.name,
                "uid": about.uid,
            },
            "type": series.type,
            "reason": series.reason,
            "action": series.action,
            "note": series.note,
        }
        if count > 1:
            body["series"] = self._counted(series, count)
        return body

    def _counted(self, series: _Series, count: int) -> dict[str, Any]:
        return {"count": count, "lastObservedTime": times.micros(series.last_s)}

    def _drop(self, series: _Series, error: Exception) -> None:
        """Said again, an event that never arrived is a new one."""
        self.dropped += 1
        series.written_at = self._clock.monotonic()
        if not series.written and self._series.get(series.key) is series:
            del self._series[series.key]
        _log.debug("event.dropped", reason=series.reason, note=series.note, error=str(error))

    def _name(self, regarding: ObjectRef, now_s: float) -> str:
        """Unique: the object's name, and what differs between processes, times and events."""
        text = f"{self._instance} {now_s} {next(self._numbers)} {regarding.uid}"
        return (
            f"{regarding.name[:220].rstrip('.-')}.{hashlib.sha256(text.encode()).hexdigest()[:16]}"
        )


def _path(series: _Series) -> str:
    namespace = quote(series.regarding.namespace or "default", safe="")
    return f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"


def _cut(note: str) -> str:
    """At most 1,024 bytes, as the API server allows, not in the middle of a character."""
    data = note.encode(errors="replace")
    if len(data) <= _NOTE_BYTES:
        return data.decode()
    return data[: _NOTE_BYTES - 3].decode(errors="ignore") + "…"
