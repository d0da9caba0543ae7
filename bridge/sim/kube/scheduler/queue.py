"""What is to be scheduled: active, backing off, or waiting for the cluster to change."""

import asyncio
import heapq
from dataclasses import dataclass

from bridge.clock import Clock
from bridge.retry import pause_s
from bridge.sim.kube.apiserver.objects import Key, Object


@dataclass(slots=True)
class Waiting:
    """A pod in the queue."""

    key: Key
    uid: str
    priority: int
    number: int
    attempts: int = 0
    ready_s: float = 0.0
    """When its back-off is over (monotonic)."""
    by_extender: bool = False
    """An extender refused it last: any event in the cluster brings it back."""


class SchedulingQueue:
    """Highest priority first, then first come; a failed pod waits for an event and its back-off.

    As kube-scheduler: the back-off doubles from `initial_s` to `most_s`; an event in the cluster
    moves what was found unschedulable; what was never moved is tried again after `flush_s`.
    """

    def __init__(
        self, clock: Clock, *, initial_s: float = 1.0, most_s: float = 10.0, flush_s: float = 300.0
    ) -> None:
        self._clock = clock
        self._initial_s = initial_s
        self._most_s = most_s
        self._flush_s = flush_s
        self._known: dict[str, Waiting] = {}
        self._active: list[tuple[int, int, str]] = []
        self._unschedulable: set[str] = set()
        self._arrived = asyncio.Event()
        self._timers: dict[str, asyncio.Task[None]] = {}
        self._number = 0
        self.moves = 0
        """Counts cluster events, so that one that comes during an attempt is not missed."""

    def add(self, key: Key, pod: Object) -> None:
        """A pod that is to be scheduled; one that is known keeps its place."""
        uid = pod["metadata"]["uid"]
        if uid not in self._known:
            self._number += 1
            priority = pod["spec"].get("priority") or 0
            self._known[uid] = Waiting(key, uid, priority, self._number)
            self._activate(self._known[uid])
        elif uid in self._unschedulable:
            self._wake(self._known[uid])

    def drop(self, uid: str) -> None:
        """The pod is bound or gone."""
        self._known.pop(uid, None)
        self._unschedulable.discard(uid)
        timer = self._timers.pop(uid, None)
        if timer is not None:
            timer.cancel()

    async def pop(self) -> Waiting:
        """The next pod to try; waits for one."""
        while True:
            while self._active:
                _, _, uid = heapq.heappop(self._active)
                waiting = self._known.get(uid)
                if waiting is not None:
                    waiting.attempts += 1
                    return waiting
            self._arrived.clear()
            await self._arrived.wait()

    def put_back(
        self,
        waiting: Waiting,
        *,
        moves_before: int,
        retry: bool = False,
        by_extender: bool = False,
    ) -> None:
        """An attempt failed. `retry`: by an error, not for lack of a node: back off only."""
        if waiting.uid not in self._known:
            return
        waiting.by_extender = by_extender
        pause = pause_s(waiting.attempts, first_s=self._initial_s, most_s=self._most_s)
        waiting.ready_s = self._clock.monotonic() + pause
        if retry or moves_before != self.moves:
            self._after(waiting, pause)
        else:
            self._unschedulable.add(waiting.uid)
            self._after(waiting, self._flush_s)

    def move(self) -> None:
        """Something in the cluster changed that may make room."""
        self.moves += 1
        for uid in list(self._unschedulable):
            self._wake(self._known[uid])

    def stir(self) -> None:
        """Something changed in the cluster, though it makes no room.

        kube-scheduler can't know what an extender's refusal hangs on, so what was refused by one
        is tried again after every event.
        """
        for uid in list(self._unschedulable):
            if self._known[uid].by_extender:
                self._wake(self._known[uid])

    def close(self) -> None:
        """Stop all timers."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def __len__(self) -> int:
        return len(self._known)

    def _wake(self, waiting: Waiting) -> None:
        self._unschedulable.discard(waiting.uid)
        self._after(waiting, waiting.ready_s - self._clock.monotonic())

    def _activate(self, waiting: Waiting) -> None:
        heapq.heappush(self._active, (-waiting.priority, waiting.number, waiting.uid))
        self._arrived.set()

    def _after(self, waiting: Waiting, pause_s: float) -> None:
        timer = self._timers.pop(waiting.uid, None)
        if timer is not None:
            timer.cancel()
        if pause_s <= 0:
            self._activate(waiting)
        else:
            self._timers[waiting.uid] = asyncio.ensure_future(self._wait(waiting, pause_s))

    async def _wait(self, waiting: Waiting, pause_s: float) -> None:
        await self._clock.sleep(pause_s)
        self._timers.pop(waiting.uid, None)
        self._unschedulable.discard(waiting.uid)
        if waiting.uid in self._known:
            self._activate(waiting)
