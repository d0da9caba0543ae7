"""The emulator's slurmdbd, where neither recordings nor the contract look."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from bridge.sim.slurm.behaviour import Behaviour
from bridge.sim.slurm.embedded import TOKEN_HEADER, USERS, EmbeddedSlurm
from tests.recording import session
from tests.unit.sim.slurm.builders import NOW, add_node
from tests.unit.sim.slurm.test_embedded import MovedClock

PEOPLE = {**USERS, "alice": 10001}
ACCOUNT = {
    "association_condition": {"accounts": ["physics"], "association": {}},
    "account": {"description": "d", "organization": "o"},
}
USER: dict[str, Any] = {
    "association_condition": {
        "accounts": ["physics"],
        "users": ["alice"],
        "association": {"maxjobs": {"set": True, "number": 1}},
    },
    "user": {},
}


class Caller:
    """Somebody with a token."""

    def __init__(self, slurm: EmbeddedSlurm, http: aiohttp.ClientSession) -> None:
        self.slurm = slurm
        self._http = http
        self._token = slurm.token_file.read_text().strip()

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        plugin, _, rest = path.partition("/")
        url = f"{self.slurm.url}/{plugin}/v0.0.45/{rest}"
        headers = {TOKEN_HEADER: self._token}
        async with self._http.request(method, url, json=body, headers=headers) as answer:
            plain = answer.content_type != "application/json"
            return answer.status, await (answer.text() if plain else answer.json())

    async def submit(self, **description: Any) -> dict[str, Any]:
        """The new job as it is shown."""
        job = session.job("test", user_id="alice", group_id="alice", **description)
        _, answer = await self.ask("POST", "slurm/job/submit", {"job": job})
        _, shown = await self.ask("GET", f"slurm/job/{answer['job_id']}")
        found: dict[str, Any] = shown["jobs"][0]
        return found


@asynccontextmanager
async def accounting(**options: Any) -> AsyncIterator[Caller]:
    """A node with 4 CPUs; alice may run one job at a time for physics."""
    options = {"accounting": True, "users": PEOPLE, **options}
    async with EmbeddedSlurm(**options) as slurm, aiohttp.ClientSession() as http:
        add_node(slurm.cluster, "n0", cpus=4)
        caller = Caller(slurm, http)
        await caller.ask("POST", "slurmdb/accounts_association/", ACCOUNT)
        await caller.ask("POST", "slurmdb/users_association/", USER)
        yield caller


async def test_without_accounting_there_is_none() -> None:
    """No path of slurmdbd, no shares, and nothing to enforce."""
    async with EmbeddedSlurm() as slurm, aiohttp.ClientSession() as http:
        caller = Caller(slurm, http)
        for path in ("slurmdb/accounts/", "slurmdb/jobs/", "slurm/shares"):
            assert (await caller.ask("GET", path))[0] == 404
        with pytest.raises(RuntimeError):
            slurm.enforce("limits")


async def test_what_is_not_enforced_is_written_down() -> None:
    """As slurmctld does: the default account in place of a wrong one, any QOS, beyond limits."""
    async with accounting() as caller:
        first = await caller.submit(account="nope", qos="nope")
        assert (first["account"], first["qos"]) == ("physics", "nope")
        second = await caller.submit()
        assert (second["account"], second["qos"]) == ("physics", "normal")
        assert first["association_id"] == second["association_id"] > 0
        assert [first["job_state"], second["job_state"]] == [["RUNNING"], ["RUNNING"]]
        await caller.ask("DELETE", f"slurm/job/{first['job_id']}")
        await caller.ask("DELETE", f"slurm/job/{second['job_id']}")
        await caller.ask("DELETE", "slurmdb/user/alice")
        stranger = await caller.submit(account="any")
        assert (stranger["account"], stranger["association_id"]) == ("any", 0)


async def test_enforcement_begins_and_ends() -> None:
    """Jobs that wait for a limit start once nobody asks for it."""
    async with accounting() as caller:
        caller.slurm.enforce("limits")
        await caller.submit()
        second = await caller.submit()
        assert second["state_reason"] == "AssocMaxJobsLimit"
        caller.slurm.enforce()
        _, shown = await caller.ask("GET", f"slurm/job/{second['job_id']}")
        assert shown["jobs"][0]["job_state"] == ["RUNNING"]


async def test_history_outlives_slurmctlds_memory() -> None:
    """Forgotten after MinJobAge, and kept for good."""
    clock = MovedClock()
    async with accounting(clock=clock, behaviour=Behaviour(min_job_age_s=30)) as caller:
        job = await caller.submit(time_limit={"set": True, "number": 1})
        clock.seconds += 100
        assert (await caller.ask("GET", f"slurm/job/{job['job_id']}"))[0] == 404
        _, kept = await caller.ask("GET", f"slurmdb/job/{job['job_id']}")
        (row,) = kept["jobs"]
        assert (row["state"]["current"], row["time"]["elapsed"]) == (["TIMEOUT"], 60)
        assert (row["time"]["start"], row["time"]["end"]) == (int(NOW), int(NOW) + 60)
        for since, found in ((int(NOW) + 60, 1), (int(NOW) + 61, 0)):
            _, listed = await caller.ask("GET", f"slurmdb/jobs/?start_time=uts{since}")
            assert len(listed["jobs"]) == found


async def test_slurmdbd_answers_while_slurmctld_is_down() -> None:
    """And lets nobody in whose token is void."""
    async with accounting() as caller:
        caller.slurm.controller_up = False
        assert (await caller.ask("GET", "slurmdb/account/physics"))[1]["accounts"]
        assert (await caller.ask("GET", "slurm/shares"))[0] == 500
        caller.slurm.expire_tokens()
        status, answer = await caller.ask("GET", "slurmdb/account/physics")
        assert (status, answer["errors"][0]["error_number"]) == (502, 7000)


async def test_limits_without_effect_are_no_secret() -> None:
    """What the real one would hold jobs to, and this one doesn't, is a 501."""
    async with accounting() as caller:
        grown = {"association_condition": {"accounts": ["a"], "association": {"grpjobs": 3}}}
        status, text = await caller.ask("POST", "slurmdb/accounts_association/", grown)
        assert (status, "grpjobs" in text) == (501, True)
        assert not (await caller.ask("GET", "slurmdb/account/a"))[1]["accounts"]


