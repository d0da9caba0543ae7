"""What the BridgeService answers, collected from the controller's state and from Slurm."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Final, Generic, TypeVar

from bridge import slurm
from bridge.clock import Clock
from bridge.controller import GangController
from bridge.explain import notes, table, times
from bridge.explain.place import Lines
from bridge.explain.rows import GangRow, QueueRow, Story
from bridge.explain.view import Found, Past, Sources, View
from bridge.lifecycle.state import State
from bridge.model.ids import GangId, SlurmJobId
from bridge.nodes import definition, surveying
from bridge.nodes.survey import Row
from bridge.rpc.native_jobs import NativeJobs
from bridge.slurm.jobs import Job
from bridge.slurm.nodes import SlurmNode
from bridge.slurm.reservations import Reservation
from bridge.state.kube_state import KubeState
from bridge.state.slurm_state import SlurmState

_BATCH: Final = 200
"""Gangs that are told without letting others into the event loop."""
_MOST_STORIES: Final = 8
_RESERVATIONS_S: Final = 15.0
_KEPT_S: Final = 1.0
T = TypeVar("T")


class Answers:
    """Reads what is needed for a question, and tells it."""

    def __init__(
        self,
        *,
        cluster: KubeState,
        slurm_state: SlurmState,
        controller: GangController,
        client: slurm.SlurmClient,
        watcher: slurm.JobWatcher,
        registration: definition.Rules,
        scheduler_name: str,
        clock: Clock,
    ) -> None:
        self._cluster = cluster
        self._slurm_state = slurm_state
        self._controller = controller
        self._client = client
        self._watcher = watcher
        self._native = NativeJobs(client=client, watcher=watcher, clock=clock)
        self._registration = registration
        self._scheduler_name = scheduler_name
        self._clock = clock
        self._reservations: tuple[float, tuple[Reservation, ...]] = (float("-inf"), ())
        self._ended: dict[SlurmJobId, Job] = {}
        self._namespaces: _Kept[dict[str, list[GangId]]] = _Kept(clock)
        self._queue: _Kept[Lines] = _Kept(clock)

    # -- questions -------------------------------------------------------------------------------

    async def gangs(self, namespace: str) -> list[GangRow]:
        """The gangs of a namespace, or all ("")."""
        view = self._view()
        return [row async for row in _few(self._ids_of(namespace), view.gang)]

    def gang(self, gang_id: GangId) -> GangRow | None:
        """One of them; None if it is gone."""
        return self._view().gang(gang_id)

    async def queue(self, namespace: str) -> tuple[list[QueueRow], int]:
        """(the rows, the number of native jobs that were not read yet); of all namespaces ("") with
        native jobs."""
        view = self._view()
        rows = [
            row
            async for gang in _few(self._ids_of(namespace), view.gang)
            if (row := view.queued(gang)) is not None
        ]
        unread = 0
        if not namespace:
            await self._native.refresh()
            unread = self._native.unread
            rows += [view.native(job) for job in self._native.jobs()]
        return sorted(rows, key=table.order), unread

    def find(self, namespace: str, kind: str, name: str) -> Found:
        """What the name stands for."""
        return self._view().find(namespace, kind, name)

    async def stories(self, found: Found) -> list[Story]:
        """The stories of what was found, the first ones."""
        gangs = found.gangs[:_MOST_STORIES]
        await self._read_for(gangs, found.past)
        view = self._view()
        stories = [view.story(gang_id) for gang_id in gangs]
        told = [story for story in stories if story is not None]
        return told + [view.past_story(past) for past in found.past if not told]

    @property
    def warning(self) -> str:
        """Why what is said of Slurm's jobs may be out of date; "" if it is not."""
        if not self._watcher.problem:
            return ""
        age_s = self._clock.monotonic() - self._watcher.seen_s
        return f"Slurm does not answer: what is said of its jobs is {times.about(age_s)} old."

    async def nodes(self) -> list[Row]:
        """Both sides' nodes. Raises SlurmError."""
        return await surveying.rows(
            self._client,
            cluster=self._cluster,
            rules=self._registration,
            scheduler_name=self._scheduler_name,
            now_s=self._clock.time(),
        )

    async def slurm_nodes(self) -> tuple[SlurmNode, ...]:
        """Slurm's nodes. Raises SlurmError."""
        return await self._client.list_nodes()

    # -- what is read for them -------------------------------------------------------------------

    async def _read_for(self, gangs: Iterable[GangId], past: Iterable[Past]) -> None:
        """What a story needs beside what is known anyway; what can't be read is left out."""
        machines = self._controller.gangs.machines
        runs = [m.known.run for gang in gangs if (m := machines.get(gang)) is not None]
        facts = [run.facts for run in runs if run is not None and run.facts is not None]
        if any(one.waits for one in facts):
            await self._native.refresh()
        if any(one.waits and notes.asks_for_reservations(one) for one in facts):
            await self._read_reservations()
        ended = {self._last_job(gang) for gang in gangs if gang not in machines}
        ended |= {step.job_id for one in past for step in one.steps[-3:]}
        for job_id in ended - self._watcher.jobs.keys():
            if job_id is not None:
                await self._read_ended(job_id)

    def _last_job(self, gang_id: GangId) -> SlurmJobId | None:
        pods = self._cluster.pods_of(gang_id)
        return max((pod.job_id for pod in pods if pod.job_id is not None), default=None)

    async def _read_ended(self, job_id: SlurmJobId) -> None:
        try:
            self._ended = {job_id: await self._client.get_job(job_id), **self._ended}
        except slurm.SlurmError:
            return
        while len(self._ended) > _MOST_STORIES:
            self._ended.popitem()

    async def _read_reservations(self) -> None:
        now_s = self._clock.monotonic()
        if now_s - self._reservations[0] < _RESERVATIONS_S:
            return
        try:
            self._reservations = (now_s, await self._client.list_reservations())
        except slurm.SlurmError:
            return

    # -- who knows what --------------------------------------------------------------------------

    def _view(self) -> View:
        now_s = self._clock.time()
        sources = Sources(
            cluster=self._cluster,
            machines=self._controller.gangs.machines,
            fault_of=self._controller.notes.fault_of,
            past=self._past,
            job=self._job,
            lines=self._lines,
            ids_of=self._ids_of,
            capacities=lambda: self._slurm_state.capacities,
            notes_of=self._notes_of,
        )
        return View(sources, epoch_s=now_s - self._clock.monotonic(), now_s=now_s)

    def _past(self) -> Iterator[Past]:
        for gang in self._controller.gangs.past:
            state = State.DONE.value
            yield Past(
                GangRow(gang.id, gang.namespace, gang.kind, gang.name, state, gang.size, 0),
                gang.steps,
                gang.pods,
            )

    def _job(self, job_id: SlurmJobId) -> Job | None:
        watched = self._watcher.jobs.get(job_id)
        return watched.job if watched is not None else self._ended.get(job_id)

    def _ids_of(self, namespace: str) -> list[GangId]:
        """The gangs of a namespace, or all (""), as they were a moment ago."""
        return self._namespaces.of(self._by_namespace).get(namespace, [])

    def _by_namespace(self) -> dict[str, list[GangId]]:
        every = list(self._cluster.gangs)
        found: dict[str, list[GangId]] = {}
        for gang_id in every:
            record = self._cluster.members(gang_id)
            if record is not None:
                found.setdefault(record.line.pod.namespace, []).append(gang_id)
        found[""] = every
        return found

    def _lines(self) -> Lines:
        return self._queue.of(lambda: Lines(self._waiting()))

    def _waiting(self) -> Iterator[Job]:
        for watched in self._watcher.jobs.values():
            if watched.job.pending:
                yield watched.job
        yield from (job for job in self._native.jobs() if job.pending)

    def _notes_of(self, gang_id: GangId) -> tuple[str, ...]:
        machine = self._controller.gangs.machines.get(gang_id)
        if machine is None:
            return ()
        left_out, shortage = self._controller.notes.advice_on(machine)
        return notes.of(
            machine,
            left_out=left_out,
            shortage=shortage,
            reservations=self._reservations[1],
            now_s=self._clock.time(),
        )


class _Kept(Generic[T]):
    """What costs a look at every gang or job: made again only when it is a moment old."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._value: T | None = None
        self._made_s = float("-inf")

    def of(self, make: Callable[[], T]) -> T:
        now_s = self._clock.monotonic()
        if self._value is None or now_s - self._made_s > _KEPT_S:
            self._value, self._made_s = make(), now_s
        return self._value


async def _few(
    ids: list[GangId], tell: Callable[[GangId], GangRow | None]
) -> AsyncIterator[GangRow]:
    for at, gang_id in enumerate(ids):
        if at % _BATCH == _BATCH - 1:
            await asyncio.sleep(0)
        row = tell(gang_id)
        if row is not None:
            yield row
