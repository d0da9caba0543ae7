"""The mapping that freezes: as a dictionary, and as many copies of one."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.placement.table.shards import MANY, Shards

writes = st.lists(
    st.tuples(st.sampled_from(("put", "drop", "freeze")), st.integers(0, 600), st.integers(0, 3))
)


@given(writes)
def test_shards_are_a_dictionary_and_frozen_ones_stay(steps: list[tuple[str, int, int]]) -> None:
    """Every write shows at once, and never in what was frozen before."""
    shards: Shards[int, int] = Shards()
    plain: dict[int, int] = {}
    frozen = []
    for what, key, value in steps:
        if what == "put":
            shards.put(key, value)
            plain[key] = value
        elif what == "drop":
            assert shards.drop(key) == plain.pop(key, None)
        else:
            frozen.append((shards.freeze(), dict(plain)))
    frozen.append((shards.freeze(), plain))
    for view, expected in frozen:
        assert dict(view) == expected
        assert len(view) == len(expected)
        assert all(shards.get(key) == plain.get(key) for key in range(600))
        assert view.find_all(range(5), -1) == [expected.get(key, -1) for key in range(5)]
        assert view.find_all(range(MANY), -1) == [expected.get(key, -1) for key in range(MANY)]


def test_freezing_twice_costs_nothing() -> None:
    """Without a write in between it is the same object."""
    shards: Shards[str, int] = Shards()
    shards.put("a", 1)
    assert shards.freeze() is shards.freeze()


def test_a_write_copies_one_shard_only() -> None:
    """Shards that nobody writes to are shared by all views."""
    shards: Shards[int, int] = Shards()
    for key in range(1000):
        shards.put(key, key)
    before = shards.freeze()
    shards.put(7, 0)
    after = shards.freeze()
    shared = sum(a is b for a, b in zip(before._shards, after._shards, strict=True))
    assert shared == len(before._shards) - 1
