"""Texts of anybody's, made printable and bounded."""

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from bridge.model import texts

ANY = st.characters(exclude_categories=())
"""Every character, lone surrogates too."""
TEXTS = st.text(ANY) | st.builds(lambda one, times: one * times, ANY, st.integers(1, 3000))
MOST = st.integers(32, 300)


@given(TEXTS, MOST)
@example("ü" * 200, 33)
@example("\udcff" * 200, 33)
def test_what_is_printed_is_printable_and_bounded(text: str, most: int) -> None:
    """In bytes, as Slurm counts; and it is no different when it is done again."""
    shown = texts.printable(text, most)
    assert shown.isprintable()
    assert len(shown.encode()) <= most
    assert texts.printable(shown, most) == shown
    assert (shown == text) == (text.isprintable() and len(text.encode()) <= most)


@given(TEXTS, MOST)
def test_what_is_plain_needs_no_escape(text: str, most: int) -> None:
    """ASCII, and neither quotes nor backslashes."""
    said = texts.plain(text, most)
    assert said.isascii()
    assert said.isprintable()
    assert not set(said) & set("\"'\\")
    assert len(said) <= most
    assert texts.plain(said, most) == said


@given(TEXTS, TEXTS, MOST)
def test_different_texts_stay_different(one: str, other: str, most: int) -> None:
    """Also where they differ only in what is cut or can't be printed."""
    assume(one != other)
    for mend in (texts.printable, texts.plain):
        results = {mend(one, most), mend(other, most)}
        assert len(results) == 2 or results <= {one, other}


@pytest.mark.parametrize("mend", [texts.printable, texts.plain])
def test_only_the_end_tells_long_names_apart(mend: object) -> None:
    """As Kubernetes' own controllers make them."""
    assert callable(mend)
    first, second = (mend("training-" * 40 + end, 255) for end in ("a", "b"))
    assert first != second
    assert first[:200] == second[:200]


@given(st.lists(TEXTS, min_size=1, max_size=5))
@example(["..", "..", "etc"])
@example(["", "/", "//x"])
@example([".", "-rf", "~root"])
def test_a_path_has_exactly_its_components(components: list[str]) -> None:
    """It can't climb, and no component is an option or hidden."""
    parts = texts.path(*components).split("/")
    assert parts[0] == ""
    assert len(parts) == 1 + len(components)
    for part in parts[1:]:
        assert part[0] not in ".-~ "
        assert part.isascii()
        assert part.isprintable()
        assert len(part) <= 128


def test_names_of_kubernetes_stay_as_they_are() -> None:
    """DNS names, kinds, and what our own gangs add."""
    assert texts.path("team-a", "leaderworkerset", "llama.v2", "0") == (
        "/team-a/leaderworkerset/llama.v2/0"
    )
    assert texts.plain("team/0b8f4a2e/0#1", 64) == "team/0b8f4a2e/0#1"
    assert texts.printable("Größe 訓練", 64) == "Größe 訓練"
