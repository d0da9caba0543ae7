"""Global options, wherever they stand."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.cli.invocation import global_first

PAIRS = st.sampled_from([["--config", "f"], ["--context=c"], ["--debug"], ["--set", "a=b"]])
WORDS = st.sampled_from(["run", "config", "show", "--help", "-x", "name"])


@given(st.lists(PAIRS), st.lists(WORDS), st.data())
def test_order_among_themselves_is_kept(
    options: list[list[str]], words: list[str], data: st.DataObject
) -> None:
    """However global options are strewn among the words, the result is options, then words."""
    mixed = list(words)
    places = sorted(
        data.draw(
            st.lists(st.integers(0, len(words)), min_size=len(options), max_size=len(options))
        )
    )
    for place, option in reversed(list(zip(places, options, strict=True))):
        mixed[place:place] = option
    assert global_first(mixed) == [*(word for option in options for word in option), *words]


def test_after_two_dashes_words_are_left_alone() -> None:
    """What is handed on to another program is not ours."""
    assert global_first(["x", "--", "--config", "f"]) == ["x", "--", "--config", "f"]
