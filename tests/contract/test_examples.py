"""docs/slurm-client.md does what it says."""

import asyncio
import contextlib
import secrets
import sys

import pytest

from bridge.model.ids import SlurmNodeName
from bridge.sim.slurm import EmbeddedSlurm
from bridge.slurm import InUse, SlurmClient, TokenSource
from tests.contract import examples
from tests.contract.ground import until
from tests.e2e.stack import Stack


@pytest.mark.parametrize("number", range(len(examples.examples())))
async def test_an_example_runs(stack: Stack | None, number: int) -> None:
    """As it stands in the page, in a process of its own."""
    example = examples.examples()[number]
    async with contextlib.AsyncExitStack() as held:
        if stack is None:
            slurm = await held.enter_async_context(EmbeddedSlurm(accounting=True))
            url, file, topology = slurm.url, slurm.token_file, "topo:root:leaf"
        else:
            url, file, topology = stack.slurm_url, stack.slurm_token_file, "fabric:root:leaf"
        token = TokenSource.from_file(file)
        client = await held.enter_async_context(SlurmClient(endpoints=[url], token=token))
        name = SlurmNodeName(f"docs-{secrets.token_hex(3)}")
        await client.create_node(examples.a_node(name, topology))
        try:
            code, said = await asyncio.to_thread(
                examples.run, example, python=sys.executable, url=url, token_file=file
            )
            assert code == 0, said
        finally:

            async def deleted() -> bool:
                with contextlib.suppress(InUse):
                    await client.delete_node(name)
                    return True
                return False

            await until(deleted, "node deleted")
