"""Whose a job is: why user and group are always said together, and what can be changed later."""

import secrets

import pytest

from bridge.slurm import InUse, InvalidRequest, JobChanges, SlurmClient, SlurmError
from tests.contract.ground import Ground, a_job, until


async def test_user_and_group(ground: Ground) -> None:
    """A user alone gets the group of the token's user; also one that Slurm knows."""
    client = ground.client
    async with ground.nodes(1) as nodes:
        own = await client.submit(a_job(nodes[0], user_id=None, group_id=None, hold=True))
        group = (await client.get_job(own)).raw["group_id"]
        for user in ("1000", "daemon"):
            alone = await client.submit(a_job(nodes[0], user_id=user, group_id=None, hold=True))
            assert (await client.get_job(alone)).raw["group_id"] == group
            both = await client.submit(a_job(nodes[0], user_id=user, group_id="1", hold=True))
            assert (await client.get_job(both)).raw["group_id"] == 1


@pytest.mark.parametrize(
    ("fields", "number"),
    [
        ({"user_id": "no-such-user"}, 2166),
        ({"group_id": "no-such-group"}, 2164),
        ({"user_id": "-1"}, 2165),
        ({"user_id": "99999999999"}, 2165),
    ],
)
async def test_nobody(ground: Ground, fields: dict[str, str], number: int) -> None:
    """Names that Slurm's host doesn't know and numbers out of range leave no job."""
    async with ground.nodes(1) as nodes:
        with pytest.raises(InvalidRequest) as caught:
            await ground.client.submit(a_job(nodes[0], **fields))
        assert caught.value.number == number


async def test_a_waiting_job_keeps_its_user(ground: Ground) -> None:
    """Slurm refuses another: only a new job can be somebody else's."""
    client = ground.client
    async with ground.nodes(1) as nodes:
        job_id = await client.submit(a_job(nodes[0], hold=True))
        with pytest.raises(SlurmError) as caught:
            await client.update_job(job_id, JobChanges(user_id="1001"))
        assert caught.value.number == 2010
        assert (await client.get_job(job_id)).raw["user_id"] == 1000


async def test_a_waiting_job_changes_its_account(ground: Ground) -> None:
    """To another that its user has."""
    client, user = ground.client, "games"
    accounts = [f"acc{secrets.token_hex(3)}" for _ in range(2)]
    async with ground.nodes(1) as nodes:
        for account in accounts:
            await client.create_account(account)
            await client.add_user(user, account)
        try:

            async def charged() -> bool:  # slurmctld hears of an association a moment later
                job_id = await client.submit(a_job(nodes[0], user_id=user, hold=True))
                if (await client.get_job(job_id)).account == accounts[0]:
                    return True
                await client.cancel_job(job_id)
                return False

            await until(charged, "the default account is charged")
            job_id = max(await client.job_states())
            await client.update_job(job_id, JobChanges(account=accounts[1]))
            assert (await client.get_job(job_id)).account == accounts[1]
            await client.cancel_job(job_id)
        finally:
            await until(lambda: _gone(client, user), "user removed")
            for account in accounts:
                await client.delete_account(account)


async def _gone(client: SlurmClient, user: str) -> bool:
    """A user whose jobs slurmdbd takes for active stays for a moment."""
    try:
        await client.delete_user(user)
    except InUse:
        return False
    return True
