"""What the ways to ask for new nodes have in common: a request stands, is written, is withdrawn."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from bridge.capacity.plan import Counts
from bridge.model.capacity import GangNeed
from bridge.model.ids import GangId

_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Standing:
    """A request that is there."""

    counts: Counts
    """The tasks of each part that it asks nodes for."""
    since_s: float
    """When it was made, seconds since the epoch."""
    size: int = 0
    """The tasks together."""
    said: str = ""
    """What is known of its progress, as a sentence without its full stop."""
    is_over: bool = False
    """Nothing comes of it any more, as `said` tells."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be asked for a gang: so many tasks of each part (`counts`). `hostnames` are those
    of the present nodes that are counted for each part already."""

    need: GangNeed
    counts: Counts
    hostnames: Sequence[Collection[str]]


class RequestWriter(Protocol):
    """One way to ask for nodes. Each method raises `BridgeError`s and nothing else."""

    async def follow(self) -> None:
        """Keeps `standing` in step with the API server, until cancelled."""

    async def wait_for_sync(self) -> None:
        """Waits until the requests that are there are known, or that there can be none."""

    def standing(self) -> Mapping[GangId, Standing]:
        """The request of each gang."""

    async def withdraw(self, wanted: Mapping[GangId, Wanted]) -> bool:
        """Takes back what is not `wanted` (any more, or in this form). Returns whether there was
        anything to take back."""

    async def ask(self, wanted: Mapping[GangId, Wanted]) -> Mapping[GangId, str]:
        """Writes what is missing. Returns the gangs that it failed for, with the error."""

    async def clear(self) -> None:
        """Takes back all requests that are there, without being followed."""


async def run_all(works: Sequence[Callable[[], Awaitable[object]]]) -> None:
    """Does a few at a time, and all of them; then raises the first error."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(work: Callable[[], Awaitable[object]]) -> None:
        async with gate:
            await work()

    results = await asyncio.gather(*(one(work) for work in works), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
