"""The emulator over real sockets: tokens, faults, time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from bridge.sim.slurm.behaviour import Behaviour
from bridge.sim.slurm.embedded import TOKEN_HEADER, EmbeddedSlurm
from tests.recording import session
from tests.unit.sim.slurm.builders import NOW, add_node

JOB = {"job": session.job("test")}
SUBMIT, STATES = "/job/submit", "/jobs/state/"


class MovedClock:
    """Time that a test moves by hand; whoever sleeps moves it too."""

    def __init__(self) -> None:
        self.seconds = NOW

    def monotonic(self) -> float:
        return self.seconds

    def time(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class Caller:
    """A client with a token that speaks to one emulator."""

    def __init__(self, slurm: EmbeddedSlurm, http: aiohttp.ClientSession) -> None:
        self.slurm = slurm
        self.http = http
        self.token = slurm.token_file.read_text().strip()

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        url = f"{self.slurm.url}/slurm/v0.0.45{path}"
        headers = {TOKEN_HEADER: self.token} if self.token else {}
        async with self.http.request(method, url, json=body, headers=headers) as answer:
            if answer.content_type == "application/json":
                return answer.status, await answer.json()
            return answer.status, await answer.text()

    async def states(self) -> dict[str, list[str]]:
        _, answer = await self.ask("GET", STATES)
        return {row["job_id"]: row["state"] for row in answer["jobs"]}


@asynccontextmanager
async def running(**options: Any) -> AsyncIterator[Caller]:
    """An emulator with one node of 4 CPUs, and somebody who calls it."""
    async with EmbeddedSlurm(**options) as slurm, aiohttp.ClientSession() as http:
        add_node(slurm.cluster, "n0", cpus=4)
        yield Caller(slurm, http)


async def test_a_job_runs_and_ends_over_http() -> None:
    """Submit, look, cancel: what the bridge does all day."""
    async with running() as caller:
        status, answer = await caller.ask("POST", SUBMIT, JOB)
        assert (status, answer["errors"]) == (200, [])
        job_id = answer["job_id"]
        assert await caller.states() == {str(job_id): ["RUNNING"]}
        _, shown = await caller.ask("GET", f"/job/{job_id}")
        assert shown["jobs"][0]["nodes"] == "n0"
        await caller.ask("DELETE", f"/job/{job_id}")
        assert await caller.states() == {str(job_id): ["CANCELLED"]}
        assert caller.slurm.cluster.job(job_id).state == "CANCELLED"


async def test_time_is_the_clocks() -> None:
    """A job's limit and its oblivion come when the clock says so, without anything running."""
    clock = MovedClock()
    async with running(clock=clock, behaviour=Behaviour(min_job_age_s=30)) as caller:
        await caller.ask("POST", SUBMIT, {"job": {**JOB["job"], "time_limit": 1}})
        assert list((await caller.states()).values()) == [["RUNNING"]]
        clock.seconds += 60
        assert list((await caller.states()).values()) == [["TIMEOUT"]]
        clock.seconds += 30
        assert await caller.states() == {}


async def test_wrong_and_missing_tokens() -> None:
    """No token is 401 by slurmrestd itself, a wrong one 511 by slurmctld."""
    async with running() as caller:
        caller.token = "wrong"
        assert (await caller.ask("GET", STATES))[0] == 511
        caller.token = ""
        assert await caller.ask("GET", STATES) == (401, "Authentication failure")


async def test_a_rotated_token_is_in_the_file() -> None:
    """After a rotation the old token is void and the file has the new one."""
    async with running() as caller:
        await caller.slurm.rotate_token()
        assert (await caller.ask("GET", STATES))[0] == 511
        caller.token = caller.slurm.token_file.read_text().strip()
        assert (await caller.ask("GET", STATES))[0] == 200
        caller.slurm.expire_tokens()
        assert (await caller.ask("GET", STATES))[0] == 511


async def test_refused_connections() -> None:
    """Nothing is read or done, the connection breaks."""
    async with running() as caller:
        caller.slurm.faults.refuse(path=SUBMIT, times=1)
        with pytest.raises(aiohttp.ClientError):
            await caller.ask("POST", SUBMIT, JOB)
        assert await caller.states() == {}
        assert (await caller.ask("POST", SUBMIT, JOB))[0] == 200


