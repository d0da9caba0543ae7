"""The annotation `constraints`, read."""

import pytest

from bridge.errors import BadInput
from bridge.gangs.languages import constraints


@pytest.mark.parametrize(
    "wish",
    [
        "a*2", "[a*2&b*1]", "((a|b)&c)|d", "[(a|b)]", "[a&b|c]", "[a|b]|c", "a|[b|c]",
        "[a|b]&[c|d]", "a&&b", "&a", "a|", "(a", "a)", "a b", "a,b", "!a", "()", "[]", "   ",
    ],
)  # fmt: skip
def test_counts_and_nested_forms_are_refused_with_the_accepted_forms(wish: str) -> None:
    """Also what Slurm would read in some way of its own."""
    with pytest.raises(BadInput, match="one level of parentheses"):
        constraints.parse(wish)


def test_an_expression_too_large_to_turn_round_is_refused() -> None:
    """Its AND of ORs would have 2^20 terms."""
    wish = "|".join(f"(a{n}&b{n})" for n in range(20))
    with pytest.raises(BadInput):
        constraints.parse(wish)
