"""What slurmdbd keeps: accounts, users, associations, QOS, clusters, TRES, history, shares."""

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bridge.model.ids import SlurmJobId
from bridge.slurm import (
    AccountedJob,
    AlreadyExists,
    AssociationLimits,
    InvalidRequest,
    JobNotFound,
    NotFound,
    QosLimits,
    SlurmClient,
)
from tests.contract.ground import Ground, a_job, a_script, ended, running, until


@asynccontextmanager
async def _account(client: SlurmClient) -> AsyncIterator[str]:
    name = f"acc{secrets.token_hex(3)}"
    await client.create_account(
        name,
        description="Physics of all kinds",
        organization="uni",
        limits=AssociationLimits(shares=3, group_tres={"gres/gpu": 16}),
    )
    try:
        yield name
    finally:
        await client.delete_account(name)


async def test_clusters_and_tres(client: SlurmClient) -> None:
    """Our own cluster is registered, GPUs are counted, slurmdbd is up."""
    assert [one.up for one in await client.list_accounting_daemons()] == [True]
    (cluster,) = await client.list_clusters()
    assert cluster.controller_port
    assert {"cpu", "mem", "node", "billing", "gres/gpu"} <= {
        one.full_name for one in await client.list_tres()
    }


async def test_an_accounts_life(client: SlurmClient) -> None:
    """Made with its shares and limits, found, not made twice, removed."""
    async with _account(client) as name:
        with pytest.raises(AlreadyExists):
            await client.create_account(name)
        found = await client.get_account(name)
        assert (found.description, found.organization) == ("Physics of all kinds", "uni")
        assert name in {one.name for one in await client.list_accounts()}
        (own,) = await client.list_associations(account=name)
        assert (own.user, own.parent_account) == ("", "root")
        assert own.limits.shares == 3
        assert own.limits.group_tres == {"gres/gpu": 16}
    with pytest.raises(NotFound):
        await client.get_account(name)
    with pytest.raises(NotFound):
        await client.delete_account(name)


async def test_a_user_charges_an_account(client: SlurmClient) -> None:
    """With shares and limits that can be changed; the first account is the default."""
    user = f"user{secrets.token_hex(3)}"
    async with _account(client) as account:
        with pytest.raises(NotFound):
            await client.add_user(user, "no-such-account")
        with pytest.raises(InvalidRequest, match="default_qos"):
            await client.add_user(user, account, limits=AssociationLimits(default_qos="nope"))
        await client.add_user(user, account, limits=AssociationLimits(shares=5, max_jobs=2))
        with pytest.raises(AlreadyExists):
            await client.add_user(user, account)
        assert (await client.get_user(user)).default_account == account
        assert user in {one.name for one in await client.list_users()}
        (mine,) = await client.list_associations(user=user)
        assert (mine.account, mine.is_default) == (account, True)
        assert (mine.limits.shares, mine.limits.max_jobs) == (5, 2)
        await client.update_association(
            mine, AssociationLimits(max_submit_jobs=9, max_tres_per_job={"gres/gpu": 4, "cpu": 8})
        )
        (mine,) = await client.list_associations(user=user)
        assert (mine.limits.shares, mine.limits.max_jobs) == (5, 2)
        assert mine.limits.max_submit_jobs == 9
        assert mine.limits.max_tres_per_job == {"gres/gpu": 4, "cpu": 8}
        with pytest.raises(NotFound):
            await client.update_association(mine, AssociationLimits(default_qos="nope"))
        await client.update_association(mine, AssociationLimits(shares=6))
        await client.update_association(mine, AssociationLimits(max_tres_per_job={"cpu": 9}))
        (mine,) = await client.list_associations(user=user)
        assert (mine.limits.shares, mine.limits.max_submit_jobs) == (6, 9)
        assert mine.limits.max_tres_per_job == {"gres/gpu": 4, "cpu": 9}
        await client.delete_associations(user=user, account=account)
        with pytest.raises(NotFound):
            await client.update_association(mine, AssociationLimits(shares=7))
        assert await client.list_associations(user=user) == ()
        with pytest.raises(NotFound):
            await client.delete_associations(user=user, account=account)
        with pytest.raises(InvalidRequest):
            await client.delete_associations()
        await client.delete_user(user)
    for call in (client.get_user, client.delete_user):
        with pytest.raises(NotFound):
            await call(user)


