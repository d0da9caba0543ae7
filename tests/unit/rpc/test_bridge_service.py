"""The service over a real connection: who is answered with what."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast

import grpc
import grpc.aio
import pytest

from bridge.explain.rows import GangRow, JobRow, NodeReport, Place, PodRow, QueueRow, StepRow, Story
from bridge.explain.view import Found
from bridge.model.ids import GangId, SlurmJobId
from bridge.nodes.survey import Row
from bridge.rpc import callers, explain_wire
from bridge.rpc.bridge_service import LEADER, BridgeService
from bridge.rpc.callers import Access, Caller
from bridge.rpc.slurmbridge.v1 import bridge_pb2 as pb
from bridge.rpc.slurmbridge.v1 import bridge_pb2_grpc as pb_grpc
from bridge.slurm.nodes import SlurmNode

GANG = GangRow(GangId("team/u"), "team", "Job", "train", "Queued", 2, 2, SlurmJobId(7), "It waits.")
JOB = JobRow(
    SlurmJobId(7), "team/train", "PENDING", "Resources", "longer", "plain", "p", "acc", "qos",
    "ann", 5, 10.0, 20.0, None, 90, (),
)  # fmt: skip
STORY = Story(
    gang=replace(GANG, reason="Resources", expected_start_s=20.0),
    pods=(PodRow("train-0", "Pending", "", "said"),),
    more_pods=1,
    job=JOB,
    steps=(StepRow(10, "Created."),),
    place=Place(0, 3, "p"),
    nodes=(NodeReport(3, 1, ((2, "cordoned"),), "worker"),),
    notes=("a note",),
    starts_when="soon",
    advice=("wait",),
)
METADATA = (("authorization", "Bearer ann"),)


@dataclass
class Answers:
    """What there is to tell."""

    rows: list[GangRow] = field(default_factory=lambda: [GANG])
    found: Found = field(default_factory=lambda: Found("pod", (GANG.id,)))
    told: list[Story] = field(default_factory=lambda: [STORY])
    warning: str = ""

    async def gangs(self, namespace: str) -> list[GangRow]:
        return [row for row in self.rows if namespace in ("", row.namespace)]

    def gang(self, gang_id: GangId) -> GangRow | None:
        return next((row for row in self.rows if row.id == gang_id), None)

    async def queue(self, namespace: str) -> tuple[list[QueueRow], int]:
        native = [] if namespace else [QueueRow(replace(JOB, id=SlurmJobId(9)))]
        return [QueueRow(JOB, "team", "Job", "train", 2), *native], 0

    def find(self, namespace: str, kind: str, name: str) -> Found:
        return self.found

    async def stories(self, found: Found) -> list[Story]:
        return self.told

    async def nodes(self) -> list[Row]:
        return [Row("n1", "Ready", "IDLE", "8", "1", "gpu:8", "t", "")]

    async def slurm_nodes(self) -> tuple[SlurmNode, ...]:
        def node(name: str, topology: str) -> SlurmNode:
            return SlurmNode(cast("Any", name), frozenset({"IDLE"}), topology=topology)

        return node("n2", "f:root:leaf"), node("n1", "f:root:leaf"), node("n3", "")


@dataclass
class Kubernetes:
    """Knows ann, who may do `allowed`."""

    allowed: set[Access] = field(default_factory=set)
    asked: list[Access] = field(default_factory=list)

    async def who(self, authorization: str) -> Caller:
        if authorization != "Bearer ann":
            raise callers.NotKnown("no token")
        return Caller("ann")

    async def check(self, caller: Caller, access: Access) -> None:
        self.asked.append(access)
        if access not in self.allowed:
            raise callers.NotAllowed(f'user "{caller.name}" may not {access}')


@dataclass
class Bridge:
    """A service and its surroundings."""

    answers: Answers = field(default_factory=Answers)
    kubernetes: Kubernetes = field(default_factory=Kubernetes)
    absence: tuple[str, str] = ("", "")
    changed: Callable[[GangId], None] = lambda _: None
    stub: Any = None

    def listen(self, callback: Callable[[GangId], None]) -> None:
        self.changed = callback

    def may(self, verb: str, resource: str, namespace: str = "", name: str = "") -> None:
        self.kubernetes.allowed.add(Access(verb, resource, namespace, name))


@pytest.fixture
async def bridge() -> AsyncIterator[Bridge]:
    """Nobody may anything yet."""
    async with served() as one:
        yield one


@asynccontextmanager
async def served() -> AsyncIterator[Bridge]:
    one = Bridge()
    service = BridgeService(
        answers=cast("Any", one.answers),
        callers=cast("Any", one.kubernetes),
        absence=lambda: one.absence,
        listen=one.listen,
    )
    server = grpc.aio.server()
    add: Any = pb_grpc.add_BridgeServiceServicer_to_server
    add(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            one.stub = pb_grpc.BridgeServiceStub(channel)
            yield one
    finally:
        await server.stop(grace=None)


async def refused(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


EVERY = (
    ("ListGangs", pb.ListGangsRequest(namespace="team"), ("list", "pods", "team")),
    ("ListGangs", pb.ListGangsRequest(), ("list", "pods")),
    ("GetQueue", pb.GetQueueRequest(namespace="team"), ("list", "pods", "team")),
    ("GetQueue", pb.GetQueueRequest(), ("list", "pods")),
    ("Explain", pb.ExplainRequest(namespace="team", name="x"), ("get", "pods", "team", "x")),
    ("ListNodes", pb.ListNodesRequest(), ("list", "nodes")),
    ("GetTopology", pb.GetTopologyRequest(), ("list", "nodes")),
)


@pytest.mark.parametrize(("name", "request_", "right"), EVERY)
async def test_each_call_needs_a_token_and_its_right(
    bridge: Bridge, name: str, request_: Any, right: tuple[str, ...]
) -> None:
    """Exactly that one; without, nothing is told, not even whether there is something."""
    call = getattr(bridge.stub, name)
    for metadata in ((), (("authorization", "Bearer bob"),)):
        error = await refused(call(request_, metadata=metadata))
        assert error.code() is grpc.StatusCode.UNAUTHENTICATED
    error = await refused(call(request_, metadata=METADATA))
    assert error.code() is grpc.StatusCode.PERMISSION_DENIED
    assert bridge.kubernetes.asked == [Access(*right)]
    bridge.may(*right)
    assert await call(request_, metadata=METADATA)


async def test_an_owner_needs_the_list_of_pods(bridge: Bridge) -> None:
    """To get one pod is not enough for the story of many."""
    bridge.answers.found = Found("job", (GANG.id, GangId("other")))
    bridge.may("get", "pods", "team", "train")
    request = pb.ExplainRequest(namespace="team", kind="job", name="train")
    error = await refused(bridge.stub.Explain(request, metadata=METADATA))
    assert error.code() is grpc.StatusCode.PERMISSION_DENIED
    bridge.may("list", "pods", "team")
    answer = await bridge.stub.Explain(request, metadata=METADATA)
    assert answer.more == 1
    assert explain_wire.story_row(answer.stories[0]) == STORY


async def test_what_is_not_there_is_said_only_to_who_may_know(bridge: Bridge) -> None:
    """After the check of rights."""
    bridge.answers.told = []
    request = pb.ExplainRequest(namespace="team", name="x")
    error = await refused(bridge.stub.Explain(request, metadata=METADATA))
    assert error.code() is grpc.StatusCode.PERMISSION_DENIED
    bridge.may("get", "pods", "team", "x")
    error = await refused(bridge.stub.Explain(request, metadata=METADATA))
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert "knows no pod team/x" in str(error.details())


async def test_one_that_does_not_lead_says_who_does(bridge: Bridge) -> None:
    """In words, and for programs; whoever asks, no token is reviewed."""
    bridge.absence = ("this controller does not lead; ask 10.0.0.1:9445", "10.0.0.1:9445")
    error = await refused(bridge.stub.ListGangs(pb.ListGangsRequest(), metadata=METADATA))
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert dict(error.trailing_metadata())[LEADER] == "10.0.0.1:9445"
    assert not bridge.kubernetes.asked


async def test_names_that_are_none(bridge: Bridge) -> None:
    """Are refused before anybody is asked about them."""
    for request in (
        pb.ExplainRequest(namespace="team"),
        pb.ExplainRequest(namespace="team", name="x" * 300),
        pb.ExplainRequest(namespace="te\nam", name="x"),
    ):
        error = await refused(bridge.stub.Explain(request, metadata=METADATA))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert not bridge.kubernetes.asked


async def test_a_watch_tells_all_then_what_changes(bridge: Bridge) -> None:
    """Of its namespace; and ends when the right does."""
    bridge.may("list", "pods", "team")
    call = bridge.stub.WatchGangs(pb.WatchGangsRequest(namespace="team"), metadata=METADATA)
    first = await call.read()
    assert (first.is_whole, [gang.gang_id for gang in first.gangs]) == (True, ["team/u"])
    bridge.answers.rows = [
        replace(GANG, state="Running"),
        replace(GANG, id=GangId("o"), namespace="else"),
    ]
    bridge.changed(GangId("o"))
    bridge.changed(GANG.id)
    news = await call.read()
    assert [gang.state for gang in news.gangs] == [pb.GANG_STATE_RUNNING]
    bridge.answers.rows = []
    bridge.changed(GANG.id)
    assert list((await call.read()).gone) == ["team/u"]
    bridge.kubernetes.allowed.clear()
    bridge.changed(GANG.id)
    error = await refused(call.read())
    assert error.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_many_gangs_come_in_several_messages(bridge: Bridge) -> None:
    """Of a size that clients take by default; none of them alone is all."""
    bridge.may("list", "pods")
    bridge.answers.rows = [replace(GANG, id=GangId(f"team/{at}")) for at in range(1_200)]
    call = bridge.stub.WatchGangs(pb.WatchGangsRequest(), metadata=METADATA)
    parts = [await call.read() for _ in range(3)]
    assert [len(part.gangs) for part in parts] == [500, 500, 200]
    assert [part.is_whole for part in parts] == [True, False, False]
    assert [part.is_complete for part in parts] == [False, False, True]
    call.cancel()


async def test_the_switches_are_a_list_with_parents(bridge: Bridge) -> None:
    """Roots first, nodes on the switch that they hang on."""
    bridge.may("list", "nodes")
    answer = await bridge.stub.GetTopology(pb.GetTopologyRequest(), metadata=METADATA)
    assert [(one.name, one.parent, list(one.nodes)) for one in answer.switches] == [
        ("root", "", []),
        ("leaf", "root", ["n1", "n2"]),
    ]
    assert list(answer.without) == ["n3"]


@pytest.mark.parametrize("story", [STORY, Story(GANG)])
def test_what_is_sent_is_what_arrives(story: Story) -> None:
    """Each field of a story and of the queue."""
    assert explain_wire.story_row(explain_wire.story(story)) == story
    for row in (
        QueueRow(JOB, "team", "Job", "train", 2),
        QueueRow(None, "team", "Pod", "x", 1, "m"),
    ):
        assert explain_wire.queue_row(explain_wire.queue_entry(row)) == row


def test_texts_that_no_protocol_can_carry() -> None:
    """A tenant's lone surrogate ends no answer."""
    row = replace(GANG, message="a\ud800b")
    assert explain_wire.gang_row(explain_wire.gang(row)).message == "a?b"
