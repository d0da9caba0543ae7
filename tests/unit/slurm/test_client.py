import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from bridge.errors import BadInput, Unreachable
from bridge.model.ids import SlurmJobId, SlurmNodeName
from bridge.slurm import (
    AlreadyExists,
    InvalidRequest,
    JobChanges,
    JobDescription,
    JobNotFound,
    MalformedAnswer,
    NodeDefinition,
    NotAuthorised,
    NotFound,
    RejectedByPolicy,
    ServerTooOld,
    SlurmClient,
    TokenSource,
    Unavailable,
)
from bridge.slurm.http import Http, Request

from . import recorded
from .clocks import ImpatientClock, settle
from .recorded import Server
from .slurmrestd import Slurmrestd

_JOBS = recorded.load("jobs")
_NODES = recorded.load("nodes")
_MISTAKES = recorded.load("mistakes")
_OUTAGE = recorded.load("outage")
_EXPIRED = recorded.load("expired")


@asynccontextmanager
async def _client(
    server: httpx2.AsyncBaseTransport,
    *,
    endpoints: tuple[str, ...] = ("http://slurm",),
    token: TokenSource | None = None,
    user: str = "",
    clock: ImpatientClock | None = None,
) -> AsyncIterator[SlurmClient]:
    client = SlurmClient(
        endpoints=endpoints,
        token=token or TokenSource.fixed("secret-token"),
        user=user,
        clock=clock or ImpatientClock(),
        transport=server,
    )
    async with client:
        yield client


# -- versions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offered", "spoken"),
    [
        (("v0.0.42", "v0.0.43", "v0.0.44", "v0.0.45"), "v0.0.45"),
        (("v0.0.44",), "v0.0.44"),
        (("v0.0.45", "v0.0.46"), "v0.0.45"),
    ],
)
async def test_speaks_the_newest_version_that_both_know(
    offered: tuple[str, ...], spoken: str
) -> None:
    """The server's versions are found by asking; all requests then carry the one agreed on."""
    rest = Slurmrestd()
    server = rest.server(versions=offered)
    async with _client(server) as client:
        assert await client.negotiate() == spoken
        await client.job_states()
    assert server.requests[-1].url.path == f"/slurm/{spoken}/jobs/state/"


async def test_no_common_version_names_both_lists() -> None:
    """The error tells what the server speaks, what we speak, and what to do."""
    paths: dict[str, object] = {
        "/slurm/v0.0.41/jobs/": {},
        "/slurm/v0.0.40/jobs/": {},
        "/util/v0.0.41/x": {},
    }
    server = Server(lambda _: httpx2.Response(200, json={"paths": paths}), versions=())
    async with _client(server) as client:
        with pytest.raises(
            ServerTooOld, match=r"v0\.0\.40, v0\.0\.41.*v0\.0\.45, v0\.0\.44.*25\.11"
        ):
            await client.negotiate()


async def test_agrees_anew_when_the_server_was_changed() -> None:
    """After an up- or downgrade the old paths are unknown: the same call finds the new ones."""
    rest = Slurmrestd()
    server = rest.server(versions=("v0.0.45",))
    async with _client(server) as client:
        await client.job_states()
        server.versions = ("v0.0.44",)
        await client.job_states()
    assert [one.url.path.split("/")[2] for one in server.requests] == ["v0.0.45", "v0.0.44"]


# -- jobs ----------------------------------------------------------------------------------------


async def test_a_submitted_job_has_its_id() -> None:
    """The id of the answer; what was said is what was sent."""
    async with _client(server := recorded.always(_JOBS["submit v0.0.45"])) as client:
        job_id = await client.submit(JobDescription(name="x", tasks=2), recover=False)
    assert job_id == _JOBS["submit v0.0.45"].answer["job_id"]
    assert server.bodies()[0]["job"]["tasks"] == 2


async def test_a_warning_about_waiting_is_no_failure() -> None:
    """A held job is accepted with a warning and "non-zero return code"."""
    exchange = _JOBS["submit held v0.0.45"]
    async with _client(recorded.always(exchange)) as client:
        job_id = await client.submit(JobDescription(hold=True), recover=False)
    assert job_id == exchange.answer["job_id"]
    assert exchange.answer["warnings"]


