"""Kinds of owners are watched when wanted, and told as unreadable when they may not be read."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import web

from bridge import config
from bridge.kube.api.reflector import Change, Deleted, Pace, Replaced, Upserted
from bridge.kube.owner_watches import MOST_RETRIED, RETRY_S, OwnerWatches
from bridge.model.owner import JobSet, Owner, OwnerKey, Settled
from bridge.retry import Backoff
from bridge.telemetry import OutageLog
from tests.unit.kube.apiserver import (
    ApiServer,
    HeldClock,
    connected,
    event,
    listed,
    ok,
    refuse,
    until,
    watch,
)

JOB_SETS: OwnerKey = ("jobset.x-k8s.io", "JobSet")
API_VERSION = "jobset.x-k8s.io/v1alpha2"
DISCOVERY = f"/apis/{API_VERSION}"
PATH = f"{DISCOVERY}/jobsets"
SERVED = ok({"resources": [{"name": "jobsets", "kind": "JobSet", "verbs": ["list", "watch"]}]})
FORBIDDEN = refuse(403, "Forbidden", "may not list jobsets")
STEADY = Pace(backoff=lambda: Backoff(first_s=1, most_s=30))


Sink = Callable[[OwnerKey, Change[Owner]], None]


def job_set(name: str, version: int) -> dict[str, Any]:
    """A JobSet as the API server sends it."""
    return {"metadata": {"name": name, "uid": f"u-{name}", "resourceVersion": str(version)}}


class Heard:
    """What sink and settled were told, in order."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.rows: dict[OwnerKey, dict[str, Owner]] = {}

    def sink(self, key: OwnerKey, change: Change[Owner]) -> None:
        rows = self.rows.setdefault(key, {})
        match change:
            case Replaced(found):
                rows.clear()
                rows.update({row.name: row for row in found})
            case Upserted(row):
                rows[row.name] = row
            case Deleted(row):
                rows.pop(row.name, None)
        self.told.append((key[1], type(change).__name__))

    def settled(self, key: OwnerKey, state: Settled) -> None:
        self.told.append((key[1], state))

    async def until(self, *told: object) -> None:
        """Wait until exactly this was told."""
        await until(lambda: len(self.told) >= len(told))
        assert self.told == list(told)


class Stage:
    """A scripted API server and watches that run."""

    def __init__(self, server: ApiServer, watches: OwnerWatches, heard: Heard, clock: HeldClock):
        self.server = server
        self.watches = watches
        self.heard = heard
        self.clock = clock

    async def later(self, seconds: float) -> None:
        """When everybody waits, so much time passes."""
        await until(lambda: self.clock.sleepers > 0)
        assert self.clock.slept[-1] == seconds
        self.clock.advance(seconds)


@asynccontextmanager
async def stage(
    folder: Path, outage: OutageLog | None = None, sink: Sink | None = None
) -> AsyncIterator[Stage]:
    """Watches of that server's owners."""
    clock, heard = HeldClock(), Heard()
    async with ApiServer() as server, connected(server, folder, clock=clock) as client:
        watches = OwnerWatches(
            client,
            clock=clock,
            sink=sink or heard.sink,
            settled=heard.settled,
            kinds=config.Settings().workloads.role_kinds,
            outage=outage,
            pace=STEADY,
        )
        task = asyncio.create_task(watches.run())
        try:
            yield Stage(server, watches, heard, clock)
            assert not task.done(), task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_watched_when_wanted(tmp_path: Path) -> None:
    """Nothing is asked before; then the list, and only after it that the kind is known."""
    async with stage(tmp_path) as on:
        on.server.on("GET", DISCOVERY, SERVED)
        on.server.on(
            "GET",
            PATH,
            ok(listed(job_set("a", 1))),
            watch(event("ADDED", job_set("b", 101)), event("DELETED", job_set("a", 102))),
        )
        await asyncio.sleep(0)
        assert on.server.requests == []
        on.watches.want(API_VERSION, "JobSet")
        await on.heard.until(
            ("JobSet", "Replaced"),
            ("JobSet", "watched"),
            ("JobSet", "Upserted"),
            ("JobSet", "Deleted"),
        )
        rows = on.heard.rows[JOB_SETS]
        assert list(rows) == ["b"]
        assert isinstance(rows["b"], JobSet)
        assert rows["b"].api_version == API_VERSION


async def test_wanted_again(tmp_path: Path) -> None:
    """A kind is watched once, whoever wants it, in whichever version, before or after the start."""
    async with stage(tmp_path) as on:
        on.server.on("GET", DISCOVERY, SERVED)
        on.server.on("GET", PATH, ok(listed(job_set("a", 1))), watch())
        for version in ("v1alpha2", "v1alpha2", "v1"):
            on.watches.want(f"jobset.x-k8s.io/{version}", "JobSet")
        await on.server.until(3, "GET")
        on.watches.want("jobset.x-k8s.io/v1", "JobSet")
        await on.heard.until(("JobSet", "Replaced"), ("JobSet", "watched"))
        assert [one.path for one in on.server.requests] == [DISCOVERY, PATH, PATH]


