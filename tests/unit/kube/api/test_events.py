"""Events: what reaches the API server, how often, and that nothing ever waits for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge.kube.api.events import EventRecorder, ObjectRef
from tests.unit.kube.apiserver import ApiServer, HeldClock, connected, ok, refuse, until

PATH = "/apis/events.k8s.io/v1/namespaces/team/events"
POD = ObjectRef(kind="Pod", api_version="v1", namespace="team", name="a", uid="u-1")


@asynccontextmanager
async def recording(
    folder: Path, **settings: Any
) -> AsyncIterator[tuple[ApiServer, EventRecorder, HeldClock]]:
    """A recorder that runs."""
    clock = HeldClock()
    async with ApiServer() as server, connected(server, folder, clock=clock) as client:
        recorder = EventRecorder(client, clock=clock, instance="bridge-0", **settings)
        task = asyncio.create_task(recorder.run())
        try:
            yield server, recorder, clock
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def say(recorder: EventRecorder, note: str = "waits", *, about: ObjectRef = POD) -> None:
    """One event."""
    recorder.emit(regarding=about, type="Normal", reason="Queued", note=note, action="Submit")


async def quarters_until_patched(server: ApiServer, clock: HeldClock, count: int) -> int:
    """Quarters of a minute that pass until so many counts are written."""
    quarters = 0
    await until(lambda: clock.sleepers == 1)
    while len(server.seen("PATCH")) < count:
        clock.advance(15)
        await until(lambda: clock.sleepers == 1)
        quarters += 1
        assert quarters < 20
    return quarters


async def test_an_event(tmp_path: Path) -> None:
    """An event is everything that events.k8s.io/v1 wants, in the object's namespace."""
    async with recording(tmp_path) as (server, recorder, _):
        server.on("POST", PATH, ok({}, 201))
        say(recorder)
        (request,) = await server.until(1, "POST")
    body = request.body
    assert body.pop("metadata")["name"].startswith("a.")
    assert body.pop("eventTime").endswith("Z")
    assert body == {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "reportingController": "slinky.slurm.net/slurm-bridge",
        "reportingInstance": "bridge-0",
        "regarding": {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": "team",
            "name": "a",
            "uid": "u-1",
        },
        "type": "Normal",
        "reason": "Queued",
        "action": "Submit",
        "note": "waits",
    }


async def test_event_of_a_node(tmp_path: Path) -> None:
    """Events on what has no namespace go to `default`, where kubectl looks for them."""
    node = ObjectRef(kind="Node", api_version="v1", namespace="", name="n1", uid="u-n")
    path = PATH.replace("team", "default")
    async with recording(tmp_path) as (server, recorder, _):
        server.on("POST", path, ok({}, 201))
        say(recorder, about=node)
        (request,) = await server.until(1, "POST", path)
    assert request.body["metadata"]["namespace"] == "default"
    assert request.body["regarding"]["namespace"] == ""


async def test_repeats_are_counted(tmp_path: Path) -> None:
    """The same again is no new event: its count is written, at most once a minute."""
    async with recording(tmp_path) as (server, recorder, clock):
        server.on("POST", PATH, ok({}, 201))
        say(recorder)
        (first,) = await server.until(1, "POST")
        name = first.body["metadata"]["name"]
        server.on("PATCH", f"{PATH}/{name}", ok({}))
        for _ in range(5):
            say(recorder)
        assert await quarters_until_patched(server, clock, 1) >= 4
        assert server.seen("PATCH")[0].body["series"]["count"] == 6
        say(recorder)
        assert await quarters_until_patched(server, clock, 2) == 4
        assert server.seen("PATCH")[1].body["series"]["count"] == 7
        assert len(server.seen("POST")) == 1


async def test_different_notes_are_different_events(tmp_path: Path) -> None:
    """Another note, another object: another event, with a name of its own."""
    other = ObjectRef(kind="Pod", api_version="v1", namespace="team", name="a", uid="u-2")
    async with recording(tmp_path) as (server, recorder, _):
        server.on("POST", PATH, ok({}, 201))
        say(recorder, "one")
        say(recorder, "two")
        say(recorder, "one", about=other)
        requests = await server.until(3, "POST")
    assert len({one.body["metadata"]["name"] for one in requests}) == 3


async def test_forgotten_by_the_server(tmp_path: Path) -> None:
    """An event that the API server has dropped (an hour old) is created again, with its count."""
    async with recording(tmp_path) as (server, recorder, clock):
        server.on("POST", PATH, ok({}, 201))
        say(recorder)
        await server.until(1, "POST")
        say(recorder)
        for _ in range(6):
            await until(lambda: clock.sleepers == 1)
            clock.advance(15)
        first, second = await server.until(2, "POST")
    assert second.body["series"]["count"] == 2
    assert second.body["metadata"]["name"] != first.body["metadata"]["name"]


