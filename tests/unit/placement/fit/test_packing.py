"""Pods of several kinds into bins: exact, and simple where simple works."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bridge.placement.fit import packing
from bridge.placement.fit.packing import OPEN, Bins, Counts


def some_bins(demands: list[list[int]], room: list[list[int]], most: int = 99) -> Bins:
    """With the same bound everywhere."""
    return Bins(
        np.array(demands, dtype=np.int64),
        np.array(room, dtype=np.int64),
        np.full((len(room), len(demands)), most, dtype=np.int64),
    )


@st.composite
def problems(draw: st.DrawFn) -> tuple[Bins, np.ndarray]:
    """Few bins, two or three kinds, two dimensions; some bins overfull, some closed to a kind."""
    amounts = st.lists(st.integers(0, 3), min_size=2, max_size=2)
    demands = draw(st.lists(amounts, min_size=2, max_size=3))
    room = draw(
        st.lists(st.lists(st.integers(-1, 7), min_size=2, max_size=2), min_size=1, max_size=3)
    )
    most = [[draw(st.sampled_from((0, 1, 4, 4))) for _ in demands] for _ in room]
    made = Bins(*(np.array(rows, dtype=np.int64) for rows in (demands, room, most)))
    kinds = draw(st.lists(st.integers(0, len(demands) - 1), min_size=1, max_size=6))
    return made, np.array(kinds, dtype=np.intp)


def possible(bins: Bins, kinds: list[int], counts: Counts) -> bool:
    """By trying every bin for every pod. What no pod in a bin asks for may be overfull."""
    if not kinds:
        return True
    kind, rest = kinds[0], kinds[1:]
    for place in range(len(bins.room)):
        counts[place, kind] += 1
        if allowed(bins, counts) and possible(bins, rest, counts):
            counts[place, kind] -= 1
            return True
        counts[place, kind] -= 1
    return False


def allowed(bins: Bins, counts: Counts) -> bool:
    """Whether these counts fit."""
    used = counts @ bins.demands
    return bool((counts <= bins.most).all() and ((used <= bins.room) | (used == 0)).all())


def counted(bins: Bins, kinds: np.ndarray, places: np.ndarray) -> Counts:
    """(bins, kinds) counts of places."""
    counts = np.zeros_like(bins.most)
    placed = places != OPEN
    np.add.at(counts, (places[placed], kinds[placed]), 1)
    return counts


@given(problems())
def test_there_is_a_way_exactly_when_one_is_found(problem: tuple[Bins, np.ndarray]) -> None:
    """The answer is that of trying everything. What is found fits, and the exact search agrees."""
    bins, kinds = problem
    expected = possible(bins, kinds.tolist(), np.zeros_like(bins.most))
    ways = list(packing.fillings(bins, kinds))
    assert bool(ways) == expected
    needs = np.bincount(kinds, minlength=len(bins.demands))
    counts = packing.exact(bins, needs)
    assert (counts is not None) == expected
    for places in ways:
        assert (places != OPEN).all()
        assert allowed(bins, counted(bins, kinds, places))
    if counts is not None:
        assert allowed(bins, counts)
        assert counts.sum(axis=0).tolist() == needs.tolist()
    some = packing.partial(bins, kinds)
    assert allowed(bins, counted(bins, kinds, some))
    assert (some != OPEN).all() <= expected


def test_where_every_simple_rule_fails_the_search_finds_it() -> None:
    """Bins of 13 and 10 for three of 5 and two of 4: only 5+4+4 and 5+5 will do."""
    bins = some_bins([[5], [4]], [[13], [10]])
    kinds = np.array([0, 0, 0, 1, 1], dtype=np.intp)
    (places,) = packing.fillings(bins, kinds)
    assert counted(bins, kinds, places).tolist() == [[1, 2], [2, 0]]
    assert np.count_nonzero(packing.partial(bins, kinds) == OPEN) == 1


def test_ranks_in_turn() -> None:
    """The next bin is taken when a bin is full, and never an earlier bin again."""
    bins = some_bins([[2], [3]], [[4], [5], [9]])
    kinds = np.array([1, 0, 0, 1], dtype=np.intp)
    assert packing.in_turn(bins, kinds).tolist() == [0, 1, 1, 2]
    assert packing.in_turn(bins, np.array([1, 1, 1, 1, 1, 0])).tolist() == [0, 1, 2, 2, 2, OPEN]


def test_a_search_that_would_cost_too_much_is_given_up() -> None:
    """Neither time nor memory without bound: six kinds of a thousand pods each."""
    bins = some_bins([[kind + 1] for kind in range(6)], [[10**6]] * 100, most=10**6)
    assert packing.exact(bins, np.full(6, 1000)) is None


def test_one_kind_needs_no_search() -> None:
    """What the simple rule says of one kind is exact."""
    assert packing.exact(some_bins([[2]], [[4]]), np.array([3])) is None
    assert list(packing.fillings(some_bins([[2]], [[4]]), np.zeros(3, dtype=np.intp))) == []
    (nothing, *_) = packing.fillings(some_bins([[2], [1]], [[4]]), np.zeros(0, dtype=np.intp))
    assert nothing.tolist() == []
