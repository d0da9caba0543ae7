"""Constraint expressions, read as Slurm reads them."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.sim.slurm import features
from bridge.sim.slurm.errors import INVALID_FEATURE, Refused

_NAMES = st.sampled_from(["a", "b", "class-1f", "x.y"])


@pytest.mark.parametrize(
    ("text", "matching"),
    [
        ("a", {"a", "ab", "ac", "abc"}),
        ("a|b", {"a", "b", "ab", "ac", "bc", "abc"}),
        ("a&b", {"ab", "abc"}),
        ("(a|b)&c", {"ac", "bc", "abc"}),
        ("(a&b)|c", {"ab", "c", "ac", "bc", "abc"}),
        ("a|b&c", {"ac", "bc", "abc"}),
        ("[a|b]&c", {"ac", "bc", "abc"}),
        ("a*2", {"a", "ab", "ac", "abc"}),
    ],
)
def test_matching(text: str, matching: set[str]) -> None:
    """`&` and `|` bind equally, from the left; parentheses come first."""
    group = features.parse(text)
    assert group is not None
    subsets = {
        "".join(letters) for count in range(4) for letters in itertools.combinations("abc", count)
    }
    assert {subset for subset in subsets if group.matches(set(subset))} == matching


@pytest.mark.parametrize(
    "text", ["((a|b)&c)", "a&", "|a", "(a", "a)", "a||b", "[a|(b)]", "()", "a b"]
)
def test_what_slurm_does_not_read(text: str) -> None:
    """Nested parentheses and dangling operators are 2029."""
    with pytest.raises(Refused) as refused:
        features.parse(text)
    assert refused.value.number == INVALID_FEATURE


def test_nothing_asked() -> None:
    """An empty expression asks for nothing."""
    assert features.parse("  ") is None


@given(st.lists(st.lists(_NAMES, min_size=1, max_size=4), min_size=1, max_size=4), st.data())
def test_or_of_ands_matches_any_group(groups: list[list[str]], data: st.DataObject) -> None:
    """`(a&b)|(c&d)` holds where all names of one group are there; all names are known."""
    text = "|".join(f"({'&'.join(group)})" for group in groups)
    parsed = features.parse(text)
    assert parsed is not None
    have = data.draw(st.sets(_NAMES))
    assert parsed.matches(have) == any(set(group) <= have for group in groups)
    assert parsed.names() == {name for group in groups for name in group}
