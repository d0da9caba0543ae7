"""The flat view of the tree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.config import tree

KEYS = [setting.key for setting in tree.settings()]


def test_keys_and_variables_are_unique() -> None:
    """No two settings share a key or a variable."""
    assert len(set(KEYS)) == len(KEYS)
    assert len({setting.variable for setting in tree.settings()}) == len(KEYS)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("slurm", "poll_interval_s"), "slurm.pollIntervalS"),
        (("slurm", "endpoints", 1), "slurm.endpoints[1]"),
        (("resource_map", "a/b"), "resourceMap[a/b]"),
        (("slurm",), "slurm"),
    ],
)
def test_key_of_a_path(path: tuple[str | int, ...], expected: str) -> None:
    """Paths are shown as the file writes them."""
    assert tree.key_of(path) == expected


@given(st.sampled_from(KEYS), st.data())
def test_one_typo_is_understood(key: str, data: st.DataObject) -> None:
    """A key with one letter left out, doubled or swapped is found again."""
    last = key.rpartition(".")[2]
    at = data.draw(st.integers(0, len(last) - 1))
    typo = data.draw(
        st.sampled_from(
            [last[:at] + last[at + 1 :], last[:at] + last[at] + last[at:], last.swapcase()]
        )
    )
    section = key[: -len(last)]
    if len(last) > 4:
        assert tree.nearest(section + typo, KEYS).rpartition(".")[2].lower() == last.lower()


def test_nonsense_is_not_guessed_at() -> None:
    """A wild guess helps nobody."""
    assert tree.nearest("qqqqqq", KEYS) == ""
