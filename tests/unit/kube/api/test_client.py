"""Requests: what is sent, and what becomes of every kind of answer."""

import asyncio
from pathlib import Path

import pytest

from bridge.errors import Unreachable
from bridge.kube.api import errors
from tests.unit.kube.apiserver import (
    Answer,
    ApiServer,
    JumpClock,
    connected,
    drop,
    ok,
    raw,
    refuse,
    silent,
)

PODS = "/api/v1/namespaces/team/pods"
POD = PODS + "/a"


async def test_target(tmp_path: Path) -> None:
    """The first log line can say which cluster is meant: context and server."""
    async with ApiServer() as server, connected(server, tmp_path) as client:
        assert client.target == f"context main, server {server.url}"


async def test_context(tmp_path: Path) -> None:
    """A context named in the settings wins over the file's current one."""
    async with ApiServer() as server, connected(server, tmp_path, context="other") as client:
        assert client.target.startswith("context other,")


async def test_get(tmp_path: Path) -> None:
    """GET sends the parameters and the token, and gives the parsed object."""
    async with ApiServer() as server, connected(server, tmp_path) as client:
        server.on("GET", PODS, ok({"kind": "PodList"}))
        found = await client.get(PODS, {"fieldSelector": "spec.schedulerName=x,spec.nodeName="})
        assert found == {"kind": "PodList"}
        request = server.requests[0]
        assert request.query == {"fieldSelector": "spec.schedulerName=x,spec.nodeName="}
        assert request.headers["Authorization"] == "Bearer secret"


@pytest.mark.parametrize(
    ("kind", "content_type"),
    [
        ("merge", "application/merge-patch+json"),
        ("strategic", "application/strategic-merge-patch+json"),
        ("json", "application/json-patch+json"),
    ],
)
async def test_patch(kind: str, content_type: str, tmp_path: Path) -> None:
    """Each kind of patch goes out under its own content type, body unchanged."""
    body: object = [{"op": "remove", "path": "/x"}] if kind == "json" else {"x": None}
    async with ApiServer() as server, connected(server, tmp_path) as client:
        server.on("PATCH", POD, ok({"patched": True}))
        answer = await client.patch(POD, body, kind=kind)  # type: ignore[arg-type]
        assert answer == {"patched": True}
        request = server.requests[0]
        assert (request.headers["Content-Type"], request.body) == (content_type, body)


async def test_create(tmp_path: Path) -> None:
    """POST sends the body as JSON and gives what was stored."""
    async with ApiServer() as server, connected(server, tmp_path) as client:
        server.on("POST", PODS, ok({"stored": 1}, status=201))
        assert await client.create(PODS, {"kind": "Pod"}) == {"stored": 1}
        assert server.requests[0].body == {"kind": "Pod"}


async def test_delete(tmp_path: Path) -> None:
    """DELETE carries the uid as a precondition, and the grace only when one is given."""
    async with ApiServer() as server, connected(server, tmp_path) as client:
        server.on("DELETE", POD, ok({"kind": "Status"}))
        await client.delete(POD, uid="u-1", grace_s=0)
        await client.delete(POD)
        first, second = server.requests
        assert first.body["preconditions"] == {"uid": "u-1"}
        assert first.body["gracePeriodSeconds"] == 0
        assert {"preconditions", "gracePeriodSeconds"}.isdisjoint(second.body)


@pytest.mark.parametrize(
    "said",
    [
        "Precondition failed: UID in precondition: u-1, UID in object meta: u-2",
        'Operation cannot be fulfilled on Pod "a": the UID in the precondition (u-1) does not '
        "match the UID in record (u-2). The object might have been deleted and then recreated",
    ],
)
async def test_delete_of_a_namesake(said: str, tmp_path: Path) -> None:
    """An object whose uid is another's is not there: NotFound, not Conflict."""
    async with ApiServer() as server, connected(server, tmp_path) as client:
        server.on("DELETE", POD, refuse(409, "Conflict", said))
        with pytest.raises(errors.NotFound, match="u-2"):
            await client.delete(POD, uid="u-1")


async def test_delete_that_conflicts(tmp_path: Path) -> None:
    """Any other conflict of a DELETE is one."""
    async with ApiServer() as server, connected(server, tmp_path) as client:
        server.on("DELETE", POD, refuse(409, "Conflict", "the object has been modified"))
        with pytest.raises(errors.Conflict):
            await client.delete(POD, uid="u-1")


