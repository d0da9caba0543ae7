"""Gangs that the bridge itself fails at."""

from bridge.controller.faults import Faults
from bridge.model.ids import GangId

GANG, OTHER = GangId("team/a"), GangId("team/b")


def raised(words: str, kind: type[Exception] = ValueError) -> Exception:
    try:
        raise kind(words)
    except Exception as error:
        return error


def test_the_time_doubles_up_to_a_minute() -> None:
    """For each gang alone."""
    faults, now_s = Faults(), 0.0
    delays = []
    for _ in range(9):
        fault, _ = faults.add(GANG, raised("x"), now_s)
        delays.append(fault.delay_s)
        now_s += fault.delay_s
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert faults.add(OTHER, raised("x"), now_s)[0].delay_s == 1


def test_a_gang_that_went_well_for_long_begins_with_the_short_time() -> None:
    """Its failures are forgotten, not the words that were logged."""
    faults = Faults()
    faults.add(GANG, raised("x"), 0.0)
    fault, is_new = faults.add(GANG, raised("x"), 10_000.0)
    assert (fault.delay_s, is_new) == (1, False)


def test_each_mistake_is_told_once() -> None:
    """By its place and kind: the words may differ each time."""
    faults = Faults()
    assert [faults.add(GANG, raised(f"x{n}"), 0.0)[1] for n in range(3)] == [True, False, False]
    assert faults.add(GANG, raised("x", KeyError), 0.0)[1]


def test_set_aside_until_it_is_taken_back() -> None:
    """And then still known, as a gang that had jobs of ours."""
    faults = Faults()
    fault, _ = faults.add(GANG, raised("x"), 0.0)
    assert faults.set_aside(GANG) is fault
    assert faults.set_aside(OTHER) is None
    faults.take_back(GANG)
    assert faults.set_aside(GANG) is None
    assert faults.knows(GANG)
    faults.forget(GANG)
    assert not faults.knows(GANG)


def test_the_sentence_is_short_and_printable() -> None:
    """Whatever the error carries: a user may have written it."""
    fault, _ = Faults().add(GANG, raised("\x00\n" + "9" * 10_000), 0.0)
    assert fault.sentence.isprintable()
    assert len(fault.sentence) < 500
