"""Reservations and what else holds a gang back."""

from dataclasses import replace

from bridge.explain import notes
from bridge.slurm.reservations import Reservation
from tests.builders import facts
from tests.unit.lifecycle.world import World

NOW_S = 1_796_042_455.0
MAINTENANCE = Reservation(
    "fans", start_s=int(NOW_S) + 600, end_s=int(NOW_S) + 7_800, node_count=3,
    flags=frozenset({"MAINT"}),
)  # fmt: skip


def of(reason: str, *reservations: Reservation, named: str = "", **more: str) -> tuple[str, ...]:
    world = World(size=1, single=True)
    world.machine.release()
    world.create()
    world.perform_all()
    run = world.run
    assert run.spec is not None
    run.spec = replace(run.spec, reservation=named)
    world._job(replace(facts(1, "PENDING", gang=world.gang_id, reason=reason), tasks=1))
    return notes.of(
        world.machine,
        left_out=more.get("left_out", ""),
        shortage=more.get("shortage", ""),
        reservations=reservations,
        now_s=NOW_S,
    )


def test_a_maintenance_says_until_when() -> None:
    """Only to a job that waits for one, and only while it is not over."""
    (said,) = of("ReqNodeNotAvail", MAINTENANCE, replace(MAINTENANCE, name="old", end_s=1))
    assert said == (
        "Maintenance fans of 3 nodes: from 2026-11-30 12:50:55Z until 2026-11-30 14:50:55Z "
        "(in 2 h 10 min)"
    )
    assert of("Resources", MAINTENANCE) == ()


def test_its_own_reservation_says_from_when() -> None:
    """And that there is none of that name."""
    mine = replace(MAINTENANCE, name="mine", flags=frozenset())
    (said,) = of("Reservation", mine, MAINTENANCE, named="mine")
    assert said.startswith("Reservation mine of 3 nodes: from 2026-11-30 12:50:55Z")
    assert of("Reservation", named="gone") == ("Slurm has no reservation gone (any more)",)


def test_what_is_short_and_what_is_left_out() -> None:
    """In the bridge's own words."""
    said = of("Resources", left_out="n1 (cordoned)", shortage="it needs 3 nodes")
    assert said == (
        "Slurm's nodes do not suffice: it needs 3 nodes",
        "Its jobs leave out nodes for a while, as grants there were of no use: n1 (cordoned)",
    )
