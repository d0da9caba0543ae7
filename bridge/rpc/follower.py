"""A replica's view of pods' placements: what the leading controller says, and how old that is.

Nothing new passes while no controller is followed. What a controller said counts until another one
leads, or until it has not answered for `STALE_S`: it may be paused, and may have been followed by
another one that we do not know yet.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import grpc
import grpc.aio
import structlog

from bridge import slurm
from bridge.clock import Clock
from bridge.errors import BridgeError
from bridge.model.ids import GangId, PodUid
from bridge.model.job import JobIdentity
from bridge.model.pod_placement import PodPlacement
from bridge.retry import Backoff
from bridge.rpc import wire
from bridge.rpc.placement_ledger import Row
from bridge.rpc.slurmbridge.v1 import placements_pb2 as pb
from bridge.rpc.slurmbridge.v1 import placements_pb2_grpc as pb_grpc

log = structlog.get_logger(__name__)

PULSE_S = 0.5
"""Between two questions to the controller."""
STALE_S = 3.0
"""A controller that has not answered for so long is not followed any more."""
_FIRST_S, _MOST_S = 0.1, 2.0
"""The first and the longest pause between two tries to follow."""

_Call: TypeAlias = "grpc.aio.StreamStreamCall[pb.FollowRequest, pb.FollowResponse]"
Dial = Callable[[], Awaitable[grpc.aio.Channel]]
"""A channel to the controller that leads. Raises BridgeError if none does."""


class NoLeader(BridgeError):
    """No controller leads, or it can't be reached."""


class PlacementFollower:
    """Follows the leading controller; answers the extender (`extender.contracts.Placements`)."""

    def __init__(
        self, *, dial: Dial, client: slurm.SlurmClient, cluster_uid: str, clock: Clock
    ) -> None:
        self._dial = dial
        self._client = client
        self._cluster_uid = cluster_uid
        self._clock = clock
        self._rows: dict[PodUid, Row] = {}
        self._cursor = ""
        self._is_complete = False
        self._asked_s: dict[int, float] = {}
        self._pulse_s = float("-inf")
        """When the last answered question was asked."""
        self._slurm_seen_s = float("-inf")
        self._problem = "it has not reached a controller yet"

    @property
    def age_s(self) -> float:
        """How old what we know is, in seconds; infinite before everything was told once."""
        return self._clock.monotonic() - self._pulse_s if self._is_complete else float("inf")

    @property
    def problem(self) -> str:
        """Why no controller is followed; "" while one is."""
        return "" if self.age_s <= STALE_S else self._problem

    # -- the extender's questions ----------------------------------------------------------------

    def of(self, uid: PodUid) -> PodPlacement | None:
        """The pod's place; None for a pod that is not known."""
        problem = self.problem
        row = self._rows.get(uid)
        if problem:
            text = f"no controller of slurm-bridge is followed here: {problem}"
            job_id = None if row is None else row.job_id
            return PodPlacement(uid, node=None, job_id=job_id, waits_for=text)
        if row is None:
            return None
        return PodPlacement(
            pod=uid,
            node=row.node or None,
            job_id=row.job_id,
            waits_for=row.waits_for,
            running_seen_s=self._slurm_seen_s if row.is_running else float("-inf"),
        )

    async def confirm(self, placement: PodPlacement) -> bool:
        """Asks Slurm whether the job runs and belongs to the pod's gang. Raises Unreachable."""
        row = self._rows.get(placement.pod)
        if placement.job_id is None or row is None or row.job_id != placement.job_id:
            return False
        try:
            job = await self._client.get_job(placement.job_id)
        except slurm.NotFound:
            return False
        return job.running and self._is_of(job, row.gang)

    def _is_of(self, job: slurm.Job, gang: GangId) -> bool:
        found = slurm.identity.parse(job.admin_comment)
        return isinstance(found, JobIdentity) and found.is_of(self._cluster_uid, gang)

    # -- following ---------------------------------------------------------------------------------

    async def run(self) -> None:
        """Follow whoever leads, until cancelled."""
        backoff = Backoff(first_s=_FIRST_S, most_s=_MOST_S)
        while True:
            begun_s = self._clock.monotonic()
            try:
                channel = await self._dial()
                try:
                    await self._follow(channel)
                finally:
                    await channel.close()
            except (BridgeError, grpc.RpcError, TimeoutError) as error:
                self._stopped(_reason(error))
            if self._pulse_s > begun_s:
                backoff.reset()
            await self._clock.sleep(backoff.next_s())

    def _stopped(self, why: str) -> None:
        if not self._problem or self.age_s <= STALE_S:
            log.warning("placements.not_followed", why=why)
        self._problem = why
        self._pulse_s = float("-inf")

    async def _follow(self, channel: grpc.aio.Channel) -> None:
        """One stream. Raises when it ends, or has not answered for too long."""
        call = pb_grpc.PlacementsServiceStub(channel).Follow()
        self._asked_s.clear()
        asking = asyncio.create_task(self._ask(call))
        try:
            while True:
                async with asyncio.timeout(STALE_S):
                    message = await call.read()
                if not isinstance(message, pb.FollowResponse):
                    raise NoLeader("the controller has ended the connection")
                self._take(message)
        finally:
            asking.cancel()
            call.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    async def _ask(self, call: _Call) -> None:
        """Ends with the connection; what ended it is raised to whoever reads."""
        for number in itertools.count(1):
            self._asked_s[number] = self._clock.monotonic()
            cursor = self._cursor if number == 1 and self._is_complete else ""
            await call.write(pb.FollowRequest(cursor=cursor, pulse_id=number))
            await self._clock.sleep(PULSE_S)

    def _take(self, message: pb.FollowResponse) -> None:
        if message.WhichOneof("news") == "changes":
            self._take_batch(message.changes)
            return
        asked_s = self._asked_s.get(message.pulse.pulse_id)
        if asked_s is None or not self._is_complete:
            return
        self._asked_s = {
            number: at for number, at in self._asked_s.items() if number > message.pulse.pulse_id
        }
        if self._problem:
            log.info("placements.followed", pods=len(self._rows))
            self._problem = ""
        self._pulse_s = asked_s
        self._slurm_seen_s = asked_s - message.pulse.slurm_age_s

    def _take_batch(self, message: pb.Changes) -> None:
        batch = wire.batch(message)
        if batch.is_whole:
            self._rows.clear()
        for uid in batch.gone:
            self._rows.pop(uid, None)
        for row in batch.rows:
            self._rows[row.pod] = row
        self._is_complete = batch.is_complete
        self._cursor = batch.cursor


def _reason(error: Exception) -> str:
    if isinstance(error, grpc.aio.AioRpcError):
        return f"{error.code().name}: {error.details()}"
    if isinstance(error, TimeoutError):
        return f"the controller has not answered for {STALE_S:g} s"
    return str(error)
