"""Waiting jobs follow the room that only Kubernetes counts."""

from collections.abc import Callable

import pytest

from bridge.controller import room_watch
from bridge.controller.room_watch import RoomWatch
from bridge.controller.timers import Handle
from bridge.jobs.full_nodes import Key
from bridge.model.ids import GangId
from tests.unit.controller.doubles import a_double
from tests.unit.slurm.clocks import ManualClock

A, B = GangId("a"), GangId("b")
LONG_S = 60.0


class Watching:
    """Questions that changed are in `changed`, gangs that do not wait any more in `started`."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.changed: set[Key] = set()
        self.started: set[GangId] = set()
        self.asked: list[Key] = []
        self.told: list[GangId] = []
        self.watch = RoomWatch(
            full_nodes=a_double(self),
            waits=lambda gang_id: gang_id not in self.started,
            tell=self.told.append,
            later=self.clock.later,
        )

    def cost(self, key: Key) -> int:
        """As FullNodes: of "costly" all that is done at once."""
        return room_watch._AT_ONCE if key == "costly" else 1

    def has_changed(self, key: Key) -> bool:
        """As FullNodes."""
        if key == "broken":
            raise ZeroDivisionError
        self.asked.append(key)
        return key in self.changed


async def test_only_gangs_whose_answer_differs_are_told() -> None:
    """A moment after the first change, however many follow it."""
    it = Watching()
    it.watch.follow(A, "x")
    it.watch.follow(B, "y")
    it.changed = {"y"}
    for _ in range(100):
        it.watch.pods_changed()
    assert it.asked == []
    await it.clock.advance(room_watch._AFTER_S)
    assert (it.asked, it.told) == (["x", "y"], [B])


async def test_a_costly_question_is_asked_alone() -> None:
    """The loop has other work to do in between."""
    it = Watching()
    for gang, key in ((A, "costly"), (B, "x")):
        it.watch.follow(gang, key)
    it.watch.pods_changed()
    await it.clock.advance(room_watch._AFTER_S)
    assert it.asked == ["costly"]
    await it.clock.advance(room_watch._PAUSE_S)
    assert it.asked == ["costly", "x"]


async def test_what_changes_meanwhile_is_asked_once_more() -> None:
    """Nothing is missed, and nothing is asked without a change."""
    it = Watching()
    many = 2 * room_watch._AT_ONCE
    for number in range(many):
        it.watch.follow(GangId(str(number)), number)
    it.watch.pods_changed()
    await it.clock.advance(room_watch._AFTER_S)
    it.watch.pods_changed()
    await it.clock.advance(LONG_S)
    assert len(it.asked) == 2 * many
    await it.clock.advance(LONG_S)
    assert len(it.asked) == 2 * many


async def test_many_questions_are_asked_a_few_at_a_time() -> None:
    """The event loop answers others in between."""
    it = Watching()
    for number in range(3 * room_watch._AT_ONCE):
        it.watch.follow(GangId(str(number)), number)
    it.watch.pods_changed()
    await it.clock.advance(room_watch._AFTER_S)
    assert len(it.asked) == room_watch._AT_ONCE
    await it.clock.advance(LONG_S)
    assert len(it.asked) == 3 * room_watch._AT_ONCE


async def test_gangs_that_started_or_left_are_not_followed_any_more() -> None:
    """Without a gang there is no question, and no timer."""
    it = Watching()
    it.watch.follow(A, "x")
    it.watch.follow(B, "x")
    it.changed = {"x"}
    it.started = {A}
    it.watch.pods_changed()
    await it.clock.advance(LONG_S)
    assert it.told == [B]
    it.watch.forget(B)
    it.watch.pods_changed()
    await it.clock.advance(LONG_S)
    assert it.asked == ["x"]


def test_a_question_that_fails_keeps_no_other_from_being_asked() -> None:
    """Other gangs depend on theirs, now and after the next change."""
    it, to_come = Watching(), list[Callable[[], None]]()

    def later(_: float, callback: Callable[[], None]) -> Handle:
        to_come.append(callback)
        handle: Handle = a_double(it)
        return handle

    it.watch = RoomWatch(
        full_nodes=a_double(it), waits=lambda gang_id: True, tell=it.told.append, later=later
    )
    for gang, key in ((A, "broken"), (B, "x")):
        it.watch.follow(gang, key)
    it.changed = {"x"}
    for count in (1, 2):
        it.watch.pods_changed()
        with pytest.raises(ZeroDivisionError):
            to_come.pop()()
        to_come.pop()()
        assert (it.told, to_come) == ([B] * count, [])
