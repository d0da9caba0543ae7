"""A bounded number of workers that perform requests, the urgent ones first."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable

import structlog

log = structlog.get_logger(__name__)

Work = Callable[[], Awaitable[None]]


class Pool:
    """Requests wait here in the order of their urgency (0 first), then of their arrival.

    A request handles its own errors; what escapes is a bug, logged, and stops nobody else.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._queue: asyncio.PriorityQueue[tuple[int, int, Work]] = asyncio.PriorityQueue()
        self._order = itertools.count()
        self._busy = 0
        self._draining = False
        self._ended = asyncio.Event()

    def add(self, work: Work, *, urgency: int) -> None:
        """Queue one request."""
        self._queue.put_nowait((urgency, next(self._order), work))

    @property
    def idle(self) -> bool:
        """Nothing queued and nothing in flight."""
        return self._queue.empty() and not self._busy

    async def drain(self) -> None:
        """Start nothing more; return when what is in flight has ended."""
        self._draining = True
        while self._busy:
            self._ended.clear()
            await self._ended.wait()

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._workers):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            _, _, work = await self._queue.get()
            if self._draining:
                continue  # truth lives in Slurm and in the pods: the next start finds it there
            self._busy += 1
            try:
                await work()
            except Exception:
                log.exception("work.failed_unexpectedly")
            finally:
                self._busy -= 1
                self._ended.set()
