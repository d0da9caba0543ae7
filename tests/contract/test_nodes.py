"""Nodes: registered, changed, removed."""

import pytest

from bridge.model.ids import SlurmNodeName
from bridge.slurm import (
    AlreadyExists,
    InUse,
    NotFound,
)
from tests.contract.ground import GPUS, PARTITION, Ground, a_job, class_of, running


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
        await client.update_node(nodes[1], state="UNDRAIN", weight=7)
        await client.update_node(nodes[1], features=(PARTITION, "class-other"))
        changed = await client.get_node(nodes[1])
        assert not changed.drained
        assert changed.weight == 7
        assert changed.features == changed.active_features == (PARTITION, "class-other")
        for name in ("e2e-unknown", "e2e.unknown"):
            for call in (client.get_node, client.delete_node):
                with pytest.raises(NotFound):
                    await call(SlurmNodeName(name))