async def test_a_job_that_waits_for_exclusive_ones_is_submitted() -> None:
    """Slurm answers 500 with an error and a job id, and has queued the job: its words are kept."""
    exchange = _MISTAKES["beside exclusive"]
    assert (exchange.status, exchange.answer["errors"][0]["error_number"]) == (500, 7205)
    server = recorded.always(exchange)
    async with _client(server) as client:
        made = await client.submission(JobDescription(), recover=False)
    assert made.id == exchange.answer["job_id"]
    assert "Insufficient resources in topology unit" in made.warnings[0]
    assert "7205" in made.warnings[0]
    assert [one.method for one in server.requests] == ["POST"]


@pytest.mark.parametrize("name", ["unknown field", "unknown flag"])
async def test_a_job_that_slurm_made_in_spite_of_an_error_is_cancelled(name: str) -> None:
    """Slurm runs a job whose flag it refused: it must not stay behind."""
    exchange = _MISTAKES[name]
    assert exchange.answer["job_id"]

    def handler(request: httpx2.Request) -> httpx2.Response:
        if request.method == "DELETE":
            return _JOBS["cancel v0.0.45"].response()
        return exchange.response()

    server = Server(handler)
    async with _client(server) as client:
        with pytest.raises(InvalidRequest):
            await client.submit(JobDescription(), recover=False)
    assert server.requests[-1].method == "DELETE"
    assert server.requests[-1].url.path.endswith(f"/job/{exchange.answer['job_id']}")


async def test_a_job_that_could_not_be_cancelled_then_is_named() -> None:
    """When that cancel fails the message tells the id."""
    exchange = _MISTAKES["unknown flag"]

    def handler(request: httpx2.Request) -> httpx2.Response:
        return (_OUTAGE["cancel"] if request.method == "DELETE" else exchange).response()

    async with _client(Server(handler)) as client:
        with pytest.raises(InvalidRequest, match=f"job {exchange.answer['job_id']} of it all"):
            await client.submit(JobDescription(), recover=False)


async def test_a_job_that_slurm_silently_did_not_make_is_an_error() -> None:
    """A value of the wrong type gives 200, a warning and no job."""
    async with _client(recorded.always(_MISTAKES["text for a number"])) as client:
        with pytest.raises(InvalidRequest, match=r'made no job of it.*"many"'):
            await client.submit(JobDescription(), recover=False)


@pytest.mark.parametrize("name", ["cancel", "cancel ended", "cancel unknown"])
async def test_cancelling_what_is_over_is_no_error(name: str) -> None:
    """A job that ended or that nobody knows is cancelled enough."""
    async with _client(recorded.always(_JOBS[f"{name} v0.0.45"])) as client:
        await client.cancel_job(SlurmJobId(1))


async def test_a_cancel_that_slurmctld_did_not_get_is_unavailable() -> None:
    """403 "Operation not permitted" is what slurmrestd says while slurmctld is down."""
    async with _client(recorded.always(_OUTAGE["cancel"])) as client:
        with pytest.raises(Unavailable):
            await client.cancel_job(SlurmJobId(1))


async def test_an_update_during_planning_is_tried_again() -> None:
    """EAGAIN means that backfill is just planning: nothing was done, a moment later it works."""
    clock = ImpatientClock()
    said = [recorded.refused(11), recorded.refused(11), recorded.well()]
    async with _client(Server(lambda _: said.pop(0)), clock=clock) as client:
        await client.update_job(SlurmJobId(1), JobChanges(partition="high"))
    assert not said
    assert len(clock.slept) == 2


async def test_an_update_that_never_finds_a_moment_gives_up() -> None:
    """After some seconds the caller is told, with the number."""
    async with _client(Server(lambda _: recorded.refused(11))) as client:
        with pytest.raises(Unavailable) as caught:
            await client.update_job(SlurmJobId(1), JobChanges(partition="high"))
    assert caught.value.number == 11
    assert caught.value.nothing_done


async def test_an_unknown_job_is_told_only_by_a_healthy_slurm() -> None:
    """404 with Slurm's number is JobNotFound; a slurmctld that is down never is."""
    async with _client(recorded.always(_JOBS["unknown v0.0.45"])) as client:
        with pytest.raises(JobNotFound):
            await client.get_job(SlurmJobId(1))
    for exchange in (_OUTAGE["get job"], _OUTAGE["states"]):
        async with _client(recorded.always(exchange)) as client:
            with pytest.raises(Unavailable):
                await client.get_job(SlurmJobId(1))