@pytest.mark.parametrize(
    "path", ["accounts_association/", "users_association/", "associations/", "qos/"]
)
async def test_malformed_requests_break_nothing(path: str) -> None:
    """Bodies of absurd types get an error or a warning; a number is a name, as in the real one."""
    condition = "association_condition"
    async with accounting() as caller:
        before = await caller.ask("GET", "slurmdb/associations/")
        bodies: list[Any] = [
            [1], "x", 3, {}, {condition: 3}, {condition: {"accounts": 3, "users": 3}},
            {condition: {"accounts": ["x"], "users": ["x"], "association": 3}},
            {condition: {"accounts": ["x"], "users": ["x"], "association": {"grptres": 3}}},
            {condition: {"accounts": ["x"], "users": ["x"], "association": {"fairshare": {}}}},
            {condition: {"accounts": ["x"], "users": ["y"]}, "account": 3, "user": 3},
            {"associations": 3}, {"associations": [3]}, {"qos": [3]}, {"qos": 3},
            {"associations": [{"user": 3, "account": []}]},
            {"associations": [{"user": "alice", "account": "physics", "max": 3, "default": 3}]},
            {"associations": [{"user": "alice", "account": "physics", "max": {"jobs": 3}}]},
            {"associations": [{"user": "x", "account": "x", "shares_raw": "many"}]},
            {"qos": [{"name": 3}]}, {"qos": [{"name": "q", "limits": 3, "preempt": 3}]},
            {"qos": [{"name": "q", "flags": 3, "usage_factor": "x", "priority": {}}]},
            {"qos": [{"name": "q", "limits": {"grace_time": "x"}}]},
        ]  # fmt: skip
        for body in bodies:
            status, answer = await caller.ask("POST", f"slurmdb/{path}", body)
            assert status in (200, 304, 422, 500, 501), body
            assert "got itself in trouble" not in str(answer), body
        after = await caller.ask("GET", "slurmdb/associations/")
        names = {row["account"] for row in after[1]["associations"]} - {"x", "3"}
        assert names == {row["account"] for row in before[1]["associations"]}
