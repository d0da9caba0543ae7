"""Serves pods' placements to followers, as long as this controller leads."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import structlog

from bridge.rpc import wire
from bridge.rpc.placement_feed import PlacementFeed
from bridge.rpc.slurmbridge.v1 import placements_pb2 as pb
from bridge.rpc.slurmbridge.v1 import placements_pb2_grpc as pb_grpc

log = structlog.get_logger(__name__)

_LOOK_S = 0.5
"""Between two looks at whether we still lead."""


class PlacementsService(pb_grpc.PlacementsServiceServicer):
    """`leads` tells whether this controller may speak for all; `slurm_age_s` how long ago Slurm
    listed its jobs."""

    def __init__(
        self,
        *,
        feed: PlacementFeed,
        leads: Callable[[], bool],
        slurm_age_s: Callable[[], float],
    ) -> None:
        self._feed = feed
        self._leads = leads
        self._slurm_age_s = slurm_age_s

    async def Follow(  # noqa: N802 - the name in the proto file
        self, request_iterator: AsyncIterator[pb.FollowRequest], context: Any
    ) -> AsyncIterator[pb.FollowResponse]:
        """One stream; ends with UNAVAILABLE when we do not lead (any more)."""
        first = await anext(aiter(request_iterator), None)
        if first is None:
            return
        follower = _Follower(first)
        unsubscribe = self._feed.subscribe(follower.wake)
        reading = asyncio.create_task(follower.read(request_iterator))
        try:
            while not follower.left:
                if not self._leads():
                    await context.abort(
                        grpc.StatusCode.UNAVAILABLE,
                        "this controller does not lead; ask for the holder of the Lease",
                    )
                async for news in self._news(follower):
                    yield news
                await follower.wait(_LOOK_S)
        finally:
            unsubscribe()
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reading

    async def _news(self, follower: "_Follower") -> AsyncIterator[pb.FollowResponse]:
        """What the follower does not know yet, then the answer to its last question."""
        question = follower.take_question()
        self._feed.refresh()
        age_s = self._slurm_age_s()
        batches = self._feed.ledger.since(follower.cursor)
        follower.cursor = batches[-1].cursor
        for batch in batches:
            if batch.rows or batch.gone or batch.is_whole:
                yield wire.changes(batch)
        if question:
            yield pb.FollowResponse(pulse=pb.Pulse(pulse_id=question, slurm_age_s=age_s))


class _Follower:
    """One replica, as far as it is told."""

    def __init__(self, first: pb.FollowRequest) -> None:
        self.cursor = first.cursor
        self.left = False
        self._question = first.pulse_id
        self._awake = asyncio.Event()

    def wake(self) -> None:
        self._awake.set()

    def take_question(self) -> int:
        question, self._question = self._question, 0
        return question

    async def read(self, requests: AsyncIterator[pb.FollowRequest]) -> None:
        """Its questions; only the last one is answered, which is as good for the others."""
        async for request in requests:
            self._question = request.pulse_id
            self.wake()
        self.left = True
        self.wake()

    async def wait(self, at_most_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(at_most_s):
                await self._awake.wait()
        self._awake.clear()
