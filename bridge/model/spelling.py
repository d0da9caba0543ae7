"""The known word that was probably meant, found at a bounded cost.

A comparison costs tens of microseconds, and a user's text may hold thousands of words that nobody
knows. So only words of a sensible length are compared, with so many known ones at the most.
"""

import difflib
from collections.abc import Collection, Iterable
from typing import Final

_LONGEST: Final = 64
"""Characters of a word that is looked up; longer ones are no misspelling."""
_MOST_KNOWN: Final = 100
"""Known words that one word is compared with."""
_MOST_WORDS: Final = 3
"""Words of one text that are looked up."""
_FURTHEST: Final = 3
"""Difference in length of a word and what was meant."""


def nearest(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """The known word that is most like it; "" where none is."""
    if len(word) > _LONGEST:
        return ""
    near = [one for one in known if abs(len(one) - len(word)) <= _FURTHEST][:_MOST_KNOWN]
    return next(iter(difflib.get_close_matches(word, near, n=1, cutoff=cutoff)), "")


def meant(words: Collection[str], known: Collection[str]) -> tuple[str, ...]:
    """What was probably meant by the first few of the words, sorted, each once."""
    first = sorted(words)[:_MOST_WORDS]
    return tuple(sorted({found for word in first if (found := nearest(word, sorted(known)))}))
