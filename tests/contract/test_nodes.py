"""Nodes: registered, changed, removed."""

import secrets

import pytest

from bridge.errors import BadInput
from bridge.model.ids import SlurmNodeName
from bridge.slurm import (
    AlreadyExists,
    InUse,
    NodeListing,
    NotFound,
)
from bridge.slurm.nodes import LONGEST_NODE_NAME
from tests.contract.ground import GPUS, PARTITION, Ground, a_job, class_of, running, until


async def test_nodes_live_and_die(ground: Ground) -> None:
    """Registered exactly as defined, changed, drained, kept while busy, deleted."""
    client = ground.client
    async with ground.nodes(2) as nodes:
        first = await client.get_node(nodes[0])
        assert (first.cpus, first.memory_mib, first.gres) == (63, 64_000, GPUS)
        assert first.external
        assert first.idle
        assert first.features == (PARTITION, class_of(nodes[0]))
        assert first.topology.startswith(ground.topology)
        assert {node.name for node in await client.list_nodes()} >= set(nodes)
        with pytest.raises(AlreadyExists):
            await client.create_node(ground.definition(nodes[0], "x"))
        job_id = await client.submit(a_job(nodes[0], required_nodes=(nodes[0],)))
        await running(client, job_id)
        with pytest.raises(InUse):
            await client.delete_node(nodes[0])
        assert not (await client.get_node(nodes[0])).idle
        await client.update_node(nodes[1], state="DRAIN", reason="e2e: weight")
        drained = await client.get_node(nodes[1])
        assert drained.drained
        assert drained.reason == "e2e: weight"
        await client.update_node(nodes[1], state="DRAIN", reason="e2e: fan")
        drained = await client.get_node(nodes[1])
        assert (drained.drained, drained.reason) == (True, "e2e: fan")
        await client.update_node(nodes[1], state="UNDRAIN", weight=7)
        await client.update_node(nodes[1], features=(PARTITION, "class-other"))
        changed = await client.get_node(nodes[1])
        assert not changed.drained
        assert not changed.reason
        assert changed.weight == 7
        assert changed.features == changed.active_features == (PARTITION, "class-other")
        for name in ("e2e-unknown", "e2e.unknown"):
            for call in (client.get_node, client.delete_node):
                with pytest.raises(NotFound):
                    await call(SlurmNodeName(name))


async def test_the_longest_name_that_a_grant_carries(ground: Ground) -> None:
    """Slurm registers nodes of longer names, too, but then does not say in a job's allocation which
    node it is; so a name of more characters than `LONGEST_NODE_NAME` is refused before."""
    run = secrets.token_hex(3)
    name = SlurmNodeName(f"t-{run}-".ljust(LONGEST_NODE_NAME, "x"))
    await ground.client.create_node(ground.definition(name, run))
    try:
        job_id = await ground.client.submit(a_job(name, required_nodes=(name,)))
        job = await running(ground.client, job_id)
        assert [grant.node for grant in job.grants] == [name]
        await ground.client.cancel_job(job_id)
    finally:
        await until(lambda: ground._deleted(name), "node deleted")
    with pytest.raises(BadInput, match="at most 78"):
        ground.definition(SlurmNodeName(f"{name}x"), run).check()


@pytest.mark.parametrize(
    "name", ["none", "localhost", "10.0.0.1", "7", "t-1", "t-01", "a.01", "self"]
)
async def test_an_odd_name_is_the_name_of_that_node(ground: Ground, name: str) -> None:
    """Granted, drained and deleted by it; a node whose name is a part of it is left alone."""
    client, node = ground.client, SlurmNodeName(name)
    async with ground.nodes(1) as others:
        run = class_of(others[0]).removeprefix("class-")
        await client.create_node(ground.definition(node, run))
        try:
            job_id = await client.submit(a_job(others[0], required_nodes=(node,)))
            job = await running(client, job_id)
            assert [grant.node for grant in job.grants] == [node]
            await client.cancel_job(job_id)
            await client.update_node(node, state="DRAIN", reason="odd")
            drained = {one.name for one in await client.list_nodes() if one.drained}
            assert drained == {node}
        finally:
            await until(lambda: ground._deleted(node), "node deleted")
        assert others[0] in {one.name for one in await client.list_nodes()}


async def test_nodes_are_listed_again_only_when_they_have_changed(ground: Ground) -> None:
    """Also by something that happens in the very second of the listing."""
    client = ground.client
    async with ground.nodes(1) as (node,):
        first = await client.list_nodes_since(0)
        assert first is not None
        await client.update_node(node, comment="in the same second")
        listed: list[NodeListing] = []

        async def unchanged() -> bool:
            listing = await client.list_nodes_since((listed or [first])[-1].at_s)
            if listing is not None:
                listed.append(listing)
            return listing is None

        await until(unchanged, "nothing changes any more")
        assert node in {one.name for one in listed[-1].nodes if one.comment}
        await client.update_node(node, state="DRAIN", reason="e2e: fan")
        changed = await client.list_nodes_since(listed[-1].at_s)
        assert changed is not None
        assert node in {one.name for one in changed.nodes if one.drained}
