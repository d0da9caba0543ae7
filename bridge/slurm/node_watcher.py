"""Watches nodes: what appears, changes and goes is pushed.

Slurm's list of nodes is whole or nothing, 2 KB a node; it is read at an interval that grows with
what it costs. A Slurm that doesn't answer changes nothing of what is known.
"""

import asyncio
import random
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from bridge.clock import Clock, SystemClock, sleep_until_triggered
from bridge.model.ids import SlurmNodeName
from bridge.slurm.errors import SlurmError
from bridge.slurm.listeners import Listeners, Listening
from bridge.slurm.nodes import SlurmNode
from bridge.slurm.pace import back_off
from bridge.slurm.updates import Outage, Recovered

_SHARE = 0.02
"""Of the time that looking may take."""


@dataclass(frozen=True, slots=True)
class NodeSeen:
    """A node as it is now; told when it is new or something of it is."""

    node: SlurmNode


@dataclass(frozen=True, slots=True)
class NodeGone:
    """A node that Slurm, healthy, does not list any more."""

    name: SlurmNodeName
    last: SlurmNode


NodeUpdate: TypeAlias = NodeSeen | NodeGone | Outage | Recovered


class NodeSource(Protocol):
    """What is watched: a SlurmClient."""

    async def list_nodes(self, *, raw: bool = False) -> tuple[SlurmNode, ...]: ...


class NodeWatcher:
    """The nodes of one cluster. `run` it in a task of yours."""

    def __init__(
        self,
        client: NodeSource,
        *,
        clock: Clock | None = None,
        interval_s: float = 5.0,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._clock = clock or SystemClock()
        self._interval_s = interval_s
        self._back_off = back_off(longest_s=max(interval_s, 5.0), jitter=jitter)
        self._nodes: dict[SlurmNodeName, SlurmNode] = {}
        self._listeners: Listeners[NodeUpdate] = Listeners(_about)
        self._synced = asyncio.Event()
        self._triggered = asyncio.Event()
        self._seen_s = float("-inf")

    @property
    def nodes(self) -> Mapping[SlurmNodeName, SlurmNode]:
        """All nodes, as Slurm last listed them."""
        return self._nodes

    @property
    def age_s(self) -> float:
        """Seconds since that list was asked for; infinity before the first."""
        return self._clock.monotonic() - self._seen_s

    def subscribe(self, callback: Callable[[NodeUpdate], None]) -> Callable[[], None]:
        """`callback` is called for all news, in the event loop. Gives what ends that."""
        return self._listeners.subscribe(callback)

    def listen(self) -> Listening[NodeUpdate]:
        """The same as an async iterator: `async with … as news: async for one in news:`."""
        return self._listeners.listen()

    def trigger(self) -> None:
        """Something was done in Slurm: look now."""
        self._triggered.set()

    async def wait_for_sync(self) -> None:
        """Until Slurm has listed its nodes once."""
        await self._synced.wait()

    async def run(self) -> None:
        """Watch until cancelled; no error of Slurm's ends it."""
        failing_since_s = 0.0
        while True:
            started_s = self._clock.monotonic()
            try:
                nodes = await self._client.list_nodes()
            except SlurmError as error:
                if not self._back_off.failures:
                    failing_since_s = started_s
                    self._listeners.tell(Outage(error))
                await self._clock.sleep(self._back_off.next_s())
                continue
            now_s = self._clock.monotonic()
            if failures := self._back_off.failures:
                self._listeners.tell(Recovered(after_s=now_s - failing_since_s, failures=failures))
                self._back_off.reset()
            self._seen_s = started_s
            self._compare({node.name: node for node in nodes})
            self._synced.set()
            await self._pause(max(self._interval_s, (now_s - started_s) / _SHARE))

    def _compare(self, now: dict[SlurmNodeName, SlurmNode]) -> None:
        before, self._nodes = self._nodes, now
        for name, node in now.items():
            if before.get(name) != node:
                self._listeners.tell(NodeSeen(node))
        for name, node in before.items():
            if name not in now:
                self._listeners.tell(NodeGone(name, node))

    async def _pause(self, seconds: float) -> None:
        await sleep_until_triggered(self._clock, seconds, self._triggered)
        self._triggered.clear()


def _about(news: NodeUpdate) -> Hashable:
    match news:
        case NodeSeen(node):
            return node.name
        case NodeGone(name):
            return name
        case _:
            return type(news).__name__
