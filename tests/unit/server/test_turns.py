"""Who goes next."""

import pytest

from bridge.server.turns import Pace, Shares, Turns


def all_of(turns: Turns[str]) -> list[str]:
    """In the order of their turns."""
    found = []
    while turns:
        found.append(turns.next())
    return found


def test_addresses_in_turns() -> None:
    """One of each address, whatever the others have queued; of one address the newest first."""
    turns: Turns[str] = Turns()
    for item in ("f1", "f2", "f3", "f4", "h1", "g1", "g2"):
        turns.add(item[0], item)
    assert all_of(turns) == ["f4", "h1", "g2", "f3", "g1", "f2", "f1"]


def test_a_newcomer_waits_for_one_of_each_other() -> None:
    """An address that comes later has its turn before the second one of the others."""
    turns: Turns[str] = Turns()
    for item in ("f1", "f2", "f3"):
        turns.add("f", item)
    assert turns.next() == "f3"
    turns.add("h", "h1")
    assert all_of(turns) == ["f2", "h1", "f1"]


def test_who_waits_no_more() -> None:
    """What is dropped has no turn; dropping it twice, or what never waited, changes nothing."""
    turns: Turns[str] = Turns()
    turns.add("f", "f1")
    turns.add("f", "f2")
    turns.drop("f", "f2")
    turns.drop("f", "f2")
    turns.drop("g", "g1")
    assert all_of(turns) == ["f1"]
    turns.add("f", "f1")
    turns.drop("f", "f1")
    assert not turns


def test_pace() -> None:
    """So many at once, then so many a second; time that nobody used counts up to a burst."""
    pace = Pace(rate=8, burst=3)
    assert [pace.may_start(5.0) for _ in range(5)] == [True, True, True, False, False]
    assert [pace.may_start(5.125) for _ in range(2)] == [True, False]
    assert [pace.may_start(99.0) for _ in range(4)] == [True, True, True, False]


def test_least_used_first() -> None:
    """An address with small calls goes before one that has used much, though it came later."""
    shares: Shares[str] = Shares()
    for item in ("f1", "f2", "f3"):
        shares.add("f", item)
    assert shares.next() == "f1"
    shares.used("f", 0.080)
    for number in range(5):
        shares.add("h", f"h{number}")
    for number in range(5):
        assert shares.next() == f"h{number}"
        shares.used("h", 0.001)
    assert shares.next() == "f2"


def test_time_is_not_saved_up() -> None:
    """Who was away while others used the loop has no claim to as much in one go."""
    shares: Shares[str] = Shares()
    for item in ("f1", "f2", "f3", "f4"):
        shares.add("f", item)
    for _ in range(3):
        shares.next()
        shares.used("f", 1.0)
    for item in ("h1", "h2"):
        shares.add("h", item)
    assert shares.next() == "h1"
    shares.used("h", 1.5)
    assert shares.next() == "f4"


def test_put_back() -> None:
    """What was let in for nothing goes before the others of its address."""
    shares: Shares[str] = Shares()
    shares.add("f", "f1")
    shares.add("f", "f2")
    shares.put_back("f", shares.next())
    assert [shares.next(), shares.next()] == ["f1", "f2"]
    assert not shares
    shares.put_back("f", "f2")
    assert shares.next() == "f2"
    with pytest.raises(ValueError, match="empty"):
        shares.next()


def test_forgotten_addresses() -> None:
    """The time of addresses that went away long ago is not kept for ever."""
    shares: Shares[str] = Shares()
    for number in range(10_000):
        shares.add(f"peer {number}", "call")
        shares.next()
        shares.used(f"peer {number}", 0.001)
        assert len(shares._used_s) <= 1_025
    shares.forget()
    assert shares._used_s == {}
