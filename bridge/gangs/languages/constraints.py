"""The annotation `constraints`: features that the job's nodes must have.

Slurm's `|` and `&` bind equally and are read from the left: `x|y&z` is `(x|y)&z` (seen on 26.05).
It takes any number of parentheses joined by `&`, but none inside others, and no blanks. So an
expression is kept as an AND of ORs, a form in which it can always be joined with other ORs.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from bridge import names
from bridge.errors import BadInput
from bridge.model import bounds

KEY: Final = names.JOB_PREFIX + "constraints"
FIELD: Final = f"metadata.annotations[{KEY}]"
_TOKEN = re.compile(r"[&|()\[\]]|[^\s&|()\[\]*,!]+|[*,!]")
_SIGNS: Final = frozenset("&|()[]*,!")
FORMS: Final = (
    "write features with & and |, one level of parentheses, or [x|y] if all nodes must have the "
    "same one: rack1|rack2, gpu&(ib|efa), [rack1|rack2]&ib"
)
_LIMITS = (
    f"at most {bounds.MOST_FEATURES} features, which make at most {bounds.MOST_CLAUSES} ORs "
    f"joined by ANDs, in {bounds.LONGEST_LIST} characters"
)

Clause = frozenset[str]
"""Features of which a node must have one."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A node must satisfy all of `clauses`; `same`: all nodes of the job have one and the same
    of these (empty: no such wish).
    """

    clauses: tuple[Clause, ...] = ()
    same: Clause = frozenset()

    def fits(self, features: Collection[str]) -> bool:
        """Whether a node with these features may be the job's."""
        every = (*self.clauses, self.same) if self.same else self.clauses
        return not any(clause.isdisjoint(features) for clause in every)

    def with_same_as_or(self) -> "Expression":
        """The expression with "all nodes the same one" as a plain OR, which it is on one node or
        with one feature left."""
        return Expression(_product([(*self.clauses, self.same)]))


def parse(text: str) -> Expression:
    """The expression. Raises BadInput, with the accepted forms, for anything else, and for one
    that is too long, names too many features, or has too many ORs when it is turned round."""
    if len(text) > bounds.LONGEST_LIST:
        raise _malformed(text, _LIMITS)
    return _Reader(text).expression()


class _Reader:
    """Reads the words of a text once, from the left."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _TOKEN.findall(text)
        self._at = 0
        if sum(token not in _SIGNS for token in self._tokens) > bounds.MOST_FEATURES:
            raise _malformed(text, _LIMITS)

    def expression(self) -> Expression:
        """Reads the whole expression."""
        found = self._joined(inside="")
        if self._next:
            raise _malformed(self._text)
        return Expression(_product([found.clauses]), found.same)

    @property
    def _next(self) -> str:
        """The next word; "" at the end."""
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _joined(self, *, inside: str) -> Expression:
        """From the left, up to the end or a closing bracket."""
        found = self._operand(inside=inside)
        while self._next and self._next in "&|":
            operator = self._next
            self._at += 1
            more = self._operand(inside=inside)
            found = self._either(found, more) if operator == "|" else self._both(found, more)
        return found

    def _operand(self, *, inside: str) -> Expression:
        token = self._next
        if not token or token in "&|)]*,!" or (inside and token in "(["):
            raise _malformed(self._text)
        self._at += 1
        if token not in "([":
            return Expression((frozenset((token,)),))
        closing = {"(": ")", "[": "]"}[token]
        found = self._joined(inside=closing)
        if self._next != closing:
            raise _malformed(self._text)
        self._at += 1
        return found if closing == ")" else self._all_the_same(found)

    def _all_the_same(self, found: Expression) -> Expression:
        """In brackets Slurm reads an & with counts only."""
        if len(found.clauses) != 1:
            raise _malformed(self._text)
        return Expression(same=found.clauses[0]) if len(found.clauses[0]) > 1 else found

    def _either(self, one: Expression, other: Expression) -> Expression:
        if one.same or other.same:
            raise _malformed(self._text)
        self._check(len(one.clauses) * len(other.clauses))
        clauses = [a | b for a in one.clauses for b in other.clauses]
        return Expression(_product([clauses]) if len(other.clauses) > 1 else _once(clauses))

    def _both(self, one: Expression, other: Expression) -> Expression:
        if one.same and other.same:
            raise _malformed(self._text)
        self._check(len(one.clauses) + len(other.clauses))
        return Expression(_once([*one.clauses, *other.clauses]), one.same | other.same)

    def _check(self, clauses: int) -> None:
        """Before they are made: every step costs as many as that, and there are few steps."""
        if clauses > bounds.MOST_CLAUSES:
            raise _malformed(self._text, _LIMITS)


def _once(clauses: Sequence[Clause]) -> tuple[Clause, ...]:
    return tuple(dict.fromkeys(clauses))


def _product(parts: Iterable[Iterable[Clause]]) -> tuple[Clause, ...]:
    """All clauses once, without those that another one implies; in order."""
    every = _once([clause for part in parts for clause in part])
    return tuple(one for one in every if not any(map(one.__gt__, every)))


def _malformed(text: str, why: str = "counts and nesting are not allowed") -> BadInput:
    return BadInput(
        f"annotation {KEY}: {bounds.shown(text)} can't be read ({why}): {FORMS}", field=FIELD
    )
