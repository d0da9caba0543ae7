"""Who hears of news, and how: callbacks at once, async iterators when they come round.

A callback is called in the event loop and must be quick. An iterator may be slow: what it has not
taken yet is kept by object, the newest of each, so that it never holds more than there are objects
and never works through what is long over.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable
from types import TracebackType
from typing import Generic, Self, TypeVar

import structlog

log = structlog.get_logger(__name__)
N = TypeVar("N")


class Listeners(Generic[N]):
    """All that listen to one watcher. `about`: the object that a piece of news is about."""

    def __init__(self, about: Callable[[N], Hashable]) -> None:
        self._about = about
        self._callbacks: list[Callable[[N], None]] = []

    def subscribe(self, callback: Callable[[N], None]) -> Callable[[], None]:
        """`callback` is called for all news. Gives what ends that."""
        self._callbacks.append(callback)

        def end() -> None:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

        return end

    def listen(self) -> "Listening[N]":
        """Use as `async with … as news: async for one in news:`."""
        return Listening(self, self._about)

    def tell(self, news: N) -> None:
        """Everybody hears it; one listener's mistake is not the others'."""
        for callback in tuple(self._callbacks):
            try:
                callback(news)
            except Exception:
                log.exception("watcher.subscriber_failed", news=type(news).__name__)


class Listening(Generic[N]):
    """News as an async iterator, from entering the context to its end."""

    def __init__(self, listeners: Listeners[N], about: Callable[[N], Hashable]) -> None:
        self._listeners = listeners
        self._about = about
        self._pending: OrderedDict[Hashable, N] = OrderedDict()
        self._some = asyncio.Event()
        self._end: Callable[[], None] = lambda: None

    async def __aenter__(self) -> Self:
        self._end = self._listeners.subscribe(self._heard)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> N:
        while not self._pending:
            self._some.clear()
            await self._some.wait()
        return self._pending.popitem(last=False)[1]

    def _heard(self, news: N) -> None:
        about = self._about(news)
        self._pending.pop(about, None)
        self._pending[about] = news
        self._some.set()
