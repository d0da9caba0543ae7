"""List and watch against servers that break in each known way: nothing lost, never over."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog

from bridge.errors import BadInput
from bridge.kube.api import errors
from bridge.kube.api.client import KubeClient
from bridge.kube.api.reflector import Change, Deleted, Pace, Reflector, Replaced, Upserted
from bridge.kube.objects import pods
from bridge.model.pod import Pod
from bridge.retry import Backoff
from tests.unit.kube.apiserver import (
    Answer,
    ApiServer,
    JumpClock,
    connected,
    event,
    listed,
    ok,
    raw,
    refuse,
    silent,
    watch,
)

PATH = pods.PATH
STEADY = Pace(silence_s=5.0, draw=lambda: 0.5, backoff=lambda: Backoff(first_s=1, most_s=30))


def pod(name: str, version: int, **spec: Any) -> dict[str, Any]:
    """A pod as the API server sends it."""
    return {
        "metadata": {
            "name": name,
            "namespace": "team",
            "uid": f"u-{name}",
            "resourceVersion": str(version),
        },
        "spec": {"containers": [{"name": "c"}], **spec},
        "status": {"phase": "Pending"},
    }


def bookmark(version: int) -> bytes:
    """How far the server has come, without a change."""
    return event("BOOKMARK", {"kind": "Pod", "metadata": {"resourceVersion": str(version)}})


class Mirror:
    """A sink that does what the state will do: hold what there is."""

    def __init__(self) -> None:
        self.changes: list[Change[Pod]] = []
        self.names: dict[str, str] = {}
        self._moved = asyncio.Condition()
        self._waiting: list[asyncio.Future[None]] = []

    def __call__(self, change: Change[Pod]) -> None:
        self.changes.append(change)
        match change:
            case Replaced(rows):
                self.names = {row.name: row.resource_version for row in rows}
            case Upserted(row):
                self.names[row.name] = row.resource_version
            case Deleted(row):
                self.names.pop(row.name, None)
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    async def until(self, test: Callable[[], bool]) -> None:
        """Wait until a change made it true."""
        async with asyncio.timeout(10):
            while not test():
                future = asyncio.get_running_loop().create_future()
                self._waiting.append(future)
                await future

    async def holds(self, **names: int) -> None:
        """Wait until exactly these pods are there, in these versions."""
        wanted = {name: str(version) for name, version in names.items()}
        await self.until(lambda: self.names == wanted)


@asynccontextmanager
async def reflecting(
    client: KubeClient, clock: JumpClock, sink: Callable[[Change[Pod]], None], **more: Any
) -> AsyncIterator[Reflector[Pod]]:
    """A reflector of pods that runs."""
    reflector = Reflector(
        client,
        path=PATH,
        parse=more.pop("parse", pods.parse),
        key=lambda row: row.uid,
        sink=sink,
        clock=clock,
        name="pods",
        pace=more.pop("pace", STEADY),
        **more,
    )
    task = asyncio.create_task(reflector.run())
    try:
        yield reflector
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def stage(folder: Path) -> AsyncIterator[tuple[ApiServer, KubeClient, JumpClock, Mirror]]:
    """Server, client, clock, sink."""
    clock = JumpClock()
    async with ApiServer() as server, connected(server, folder, clock=clock) as client:
        yield server, client, clock, Mirror()


async def test_list_then_watch(tmp_path: Path) -> None:
    """One list, then each change in order; the watch starts where the list ended."""
    async with stage(tmp_path) as (server, client, clock, mirror):
        server.on(
            "GET",
            PATH,
            ok(listed(pod("a", 1), pod("b", 2), version="10")),
            watch(
                event("ADDED", pod("c", 11)),
                event("MODIFIED", pod("a", 12)),
                event("DELETED", pod("b", 13)),
            ),
        )
        async with reflecting(client, clock, mirror, params={"fieldSelector": "x=y"}) as reflector:
            await mirror.holds(a=12, c=11)
            assert reflector.synced
        kinds = [type(one).__name__ for one in mirror.changes]
        assert kinds == ["Replaced", "Upserted", "Upserted", "Deleted"]
        first, second = (one.query for one in server.requests)
        assert first == {"fieldSelector": "x=y", "limit": "500"}
        assert second == {
            "fieldSelector": "x=y",
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": "10",
            "timeoutSeconds": "450",
        }


async def test_pages(tmp_path: Path) -> None:
    """A long list comes in pages and reaches the sink as one."""
    async with stage(tmp_path) as (server, client, clock, mirror):
        server.on(
            "GET",
            PATH,
            ok(listed(pod("a", 1), more="token/1")),
            ok(listed(pod("b", 2), more="token/2")),
            ok(listed(pod("c", 3), version="30")),
            watch(),
        )
        async with reflecting(client, clock, mirror):
            await server.until(4, "GET")
        assert [one.query.get("continue") for one in server.requests[:3]] == [
            None,
            "token/1",
            "token/2",
        ]
        assert len(mirror.changes) == 1
        assert mirror.names == {"a": "1", "b": "2", "c": "3"}
        assert server.requests[3].query["resourceVersion"] == "30"


async def test_empty_cluster(tmp_path: Path) -> None:
    """Nothing there is a complete answer: items null, and synced."""
    async with stage(tmp_path) as (server, client, clock, mirror):
        empty = {"metadata": {"resourceVersion": "5"}, "items": None}
        server.on("GET", PATH, ok(empty), watch())
        async with reflecting(client, clock, mirror) as reflector:
            async with asyncio.timeout(10):
                await reflector.wait_for_sync()
        assert mirror.changes == [Replaced(())]


async def test_page_token_expires(tmp_path: Path) -> None:
    """410 between two pages: the list starts again, and half a list reaches nobody."""
    async with stage(tmp_path) as (server, client, clock, mirror):
        server.on(
            "GET",
            PATH,
            ok(listed(pod("old", 1), more="token")),
            refuse(410, "Expired"),
            ok(listed(pod("a", 2))),
            watch(),
        )
        async with reflecting(client, clock, mirror):
            await mirror.holds(a=2)
        assert len(mirror.changes) == 1


@pytest.mark.parametrize(
    "gone",
    [
        refuse(410, "Expired"),
        refuse(410, "Gone"),
        refuse(504, "Timeout", "Too large resource version: 100, current: 7"),
        refuse(400, "BadRequest", "invalid resource version"),
        watch(
            event(
                "ERROR",
                {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"},
            ),
            then="end",
        ),
    ],
)
async def test_version_is_gone(gone: Answer, tmp_path: Path) -> None:
    """A version that the server cannot watch from, said in any way, makes us list again."""
    async with stage(tmp_path) as (server, client, clock, mirror):
        server.on(
            "GET",
            PATH,
            ok(listed(pod("a", 1), pod("b", 2), version="100")),
            gone,
            ok(listed(pod("a", 7), version="200")),
            watch(event("ADDED", pod("c", 201))),
        )
        async with reflecting(client, clock, mirror):
            await mirror.holds(a=7, c=201)
        assert mirror.changes[1] == Replaced((pods.parse(pod("a", 7)),))


@pytest.mark.parametrize(
    "broken",
    [
        watch(event("ADDED", pod("b", 101)), then="end"),
        watch(event("ADDED", pod("b", 101)), then="drop"),
        watch(event("ADDED", pod("b", 101)), event("ADDED", pod("c", 102))[:40], then="drop"),
        watch(event("ADDED", pod("b", 101)), event("ADDED", pod("c", 102))[:40], then="end"),
        watch(event("ADDED", pod("b", 101)), b'{"type": "ADDED", "obj\n', then="stay"),
        watch(event("ADDED", pod("b", 101)), b'"hello"\n', then="stay"),
        watch(event("ADDED", pod("b", 101)), b'{"type": "ADDED", "object": null}\n'),
        watch(event("ADDED", pod("b", 101)), b"\xff\xfe\n"),
        watch(event("ADDED", pod("b", 101)), b'{"type":"ADDED","object":' + b"[" * 2000),
        watch(
            event("ADDED", pod("b", 101)),
            event("ERROR", {"kind": "Status", "code": 500, "message": "etcd"}),
        ),
    ],
    ids=["end", "drop", "mid-line", "half", "half+nl", "text", "null", "bytes", "huge", "error"],
)
async def test_watch_breaks(broken: Answer, tmp_path: Path) -> None:
    """However a watch ends, the next one starts at the last event that was complete."""
    async with stage(tmp_path) as (server, client, clock, mirror):
        server.on(
            "GET",
            PATH,
            ok(listed(pod("a", 1), version="100")),
            broken,
            watch(event("ADDED", pod("c", 102))),
        )
        pace = Pace(longest_line=1000, backoff=STEADY.backoff)
        async with reflecting(client, clock, mirror, pace=pace):
            await mirror.holds(a=1, b=101, c=102)
        versions = [one.query.get("resourceVersion") for one in server.requests]
        assert versions == [None, "100", "101"]


async def test_bookmarks(tmp_path: Path) -> None:
    """A bookmark moves the place to go on from, and nothing else."""
    async with stage(tmp_path) as (server, client, clock, mirror):
        server.on("GET", PATH, ok(listed(version="100")), watch(bookmark(900), then="end"), watch())
        async with reflecting(client, clock, mirror):
            await server.until(3, "GET")
        assert server.requests[2].query["resourceVersion"] == "900"
        assert mirror.changes == [Replaced(())]


async def test_silent_watch(tmp_path: Path) -> None:
    """A watch that brings nothing, not even a bookmark, is cut and begun again at its place."""
    async with stage(tmp_path) as (server, client, clock, mirror):
        server.on(
            "GET",
            PATH,
            ok(listed(version="100")),
            watch(event("ADDED", pod("a", 101)), then="stay"),
            watch(event("ADDED", pod("b", 102)), then="stay"),
        )
        async with reflecting(client, clock, mirror, pace=Pace(silence_s=0.05)):
            await mirror.holds(a=101, b=102)
        assert server.requests[2].query["resourceVersion"] == "101"


async def test_watch_that_never_answers(tmp_path: Path) -> None:
    """A server that accepts the watch and says nothing at all is cut, too."""
    async with stage(tmp_path) as (server, client, clock, mirror):
        server.on(
            "GET", PATH, ok(listed(version="100")), silent(), watch(event("ADDED", pod("a", 101)))
        )
        async with reflecting(client, clock, mirror, pace=Pace(silence_s=0.05)):
            await mirror.holds(a=101)


async def test_garbage_for_ever(tmp_path: Path) -> None:
    """When the same place is garbled three times, only a list can help, and is made."""
    async with stage(tmp_path) as (server, client, clock, mirror):
        garbled = watch(b"<html>\n", then="end")
        server.on(
            "GET",
            PATH,
            ok(listed(pod("a", 1), version="100")),
            garbled,
            garbled,
            garbled,
            ok(listed(pod("b", 2), version="200")),
            watch(),
        )
        async with reflecting(client, clock, mirror):
            await mirror.holds(b=2)
        assert clock.slept == [1, 2, 4]


async def test_server_is_away(tmp_path: Path) -> None:
    """While the server is away we ask again, ever less often, and do not list when it is back."""
    async with stage(tmp_path) as (server, client, clock, mirror):
        server.on(
            "GET",
            PATH,
            ok(listed(pod("a", 1), version="100")),
            refuse(500),
            refuse(503),
            raw(b"bad gateway", status=502),
            refuse(504, "Timeout"),
            watch(event("ADDED", pod("b", 101))),
        )
        async with reflecting(client, clock, mirror):
            await mirror.holds(a=1, b=101)
        assert clock.slept == [1, 2, 4, 8]
        assert len(mirror.changes) == 2


async def test_first_list_fails(tmp_path: Path) -> None:
    """Refused, throttled, garbled first lists are tried again until one is complete."""
    async with stage(tmp_path) as (server, client, clock, mirror):
        server.on(
            "GET",
            PATH,
            refuse(403, "Forbidden"),
            refuse(404, "NotFound"),
            raw(b"{"),
            ok({"items": "none"}),
            ok(listed(pod("a", 1))),
            watch(),
        )
        async with reflecting(client, clock, mirror) as reflector:
            assert not reflector.synced
            await mirror.holds(a=1)
            assert reflector.synced


@pytest.mark.parametrize("denial", [refuse(403, "Forbidden"), refuse(404, "NotFound")])
@pytest.mark.parametrize("listed_before", [False, True])
async def test_gives_up(denial: Answer, listed_before: bool, tmp_path: Path) -> None:
    """Where it may give up, what is denied ends it with that error; outages do not."""
    async with stage(tmp_path) as (server, client, clock, mirror):
        first = [ok(listed(pod("a", 1), version="100"))] if listed_before else []
        server.on("GET", PATH, refuse(503), *first, refuse(503), refuse(401), denial)
        reflector = Reflector(
            client,
            path=PATH,
            parse=pods.parse,
            key=lambda row: row.uid,
            sink=mirror,
            clock=clock,
            name="pods",
            pace=STEADY,
            may_give_up=True,
        )
        async with asyncio.timeout(10):
            with pytest.raises((errors.Forbidden, errors.NotFound)):
                await reflector.run()
        assert reflector.synced is listed_before
        assert mirror.names == ({"a": "1"} if listed_before else {})


async def test_retry_after(tmp_path: Path) -> None:
    """A watch that is throttled waits at least as long as the server asks."""
    async with stage(tmp_path) as (server, client, clock, mirror):
        server.on(
            "GET",
            PATH,
            ok(listed(version="100")),
            refuse(429, headers={"Retry-After": "7"}),
            watch(event("ADDED", pod("a", 101))),
        )
        async with reflecting(client, clock, mirror):
            await mirror.holds(a=101)
        assert clock.slept == [7 + 1]


async def test_watches_that_end_at_once(tmp_path: Path) -> None:
    """A server that ends every watch at once is not asked in a tight loop."""
    async with stage(tmp_path) as (server, client, clock, mirror):
        ends = watch(then="end")
        server.on("GET", PATH, ok(listed(version="100")), ends, ends, ends, watch())
        async with reflecting(client, clock, mirror):
            await server.until(5, "GET")
        assert clock.slept == [1, 2, 4]


async def test_one_bad_object_in_a_list(tmp_path: Path) -> None:
    """An object that can't be read is left out and told about once; the others are there."""
    refused: list[str] = []
    bad = pod("bad", 2, containers=[{"resources": {"requests": {"cpu": "lots"}}}])

    def keep(_: Mapping[str, Any], error: BadInput) -> None:
        refused.append(error.field)

    async with stage(tmp_path) as (server, client, clock, mirror):
        server.on(
            "GET",
            PATH,
            ok(listed(pod("a", 1), bad, pod("c", 3), version="100")),
            watch(event("MODIFIED", bad), event("ADDED", pod("d", 101))),
        )
        with structlog.testing.capture_logs() as logs:
            async with reflecting(client, clock, mirror, refused=keep):
                await mirror.holds(a=1, c=3, d=101)
        assert refused == ["spec.containers[0].resources.requests.cpu"]
        assert [one["event"] for one in logs if one["log_level"] == "warning"] == ["object.refused"]


