"""Licenses: jobs take them, and wait for them."""

import pytest

from bridge.slurm import InvalidRequest, JobChanges, License, SlurmClient
from tests.contract.ground import Ground, a_job, running, until


async def _license(client: SlurmClient, name: str) -> License:
    return {one.name: one for one in await client.list_licenses()}[name]


async def test_licenses_are_counted(client: SlurmClient) -> None:
    """Each with how many there are and are free."""
    found = await _license(client, "matlab")
    assert found.total == 4
    assert found.free == found.total - found.used
    assert not found.remote


async def test_a_job_waits_for_licenses(ground: Ground) -> None:
    """Jobs of less, or of none, pass it; it starts when they are given back."""
    client = ground.client
    async with ground.nodes(1) as nodes:
        first = await client.submit(a_job(nodes[0], licenses="matlab:3"))
        await running(client, first)
        assert (await _license(client, "matlab")).used == 3
        second = await client.submit(a_job(nodes[0], licenses="matlab:2,ansys"))

        async def waits() -> bool:
            return (await client.get_job(second)).reason == "Licenses"

        await until(waits, "job waits for licenses")
        for other in ({"licenses": "matlab"}, {}):
            await running(client, await client.submit(a_job(nodes[0], **other)))
        assert (await _license(client, "matlab")).free == 0
        assert (await _license(client, "ansys")).used == 0
        await client.cancel_job(first)
        job = await running(client, second)
        assert job.raw["licenses_allocated"] == "matlab:2;ansys:1"
        assert (await _license(client, "matlab")).used == 3
        await client.update_job(second, JobChanges(licenses=""))
        assert (await _license(client, "matlab")).used == 1
        assert (await _license(client, "ansys")).used == 0


@pytest.mark.parametrize("wrong", ["nope", "matlab:5", "matlab:3,matlab:2", "matlab:many", ":1"])
async def test_licenses_that_never_are_there_are_refused(ground: Ground, wrong: str) -> None:
    """Unknown ones, and more than there are; of a job that waits as well."""
    client = ground.client
    async with ground.nodes(1) as nodes:
        with pytest.raises(InvalidRequest) as caught:
            await client.submit(a_job(nodes[0], licenses=wrong))
        assert caught.value.number == 2048
        held = await client.submit(a_job(nodes[0], hold=True))
        with pytest.raises(InvalidRequest) as caught:
            await client.update_job(held, JobChanges(licenses=wrong))
        assert caught.value.number == 2048
