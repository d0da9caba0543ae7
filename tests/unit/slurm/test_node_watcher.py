import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from bridge.model.ids import SlurmNodeName
from bridge.slurm import NodeGone, NodeSeen, NodeWatcher, Outage, Recovered, SlurmNode, Unavailable
from bridge.slurm.node_watcher import NodeUpdate

from .clocks import ManualClock

_A = SlurmNode(SlurmNodeName("a"), frozenset({"IDLE"}))
_B = SlurmNode(SlurmNodeName("b"), frozenset({"IDLE"}))


class FakeNodes:
    """A list that tests change; each call takes `cost_s` of the clock."""

    def __init__(self, clock: ManualClock) -> None:
        self.nodes: tuple[SlurmNode, ...] = (_A, _B)
        self.error: Unavailable | None = None
        self.cost_s = 0.0
        self.lists = 0
        self._clock = clock

    async def list_nodes(self, *, raw: bool = False) -> tuple[SlurmNode, ...]:
        self.lists += 1
        self._clock.now_s += self.cost_s
        if self.error is not None:
            raise self.error
        return self.nodes


@asynccontextmanager
async def _world() -> AsyncIterator[tuple[ManualClock, FakeNodes, NodeWatcher, list[NodeUpdate]]]:
    clock = ManualClock()
    slurm = FakeNodes(clock)
    watcher = NodeWatcher(slurm, clock=clock, interval_s=5.0, jitter=lambda: 0.5)
    news: list[NodeUpdate] = []
    watcher.subscribe(news.append)
    task = asyncio.create_task(watcher.run())
    await clock.advance(0)
    try:
        yield clock, slurm, watcher, news
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_tells_what_appears_changes_and_goes() -> None:
    """Each once; what stays the same is not told."""
    async with _world() as (clock, slurm, watcher, news):
        await watcher.wait_for_sync()
        assert news == [NodeSeen(_A), NodeSeen(_B)]
        drained = replace(_A, states=frozenset({"IDLE", "DRAIN"}))
        slurm.nodes = (drained,)
        await clock.advance(5)
        assert news[2:] == [NodeSeen(drained), NodeGone(_B.name, _B)]
        await clock.advance(50)
        assert len(news) == 4
        assert dict(watcher.nodes) == {_A.name: drained}


async def test_an_outage_changes_nothing_of_what_is_known() -> None:
    """It is told once, and its end; the age grows meanwhile."""
    async with _world() as (clock, slurm, watcher, news):
        news.clear()
        slurm.error = Unavailable("away")
        await clock.advance(60)
        assert [type(one) for one in news] == [Outage]
        assert set(watcher.nodes) == {_A.name, _B.name}
        assert watcher.age_s >= 60
        slurm.error = None
        await clock.advance(10)
        assert [type(one) for one in news] == [Outage, Recovered]
        assert watcher.age_s <= 10


async def test_a_poke_looks_at_once() -> None:
    """Without waiting for the interval."""
    async with _world() as (clock, slurm, watcher, _):
        before = slurm.lists
        watcher.trigger()
        await clock.advance(0)
        assert slurm.lists == before + 1


async def test_looking_takes_a_fiftieth_of_the_time_at_most() -> None:
    """A list that costs a second is read every fifty."""
    async with _world() as (clock, slurm, _, _):
        slurm.cost_s = 1.0
        await clock.advance(5)
        before = slurm.lists
        await clock.advance(200)
        assert slurm.lists - before <= 4