@pytest.mark.parametrize("jobs", [None, [], {}, [{"job_id": 5}]])
async def test_an_answer_without_the_job_is_not_its_end(jobs: Any) -> None:
    """Empty or foreign lists are malformed answers."""
    async with _client(Server(lambda _: recorded.well(jobs=jobs))) as client:
        with pytest.raises(MalformedAnswer):
            await client.get_job(SlurmJobId(1))
        if jobs != []:
            with pytest.raises(MalformedAnswer):
                await client.job_states()


async def test_equal_states_are_not_parsed_again() -> None:
    """The same bytes as before give None: nothing has changed."""
    rest = Slurmrestd()
    rest.add()
    async with _client(rest.server()) as client:
        states, body = await client.job_states_if_changed(b"")
        assert states == {1: frozenset({"PENDING"})}
        assert await client.job_states_if_changed(body) == (None, body)
        rest.add("RUNNING")
        states, _ = await client.job_states_if_changed(body)
        assert states is not None
        assert len(states) == 2


# -- a submit whose answer is lost ---------------------------------------------------------------

_LOST = {
    "the connection breaks": lambda: _raise(httpx2.ReadError("reset")),
    "the answer takes too long": lambda: _raise(httpx2.ReadTimeout("slow")),
    "the server hangs up": lambda: _raise(httpx2.RemoteProtocolError("closed")),
    "slurmrestd times out": lambda: recorded.refused(5004, status=504),
    "a proxy times out": lambda: httpx2.Response(504, html="<html>Gateway Timeout</html>"),
    "the answer is cut": lambda: httpx2.Response(
        200, content=b'{"job_id": 1', headers={"content-type": "application/json"}
    ),
}


def _raise(error: Exception) -> httpx2.Response:
    raise error


def _submits(server: Server) -> int:
    return sum(one.url.path.endswith("/job/submit") for one in server.requests)


def _on_submit(
    say: Callable[[], httpx2.Response],
) -> Callable[[httpx2.Request], httpx2.Response | None]:
    """Say it to the first submit only."""
    left = [say]

    def answer(request: httpx2.Request) -> httpx2.Response | None:
        if request.url.path.endswith("/job/submit") and left:
            return left.pop()()
        return None

    return answer


@pytest.mark.parametrize("how", _LOST)
async def test_a_lost_answer_is_found_again(how: str) -> None:
    """The job is recognised by its admin_comment; nothing is sent twice."""
    rest = Slurmrestd()
    for _ in range(3):
        rest.add(admin_comment="somebody's")
    rest.after = _on_submit(_LOST[how])
    server = rest.server()
    async with _client(server) as client:
        job_id = await client.submit(JobDescription(admin_comment="mine"))
    assert rest.jobs[job_id]["admin_comment"] == "mine"
    assert _submits(server) == 1


async def test_only_ids_that_are_new_are_read() -> None:
    """Jobs that were there before the submit are not looked at: there may be thousands."""
    rest = Slurmrestd()
    for _ in range(50):
        rest.add(admin_comment="somebody's")
    rest.after = _on_submit(_LOST["the connection breaks"])
    server = rest.server()
    async with _client(server) as client:
        await client.submit(JobDescription(admin_comment="mine"))
    read = [one for one in server.requests if one.method == "GET" and "/job/" in one.url.path]
    assert len(read) == 1
    assert not any(one.url.path.endswith("/jobs/") for one in server.requests)


async def test_a_job_that_appears_late_is_found() -> None:
    """A slurmctld that hung may list its jobs before it carries out the submit that waited."""
    rest = Slurmrestd()
    rest.add()
    lists = []

    def when(request: httpx2.Request) -> httpx2.Response | None:
        if request.url.path.endswith("/job/submit"):
            raise httpx2.ReadTimeout("slow")
        if request.url.path.endswith("/jobs/state/"):
            lists.append(request)
            if len(lists) == 4:
                rest.add(admin_comment="mine")
        return None

    rest.when = when
    server = rest.server()
    async with _client(server) as client:
        assert await client.submit(JobDescription(admin_comment="mine")) == 2
    assert _submits(server) == 1