async def test_kinds_do_not_wait_for_each_other(tmp_path: Path) -> None:
    """One kind that does not answer holds up no other."""
    async with stage(tmp_path) as on:
        on.server.on("GET", "/apis/x.io/v1", refuse(503))
        on.server.on("GET", DISCOVERY, SERVED)
        on.server.on("GET", PATH, ok(listed()), watch())
        on.watches.want("x.io/v1", "Thing")
        on.watches.want(API_VERSION, "JobSet")
        await on.heard.until(("JobSet", "Replaced"), ("JobSet", "watched"))


async def forbidden_list(on: Stage) -> None:
    """RBAC lets us ask what there is, and no more."""
    on.server.on("GET", DISCOVERY, SERVED)
    on.server.on("GET", PATH, FORBIDDEN, FORBIDDEN, ok(listed(job_set("a", 1))), watch())


async def not_served(on: Stage) -> None:
    """The CRD is installed later."""
    on.server.on("GET", DISCOVERY, refuse(404), refuse(404), SERVED)
    on.server.on("GET", PATH, ok(listed(job_set("a", 1))), watch())


async def forbidden_discovery(on: Stage) -> None:
    """Somebody has taken system:discovery away."""
    on.server.on("GET", DISCOVERY, FORBIDDEN, FORBIDDEN, SERVED)
    on.server.on("GET", PATH, ok(listed(job_set("a", 1))), watch())


@pytest.mark.parametrize(
    ("script", "needs"),
    [
        (forbidden_list, "list, watch on jobsets.jobset.x-k8s.io"),
        (not_served, "list, watch on JobSet.jobset.x-k8s.io"),
        (forbidden_discovery, "list, watch on JobSet.jobset.x-k8s.io"),
    ],
)
async def test_unreadable(
    script: Callable[[Stage], Awaitable[None]], needs: str, tmp_path: Path
) -> None:
    """What may not be read is told at once, in one line, and tried again until it may."""
    with structlog.testing.capture_logs() as logs:
        async with stage(tmp_path) as on:
            await script(on)
            on.watches.want(API_VERSION, "JobSet")
            await on.heard.until(("JobSet", "unreadable"))
            await on.later(RETRY_S)
            await on.later(RETRY_S)
            await on.heard.until(
                ("JobSet", "unreadable"), ("JobSet", "Replaced"), ("JobSet", "watched")
            )
    lines = [one for one in logs if one["event"] == "owners.unreadable"]
    assert [(one["log_level"], one["kind"], one["needs"]) for one in lines] == [
        ("warning", "JobSet", needs)
    ]


@pytest.mark.parametrize("kind", ["Pod", "Node"])
async def test_kinds_that_are_no_owners_here(kind: str, tmp_path: Path) -> None:
    """Pods are known by another way: nothing is asked, and nobody waits for it."""
    async with stage(tmp_path) as on:
        on.watches.want("v1", kind)
        await on.heard.until((kind, "unreadable"))
        assert on.server.requests == []


async def test_outage(tmp_path: Path) -> None:
    """While the API server is away nothing is said of the kind; the outage is told, and its end."""
    logger = structlog.get_logger()
    with structlog.testing.capture_logs() as logs:
        clock = HeldClock()
        outage = OutageLog("kubernetes", logger=logger, clock=clock)
        async with stage(tmp_path, outage) as on:
            on.server.on("GET", DISCOVERY, refuse(503), refuse(401), SERVED)
            on.server.on("GET", PATH, refuse(500), ok(listed()), watch())
            on.watches.want(API_VERSION, "JobSet")
            await on.later(1)
            await on.later(2)
            assert outage.lasting_s is not None
            await on.later(1)
            await on.heard.until(("JobSet", "Replaced"), ("JobSet", "watched"))
            assert outage.lasting_s is None
    assert [one["event"] for one in logs if one["event"] == "outage.began"] == ["outage.began"]


async def test_denial_ends_the_outage(tmp_path: Path) -> None:
    """An API server that says no is there."""
    logger = structlog.get_logger()
    outage = OutageLog("kubernetes", logger=logger, clock=HeldClock())
    async with stage(tmp_path, outage) as on:
        on.server.on("GET", DISCOVERY, refuse(503), FORBIDDEN)
        on.watches.want(API_VERSION, "JobSet")
        await on.later(1)
        await on.heard.until(("JobSet", "unreadable"))
        assert outage.lasting_s is None