async def test_an_answer_lost_after_the_job_was_made() -> None:
    """The caller sees a broken connection, the job exists."""
    async with running() as caller:
        caller.slurm.faults.lose_answer(path=SUBMIT)
        with pytest.raises(aiohttp.ClientError):
            await caller.ask("POST", SUBMIT, JOB)
        assert list((await caller.states()).values()) == [["RUNNING"]]


async def test_failing_answers_end_when_healed() -> None:
    """A status and text for some paths, as often as told or until healed."""
    async with running() as caller:
        caller.slurm.faults.fail(503, path=STATES, text="<html>proxy</html>")
        for _ in range(2):
            assert await caller.ask("GET", STATES) == (503, "<html>proxy</html>")
        assert (await caller.ask("GET", "/ping/"))[0] == 200
        caller.slurm.faults.heal()
        assert (await caller.ask("GET", STATES))[0] == 200


async def test_slow_answers_take_the_clocks_time() -> None:
    """A delay is slept on the emulator's clock before the request is looked at."""
    clock = MovedClock()
    async with running(clock=clock) as caller:
        caller.slurm.faults.delay(7, path=STATES, times=1)
        await caller.states()
        assert clock.seconds == NOW + 7


async def test_slurmctld_down() -> None:
    """Every endpoint fails in its own way; when it is back all is as before."""
    async with running() as caller:
        _, answer = await caller.ask("POST", SUBMIT, JOB)
        caller.slurm.controller_up = False
        assert (await caller.ask("GET", "/ping/"))[1]["pings"][0]["responding"] is False
        assert (await caller.ask("GET", STATES))[0] == 500
        assert (await caller.ask("GET", "/nodes/"))[0] == 502
        assert (await caller.ask("DELETE", f"/job/{answer['job_id']}"))[0] == 403
        caller.slurm.controller_up = True
        assert await caller.states() == {str(answer["job_id"]): ["RUNNING"]}


async def test_versions_are_negotiated_from_the_openapi_paths() -> None:
    """`/openapi/v3` lists the paths of each version that is served, others are 404."""
    async with running(versions=("v0.0.44",)) as caller:
        headers = {TOKEN_HEADER: caller.token}
        async with caller.http.get(caller.slurm.url + "/openapi/v3", headers=headers) as answer:
            paths = (await answer.json())["paths"]
        assert "post" in paths["/slurm/v0.0.44/job/submit"]
        assert not any("v0.0.45" in path for path in paths)
        assert (await caller.ask("GET", STATES))[0] == 404


async def test_many_submits_at_once_each_get_an_id() -> None:
    """Concurrent callers get different ids, in all as many as they sent."""
    async with running() as caller:
        answers = await asyncio.gather(*(caller.ask("POST", SUBMIT, JOB) for _ in range(40)))
        ids = {answer["job_id"] for _, answer in answers}
        assert len(ids) == 40
        assert len(caller.slurm.requests) == 40


async def test_ipv6() -> None:
    """It listens where it is told to, and its URL can be used as it is."""
    async with running(host="::1") as caller:
        assert caller.slurm.url.startswith("http://[::1]:")
        assert await caller.states() == {}


async def test_what_is_not_emulated_is_said() -> None:
    """A request that the real Slurm would treat in a way we don't know is a 501, never a guess."""
    async with running() as caller:
        status, text = await caller.ask("POST", SUBMIT, {"job": {**JOB["job"], "deadline": 99}})
        assert (status, "deadline" in text) == (501, True)
        batch = {**JOB["job"], "flags": [], "script": "#!/bin/sh\ntrue\n"}
        assert (await caller.ask("POST", SUBMIT, {"jobs": [batch]}))[0] == 501
        assert await caller.states() == {}


async def test_malformed_requests_break_nothing() -> None:
    """Bodies that are no JSON, no object, or of absurd types get an error or a warning."""
    async with running() as caller:
        url = f"{caller.slurm.url}/slurm/v0.0.45"
        headers = {TOKEN_HEADER: caller.token}
        for path in ("/job/submit", "/job/1", "/nodes/", "/node/n0", "/new/node/"):
            for body in (b"{", b"[1]", b'{"job": 3}', b'{"job": {"tasks": {}}}', b"null"):
                async with caller.http.post(url + path, data=body, headers=headers) as answer:
                    assert answer.status in (200, 404, 422, 500), (path, body)
        assert (await caller.ask("GET", STATES))[0] == 200
