"""Everything of one kind, kept in step with the API server: list, then watch, for ever.

The contract: after `Replaced` and each change that follows, the sink knows what the API server
had at some resource version that only grows; nothing is lost. Whatever goes wrong (dropped, silent,
garbled watches, 410, 429, an API server that is away) ends in one of two ways: watch again from the
last version seen, or list again. It never ends in giving up (unless it is told to give up what is
forbidden or not served), and one object that can't be read does not stop the others.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

import structlog

from bridge.clock import Clock
from bridge.errors import BadInput
from bridge.kube.api import decode, errors, lines
from bridge.kube.api.client import KubeClient
from bridge.kube.api.throttle import full_jitter
from bridge.retry import Backoff
from bridge.telemetry import OutageLog

Row = TypeVar("Row")

_log = structlog.get_logger()

_REMEMBERED_REFUSALS = 10_000
_GARBLED_WATCHES = 3
_ROWS_PER_TURN = 100
_SHORT_WATCH_S = 1.0
_WHO = ("name", "namespace", "uid", "resourceVersion")
_REOPEN_S = 30.0
"""A watch that has ended is open again by then: a pause, a connection, an answer."""


@dataclass(frozen=True, slots=True)
class Replaced(Generic[Row]):
    """All there is, after a list: what is not in `rows` is gone. The sink finds the differences."""

    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Upserted(Generic[Row]):
    """An object is new or has changed."""

    row: Row


@dataclass(frozen=True, slots=True)
class Deleted(Generic[Row]):
    """An object is gone; `row` is its last state, or only who it was where that can't be read."""

    row: Row


Change = Replaced[Row] | Upserted[Row] | Deleted[Row]


@dataclass(frozen=True, slots=True)
class Pace:
    """How patient a reflector is. Times in seconds.

    `silence_s`: a watch that brings not a byte for so long (bookmarks come every minute) is dead,
    whatever TCP says. `watch_s`: the server is asked to end a watch after 1 to 2 times this, so
    that a thousand watches do not end together.
    """

    page: int = 500
    watch_s: float = 300.0
    silence_s: float = 150.0
    longest_line: int = lines.LONGEST_LINE
    backoff: Callable[[], Backoff] = lambda: Backoff(first_s=0.25, most_s=8.0, draw=full_jitter)
    draw: Callable[[], float] = random.random