async def test_what_is_not_found_is_not_sent_again_by_itself() -> None:
    """No job and no answer: the caller is told that submitting again is safe."""
    rest = Slurmrestd()
    rest.when = _on_submit(_LOST["the connection breaks"])
    server = rest.server()
    async with _client(server) as client:
        with pytest.raises(Unavailable, match=r"no job of it so far.*looks for it first"):
            await client.submit(JobDescription(admin_comment="mine"))
        assert _submits(server) == 1
        job_id = await client.submit(JobDescription(admin_comment="mine"))
    assert _submits(server) == 2
    assert list(rest.jobs) == [job_id]


async def test_submitting_again_finds_what_came_late() -> None:
    """The second submit looks before it sends, so there is never a second job."""
    rest = Slurmrestd()
    rest.when = _on_submit(_LOST["the connection breaks"])
    server = rest.server()
    async with _client(server) as client:
        with pytest.raises(Unavailable):
            await client.submit(JobDescription(admin_comment="mine"))
        late = rest.add(admin_comment="mine")
        assert await client.submit(JobDescription(admin_comment="mine")) == late
    assert _submits(server) == 1


async def test_an_outage_during_the_search_does_not_forget() -> None:
    """Slurm goes away with the answer; once it is back the next submit finds the job."""
    rest = Slurmrestd()
    away = []

    def after(request: httpx2.Request) -> httpx2.Response | None:
        if request.url.path.endswith("/job/submit"):
            away.append(request)
            raise httpx2.ReadError("reset")
        return _OUTAGE["states"].response() if away else None

    rest.after = after
    server = rest.server()
    async with _client(server) as client:
        with pytest.raises(Unavailable, match="can't be said"):
            await client.submit(JobDescription(admin_comment="mine"))
        rest.after = lambda _: None
        assert await client.submit(JobDescription(admin_comment="mine")) == 1
    assert _submits(server) == 1


async def test_a_job_that_was_answered_is_not_taken_for_a_lost_one() -> None:
    """The same admin_comment twice in a row: the first job is its caller's, not the lost one."""
    rest = Slurmrestd()
    server = rest.server()
    async with _client(server) as client:
        first = await client.submit(JobDescription(admin_comment="mine"))
        rest.after = _on_submit(_LOST["the connection breaks"])
        second = await client.submit(JobDescription(admin_comment="mine"))
    assert first != second
    assert len(rest.jobs) == 2


async def test_ids_that_begin_again_are_no_hindrance() -> None:
    """After a loss of slurmctld's state new jobs have lower ids than all that were seen."""
    rest = Slurmrestd()
    rest.next_id = 5000
    rest.add()
    server = rest.server()
    async with _client(server) as client:
        await client.job_states()
        rest.jobs.clear()
        rest.next_id = 1
        rest.after = _on_submit(_LOST["the connection breaks"])
        assert await client.submit(JobDescription(admin_comment="mine")) == 1


async def test_a_refused_connection_needs_no_search() -> None:
    """Nothing left our side: the caller is told at once and the next submit just sends."""
    rest = Slurmrestd()
    rest.when = _on_submit(lambda: _raise(httpx2.ConnectError("refused")))
    server = rest.server()
    async with _client(server) as client:
        with pytest.raises(Unavailable) as caught:
            await client.submit(JobDescription(admin_comment="mine"))
        assert caught.value.nothing_done
        lists = len(server.requests)
        await client.submit(JobDescription(admin_comment="mine"))
    assert len(server.requests) == lists + 1


async def test_without_recovery_the_caller_is_left_with_the_doubt() -> None:
    """`recover=False` sends once, reads nothing, and raises what happened."""
    rest = Slurmrestd()
    rest.after = _on_submit(_LOST["the connection breaks"])
    server = rest.server()
    async with _client(server) as client:
        with pytest.raises(Unavailable):
            await client.submit(JobDescription(admin_comment="mine"), recover=False)
    assert len(server.requests) == 1


