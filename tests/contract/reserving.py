"""Reservations for as long as a test needs them."""

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bridge.model.ids import SlurmNodeName
from bridge.slurm import InUse, NotFound, ReservationFields, SlurmClient
from tests.contract.ground import until


@asynccontextmanager
async def reserved(
    client: SlurmClient, nodes: tuple[SlurmNodeName, ...] | None, **fields: object
) -> AsyncIterator[str]:
    """A reservation of an hour from now on; its jobs end with the test."""
    name = f"r-{secrets.token_hex(3)}"
    said = {
        "start_s": int(time.time()),
        "duration_min": 60,
        "users": ("root",),
        "nodes": nodes,
        **fields,
    }
    await client.create_reservation(name, ReservationFields(**said))  # type: ignore[arg-type]
    try:
        yield name
    finally:
        async for job in client.each_job(lambda states: bool(states & {"PENDING", "RUNNING"})):
            if job.raw["resv_name"] == name:
                await client.cancel_job(job.id)
        await until(lambda: _deleted(client, name), "reservation deleted")


async def _deleted(client: SlurmClient, name: str) -> bool:
    try:
        await client.delete_reservation(name)
    except NotFound:
        return True
    except InUse:  # its jobs are still ending
        return False
    return True


def in_s(seconds: int) -> int:
    """Epoch seconds, so many from now."""
    return int(time.time()) + seconds