async def test_what_a_parent_limits_stays_its_own(client: SlurmClient) -> None:
    """A change of the user gives it no limit that it only has from its account."""
    user = f"user{secrets.token_hex(3)}"
    async with _account(client) as account:
        (parent,) = await client.list_associations(account=account)
        await client.update_association(
            parent, AssociationLimits(max_jobs=7, max_tres_per_job={"cpu": 4, "mem": 100})
        )
        await client.add_user(user, account, limits=AssociationLimits(max_tres_per_job={"mem": 50}))
        try:
            (mine,) = await client.list_associations(user=user)
            assert mine.limits.max_jobs == 7
            assert mine.limits.max_tres_per_job == {"cpu": 4, "mem": 50}
            assert mine.limits.group_tres is None
            await client.update_association(mine, AssociationLimits(shares=2))
            await client.update_association(
                parent, AssociationLimits(max_tres_per_job={"cpu": 6, "mem": 200})
            )
            (mine,) = await client.list_associations(user=user)
            assert mine.limits.max_tres_per_job == {"cpu": 6, "mem": 50}
            parent = (await client.list_associations(account=account))[0]
            assert parent.limits.group_tres == {"gres/gpu": 16}
        finally:
            await client.delete_user(user)


async def test_a_qos_life(client: SlurmClient) -> None:
    """Made, changed in part, removed."""
    name = f"qos{secrets.token_hex(3)}"
    await client.create_qos(
        name,
        QosLimits(
            description="urgent",
            priority=100,
            flags=("DENY_LIMIT",),
            max_jobs_per_user=2,
            max_tres={"gres/gpu": 64},
        ),
    )
    try:
        with pytest.raises(AlreadyExists):
            await client.create_qos(name)
        await client.update_qos(
            name, QosLimits(preempts=("normal",), max_wall_min=60, max_tres_per_user={"cpu": 8})
        )
        found = (await client.get_qos(name)).limits
        assert (found.description, found.priority) == ("urgent", 100)
        assert (found.max_jobs_per_user, found.max_wall_min) == (2, 60)
        assert (found.max_tres, found.max_tres_per_user) == ({"gres/gpu": 64}, {"cpu": 8})
        assert (found.preempts, found.flags) == (("normal",), ("DENY_LIMIT",))
        assert {"normal", name} <= {one.name for one in await client.list_qos()}
    finally:
        await client.delete_qos(name)
    for call in (client.get_qos, client.delete_qos):
        with pytest.raises(NotFound):
            await call(name)
    with pytest.raises(NotFound):
        await client.update_qos(name, QosLimits(priority=1))


async def test_the_history_of_a_job(ground: Ground) -> None:
    """What it asked for and got, and how it ended, as the accounting keeps it."""
    client, began_s = ground.client, int(time.time()) - 1
    comment = secrets.token_hex(8)
    async with ground.nodes(1) as nodes:
        job_id = await client.submit(
            a_job(nodes[0], tres_per_task="gres/gpu:2", admin_comment=comment, time_limit_min=9)
        )

        async def ran() -> bool:
            return (await client.get_job(job_id)).running

        await until(ran, "runs")
        await client.cancel_job(job_id)
        found: list[AccountedJob] = []

        async def told() -> bool:
            try:
                found[:] = [await client.get_history(job_id)]
            except JobNotFound:
                return False
            return found[0].state == "CANCELLED"

        await until(told, "accounting has heard")
    job = found[0]
    assert (job.name, job.nodes, job.time_limit_min) == ("contract", nodes[0], 9)
    assert job.tres_allocated["gres/gpu"] == job.tres_requested["gres/gpu"] == 2
    assert job.start_s
    assert job.end_s
    assert job.admin_comment == comment
    listed = await client.list_history(
        since_s=began_s, names=["contract", "other"], users=["root", "1000"]
    )
    assert job_id in {one.id for one in listed}
    for states, there in ((["CANCELLED", "TIMEOUT"], True), (["TIMEOUT"], False)):
        listed = await client.list_history(since_s=began_s, states=states)
        assert (job_id in {one.id for one in listed}) is there
    with pytest.raises(InvalidRequest):
        await client.list_history(since_s=began_s, users=["nobody-of-that-name"])
    with pytest.raises(JobNotFound):
        await client.get_history(SlurmJobId(66_999_999))