async def test_a_refusal_is_not_a_lost_answer() -> None:
    """A mistake is told at once; nothing is looked for."""
    rest = Slurmrestd()
    rest.when = _on_submit(_MISTAKES["unknown partition"].response)
    server = rest.server()
    async with _client(server) as client:
        with pytest.raises(InvalidRequest, match="Invalid partition name"):
            await client.submit(JobDescription(name="train", admin_comment="mine"))
    assert len(server.requests) == 2  # the list of ids before, and the submit


# -- nodes, partitions, ping -----------------------------------------------------------------------


async def test_nodes_are_made_changed_and_removed() -> None:
    """Each verb goes to its path with its body."""
    server = recorded.always(_NODES["drain v0.0.45"])
    node = NodeDefinition(name="n1", address="10.0.0.1", cpus=8, memory_mib=16000)
    name = SlurmNodeName("n1.x")
    async with _client(server) as client:
        await client.create_node(node)
        await client.update_node(name, state="DRAIN", reason="why")
        await client.update_node(name, features=("a", "b"))
        await client.delete_node(name)
    sent = [(one.method, one.url.path.removeprefix("/slurm/v0.0.45")) for one in server.requests]
    assert sent == [
        ("POST", "/new/node/"),
        ("POST", "/node/n1.x"),
        ("POST", "/node/n1.x"),
        ("DELETE", "/node/n1.x"),
    ]
    assert server.bodies()[1] == {"state": ["DRAIN"], "reason": "why"}


async def test_a_node_that_is_there_already_has_its_own_error() -> None:
    """A registration that was carried out although its answer was lost ends here."""
    node = NodeDefinition(name="n1", address="10.0.0.1", cpus=8, memory_mib=16000)
    async with _client(recorded.always(_NODES["create again v0.0.45"])) as client:
        with pytest.raises(AlreadyExists):
            await client.create_node(node)


async def test_an_unknown_node_is_not_found() -> None:
    """Slurm answers 200 with an error that has no number."""
    async with _client(recorded.always(_NODES["get unknown v0.0.45"])) as client:
        with pytest.raises(NotFound):
            await client.get_node(SlurmNodeName("n1"))


@pytest.mark.parametrize("name", ["", "a/b", ".."])
async def test_a_name_cant_lead_to_another_path(name: str) -> None:
    """A name with a slash is no node's, and is never sent."""
    async with _client(server := recorded.always(_NODES["delete v0.0.45"])) as client:
        with pytest.raises(NotFound):
            await client.delete_node(SlurmNodeName(name))
    assert server.requests == []


async def test_a_definition_that_cant_be_written_is_never_sent() -> None:
    """The mistake is told with its field."""
    node = NodeDefinition(name="n1", address="", cpus=8, memory_mib=16000)
    async with _client(server := recorded.always(_NODES["create v0.0.45"])) as client:
        with pytest.raises(BadInput, match="has no address"):
            await client.create_node(node)
    assert server.requests == []


async def test_reads_nodes_and_partitions() -> None:
    """Lists become rows; a warning about accounting is no error."""
    async with _client(recorded.always(_NODES["list v0.0.45"])) as client:
        assert len(await client.list_nodes()) == 4
    async with _client(recorded.always(_NODES["partitions v0.0.45"])) as client:
        assert "slurm-bridge" in {part.name for part in await client.list_partitions()}


@pytest.mark.parametrize(
    ("exchange", "error"),
    [(_OUTAGE["ping"], Unavailable), (_EXPIRED["ping"], NotAuthorised)],
)
async def test_a_ping_tells_outage_from_refusal(
    exchange: recorded.Exchange, error: type[Exception]
) -> None:
    """slurmrestd answers 200 in both cases; what it says of the controllers counts."""

    class Pinged(Server):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            return exchange.response()

    async with _client(Pinged(lambda _: recorded.well())) as client:
        with pytest.raises(error):
            await client.ping()


async def test_a_ping_of_a_healthy_slurm_returns() -> None:
    """Nothing is raised."""
    async with _client(Slurmrestd().server()) as client:
        await client.ping()


# -- tokens ----------------------------------------------------------------------------------------


async def test_token_and_user_are_sent_with_each_request() -> None:
    """Also with the first, which agrees on the version."""
    server = Slurmrestd().server()
    async with _client(server, user="ops") as client:
        await client.job_states()
    for request in (*server.pings, *server.requests):
        assert request.headers["x-slurm-user-token"] == "secret-token"
        assert request.headers["x-slurm-user-name"] == "ops"


