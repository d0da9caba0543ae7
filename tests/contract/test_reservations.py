"""Reservations: made, changed, removed."""

import secrets
import time

import pytest

from bridge.slurm import AlreadyExists, InvalidRequest, NotFound, ReservationFields
from tests.contract.ground import PARTITION, Ground


async def test_a_reservations_life(ground: Ground) -> None:
    """It is as it was made, as it was changed, and then gone."""
    client, name = ground.client, f"r-{secrets.token_hex(3)}"
    start_s = int(time.time()) + 3600
    wanted = ReservationFields(
        start_s=start_s, duration_min=60, users=("root",), partition=PARTITION
    )
    async with ground.nodes(2) as nodes:
        with pytest.raises(NotFound):
            await client.get_reservation(name)
        with pytest.raises(NotFound):
            await client.update_reservation(name, ReservationFields(duration_min=5))
        fields = ReservationFields(
            start_s=start_s, duration_min=60, users=("root",), nodes=nodes, flags=("IGNORE_JOBS",)
        )
        await client.create_reservation(name, fields)
        try:
            with pytest.raises(AlreadyExists):
                await client.create_reservation(name, wanted)
            made = await client.get_reservation(name)
            assert (made.start_s, made.end_s) == (start_s, start_s + 3600)
            assert (made.users, made.node_count) == (("root",), 2)
            assert "IGNORE_JOBS" in made.flags
            await client.update_reservation(
                name, ReservationFields(duration_min=120, users=("root", "daemon"))
            )
            changed = {one.name: one for one in await client.list_reservations()}[name]
            assert changed.end_s == start_s + 7200
            assert set(changed.users) == {"root", "daemon"}
            assert changed.nodes == made.nodes
        finally:
            await client.delete_reservation(name)
    with pytest.raises(NotFound):
        await client.delete_reservation(name)


@pytest.mark.parametrize(
    "wrong",
    [
        {"nodes": ("nope",)},
        {"users": ("nobody-of-that-name",)},
        {"flags": ("NOPE",)},
        {"users": ()},
    ],
)
async def test_a_mistake_makes_none(ground: Ground, wrong: dict[str, tuple[str, ...]]) -> None:
    """Unknown nodes, users and flags, and nobody to reserve for."""
    client, name = ground.client, f"r-{secrets.token_hex(3)}"
    async with ground.nodes(1) as nodes:
        fields: dict[str, tuple[str, ...]] = {"nodes": nodes, "users": ("root",), **wrong}
        with pytest.raises(InvalidRequest):
            await client.create_reservation(
                name,
                ReservationFields(
                    start_s=int(time.time()) + 60,
                    duration_min=10,
                    nodes=fields["nodes"],
                    users=fields["users"],
                    flags=fields.get("flags"),
                ),
            )
        assert name not in {one.name for one in await client.list_reservations()}