async def test_long_silence_is_news(tmp_path: Path) -> None:
    """Said again after many minutes of silence, it is a new event."""
    async with recording(tmp_path) as (server, recorder, clock):
        server.on("POST", PATH, ok({}, 201))
        say(recorder)
        await server.until(1, "POST")
        for _ in range(26):
            await until(lambda: clock.sleepers == 1)
            clock.advance(15)
        await until(lambda: clock.sleepers == 1)
        say(recorder)
        _, second = await server.until(2, "POST")
    assert "series" not in second.body


async def test_server_is_away(tmp_path: Path) -> None:
    """A server that is away is tried a few times; then the event is dropped and counted."""
    async with recording(tmp_path) as (server, recorder, clock):
        server.on("POST", PATH, refuse(503), refuse(503), ok({}, 201), refuse(503))
        say(recorder, "one")
        for _ in range(2):
            await until(lambda: clock.sleepers == 2)
            clock.advance(3)
        await server.until(3, "POST")
        assert recorder.dropped == 0
        say(recorder, "two")
        for _ in range(2):
            await until(lambda: clock.sleepers == 2)
            clock.advance(3)
        await until(lambda: recorder.dropped == 1)
        assert len(server.seen("POST")) == 6


async def test_said_again_after_a_loss(tmp_path: Path) -> None:
    """An event that never arrived is not counted in silence: said again, it is sent again."""
    async with recording(tmp_path) as (server, recorder, _):
        server.on("POST", PATH, refuse(403, "Forbidden"), ok({}, 201))
        say(recorder)
        await until(lambda: recorder.dropped == 1)
        say(recorder)
        _, second = await server.until(2, "POST")
    assert "series" not in second.body


@pytest.mark.parametrize("code", [403, 404, 422])
async def test_refused(code: int, tmp_path: Path) -> None:
    """An event that is refused (a namespace being deleted, RBAC) is dropped, others go on."""
    async with recording(tmp_path) as (server, recorder, _):
        server.on("POST", PATH, refuse(code, "X"), ok({}, 201))
        say(recorder, "one")
        say(recorder, "two")
        await server.until(2, "POST")
        assert recorder.dropped == 1


async def test_arrived_after_all(tmp_path: Path) -> None:
    """A create that was done although the answer got lost is not done twice."""
    async with recording(tmp_path) as (server, recorder, clock):
        server.on("POST", PATH, refuse(504), refuse(409, "AlreadyExists"))
        say(recorder)
        await until(lambda: clock.sleepers == 2)
        clock.advance(1)
        first, second = await server.until(2, "POST")
        await asyncio.sleep(0)
    assert first.body["metadata"]["name"] == second.body["metadata"]["name"]
    assert recorder.dropped == 0


async def test_never_in_the_way(tmp_path: Path) -> None:
    """emit returns at once whatever happens: beyond the queue events are dropped and counted."""
    async with recording(tmp_path, queue_size=10) as (_, recorder, __):
        for number in range(100):
            say(recorder, str(number))
        assert recorder.dropped == 90


async def test_bounded_memory(tmp_path: Path) -> None:
    """A million different notes are not remembered for ever: the oldest become news again."""
    async with recording(tmp_path, remembered=2, queue_size=1000) as (server, recorder, _):
        server.on("POST", PATH, ok({}, 201))
        for note in ("one", "two", "three", "one"):
            say(recorder, note)
        requests = await server.until(4, "POST")
    assert [one.body["note"] for one in requests] == ["one", "two", "three", "one"]


async def test_rate(tmp_path: Path) -> None:
    """A storm of events goes out at a rate of its own and leaves the API server to others."""
    async with recording(tmp_path, per_s=5) as (server, recorder, clock):
        server.on("POST", PATH, ok({}, 201))
        for number in range(20):
            say(recorder, str(number))
        await server.until(5, "POST")
        await until(lambda: clock.sleepers == 2)
        assert len(server.seen("POST")) == 5


async def test_long_notes(tmp_path: Path) -> None:
    """A note is cut to the 1,024 bytes that are allowed, not within a character."""
    async with recording(tmp_path) as (server, recorder, _):
        server.on("POST", PATH, ok({}, 201))
        say(recorder, "ü" * 2000)
        (request,) = await server.until(1, "POST")
    note = request.body["note"]
    assert len(note.encode()) <= 1024
    assert note.rstrip("…") == "ü" * 510
    assert note.endswith("…")


async def test_strange_notes(tmp_path: Path) -> None:
    """Even a note that is no text (half a surrogate pair) raises nothing and is said."""
    async with recording(tmp_path) as (server, recorder, _):
        server.on("POST", PATH, ok({}, 201))
        say(recorder, "caf\udce9")
        (request,) = await server.until(1, "POST")
    assert request.body["note"] == "caf?"


async def test_name_of_an_event(tmp_path: Path) -> None:
    """The name of an event is a name, however long its object's is."""
    long = ObjectRef(kind="Pod", api_version="v1", namespace="team", name="a" * 219 + "-b", uid="u")
    async with recording(tmp_path) as (server, recorder, _):
        server.on("POST", PATH, ok({}, 201))
        say(recorder, about=long)
        (request,) = await server.until(1, "POST")
    name = request.body["metadata"]["name"]
    assert len(name) <= 253
    assert name.startswith("a" * 219 + ".")
