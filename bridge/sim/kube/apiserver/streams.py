"""Watches over HTTP: one JSON document a line, until somebody ends it."""

import asyncio
import math
from dataclasses import dataclass
from typing import Final, Literal

from aiohttp import web

from bridge.clock import Clock
from bridge.sim.kube.apiserver import failure, listing, tables
from bridge.sim.kube.apiserver.failure import ApiFailure
from bridge.sim.kube.apiserver.objects import Object, encode
from bridge.sim.kube.apiserver.store import Change, Expired, Store, Stored, Subscription
from bridge.sim.kube.apiserver.watching import View

_END_OF_INITIAL: Final = {"k8s.io/initial-events-end": "true"}
_LONGEST_S: Final = 3600.0

State = Literal["live", "silent", "ended", "dropped"]


@dataclass(frozen=True, slots=True)
class Wish:
    """What a watch asked for, from its query."""

    view: View
    version: str = ""
    bookmarks: bool = False
    initial_events: bool | None = None
    timeout_s: float = _LONGEST_S
    as_table: bool = False


@dataclass(eq=False, slots=True)
class OpenWatch:
    """A watch that somebody holds open."""

    path: str
    subscription: Subscription
    state: State = "live"

    def become(self, state: State) -> None:
        """End it, drop it, or let it fall silent."""
        self.state = state
        self.subscription.wake()


class Streams:
    """Serves watches and keeps count of the open ones."""

    def __init__(self, store: Store, clock: Clock, *, bookmark_s: float = 60.0) -> None:
        self._store = store
        self._clock = clock
        self._bookmark_s = bookmark_s
        self.open: list[OpenWatch] = []

    def end_all(self, state: State = "ended", *, path: str = "") -> int:
        """Let all watches whose path has `path` in it end (or worse); how many there were."""
        chosen = [watch for watch in self.open if path in watch.path]
        for watch in chosen:
            watch.become(state)
        return len(chosen)

    async def serve(
        self, request: web.Request, wish: Wish, *, fault: State | Literal["expired"] = "live"
    ) -> web.StreamResponse:
        """Answer a watch. The connection's end, the timeout or `end_all` finishes it."""
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        table = wish.view.kind.table
        try:
            if fault == "expired":
                raise Expired(0, self._store.version)
            initial, subscription = self._begin(wish)
        except Expired as problem:
            return await self._refuse(request, response, failure.expired(str(problem)))
        except ApiFailure as problem:
            return await self._refuse(request, response, problem)
        watch = OpenWatch(request.path, subscription)
        if fault in ("silent", "dropped"):
            watch.become("silent" if fault == "silent" else "dropped")
        self.open.append(watch)
        try:
            await response.prepare(request)
            if initial and watch.state == "live":
                await response.write(initial)
            await self._follow(response, watch, wish)
            if watch.state == "dropped" and request.transport is not None:
                request.transport.abort()
            elif watch.state == "ended":
                await response.write_eof()
        except ConnectionError:
            return response  # the client is gone; nobody is left to tell
        finally:
            self._store.unsubscribe(table, subscription)
            self.open.remove(watch)
        return response

    def _begin(self, wish: Wish) -> tuple[bytes, Subscription]:
        kind = wish.view.kind
        asked = listing.number(wish.version)
        listing.check_not_ahead(asked, self._store.version)
        if wish.initial_events or (wish.initial_events is None and asked == 0):
            version = self._store.version
            subscription = self._store.subscribe(kind.table)
            lines = [self._line("ADDED", one, wish) for one in wish.view.scan(self._store)]
            if wish.initial_events and wish.bookmarks:
                lines.append(self._bookmark(wish, version, ends_initial=True))
            return b"".join(lines), subscription
        since = asked or self._store.version
        return b"", self._store.subscribe(kind.table, since=since)

    async def _follow(self, response: web.StreamResponse, watch: OpenWatch, wish: Wish) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wish.timeout_s
        bookmark = self._next_bookmark(loop.time(), deadline) if wish.bookmarks else math.inf
        while watch.state in ("live", "silent"):
            changed = await self._wait(watch, max(0.0, min(deadline, bookmark) - loop.time()))
            if watch.state not in ("live", "silent"):
                return
            lines = []
            if watch.state == "live":
                seen = (wish.view.event(change) for change in changed)
                lines = [self._line(*event, wish) for event in seen if event is not None]
                if loop.time() >= bookmark:
                    lines.append(self._bookmark(wish, self._store.version))
            if loop.time() >= bookmark:
                bookmark = self._next_bookmark(loop.time(), deadline)
            if lines:
                await response.write(b"".join(lines))
            if loop.time() >= deadline:
                watch.become("ended")

    def _next_bookmark(self, now: float, deadline: float) -> float:
        """Each `bookmark_s`, and once two seconds before the end."""
        last = deadline - 2.0
        regular = now + self._bookmark_s
        return min(regular, last) if last > now else regular

    async def _wait(self, watch: OpenWatch, wait_s: float) -> list[Change]:
        """Changes, or none when time or the watch's state is up."""
        try:
            async with asyncio.timeout(wait_s):
                await watch.subscription.arrival()
        except TimeoutError:
            return []
        return watch.subscription.take_now()

    def _line(self, kind: str, stored: Stored, wish: Wish) -> bytes:
        if wish.as_table:
            shown = tables.table(
                wish.view.kind,
                [stored.object],
                version=str(stored.version),
                now_s=self._clock.time(),
            )
            raw = encode(shown)
        else:
            raw = raw_of(wish.view, stored)
        return b'{"type":"' + kind.encode() + b'","object":' + raw + b"}\n"

    def _bookmark(self, wish: Wish, version: int, *, ends_initial: bool = False) -> bytes:
        fields: Object = {"resourceVersion": str(version)}
        if ends_initial:
            fields["annotations"] = _END_OF_INITIAL
        kind = wish.view.kind
        shown = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": fields}
        shown |= kind.rules.blank
        if wish.as_table:
            shown = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": fields}
        return encode({"type": "BOOKMARK", "object": shown}) + b"\n"

    async def _refuse(
        self, request: web.Request, response: web.StreamResponse, problem: ApiFailure
    ) -> web.StreamResponse:
        """As the real one: the stream begins well, its one event is the Status."""
        await response.prepare(request)
        await response.write(encode({"type": "ERROR", "object": problem.status}) + b"\n")
        await response.write_eof()
        return response


def raw_of(view: View, stored: Stored) -> bytes:
    """An object as the view's API shows it."""
    shown = view.kind.rules.shown(stored.object)
    return stored.raw if shown is stored.object else encode(shown)


def item_of(view: View, stored: Stored) -> bytes:
    """The same as an item of a list, without kind and apiVersion."""
    shown = view.kind.rules.shown(stored.object)
    if shown is stored.object:
        return stored.raw_item
    return encode({key: value for key, value in shown.items() if key not in ("kind", "apiVersion")})