async def test_cluster_uid(tmp_path: Path) -> None:
    """The cluster's identity is kube-system's uid, asked for once."""
    async with ApiServer() as server, connected(server, tmp_path) as client:
        server.on("GET", "/api/v1/namespaces/kube-system", ok({"metadata": {"uid": "c-1"}}))
        assert [await client.cluster_uid(), await client.cluster_uid()] == ["c-1", "c-1"]
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refuse(400, "BadRequest"), errors.Invalid),
        (refuse(401, "Unauthorized"), errors.Unauthorized),
        (refuse(403, "Forbidden"), errors.Forbidden),
        (refuse(404, "NotFound"), errors.NotFound),
        (refuse(408, "Timeout"), errors.Unavailable),
        (refuse(409, "Conflict"), errors.Conflict),
        (refuse(409, "AlreadyExists"), errors.AlreadyExists),
        (refuse(410, "Expired"), errors.Gone),
        (refuse(410, "Gone"), errors.Gone),
        (refuse(415, "UnsupportedMediaType"), errors.Invalid),
        (refuse(422, "Invalid"), errors.Invalid),
        (refuse(429, "TooManyRequests", headers={"Retry-After": "60"}), errors.Throttled),
        (refuse(500, "InternalError"), errors.Unavailable),
        (refuse(503, "ServiceUnavailable"), errors.Unavailable),
        (refuse(504, "Timeout"), errors.Unavailable),
        (refuse(504, "Timeout", "Too large resource version: 9, current: 5"), errors.Gone),
        (raw(b"<html>bad gateway</html>", status=502), errors.Unavailable),
        (raw(b'"text"', status=404), errors.NotFound),
        (raw(b'{"kind": "Pod", '), errors.Garbled),
        (raw(b""), errors.Garbled),
        (raw(b"[1, 2]"), errors.Garbled),
        (drop(), errors.Unavailable),
        (silent(), errors.Unavailable),
    ],
)
async def test_refusals(answer: Answer, kind: type[errors.KubeError], tmp_path: Path) -> None:
    """Each way not to get an answer is one error of the tree; the message names the request."""
    async with ApiServer() as server, connected(server, tmp_path, timeout_s=0.2) as client:
        server.on("PATCH", POD, answer)
        with pytest.raises(errors.KubeError) as caught:
            await client.patch(POD, {})
        assert type(caught.value) is kind
        assert f"PATCH {POD}" in str(caught.value)


def test_what_may_pass_by_itself() -> None:
    """What is worth another try is `Unreachable`, for those who know only that."""
    assert issubclass(errors.Unavailable, Unreachable)
    assert issubclass(errors.Throttled, Unreachable)
    assert not issubclass(errors.Conflict, Unreachable)


async def test_no_server(tmp_path: Path) -> None:
    """A server that is not there is Unavailable, and the message says which one was meant."""
    async with ApiServer() as server, connected(server, tmp_path) as client:
        await server.__aexit__()
        with pytest.raises(
            errors.Unavailable, match=f"no answer from context main, .*{server.url}"
        ):
            await client.get(POD)


async def test_fields_of_a_refusal(tmp_path: Path) -> None:
    """An Invalid says which fields the API server complained about."""
    details = {"causes": [{"field": "spec.affinity", "message": "no"}, {"reason": "x"}]}
    async with ApiServer() as server, connected(server, tmp_path) as client:
        server.on("PATCH", POD, refuse(422, "Invalid", details=details))
        with pytest.raises(errors.Invalid) as caught:
            await client.patch(POD, {})
        assert caught.value.fields == ("spec.affinity",)
        assert (caught.value.status, caught.value.reason) == (422, "Invalid")


async def test_retry_after(tmp_path: Path) -> None:
    """A 429 is waited out for as long as the server says, and the request sent again."""
    clock = JumpClock()
    async with ApiServer() as server, connected(server, tmp_path, clock=clock) as client:
        server.on("PATCH", POD, refuse(429, headers={"Retry-After": "3"}), ok({"x": 1}))
        assert await client.patch(POD, {}) == {"x": 1}
        assert clock.slept == [3.0]


async def test_throttled_for_long(tmp_path: Path) -> None:
    """A server that stays at 429 is not asked for ever: the caller gets Throttled and its wish."""
    clock = JumpClock()
    async with ApiServer() as server, connected(server, tmp_path, clock=clock) as client:
        server.on("GET", POD, refuse(429, details={"retryAfterSeconds": 2}))
        with pytest.raises(errors.Throttled) as caught:
            await client.get(POD)
        assert caught.value.retry_after_s == 2.0
        assert len(server.requests) == len(clock.slept) + 1 == 4


async def test_rate(tmp_path: Path) -> None:
    """After the burst requests go at the rate of the settings; urgent ones do not wait."""
    clock = JumpClock()
    async with (
        ApiServer() as server,
        connected(server, tmp_path, clock=clock, qps=4.0, burst=3) as one,
    ):
        server.on("GET", POD, ok({}))
        for _ in range(3):
            await one.get(POD)
        assert clock.slept == []
        await one.get(POD, urgent=True)
        assert clock.slept == []
        await one.get(POD)
        await one.get(POD)
        assert clock.slept == [0.25, 0.25]


async def test_many_at_once(tmp_path: Path) -> None:
    """Hundreds of requests at once are all answered; none waits for a connection for ever."""
    async with ApiServer() as server, connected(server, tmp_path, qps=1e6, burst=999) as client:
        server.on("GET", POD, ok({}))
        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            for _ in range(400):
                tasks.create_task(client.get(POD))
        assert len(server.requests) == 400


async def test_names_are_quoted(tmp_path: Path) -> None:
    """Parameters with signs of their own arrive as they were."""
    async with ApiServer() as server, connected(server, tmp_path) as client:
        server.on("GET", PODS, ok({}))
        await client.get(PODS, {"continue": "a+b/c=&d", "labelSelector": "x in (a,b)"})
        assert server.requests[0].query == {
            "continue": "a+b/c=&d",
            "labelSelector": "x in (a,b)",
        }
