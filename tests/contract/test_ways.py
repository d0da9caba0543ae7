"""The ways to Slurm: for another user, past endpoints that don't answer."""

import pytest

from bridge.slurm import JobDescription, NotAuthorised, SlurmClient, TokenSource
from tests.e2e.stack import Stack

pytestmark = pytest.mark.only_real("the emulator knows neither users nor other daemons")


def _client(stack: Stack | None, *before: str, user: str = "") -> SlurmClient:
    assert stack is not None
    return SlurmClient(
        endpoints=[*before, stack.slurm_url],
        token=TokenSource.from_file(stack.slurm_token_file),
        user=user,
        timeout_s=30.0,
    )


_HELD = JobDescription(name="ways", partition="debug", hold=True, memory_per_cpu_mib=1)


@pytest.mark.parametrize("user", ["alice", "bob"])
async def test_it_speaks_for_another_user(stack: Stack | None, user: str) -> None:
    """With a token of SlurmUser; the job is that user's, and of that user's group."""
    async with _client(stack, user=user) as client:
        job_id = await client.submit(_HELD, recover=False)
        job = await client.get_job(job_id)
        assert job.user == user
        assert job.raw["group_name"] == user
        await client.cancel_job(job_id)


async def test_it_cannot_speak_for_nobody(stack: Stack | None) -> None:
    """A name that slurmrestd's host does not know."""
    async with _client(stack, user="nosuchuser") as client:
        with pytest.raises(NotAuthorised, match="name a user") as caught:
            await client.submit(_HELD, recover=False)
        assert caught.value.name == "ESLURM_AUTH_NOBODY"


async def test_endpoints_that_are_no_slurmrestd_are_passed_over(stack: Stack | None) -> None:
    """One where nobody listens, and slurmctld's own port, which answers HTTP too; also by a
    submit, of which surely nothing was done there."""
    assert stack is not None
    port = int(stack.slurm_url.rpartition(":")[2])
    away = ("http://127.0.0.1:1", f"http://127.0.0.1:{port - 1}")
    async with _client(stack, *away) as client:
        job_id = await client.submit(_HELD, recover=False)
        assert (await client.get_job(job_id)).pending
        await client.cancel_job(job_id)
