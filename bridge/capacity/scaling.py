"""Asks for nodes by the replicas of objects whose replicas are nodes (MachineDeployments).

What an object needs is a number, not a change: the nodes that are counted as present, and those
that are missing. Replicas below it are raised to it; a node that was asked for and has not come is
one of the missing, so nothing is asked for twice, whenever the bridge ends and starts. Then it is
noted on the object for whom that was, since when, and how many replicas it had. Replicas that are
below that note were lowered by somebody else, who is not overruled while the note stays.

Replicas are never lowered: nobody knows which machines would go.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import structlog
from pydantic import BaseModel, ValidationError

from bridge import names
from bridge.capacity import machines
from bridge.capacity.machines import MachineGroup
from bridge.capacity.plan import Counts
from bridge.capacity.writer import Standing, Wanted
from bridge.errors import BridgeError
from bridge.kube.api import discovery, errors
from bridge.kube.api.client import KubeClient
from bridge.kube.objects import scaled
from bridge.model.ids import GangId
from bridge.state.kube_state import KubeState

log = structlog.get_logger(__name__)

_AGAIN_S = 5.0
_KEY = names.CAPACITY_ASKED_ANNOTATION


class _Gang(BaseModel):
    owner: str
    tasks: list[int]
    since: float


class _Note(BaseModel):
    """What the annotation says."""

    replicas: int = 0
    """How many the object had when it was written."""
    gangs: dict[str, _Gang] = {}  # pydantic copies it


@dataclass(slots=True)
class _Object:
    """What is known of one object."""

    group: MachineGroup
    path: str = ""
    note: _Note = field(default_factory=_Note)


class ScaledObjects:
    """The objects that may be scaled up, in order: a `RequestWriter`."""

    def __init__(
        self,
        groups: Sequence[MachineGroup],
        *,
        kube: KubeClient,
        cluster: KubeState,
        scheduler_name: str,
    ) -> None:
        self._objects = [_Object(group) for group in groups]
        self._kube = kube
        self._cluster = cluster
        self._scheduler_name = scheduler_name
        self._knows = asyncio.Event()

    async def follow(self) -> None:
        """Reads once what was asked for; from then on only the bridge writes it."""
        for one in self._objects:
            while True:
                try:
                    await self._read(one)
                except (errors.NotFound, errors.Forbidden) as error:
                    log.warning("capacity.not_readable", object=str(one.group), error=str(error))
                except BridgeError as error:
                    log.info("capacity.retrying", error=str(error))
                    await self._kube.clock.sleep(_AGAIN_S)
                    continue
                break
        self._knows.set()

    async def wait_for_sync(self) -> None:
        """As `RequestWriter`."""
        await self._knows.wait()

    def standing(self) -> Mapping[GangId, Standing]:
        """As `RequestWriter`."""
        found: dict[GangId, Standing] = {}
        for one in self._objects:
            for name, asked in one.note.gangs.items():
                gang = GangId(name)
                said = f"{one.group} has {one.note.replicas} replicas"
                before = found.get(gang)
                counts, since_s = tuple(asked.tasks), asked.since
                if before is not None:
                    counts = _sum(counts, before.counts)
                    since_s = min(since_s, before.since_s)
                    said = f"{before.said}, {said}"
                found[gang] = Standing(counts, since_s, sum(counts), said)
        return found

    async def withdraw(self, wanted: Mapping[GangId, Wanted]) -> bool:
        """Takes the gangs that want nothing any more off the notes; replicas stay as they are."""
        changed = False
        for one in self._objects:
            left = {gang: asked for gang, asked in one.note.gangs.items() if gang in wanted}
            if left.keys() != one.note.gangs.keys():
                changed = True
                await self._write(one, _Note(replicas=one.note.replicas, gangs=left))
        if changed:
            log.info("capacity.withdrawn")
        return changed

    async def ask(self, wanted: Mapping[GangId, Wanted]) -> Mapping[GangId, str]:
        """Raises replicas to what is needed, and notes for whom."""
        if not wanted:
            return {}
        division, needed = machines.divide(
            wanted,
            [one.group for one in self._objects],
            self._cluster.nodes.values(),
            self._scheduler_name,
        )
        problems = dict.fromkeys(
            division.homeless,
            "no object of capacity.scaledObjects has nodes for all that it lacks, within its max",
        )
        for one, tasks, replicas in zip(self._objects, division.tasks, needed, strict=True):
            if not tasks:
                continue
            try:
                problem = await self._raise(one, replicas, tasks, wanted)
            except errors.Conflict:
                continue  # somebody else has just changed it: the next pass reads it again
            except BridgeError as error:
                problem = str(error)
            if problem:
                problems |= dict.fromkeys(tasks, problem)
        return problems

    async def clear(self) -> None:
        """As `RequestWriter`."""
        for one in self._objects:
            await self._read(one)
            if one.note.gangs:
                await self._write(one, _Note())

    async def _raise(
        self,
        one: _Object,
        replicas: int,
        tasks: Mapping[GangId, Counts],
        wanted: Mapping[GangId, Wanted],
    ) -> str:
        """Returns why not; "" if all is well."""
        await self._read(one)
        scale = await scaled.read(self._kube, one.path)
        now = scale.replicas
        if now < replicas:
            if one.note.gangs and now < one.note.replicas:
                return f"somebody has lowered the replicas of {one.group} to {now}"
            await scaled.set_replicas(self._kube, one.path, scale, replicas)
            log.info("capacity.scaled", object=str(one.group), before=now, replicas=replicas)
            now = replicas
        before = one.note.gangs
        gangs = {
            str(gang): _Gang(
                owner=wanted[gang].need.owner,
                tasks=list(counts),
                since=before[gang].since if gang in before else self._kube.clock.time(),
            )
            for gang, counts in tasks.items()
        }
        note = _Note(replicas=max(now, one.note.replicas) if before else now, gangs=gangs)
        if note != one.note:
            await self._write(one, note)
        return ""

    async def _read(self, one: _Object) -> None:
        if not one.path:
            group = one.group
            served = await discovery.find(self._kube, group.api_version, group.kind)
            one.path = (
                f"/apis/{served.api_version}/namespaces/{group.namespace}/{served.plural}/"
                f"{group.name}"
            )
        text = await scaled.annotation(self._kube, one.path, _KEY)
        try:
            one.note = _Note.model_validate_json(text) if text else _Note()
        except ValidationError:
            log.warning("capacity.note_unreadable", object=str(one.group))
            one.note = _Note()

    async def _write(self, one: _Object, note: _Note) -> None:
        text = note.model_dump_json() if note.gangs else ""
        await scaled.annotate(self._kube, one.path, _KEY, text)
        one.note = note if note.gangs else _Note()


def _sum(one: Counts, other: Counts) -> Counts:
    size = max(len(one), len(other))
    return tuple(
        first + second
        for first, second in zip(
            (*one, *([0] * (size - len(one)))), (*other, *([0] * (size - len(other)))), strict=True
        )
    )
