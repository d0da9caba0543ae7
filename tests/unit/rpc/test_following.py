"""A replica follows the leading controller, over a real connection."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import grpc.aio
import pytest

from bridge import slurm
from bridge.clock import SystemClock
from bridge.model.ids import GangId, NodeName, PodUid, SlurmJobId
from bridge.model.pod_placement import PodPlacement
from bridge.rpc import follower as following
from bridge.rpc.follower import NoLeader, PlacementFollower
from bridge.rpc.leader import PlacementsService
from bridge.rpc.placement_ledger import Batch, PlacementLedger, Row
from bridge.rpc.slurmbridge.v1 import placements_pb2_grpc as pb_grpc
from tests.unit.rpc import grpc_tasks

POD, SEVEN = PodUid("pod"), SlurmJobId(7)
CLUSTER = "0123456789abcdef"


def row(pod: str = "pod", node: str = "node-1", **more: Any) -> Row:
    return Row(PodUid(pod), NodeName(node), SEVEN, GangId("gang"), **more)


class Feed:
    """A placement_feed whose ledger the test writes."""

    def __init__(self, term: str) -> None:
        self.ledger = PlacementLedger(term)
        self.callbacks: set[Callable[[], None]] = set()

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        self.callbacks.add(callback)
        return lambda: self.callbacks.discard(callback)

    def refresh(self) -> bool:
        return False

    def put(self, *rows: Row) -> None:
        for one in rows:
            self.ledger.put(one)
        for callback in tuple(self.callbacks):
            callback()


class Controller:
    """A process that may lead."""

    def __init__(self, term: str) -> None:
        self.feed = Feed(term)
        self.leads = True
        self.slurm_age_s = 0.25
        self.port = 0
        self._server = grpc.aio.server()

    async def start(self) -> None:
        service = PlacementsService(
            feed=cast("Any", self.feed),
            leads=lambda: self.leads,
            slurm_age_s=lambda: self.slurm_age_s,
        )
        add: Any = pb_grpc.add_PlacementsServiceServicer_to_server
        add(service, self._server)
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop(grace=None)
        await grpc_tasks.ended()


class Slurm:
    """Knows no job."""

    async def get_job(self, job_id: SlurmJobId) -> slurm.Job:
        raise slurm.NotFound("no such job")


class Replica:
    """A follower that dials whatever the test says."""

    def __init__(self) -> None:
        self.controller: Controller | None = None
        self.dials = 0
        self.follower = PlacementFollower(
            dial=self._dial, client=cast("Any", Slurm()), cluster_uid=CLUSTER, clock=SystemClock()
        )

    async def _dial(self) -> grpc.aio.Channel:
        self.dials += 1
        if self.controller is None:
            raise NoLeader("no controller leads")
        return grpc.aio.insecure_channel(f"127.0.0.1:{self.controller.port}")

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not is_so():  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.01)

    async def until_followed(self) -> None:
        await self.until(lambda: self.follower.problem == "")


@asynccontextmanager
async def a_replica(*controllers: Controller) -> AsyncIterator[Replica]:
    replica = Replica()
    for one in controllers:
        await one.start()
    replica.controller = controllers[0] if controllers else None
    running = asyncio.create_task(replica.follower.run())
    try:
        yield replica
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        for one in controllers:
            await one.stop()


async def test_a_replica_knows_what_the_controller_says() -> None:
    """From the list at the start, then each change; a pod that is gone is unknown."""
    controller = Controller("t")
    controller.feed.put(row(), row("other", node="", waits_for="Priority"))
    async with a_replica(controller) as replica:
        await replica.until_followed()
        found = replica.follower.of(POD)
        assert found is not None
        assert (found.node, found.job_id) == ("node-1", 7)
        waiting = replica.follower.of(PodUid("other"))
        assert waiting is not None
        assert (waiting.node, waiting.waits_for) == (None, "Priority")
        controller.feed.put(row(node="node-2"))
        await replica.until(lambda: _node(replica) == "node-2")
        controller.feed.ledger.drop(POD)
        controller.feed.put()
        await replica.until(lambda: replica.follower.of(POD) is None)


async def test_a_running_job_is_as_fresh_as_slurms_last_list() -> None:
    """Counted from the question, so that a late answer makes nothing younger."""
    controller = Controller("t")
    controller.feed.put(row(is_running=True), row("ended"))
    async with a_replica(controller) as replica:
        await replica.until_followed()
        found, ended = replica.follower.of(POD), replica.follower.of(PodUid("ended"))
        assert found is not None
        assert ended is not None
        age_s = SystemClock().monotonic() - found.running_seen_s
        assert age_s >= controller.slurm_age_s
        assert ended.running_seen_s == float("-inf")


async def test_without_a_leader_no_pod_has_a_node() -> None:
    """And the sentence says so, whatever was known before."""
    controller = Controller("t")
    controller.feed.put(row())
    async with a_replica(controller) as replica:
        await replica.until_followed()
        replica.controller = None
        controller.leads = False
        await replica.until(lambda: _node(replica) is None)
        found = replica.follower.of(POD)
        assert found is not None
        assert "no controller of slurm-bridge is followed" in found.waits_for
        await replica.until(lambda: "no controller leads" in _waits_for(replica))


async def test_the_next_leader_is_followed_with_its_own_list() -> None:
    """What the one before said does not count any more."""
    first, second = Controller("one"), Controller("two")
    first.feed.put(row(), row("gone"))
    second.feed.put(row(node="node-2"))
    async with a_replica(first, second) as replica:
        await replica.until_followed()
        replica.controller = second
        first.leads = False
        await replica.until(lambda: _node(replica) == "node-2")
        assert replica.follower.of(PodUid("gone")) is None


async def test_after_a_broken_connection_only_what_changed_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The controller is the same, so the follower goes on where it stood."""
    controller = Controller("t")
    controller.feed.put(*(row(f"pod-{number}") for number in range(50)))
    asked: list[str] = []
    since = PlacementLedger.since

    def noted(ledger: PlacementLedger, cursor: str) -> list[Batch]:
        asked.append(cursor)
        return since(ledger, cursor)

    monkeypatch.setattr(PlacementLedger, "since", noted)
    async with a_replica(controller) as replica:
        await replica.until_followed()
        replica.controller = None
        controller.leads = False
        await replica.until(lambda: replica.follower.problem != "")
        controller.leads = True
        controller.feed.put(row("new"))
        asked.clear()
        replica.controller = controller
        await replica.until(lambda: _node(replica, "new") == "node-1")
        assert asked[0] == "t/50"
        assert _node(replica, "pod-7") == "node-1"