async def test_unreadable_deletion(tmp_path: Path) -> None:
    """A deletion that can't be read says who is gone, and nothing is listed again for it."""
    async with stage(tmp_path) as (server, client, clock, mirror):
        server.on(
            "GET",
            PATH,
            ok(listed(pod("a", 1), pod("b", 2), version="100")),
            watch(
                event("DELETED", pod("b", 101, containers="none")), event("ADDED", pod("c", 102))
            ),
        )
        async with reflecting(client, clock, mirror):
            await mirror.holds(a=1, b=2)
            await mirror.holds(a=1, c=102)
        assert len(server.requests) == 2


async def test_a_deletion_of_nobody(tmp_path: Path) -> None:
    """One that does not even say who is gone is not lost: the list that follows leaves it out."""
    async with stage(tmp_path) as (server, client, clock, mirror):
        nobody = {"metadata": {"name": 7, "resourceVersion": "101"}}
        server.on(
            "GET",
            PATH,
            ok(listed(pod("a", 1), pod("b", 2), version="100")),
            watch(event("DELETED", nobody)),
            ok(listed(pod("a", 1), version="101")),
            watch(),
        )
        async with reflecting(client, clock, mirror):
            await mirror.holds(a=1, b=2)
            await mirror.holds(a=1)


async def test_a_bug_in_the_parser(tmp_path: Path) -> None:
    """A parser that fails in a way it must not costs that object, not the stream."""

    def parse(found: Mapping[str, Any]) -> Pod:
        if found["metadata"]["name"] == "a":
            raise ZeroDivisionError("oops")
        return pods.parse(found)

    async with stage(tmp_path) as (server, client, clock, mirror):
        server.on("GET", PATH, ok(listed(pod("a", 1), pod("b", 2))), watch())
        with structlog.testing.capture_logs() as logs:
            async with reflecting(client, clock, mirror, parse=parse):
                await mirror.holds(b=2)
        assert any("ZeroDivisionError" in one.get("error", "") for one in logs)


