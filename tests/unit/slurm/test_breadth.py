"""The nouns beside jobs and nodes, read from what a real Slurm answered in each version."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bridge.model.ids import SlurmJobId
from bridge.slurm import (
    AlreadyExists,
    NotFound,
    SlurmClient,
    TokenSource,
)

from . import recorded
from .clocks import ImpatientClock
from .recorded import Server

_BREADTH = recorded.load("breadth")


@pytest.fixture(params=recorded.VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    """Each REST version."""
    chosen: str = request.param
    return chosen


@asynccontextmanager
async def _client(version: str, name: str) -> AsyncIterator[SlurmClient]:
    server = recorded.always(_BREADTH[f"{name} {version}"], versions=(version,))
    async with SlurmClient(
        endpoints=["http://slurm"],
        token=TokenSource.fixed("t"),
        clock=ImpatientClock(),
        transport=server,
    ) as client:
        yield client


async def test_statistics(version: str) -> None:
    """The figures that matter by name, all of them raw."""
    async with _client(version, "diag") as client:
        found = await client.statistics()
    assert found.server_threads == 1
    assert found.jobs_submitted == found.raw["jobs_submitted"] > 0
    assert found.at_s
    assert found.since_s


async def test_licenses(version: str) -> None:
    """Each with its count."""
    async with _client(version, "licenses") as client:
        found = {one.name: (one.total, one.free) for one in await client.list_licenses()}
    assert found == {"matlab": (4, 4), "ansys": (2, 2)}


async def test_shares(version: str) -> None:
    """A user's line stands below its account's."""
    async with _client(version, "shares") as client:
        found = {(one.name, one.user): one for one in await client.list_shares()}
    account, user = found["recorded", False], found["alice", True]
    assert (account.shares, account.parent) == (3, "root")
    assert (user.parent, user.shares) == ("recorded", 1)
    assert user.fair_share is not None
    assert 0 <= user.fair_share <= 1


async def test_a_layout(version: str) -> None:
    """One core, its memory, two devices."""
    async with _client(version, "layout") as client:
        (found,) = await client.get_layout(SlurmJobId(1))
    assert (len(found.cores), found.memory_mib) == (1, 100)
    assert len(found.gres["gpu", "h100"]) == 2


async def test_reservations(version: str) -> None:
    """Nodes, users, times."""
    async with _client(version, "reservations") as client:
        (found,) = await client.list_reservations()
    assert (found.name, found.nodes, set(found.users)) == (
        "recorded",
        "rec-[1-2]",
        {"root", "alice"},
    )
    assert (found.end_s or 0) - (found.start_s or 0) == 3600


async def test_a_partition_that_is_not_there(version: str) -> None:
    """200, a warning, and no list: not found."""
    async with _client(version, "partition") as client:
        with pytest.raises(NotFound):
            await client.get_partition("nope")


async def test_accounts_users_associations(version: str) -> None:
    """As they were made."""
    async with _client(version, "accounts") as client:
        accounts = {one.name: one for one in await client.list_accounts()}
    assert accounts["recorded"].organization == "uni"
    async with _client(version, "users") as client:
        users = {one.name: one for one in await client.list_users()}
    assert users["alice"].default_account == "recorded"
    async with _client(version, "associations") as client:
        own, mine = await client.list_associations()
    assert (own.user, own.limits.shares, own.limits.group_tres) == ("", 3, {"gres/gpu": 8})
    assert (mine.user, mine.limits.max_jobs, mine.limits.max_wall_min) == ("alice", 2, None)


async def test_qos_clusters_tres(version: str) -> None:
    """Limits, what the cluster has, what is counted."""
    async with _client(version, "qos") as client:
        found = {one.name: one.limits for one in await client.list_qos()}
    assert (found["recorded"].max_wall_min, found["normal"].max_wall_min) == (60, None)
    async with _client(version, "clusters") as client:
        (cluster,) = await client.list_clusters()
    assert cluster.tres["cpu"] > 0
    async with _client(version, "tres") as client:
        assert "gres/gpu:h100" in {one.full_name for one in await client.list_tres()}


async def test_history(version: str) -> None:
    """A job that runs: asked for and given."""
    job_id = SlurmJobId(_BREADTH[f"history {version}"].answer["jobs"][0]["job_id"])
    async with _client(version, "history") as client:
        found = await client.get_history(job_id)
    assert (found.state, found.partition, found.end_s) == ("RUNNING", "slurm-bridge", None)
    assert found.tres_allocated["gres/gpu"] == 2
    assert found.start_s


async def test_what_accounting_does_not_have(version: str) -> None:
    """An empty list with 200, a 304 without a word."""
    async with _client(version, "no account") as client:
        with pytest.raises(NotFound):
            await client.get_account("nope")
    async with _client(version, "delete account") as client:
        with pytest.raises(NotFound):
            await client.delete_account("recorded")


async def test_an_account_is_not_made_twice(version: str) -> None:
    """Slurm answers the second 304; that the account is there is looked up."""

    def handler(request: object) -> object:
        method = getattr(request, "method", "")
        name = "same account" if method == "POST" else "accounts"
        return _BREADTH[f"{name} {version}"].response()

    server = Server(handler, versions=(version,))  # type: ignore[arg-type]
    async with SlurmClient(
        endpoints=["http://slurm"],
        token=TokenSource.fixed("t"),
        clock=ImpatientClock(),
        transport=server,
    ) as client:
        with pytest.raises(AlreadyExists):
            await client.create_account("recorded")
