"""Slurm as a whole: controllers, figures, shares, configuration, host lists."""

import pytest

from bridge.slurm import InvalidRequest, NotFound, ServerTooOld, SlurmClient, hostlist
from tests.contract.ground import PARTITION, Ground


async def test_ping_and_controllers(client: SlurmClient) -> None:
    """slurmctld answers, and is named."""
    await client.ping()
    controllers = await client.list_controllers()
    assert [one.up for one in controllers] == [True]
    assert controllers[0].host


async def test_partitions(client: SlurmClient, version: str) -> None:
    """The partition of external nodes is there, up, and Slurm's default where that is told."""
    found = {part.name: part for part in await client.list_partitions()}
    assert found[PARTITION].up
    assert found[PARTITION].default is (True if version == "v0.0.45" else None)
    assert await client.get_partition(PARTITION) == found[PARTITION]
    with pytest.raises(NotFound):
        await client.get_partition("nope")


async def test_statistics(ground: Ground) -> None:
    """slurmctld counts what it has done."""
    async with ground.nodes(1):
        found = await ground.client.statistics()
    assert found.at_s
    assert found.server_threads >= 1
    assert found.raw["server_thread_count"] == found.server_threads


async def test_configuration(client: SlurmClient, version: str) -> None:
    """slurm.conf under Slurm's own names; a version without it is told to be too old."""
    if version == "v0.0.44":
        with pytest.raises(ServerTooOld, match="/conf"):
            await client.configuration()
        return
    found = await client.configuration()
    assert found["ClusterName"]
    assert found["SelectType"] == "select/cons_tres"
    assert found["SelectTypeParameters"] == ["CR_CORE_MEMORY"]
    assert found["SchedulerType"] == "sched/backfill"
    assert found["PreemptMode"] == ["CANCEL"]
    assert set(found["GresTypes"]) == {"gpu", "efa"}
    assert found["Licenses"] == ["matlab:4", "ansys:2"]
    assert found["MinJobAge"] == 30
    assert found["AccountingStorageType"] == "accounting_storage/slurmdbd"
    assert found["AccountingStorageEnforce"] == []
    assert {"cpu", "mem", "node", "gres/gpu"} <= set(found["AccountingStorageTRES"])


async def test_what_is_enforced(enforcing: Ground, version: str) -> None:
    """Limits and QOS need associations, so those are enforced too."""
    if version == "v0.0.45":
        found = await enforcing.client.configuration()
        assert found["AccountingStorageEnforce"] == ["associations", "limits", "qos"]


async def test_reconfigure(client: SlurmClient) -> None:
    """Slurm reads its configuration again and goes on."""
    await client.reconfigure()
    await client.ping()


@pytest.mark.parametrize(
    "text",
    [
        "a[1-3,07],b",
        "n[001-012]",
        "ip-10-0-[1-3]-[0-249].us-west-2.compute.internal",
        "x[1-2]y[08-11]z",
        "single",
        "a1,a1,a2",
    ],
)
async def test_host_lists_are_slurmrestds(client: SlurmClient, text: str) -> None:
    """What we expand and compress is what slurmrestd expands and compresses."""
    names = await client.expand_hostlist(text)
    assert hostlist.expand(text) == names
    assert hostlist.expand(await client.compress_hostnames(names)) == names
    ours = hostlist.compress(names)
    assert sorted(set(names)) == sorted(await client.expand_hostlist(ours))


@pytest.mark.parametrize("text", ["a[1-", "a[1-2", "a[b]"])
async def test_broken_host_lists_are_refused(client: SlurmClient, text: str) -> None:
    """By slurmrestd as by us."""
    with pytest.raises(InvalidRequest):
        await client.expand_hostlist(text)