async def test_each_run_of_a_batch_job(ground: Ground, native: str) -> None:
    """A requeued one has a run that was ended and one that waits. The last is told, in lists from
    when it may begin on.
    """
    client, began_s = ground.client, int(time.time()) - 1
    name = f"run-{secrets.token_hex(3)}"
    job_id = await client.submit(a_script(native, "sleep 600", name=name))
    await running(client, job_id)
    if ground.version != "v0.0.44":
        await client.requeue_job(job_id)

        async def told() -> bool:
            return (await client.get_history(job_id)).restarts == 1

        await until(told, "accounting has heard")
        (first,) = await client.list_history(since_s=began_s, names=[name])
        assert (sorted(first.states), first.restarts) == (["PENDING", "REQUEUED"], 0)
        assert first.nodes
        assert first.end_s
        (last,) = await client.list_history(since_s=began_s, until_s=began_s + 1000, names=[name])
        assert (last.state, last.restarts, last.nodes) == ("PENDING", 1, "")
    await client.cancel_job(job_id)

    async def over() -> bool:
        return (await client.get_history(job_id)).state == "CANCELLED"

    await until(over, "accounting has heard")


async def test_how_a_script_ended(ground: Ground, native: str) -> None:
    """Its exit code."""
    client = ground.client
    job_id = await client.submit(a_script(native, "exit 3"))
    await ended(client, job_id)

    async def told() -> bool:
        return (await client.get_history(job_id)).state == "FAILED"

    await until(told, "accounting has heard")
    assert (await client.get_history(job_id)).exit_code == 3


async def test_the_history_of_a_het_job(ground: Ground) -> None:
    """Each component has its own, and says whose it is, if they have started."""
    client = ground.client
    async with ground.nodes(2) as nodes:
        parts = [a_job(nodes[0]), a_job(nodes[0], cpus_per_task=2)]
        first = (await client.submit_het(parts)).id
        for offset in range(2):
            await running(client, SlurmJobId(first + offset))
        await client.cancel_job(first)
        for offset in range(2):
            component = SlurmJobId(first + offset)

            async def told(component: SlurmJobId = component) -> bool:
                try:
                    return (await client.get_history(component)).state == "CANCELLED"
                except JobNotFound:
                    return False

            await until(told, "accounting has heard")
            found = await client.get_history(component)
            assert found.id == component
            assert found.tres_requested["cpu"] == offset + 1
            assert found.raw["het"]["job_id"] == first
            assert found.raw["het"]["job_offset"]["number"] == offset


async def test_shares(client: SlurmClient) -> None:
    """Accounts and users with what they may use."""
    user = f"user{secrets.token_hex(3)}"
    async with _account(client) as account:
        await client.add_user(user, account, limits=AssociationLimits(shares=7))
        try:

            async def told() -> bool:  # slurmctld hears of it a moment later
                return {account, user} <= {one.name for one in await client.list_shares()}

            await until(told, "shares of the new account")
            lines = {one.name: one for one in await client.list_shares(accounts=[account])}
            assert lines.keys() == {account, user}
            assert [one.name for one in await client.list_shares(users=[user])] == [user]
            assert (lines[account].user, lines[account].shares) == (False, 3)
            assert (lines[user].user, lines[user].shares) == (True, 7)
            assert lines[user].parent == account
            assert lines[user].usage == 0
        finally:
            await client.delete_user(user)
