"""Reservations: made, changed, removed."""

import secrets
import time

import pytest

from bridge.slurm import AlreadyExists, InvalidRequest, NotFound, ReservationFields
from tests.contract.ground import PARTITION, Ground, class_of
from tests.contract.reserving import in_s, reserved


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
    ("wrong", "number"),
    [
        ({"nodes": ("nope",)}, 2018),
        ({"users": ("nobody-of-that-name",)}, -1),
        ({"flags": ("NOPE",)}, 9207),
        ({"users": ()}, 2053),
        ({"partition": "nope"}, 2000),
        ({"duration_min": None}, 2053),
        ({"start_s": None}, 2053),
        ({"start_s": int(time.time()) - 7200}, 2054),
        ({"nodes": None}, 2053),
        ({"nodes": None, "node_count": 1, "features": "no-such-feature"}, 2014),
    ],
)
async def test_a_mistake_makes_none(ground: Ground, wrong: dict[str, object], number: int) -> None:
    """Unknown nodes, users, flags and partitions, no time or a past one, nobody, no nodes."""
    client, name = ground.client, f"r-{secrets.token_hex(3)}"
    async with ground.nodes(1) as nodes:
        said: dict[str, object] = {
            "start_s": int(time.time()) + 60,
            "duration_min": 10,
            "nodes": nodes,
            "users": ("root",),
            **wrong,
        }
        with pytest.raises(InvalidRequest) as caught:
            await client.create_reservation(name, ReservationFields(**said))  # type: ignore[arg-type]
        assert caught.value.number == number
        assert name not in {one.name for one in await client.list_reservations()}


async def test_no_two_have_a_node_at_a_time(ground: Ground) -> None:
    """Unless one of them is for maintenance or may overlap; one after the other is fine."""
    client = ground.client
    async with ground.nodes(1) as nodes, reserved(client, nodes, start_s=in_s(600)):
        with pytest.raises(InvalidRequest) as caught:
            async with reserved(client, nodes, start_s=in_s(1200)):
                pass
        assert caught.value.number == 2058
        for allowed in ({"flags": ("OVERLAP",)}, {"flags": ("MAINT",)}, {"start_s": in_s(4200)}):
            async with reserved(client, nodes, **{"start_s": in_s(1200), **allowed}):
                pass


async def test_nodes_are_found_by_their_number(ground: Ground) -> None:
    """Of a feature, and none that somebody else has reserved."""
    client = ground.client
    async with ground.nodes(2) as nodes, reserved(client, nodes[:1], start_s=in_s(600)):
        of_class = class_of(nodes[0])
        async with reserved(
            client, None, start_s=in_s(600), node_count=1, features=of_class
        ) as name:
            found = await client.get_reservation(name)
            assert (found.nodes, found.node_count, found.core_count) == (nodes[1], 1, 63)
            assert found.partition == PARTITION
        with pytest.raises(InvalidRequest) as caught:
            async with reserved(client, None, start_s=in_s(600), node_count=2, features=of_class):
                pass
        assert caught.value.number == 2014


@pytest.mark.parametrize(
    ("change", "number"),
    [
        ({"nodes": ("nope",)}, 2053),
        ({"users": ("nobody-of-that-name",)}, 2010),
        ({"partition": "nope"}, 2000),
        ({"start_s": int(time.time()) + 3600}, 2104),
        ({"flags": ("NOPE",)}, 9207),
        ({"end_s": int(time.time()) - 60}, 2054),
        ({"features": "any"}, 2036),
    ],
)
async def test_a_wrong_change_changes_nothing(
    ground: Ground, change: dict[str, object], number: int
) -> None:
    """Nor can the begin of one that has begun be moved."""
    client = ground.client
    async with ground.nodes(1) as nodes, reserved(client, nodes) as name:
        before = await client.get_reservation(name)
        with pytest.raises(InvalidRequest) as caught:
            await client.update_reservation(name, ReservationFields(**change))  # type: ignore[arg-type]
        assert caught.value.number == number
        assert await client.get_reservation(name) == before


async def test_a_later_start_moves_the_end(ground: Ground) -> None:
    """Of one that has not begun."""
    client, start_s = ground.client, in_s(3600)
    async with ground.nodes(1) as nodes, reserved(client, nodes, start_s=start_s) as name:
        await client.update_reservation(name, ReservationFields(start_s=start_s + 60))
        found = await client.get_reservation(name)
        assert (found.start_s, found.end_s) == (start_s + 60, start_s + 3660)