class Reflector(Generic[Row]):
    """Lists and watches `path`, and hands every change to `sink` in order.

    `parse` makes a row or raises BadInput: the object is then reported once (log, and `refused`)
    and left out. `sink` is called in the event loop and must not block. With `may_give_up`, what
    the API server denies (Forbidden, NotFound) ends `run` with that error; else it is asked for
    ever, as what the bridge can't do without.
    """

    def __init__(
        self,
        client: KubeClient,
        *,
        path: str,
        parse: Callable[[Mapping[str, Any]], Row],
        key: Callable[[Row], str],
        sink: Callable[[Change[Row]], None],
        clock: Clock,
        name: str,
        params: Mapping[str, str] | None = None,
        refused: Callable[[Mapping[str, Any], BadInput], None] | None = None,
        outage: OutageLog | None = None,
        pace: Pace | None = None,
        may_give_up: bool = False,
    ) -> None:
        self.name = name
        self._may_give_up = may_give_up
        self._outage = outage
        self._client = client
        self._path = path
        self._params = dict(params or {})
        if isinstance(parse, decode.Parser):  # straight from the bytes, twice as fast
            self._page, self._event = parse.page, parse.event
        else:
            self._page = partial(decode.plain_page, parse)
            self._event = partial(decode.plain_event, parse)
        self._parse = parse
        self._key = key
        self._sink = sink
        self._clock = clock
        self._refused = refused
        self._pace = pace or Pace()
        self._backoff = self._pace.backoff()
        self._version = ""
        self._garbled = 0
        self._reported: dict[str, None] = {}
        self._in_sync = asyncio.Event()
        self._heard_at = float("-inf")
        self._in_step_at = float("-inf")
        self._problem = ""

    @property
    def synced(self) -> bool:
        """Whether the sink has had a complete list, once."""
        return self._in_sync.is_set()

    async def wait_for_sync(self) -> None:
        """Wait until the sink has had a complete list."""
        await self._in_sync.wait()

    @property
    def last_contact_s(self) -> float:
        """Seconds since the API server last said anything to us; inf before it ever did."""
        return self._clock.monotonic() - self._heard_at

    @property
    def in_step_s(self) -> float:
        """Seconds since the sink surely knew all there was; inf before the first complete list.

        A watch that opens, and each byte that it brings, say so; a list does when the sink has
        taken it. What an object, or the sink, makes fail again and again never gets that far,
        however well the API server answers.
        """
        return self._clock.monotonic() - self._in_step_at

    @property
    def in_step_within_s(self) -> float:
        """`in_step_s` stays below this while the API server answers.

        On a quiet watch it sends a bookmark about once a minute, which it need not: a watch that
        brings nothing for `Pace.silence_s` is begun again.
        """
        return self._pace.silence_s + _REOPEN_S

    @property
    def problem(self) -> str:
        """Why the last list or watch failed; "" while one goes well."""
        return self._problem

    async def run(self) -> None:
        """List and watch until cancelled; with `may_give_up` raises Forbidden and NotFound."""
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._watch()
            except errors.Garbled as error:
                self._garbled += 1
                await self._pause(error, relist=self._garbled >= _GARBLED_WATCHES)
            except errors.Unavailable as error:
                await self._pause(error, relist=False)
            except errors.KubeError as error:  # 410, and whatever else a list may heal
                if self._may_give_up and isinstance(error, errors.Forbidden | errors.NotFound):
                    raise
                await self._pause(error, relist=True)
            except Exception as error:  # a sink that is broken must be seen, and must not end us
                _log.exception("reflector.sink_failed", name=self.name)
                await self._pause(error, relist=True)

    async def _list(self) -> None:
        """All pages, then one Replaced. A page token that expired means from the start."""
        rows: list[Row] = []
        params = {**self._params, "limit": str(self._pace.page)}
        while True:
            data = await self._client.read(self._path, params, urgent=True)
            self._heard()
            page = self._page(data)
            for count, item in enumerate(page.items):
                if isinstance(item, decode.Refused):
                    self._report(item)
                else:
                    rows.append(item)
                if count % _ROWS_PER_TURN == _ROWS_PER_TURN - 1:
                    await asyncio.sleep(0)  # a page of pods takes 20 ms; others wait, too
            if not page.next:
                break
            params["continue"] = page.next
        self._sink(Replaced(tuple(rows)))
        self._in_step()
        self._version = page.version
        self._in_sync.set()
        _log.debug("reflector.listed", name=self.name, rows=len(rows), version=self._version)

    async def _watch(self) -> None:
        """One watch, from the last version to its end."""
        lasts_s = self._pace.watch_s * (1.0 + self._pace.draw())
        params = {
            **self._params,
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(max(1, round(lasts_s))),
        }
        silence_s = self._pace.silence_s
        began, events = self._clock.monotonic(), 0
        async with self._client.stream(self._path, params, silence_s=silence_s) as chunks:
            self._heard()
            self._in_step()
            async for line in lines.split(self._listen(chunks), longest=self._pace.longest_line):
                if line.strip():
                    self._take(line)
                    events += 1
                    if events % _ROWS_PER_TURN == 0:
                        await asyncio.sleep(0)
        if not events and self._clock.monotonic() - began < _SHORT_WATCH_S:
            raise errors.Unavailable(f"watch {self._path}: ended at once, without an event")

    async def _listen(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            self._heard()
            self._in_step()
            yield chunk

    def _take(self, line: bytes) -> None:
        """One event of the watch."""
        event = self._event(line)
        if event.status is not None:
            raise errors.from_status(f"watch {self._path}", event.status)
        item = event.item
        if isinstance(item, decode.Refused):
            self._report(item)
            if event.type == "DELETED":
                self._sink(Deleted(self._nothing_but(item.raw)))
        elif item is not None:
            self._sink(Deleted(item) if event.type == "DELETED" else Upserted(item))
        self._version = event.version
        self._garbled = 0
        self._backoff.reset()

    def _nothing_but(self, raw: Any) -> Row:
        """A row of who the object was, which is all that matters of one that is gone. Listing anew
        instead would let whoever makes such objects have all of the others listed again and again.
        """
        meta = raw.get("metadata") if isinstance(raw, Mapping) else None
        who = {key: meta[key] for key in _WHO if key in meta} if isinstance(meta, Mapping) else {}
        try:
            return self._parse({"metadata": who})
        except BadInput:
            raise errors.Gone(f"watch {self._path}: a deleted object is nobody; listing") from None

    def _report(self, refused: decode.Refused) -> None:
        """Once for each object and complaint."""
        meta = refused.raw.get("metadata") if isinstance(refused.raw, Mapping) else None
        uid = meta.get("uid") if isinstance(meta, Mapping) else None
        key = f"{uid} {refused.error}"
        if key in self._reported:
            return
        if len(self._reported) >= _REMEMBERED_REFUSALS:
            self._reported.pop(next(iter(self._reported)))
        self._reported[key] = None
        error = refused.error
        _log.warning("object.refused", name=self.name, field=error.field, error=str(error))
        if self._refused is not None:
            self._refused(refused.raw, error)

    async def _pause(self, error: Exception, *, relist: bool) -> None:
        if relist:
            self._version = ""
            self._garbled = 0
        asked_s = error.retry_after_s if isinstance(error, errors.Throttled) else 0.0
        wait_s = asked_s + self._backoff.next_s()
        self._problem = str(error) or type(error).__name__
        tell = _log.info
        if isinstance(error, errors.Unavailable):
            tell = _log.debug
            if self._outage is not None:
                self._outage.failed(error, of=self.name)  # told once for all, and when it ends
        tell(
            "reflector.retrying",
            name=self.name,
            relist=relist,
            wait_s=round(wait_s, 3),
            error=str(error),
        )
        await self._clock.sleep(wait_s)

    def _in_step(self) -> None:
        self._in_step_at = self._clock.monotonic()
        self._problem = ""

    def _heard(self) -> None:
        self._heard_at = self._clock.monotonic()
        if self._outage is not None:
            self._outage.answered(to=self.name)
