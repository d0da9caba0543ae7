"""Answers whoever shows a Kubernetes token, with what Kubernetes would show them. Read only."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict
from typing import Any, Final, NoReturn

import grpc
import structlog

from bridge.errors import BridgeError, Unreachable
from bridge.explain.rows import GangRow
from bridge.model import texts
from bridge.model.ids import GangId
from bridge.rpc import callers, explain_wire
from bridge.rpc.answers import Answers
from bridge.rpc.callers import Access, Caller, Callers
from bridge.rpc.slurmbridge.v1 import bridge_pb2 as pb
from bridge.rpc.slurmbridge.v1 import bridge_pb2_grpc as pb_grpc
from bridge.slurm.nodes import SlurmNode

log = structlog.get_logger(__name__)

LEADER: Final = "slurm-bridge-leader"
"""Metadata behind an answer of a controller that does not lead: HOST:PORT of the one that does."""
_BURST_S: Final = 0.5
"""Gangs change in bursts; a watcher is told so often at the most."""
_LOOK_S: Final = 5.0
"""Between two looks at whether we still lead, and the caller may still see it."""
_LONGEST_NAME: Final = 253
_MOST_WATCHES: Final = 50
_MOST_IN_A_MESSAGE: Final = 500
_CODES: Final = {
    callers.NotKnown: grpc.StatusCode.UNAUTHENTICATED,
    callers.NotAllowed: grpc.StatusCode.PERMISSION_DENIED,
    callers.TooMany: grpc.StatusCode.RESOURCE_EXHAUSTED,
    callers.NotReviewed: grpc.StatusCode.UNAVAILABLE,
}


class NotFound(BridgeError):
    """Nothing of that name goes through the bridge."""


class BridgeService(pb_grpc.BridgeServiceServicer):
    """`absence` says why this controller can't answer ("" if it can), and where another one
    listens that leads (HOST:PORT, or "")."""

    def __init__(
        self,
        *,
        answers: Answers,
        callers: Callers,
        absence: Callable[[], tuple[str, str]],
        listen: Callable[[Callable[[GangId], None]], None],
    ) -> None:
        self._answers = answers
        self._callers = callers
        self._absence = absence
        self._watches: set[_Watch] = set()
        listen(self._changed)

    def _changed(self, gang_id: GangId) -> None:
        for watch in self._watches:
            watch.mark(gang_id)

    # -- calls: named as in the proto file -------------------------------------------------------

    async def ListGangs(  # noqa: N802
        self, request: pb.ListGangsRequest, context: Any
    ) -> pb.ListGangsResponse:
        """Of a namespace, or all."""
        async with self._asked(context) as caller:
            await self._callers.check(caller, Access("list", "pods", _name(request.namespace)))
            rows = await self._answers.gangs(request.namespace)
            return pb.ListGangsResponse(gangs=map(explain_wire.gang, rows))

    async def WatchGangs(  # noqa: N802
        self, request: pb.WatchGangsRequest, context: Any
    ) -> AsyncIterator[pb.WatchGangsResponse]:
        """All first, then what changes."""
        async with self._asked(context) as caller:
            access = Access("list", "pods", _name(request.namespace))
            await self._callers.check(caller, access)
            if len(self._watches) >= _MOST_WATCHES:
                raise callers.TooMany("too many watches at once; list from time to time instead")
            watch = _Watch()
            self._watches.add(watch)
            try:
                rows = await self._answers.gangs(request.namespace)
                for part in watch.all(rows):
                    yield part
                while True:
                    changed = await watch.changed()
                    self._check_leads()
                    await self._callers.check(await self._caller(context), access)
                    news = watch.news(changed, self._answers.gang, request.namespace)
                    if news is not None:
                        yield news
            finally:
                self._watches.discard(watch)

    async def Explain(  # noqa: N802
        self, request: pb.ExplainRequest, context: Any
    ) -> pb.ExplainResponse:
        """A pod, or the owner of pods."""
        async with self._asked(context) as caller:
            namespace, name = _name(request.namespace), _name(request.name)
            if not namespace or not name:
                raise _Invalid("name a pod (or an owner: kind and name) and its namespace")
            found = self._answers.find(namespace, _name(request.kind), name)
            verb = Access("get", "pods", namespace, name)
            if found.kind != "pod":
                verb = Access("list", "pods", namespace)
            await self._callers.check(caller, verb)
            if found.unresolved:
                raise NotFound(
                    f"pod {namespace}/{name}: slurm-bridge has seen it, and waits to hear of its "
                    "owner; ask again in a moment"
                )
            stories = await self._answers.stories(found)
            if not stories:
                raise NotFound(_not_found(found.kind, namespace, name))
            more = max(0, len(found.gangs) - len(stories))
            return pb.ExplainResponse(
                stories=map(explain_wire.story, stories), more=more, warning=self._answers.warning
            )

    async def GetQueue(  # noqa: N802
        self, request: pb.GetQueueRequest, context: Any
    ) -> pb.GetQueueResponse:
        """Of a namespace, or all with native jobs."""
        async with self._asked(context) as caller:
            await self._callers.check(caller, Access("list", "pods", _name(request.namespace)))
            rows, unread = await self._answers.queue(request.namespace)
            entries = map(explain_wire.queue_entry, rows)
            return pb.GetQueueResponse(
                entries=entries, unread=unread, warning=self._answers.warning
            )

    async def ListNodes(  # noqa: N802
        self, request: pb.ListNodesRequest, context: Any
    ) -> pb.ListNodesResponse:
        """Both sides'."""
        async with self._asked(context) as caller:
            await self._callers.check(caller, Access("list", "nodes"))
            rows = await self._answers.nodes()
            return pb.ListNodesResponse(nodes=map(_node, map(asdict, rows)))

    async def GetTopology(  # noqa: N802
        self, request: pb.GetTopologyRequest, context: Any
    ) -> pb.GetTopologyResponse:
        """Slurm's."""
        async with self._asked(context) as caller:
            await self._callers.check(caller, Access("list", "nodes"))
            nodes = await self._answers.slurm_nodes()
            return pb.GetTopologyResponse(
                switches=_switches(nodes),
                without=sorted(node.name for node in nodes if not node.topology),
            )

    # -- who asks --------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def _asked(self, context: Any) -> AsyncIterator[Caller]:
        """The caller, once he is known and we may speak for all. What is raised inside becomes the
        call's status."""
        try:
            self._check_leads()
            yield await self._caller(context)
        except _Absent as absent:
            await _abort(context, grpc.StatusCode.UNAVAILABLE, str(absent), leader=absent.leader)
        except _Invalid as error:
            await _abort(context, grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except NotFound as error:
            await _abort(context, grpc.StatusCode.NOT_FOUND, str(error))
        except tuple(_CODES) as error:
            await _abort(context, _CODES[type(error)], str(error))
        except Unreachable as error:
            await _abort(context, grpc.StatusCode.UNAVAILABLE, str(error))
        except BridgeError as error:
            await _abort(context, grpc.StatusCode.INTERNAL, str(error))

    def _check_leads(self) -> None:
        why, leader = self._absence()
        if why:
            raise _Absent(why, leader)

    async def _caller(self, context: Any) -> Caller:
        said = [value for key, value in context.invocation_metadata() if key == "authorization"]
        return await self._callers.who(said[0] if isinstance(next(iter(said), None), str) else "")


async def _abort(context: Any, code: grpc.StatusCode, text: str, *, leader: str = "") -> NoReturn:
    metadata = ((LEADER, leader),) if leader else ()
    await context.abort(code, texts.printable(text, 2_000), metadata)
    raise AssertionError("abort raises")


class _Absent(BridgeError):
    """This controller does not lead, or does not know enough yet."""

    def __init__(self, why: str, leader: str) -> None:
        super().__init__(why)
        self.leader = leader


class _Invalid(BridgeError):
    """The request says too little, or too much."""


class _Watch:
    """One watcher, as far as he is told."""

    def __init__(self) -> None:
        self._told: dict[GangId, GangRow] = {}
        self._marked: set[GangId] = set()
        self._awake = asyncio.Event()

    def mark(self, gang_id: GangId) -> None:
        self._marked.add(gang_id)
        self._awake.set()

    async def changed(self) -> set[GangId]:
        """Gangs that may have changed; none after a while without."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_S):
                await self._awake.wait()
                await asyncio.sleep(_BURST_S)
        self._awake.clear()
        changed, self._marked = self._marked, set()
        return changed

    def all(self, rows: list[GangRow]) -> Iterator[pb.WatchGangsResponse]:
        """The first messages, none larger than a client takes by default."""
        self._told = {row.id: row for row in rows}
        for at in range(0, max(1, len(rows)), _MOST_IN_A_MESSAGE):
            part = rows[at : at + _MOST_IN_A_MESSAGE]
            yield pb.WatchGangsResponse(
                is_whole=at == 0,
                is_complete=at + _MOST_IN_A_MESSAGE >= len(rows),
                gangs=map(explain_wire.gang, part),
            )

    def news(
        self,
        changed: set[GangId],
        tell: Callable[[GangId], GangRow | None],
        namespace: str,
    ) -> pb.WatchGangsResponse | None:
        """What is new of these gangs; None for nothing."""
        gangs, gone = [], []
        for gang_id in sorted(changed):
            row = tell(gang_id)
            if row is None or (namespace and row.namespace != namespace):
                if self._told.pop(gang_id, None) is not None:
                    gone.append(gang_id)
            elif self._told.get(gang_id) != row:
                self._told[gang_id] = row
                gangs.append(explain_wire.gang(row))
        if not gangs and not gone:
            return None
        return pb.WatchGangsResponse(gangs=gangs, gone=gone, is_complete=True)


def _name(text: str) -> str:
    if len(text) > _LONGEST_NAME or not text.isprintable():
        raise _Invalid("a name in the request is no name of Kubernetes")
    return text


def _not_found(kind: str, namespace: str, name: str) -> str:
    what = f"{kind} {namespace}/{name}"
    if kind == "pod":
        return (
            f"slurm-bridge knows no {what}: there is no such pod (any more), or it does not go "
            f"through Slurm (its spec.schedulerName names another scheduler)"
        )
    return (
        f"slurm-bridge knows no pods of {what}: there is no such object, it has no pods yet (see "
        f"`kubectl describe {kind} {name}`), or they do not go through Slurm"
    )


def _node(row: dict[str, str]) -> pb.Node:
    return pb.Node(name=row.pop("node"), **row)


def _switches(nodes: tuple[SlurmNode, ...]) -> Iterator[pb.Switch]:
    found: dict[tuple[str, str], pb.Switch] = {}
    for node in sorted(nodes, key=lambda one: one.name):
        for place in filter(None, node.topology.split(",")):
            topology, *path = place.split(":")
            for at, name in enumerate(path):
                parent = path[at - 1] if at else ""
                key = (topology, name)
                if key not in found:
                    found[key] = pb.Switch(topology=topology, name=name, parent=parent)
            if path:
                found[topology, path[-1]].nodes.append(node.name)
    yield from found.values()
