"""Turns by namespace."""

import pytest

from bridge.fairness import FairQueue


def taken(queue: FairQueue[str]) -> list[str]:
    return [queue.take() for _ in range(len(queue))]


def test_a_tenant_waits_for_one_item_of_each_other() -> None:
    """Whatever the others have queued before."""
    queue: FairQueue[str] = FairQueue()
    for number in range(100):
        queue.add(f"flood-{number}", tenant="flood")
    queue.add("single", tenant="team")
    queue.add("other", tenant="lab")
    assert taken(queue)[:4] == ["flood-0", "single", "other", "flood-1"]


def test_one_who_comes_again_and_again_starves_nobody() -> None:
    """A tenant whose queue was empty comes last in the round."""
    queue: FairQueue[str] = FairQueue()
    queue.add("a-0", tenant="a")
    queue.add("a-1", tenant="a")
    seen = []
    for number in range(3):
        queue.add(f"b-{number}", tenant="b")
        seen.append(queue.take())
    assert seen == ["a-0", "b-0", "a-1"]


def test_within_a_tenant_the_urgent_comes_first() -> None:
    """And what is equally urgent in the order of its arrival."""
    queue: FairQueue[str] = FairQueue()
    for item, urgency in (("told", 5), ("pin-0", 0), ("pin-1", 0)):
        queue.add(item, tenant="a", urgency=urgency)
    assert taken(queue) == ["pin-0", "pin-1", "told"]
    assert not len(queue)
    with pytest.raises(IndexError):
        queue.take()


def test_an_item_that_took_long_is_several_turns() -> None:
    """Who has had more than its own waits for as much of the others; nobody waits for nobody."""
    queue: FairQueue[str] = FairQueue()
    for number in range(2):
        queue.add(f"large-{number}", tenant="large")
    for number in range(4):
        queue.add(f"small-{number}", tenant="small")
    first = queue.take()
    queue.charge("large", 2)
    assert [first, *taken(queue)] == [
        "large-0", "small-0", "small-1", "small-2", "large-1", "small-3",
    ]  # fmt: skip
    queue.charge("large", 10**9)
    queue.add("large-2", tenant="large")
    assert taken(queue) == ["large-2"]