@pytest.mark.parametrize("denial", [refuse(403, "Forbidden"), refuse(404, "NotFound")])
async def test_watched_and_then_denied(denial: Any, tmp_path: Path) -> None:
    """A role taken away, a CRD deleted: told when it stays so, and the rows stay as they were."""
    async with stage(tmp_path) as on:
        on.server.on("GET", DISCOVERY, SERVED)
        on.server.on("GET", PATH, ok(listed(job_set("a", 1))), denial)
        on.watches.want(API_VERSION, "JobSet")
        known = (("JobSet", "Replaced"), ("JobSet", "watched"))
        for wait_s in (1, 2, 4):
            await on.later(wait_s)
            await on.heard.until(*known)
        await on.heard.until(*known, ("JobSet", "unreadable"))
        assert list(on.heard.rows[JOB_SETS]) == ["a"]
        await until(lambda: on.clock.slept[-1] == RETRY_S)


async def test_denied_for_a_moment(tmp_path: Path) -> None:
    """An API server that starts says no before it knows its roles: nobody is told of it."""
    over = asyncio.Event()

    async def ends(_: ApiServer, __: web.Request) -> web.StreamResponse:
        await over.wait()
        return web.Response()

    async with stage(tmp_path) as on:
        on.server.on("GET", DISCOVERY, SERVED, refuse(404), SERVED)
        on.server.on(
            "GET",
            PATH,
            ok(listed(job_set("a", 1))),
            FORBIDDEN,
            ok(listed(job_set("b", 2))),
            ends,
            FORBIDDEN,
            FORBIDDEN,
            ok(listed(job_set("c", 3))),
            watch(),
        )
        on.watches.want(API_VERSION, "JobSet")
        await on.later(1)
        await on.later(2)
        await on.server.until(4, "GET", PATH)
        on.clock.advance(RETRY_S)
        over.set()
        await on.later(1)  # all is as at the first time
        await on.later(2)
        replaced = ("JobSet", "Replaced")
        await on.heard.until(replaced, ("JobSet", "watched"), replaced, replaced)
        assert list(on.heard.rows[JOB_SETS]) == ["c"]


async def test_may_list_and_not_watch(tmp_path: Path) -> None:
    """Half the rights are none: the kind is not listed again and again."""
    answers = [ok(listed(job_set("a", 1))), FORBIDDEN] * 5
    async with stage(tmp_path) as on:
        on.server.on("GET", DISCOVERY, SERVED)
        on.server.on("GET", PATH, *answers)
        on.watches.want(API_VERSION, "JobSet")
        for wait_s in (1, 2, 4):
            await on.later(wait_s)
        await until(lambda: on.heard.told[-1] == ("JobSet", "unreadable"))
        await on.later(RETRY_S)


async def test_a_bug_in_the_sink(tmp_path: Path) -> None:
    """A list that the sink did not take is no knowledge: the kind is known with the next one."""
    failures = iter([ValueError("oops")])
    taken: list[Change[Owner]] = []

    def sink(_: OwnerKey, change: Change[Owner]) -> None:
        for failure in failures:
            raise failure
        taken.append(change)

    with structlog.testing.capture_logs():
        async with stage(tmp_path, sink=sink) as on:
            on.server.on("GET", DISCOVERY, SERVED)
            on.server.on("GET", PATH, ok(listed()), ok(listed()), watch())
            on.watches.want(API_VERSION, "JobSet")
            await until(lambda: on.clock.sleepers > 0)
            assert on.heard.told == []
            await on.later(1)
            await on.heard.until(("JobSet", "watched"))
            assert taken == [Replaced(())]


async def test_unreadable_object(tmp_path: Path) -> None:
    """One object that is nonsense hides no other."""
    bad = {**job_set("bad", 2), "spec": {"replicatedJobs": 3}}
    async with stage(tmp_path) as on:
        on.server.on("GET", DISCOVERY, SERVED)
        on.server.on("GET", PATH, ok(listed(job_set("a", 1), bad)), watch())
        on.watches.want(API_VERSION, "JobSet")
        await on.heard.until(("JobSet", "Replaced"), ("JobSet", "watched"))
        assert list(on.heard.rows[JOB_SETS]) == ["a"]


async def test_thousands_of_kinds_that_do_not_exist(tmp_path: Path) -> None:
    """Pods may name any: few are looked up at once, and not all of them again and again."""
    under_way, most = 0, 0

    async def nothing(server: ApiServer, request: web.Request) -> web.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        return web.json_response({"resources": []})

    count = MOST_RETRIED + 50
    async with stage(tmp_path) as here:
        here.server.on("GET", "/api/v1", nothing)
        for number in range(count):
            here.watches.want("v1", f"Kind{number}")
        await until(lambda: len(here.heard.told) == count)
        assert most <= 4
        await until(lambda: here.clock.sleepers == MOST_RETRIED)
        here.clock.advance(RETRY_S)
        await until(lambda: len(here.server.requests) == count + MOST_RETRIED)
        await until(lambda: here.clock.sleepers == MOST_RETRIED)