async def test_a_bug_in_the_sink(tmp_path: Path) -> None:
    """A sink that fails gets a new complete list: what it missed is not lost."""
    async with stage(tmp_path) as (server, client, clock, mirror):
        failures = iter([ValueError("oops")])

        def sink(change: Change[Pod]) -> None:
            if isinstance(change, Upserted):
                for failure in failures:
                    raise failure
            mirror(change)

        server.on(
            "GET",
            PATH,
            ok(listed(version="100")),
            watch(event("ADDED", pod("a", 101))),
            ok(listed(pod("a", 101), version="101")),
            watch(event("MODIFIED", pod("a", 102))),
        )
        with structlog.testing.capture_logs() as logs:
            async with reflecting(client, clock, sink):
                await mirror.holds(a=102)
        assert [one["event"] for one in logs if one["log_level"] == "error"] == [
            "reflector.sink_failed"
        ]


async def test_last_contact(tmp_path: Path) -> None:
    """How long ago the server was last heard is known, and infinite before the first word."""
    async with stage(tmp_path) as (server, client, clock, mirror):
        server.on("GET", PATH, ok(listed(pod("a", 1))), watch())
        async with reflecting(client, clock, mirror) as reflector:
            assert reflector.last_contact_s == float("inf")
            await server.until(2, "GET")
            await mirror.holds(a=1)
            clock.now += 42
            assert reflector.last_contact_s == pytest.approx(42)


