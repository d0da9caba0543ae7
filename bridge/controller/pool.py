"""A bounded number of workers that perform requests, fairly by tenant, the urgent ones first."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from bridge.fairness import FairQueue

log = structlog.get_logger(__name__)

Work = Callable[[], Awaitable[None]]


class Pool:
    """A queue of requests, which wait for their tenant's turn.

    A request handles its own errors. What escapes is a mistake of ours: `failed` is told, or it is
    logged, and nobody else is stopped.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._queue: FairQueue[tuple[Work, Callable[[Exception], None]]] = FairQueue()
        self._some = asyncio.Event()
        self._busy = 0
        self._draining = False
        self._ended = asyncio.Event()

    def add(
        self,
        work: Work,
        *,
        tenant: str,
        urgency: int,
        failed: Callable[[Exception], None] | None = None,
    ) -> None:
        """Queue one request."""
        self._queue.add((work, failed or _log), tenant=tenant, urgency=urgency)
        self._some.set()

    async def drain(self) -> None:
        """Start no more requests; return when those in flight have ended."""
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
            while not self._queue:
                self._some.clear()
                await self._some.wait()
            work, failed = self._queue.take()
            if self._draining:
                continue  # truth lives in Slurm and in the pods: the next start finds it there
            self._busy += 1
            try:
                await work()
            except Exception as error:
                _tell(failed, error)
            finally:
                self._busy -= 1
                self._ended.set()


def _tell(failed: Callable[[Exception], None], error: Exception) -> None:
    try:
        failed(error)
    except Exception:
        log.exception("work.failed_unexpectedly")


def _log(error: Exception) -> None:
    log.error("work.failed_unexpectedly", exc_info=error)