async def test_a_controller_that_does_not_answer_is_followed_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It may be paused, and another one may lead by now."""
    monkeypatch.setattr(following, "STALE_S", 0.3)
    controller = Controller("t")
    controller.feed.put(row())
    async with a_replica(controller) as replica:
        await replica.until_followed()
        silent = asyncio.Event()
        monkeypatch.setattr(PlacementsService, "_news", _silence(silent))
        dials = replica.dials
        await replica.until(lambda: _node(replica) is None)
        await replica.until(lambda: replica.dials > dials)


def _silence(event: asyncio.Event) -> Callable[..., AsyncIterator[Any]]:
    async def news(self: object, follower: object) -> AsyncIterator[Any]:
        await event.wait()
        yield None

    return news


async def test_a_job_that_slurm_does_not_know_confirms_nothing() -> None:
    """Nor does one that is not the pod's."""
    controller = Controller("t")
    controller.feed.put(row())
    async with a_replica(controller) as replica:
        await replica.until_followed()
        assert not await replica.follower.confirm(PodPlacement(POD, NodeName("node-1"), SEVEN))
        other = PodPlacement(POD, NodeName("node-1"), SlurmJobId(8))
        assert not await replica.follower.confirm(other)


def _node(replica: Replica, pod: str = "pod") -> NodeName | None:
    found = replica.follower.of(PodUid(pod))
    return None if found is None else found.node


def _waits_for(replica: Replica) -> str:
    found = replica.follower.of(POD)
    return "" if found is None else found.waits_for