async def test_no_token_and_no_user_send_no_header() -> None:
    """A slurmrestd that authenticates by its socket wants neither."""
    server = Slurmrestd().server()
    async with _client(server, token=TokenSource.fixed("")) as client:
        await client.job_states()
    assert not any(name.startswith("x-slurm") for name in server.requests[0].headers)


async def test_a_refused_token_is_read_again_and_tried_once_more(tmp_path: Path) -> None:
    """The file was rotated: the same call succeeds with the new token, also a submit."""
    file = tmp_path / "token"
    file.write_text("old")
    accepted = ["old"]
    rest = Slurmrestd()

    def when(request: httpx2.Request) -> httpx2.Response | None:
        known = request.headers["x-slurm-user-token"] in accepted
        return None if known else _EXPIRED["states"].response()

    rest.when = when
    server = rest.server()
    async with _client(server, token=TokenSource.from_file(file)) as client:
        await client.job_states()
        file.write_text("new")
        accepted[:] = ["new"]
        await client.submit(JobDescription(), recover=False)
    assert _submits(server) == 2
    assert len(rest.jobs) == 1


async def test_a_token_that_stays_wrong_is_tried_once(tmp_path: Path) -> None:
    """With the same token in the file there is no second try."""
    file = tmp_path / "token"
    file.write_text("old")
    server = recorded.always(_EXPIRED["states"])
    async with _client(server, token=TokenSource.from_file(file)) as client:
        with pytest.raises(NotAuthorised, match="token"):
            await client.job_states()
    assert len(server.requests) == 1


async def test_no_error_shows_the_token() -> None:
    """Messages of refusals, outages and malformed answers never contain it."""
    for say in (
        _EXPIRED["states"].response,
        _OUTAGE["states"].response,
        lambda: httpx2.Response(502, html="<html>"),
        lambda: _raise(httpx2.ConnectError("refused")),
    ):
        async with _client(Server(lambda _, say=say: say())) as client:  # type: ignore[misc]
            with pytest.raises(Exception) as caught:  # noqa: PT011 — whichever it is
                await client.job_states()
            assert "secret-token" not in f"{caught.value!r} {caught.value}"


# -- endpoints -------------------------------------------------------------------------------------


class _Two:
    """Two endpoints in one transport; those in `down` raise that, or answer it."""

    def __init__(self) -> None:
        self.rest = Slurmrestd()
        self.down: dict[str, Exception | httpx2.Response] = {}
        self.hosts: list[str] = []

    async def _handle(self, server: Server, request: httpx2.Request) -> httpx2.Response:
        self.hosts.append(request.url.host)
        said = self.down.get(request.url.host)
        if isinstance(said, Exception):
            raise said
        if said is not None:
            return said
        return await server.handle_async_request(request)

    def transport(self) -> httpx2.AsyncBaseTransport:
        two, server = self, self.rest.server()

        class Transport(httpx2.AsyncBaseTransport):
            async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
                return await two._handle(server, request)

        return Transport()


_BOTH = ("http://a:6820/", "http://b:6820")


@pytest.mark.parametrize(
    "error",
    [
        httpx2.ConnectError("no"),
        httpx2.ReadTimeout("slow"),
        httpx2.Response(502, html="<html>Bad Gateway</html>"),
        httpx2.Response(200, json=["cut"]),
    ],
)
async def test_a_read_goes_on_to_the_next_endpoint(error: Exception | httpx2.Response) -> None:
    """An endpoint that doesn't answer is passed over, and the one that did is asked first next."""
    two = _Two()
    async with _client(two.transport(), endpoints=_BOTH) as client:
        await client.job_states()
        two.down["a"] = error
        await client.job_states()
        two.hosts.clear()
        await client.job_states()
    assert two.hosts == ["b"]


async def test_a_slurmctld_that_is_away_is_not_asked_through_all_endpoints() -> None:
    """Each would take ten seconds to say the same; the next call begins with another, though."""
    two = _Two()
    async with _client(two.transport(), endpoints=_BOTH) as client:
        await client.job_states()
        two.hosts.clear()
        two.down["a"] = _OUTAGE["states"].response()
        with pytest.raises(Unavailable):
            await client.job_states()
        assert two.hosts == ["a"]
        await client.job_states()
        assert two.hosts[1] == "b"


