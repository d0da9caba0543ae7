"""Gangs that are over are remembered, the last ones."""

from bridge.controller.past_gangs import PastGangs
from tests.unit.lifecycle.world import World


def a_gang(size: int = 2) -> World:
    world = World(size=size)
    world.machine.release()
    for _ in range(size):
        world.create()
    return world


def test_what_is_left_of_a_gang() -> None:
    """Whose it was, the names of its pods, and what had happened; also when it comes back."""
    past, world = PastGangs(), a_gang()
    past.add(world.machine)
    (gang,) = past
    assert (gang.kind, gang.namespace, gang.name, gang.size) == ("Job", "team", "train", 2)
    assert gang.pods == ("train-1", "train-2")
    assert [step.kind for step in gang.steps] == ["known"]
    past.add(world.machine)
    assert len(list(past)) == 1
    assert past.get(gang.id) is not None


def test_a_gang_that_nobody_understood_is_not_remembered() -> None:
    """There is nothing to tell of it."""
    past = PastGangs()
    past.add(World(size=1).machine)
    assert not list(past)


def test_only_the_last_thousand() -> None:
    """The newest comes first."""
    past, machine = PastGangs(), a_gang().machine
    for number in range(1_050):
        machine.known.id = f"team/{number}"  # type: ignore[assignment]
        past.add(machine)
    kept = [gang.id for gang in past]
    assert len(kept) == 1_000
    assert (kept[0], kept[-1]) == ("team/1049", "team/50")