async def test_in_step_on_a_quiet_watch(tmp_path: Path) -> None:
    """A bookmark says so; while the next watch is not answered, the time since then grows."""
    async with stage(tmp_path) as (server, client, clock, mirror):
        server.on("GET", PATH, ok(listed(pod("a", 1))), watch(bookmark(5), then="end"), silent())
        async with reflecting(client, clock, mirror) as reflector:
            assert reflector.in_step_s == float("inf")
            assert reflector.in_step_within_s == STEADY.silence_s + 30
            await server.until(3, "GET")
            clock.now += 42
            assert reflector.in_step_s == pytest.approx(42, abs=1)


async def test_a_sink_that_always_fails_is_out_of_step(tmp_path: Path) -> None:
    """The API server answers each list, and yet nothing is known: the age tells, and why."""

    def sink(change: Change[Pod]) -> None:
        raise RuntimeError("broken")

    async with stage(tmp_path) as (server, client, clock, _):
        server.on("GET", PATH, ok(listed(pod("a", 1))))
        with structlog.testing.capture_logs():
            async with reflecting(client, clock, sink) as reflector:
                await server.until(3, "GET")
                assert reflector.last_contact_s < float("inf")
                assert reflector.in_step_s == float("inf")
                assert reflector.problem == "broken"


async def test_cancelled_anywhere(tmp_path: Path) -> None:
    """Cancelling ends it at once, while it lists, watches or waits."""
    async with stage(tmp_path) as (server, client, clock, mirror):
        server.on("GET", PATH, silent())
        async with reflecting(client, clock, mirror):
            await server.until(1, "GET")
    async with stage(tmp_path) as (server, client, clock, mirror):
        server.on("GET", PATH, ok(listed()), watch())
        async with reflecting(client, clock, mirror):
            await server.until(2, "GET")