async def test_when_no_endpoint_answers_the_last_failure_is_told() -> None:
    """The error is Unreachable for whoever knows only the bridge's tree."""
    two = _Two()
    two.down = {"a": httpx2.ConnectError("no"), "b": httpx2.ConnectError("no")}
    async with _client(two.transport(), endpoints=_BOTH) as client:
        with pytest.raises(Unreachable, match="no answer from slurmrestd at http://b:6820"):
            await client.job_states()


async def test_a_submit_goes_on_only_when_it_never_left() -> None:
    """A refused connection is passed over; after a broken one the job is looked for elsewhere."""
    two = _Two()
    async with _client(two.transport(), endpoints=_BOTH) as client:
        await client.job_states()
        two.down["a"] = httpx2.ConnectError("no")
        first = await client.submit(JobDescription(admin_comment="one"))
        two.down = {"b": httpx2.ReadError("reset")}
        with pytest.raises(Unavailable):
            await client.submit(JobDescription(admin_comment="two"))
    assert list(two.rest.jobs) == [first]


# -- the wire --------------------------------------------------------------------------------------


async def test_an_endless_answer_is_cut() -> None:
    """No more is read than the bound, whatever the server says."""

    class Endless(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            while True:
                yield b"x" * 65536

    class Transport(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            return httpx2.Response(200, stream=Endless())

    http = Http(
        endpoints=["http://s"], timeout_s=5, transport=Transport(), max_answer_bytes=1 << 20
    )
    try:
        with pytest.raises(MalformedAnswer, match="larger than 1 MiB"):
            await http.send("http://s", Request("GET", "/x"), headers={}, tried="trying")
    finally:
        await http.close()
    await settle()  # httpx2's generators are closed by the loop


async def test_proxy_variables_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """slurmrestd stands in the cluster: HTTP_PROXY of the environment is not asked."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    client = SlurmClient(
        endpoints=["http://127.0.0.1:9"], token=TokenSource.fixed("t"), clock=ImpatientClock()
    )
    async with client:
        with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9") as caught:
            await client.job_states()
    assert "127.0.0.1:1 " not in str(caught.value)


async def test_needs_an_endpoint() -> None:
    """A list of them; one alone is a text, of which each letter would be one."""
    wrong: list[Sequence[str]] = [[], "http://slurm:6820"]
    for endpoints in wrong:
        with pytest.raises(BadInput, match="give a list"):
            SlurmClient(endpoints=endpoints, token=TokenSource.fixed("t"))


async def test_a_slurmrestd_that_names_no_version_is_told_as_such() -> None:
    """It has no slurmctld plugin, or is none."""
    server = Server(lambda _: httpx2.Response(200, json={"paths": {}}), versions=())
    async with _client(server) as client:
        with pytest.raises(ServerTooOld, match=r"names no REST version.*-s slurmctld"):
            await client.negotiate()


@pytest.mark.parametrize("step_id", ["7", "7+0", "7_3", "", None, "x"])
async def test_what_went_wrong_with_one_of_many_is_told(step_id: str | None) -> None:
    """By job, however its id is written; where none is, as an error."""
    error = {"code": 2002, "string": "ESLURM_ACCESS_DENIED", "message": "denied"}
    status = [{"error": error, "step_id": step_id}]
    server = Server(lambda _: httpx2.Response(200, json={"status": status}))
    async with _client(server) as client:
        if step_id and step_id[0] == "7":
            (failed,) = (await client.cancel_jobs([SlurmJobId(7)])).items()
            assert failed[0] == 7
            assert isinstance(failed[1], RejectedByPolicy)
        else:
            with pytest.raises(RejectedByPolicy):
                await client.cancel_jobs([SlurmJobId(7)])


async def test_text_of_any_language_is_sent_as_json() -> None:
    """Names with quotes, umlauts and lone surrogates reach Slurm as valid ASCII JSON."""
    server = recorded.always(_JOBS["submit v0.0.45"])
    async with _client(server) as client:
        await client.submit(JobDescription(name='ü"\ud800', comment="€"), recover=False)
    assert server.requests[0].content.isascii()
    assert json.loads(server.requests[0].content)["job"]["comment"] == "€"
