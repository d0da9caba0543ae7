"""The user's `constraints`: read, weighed against the node classes, and said to Slurm.

Slurm's `|` and `&` bind equally and are read from the left: `x|y&z` is `(x|y)&z` (seen on 26.05).
It takes any number of parentheses joined by `&`, but none inside others, and no blanks. So an
expression is kept as an AND of ORs, a form in which it can always be joined with the classes.

A class whose nodes all satisfy the wish stands for it, one whose nodes don't is left out. Where an
admin gave some nodes of a class features that others lack, the wish is passed on beside the classes
and Slurm judges node by node. `[x|y]`, all nodes the same one, is always passed on: no class can
say it.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from bridge import names
from bridge.errors import BadInput
from bridge.model import bounds, spelling
from bridge.workloads.facts import NodeFacts

KEY: Final = names.JOB_PREFIX + "constraints"
_FIELD: Final = f"metadata.annotations[{KEY}]"
_TOKEN = re.compile(r"[&|()\[\]]|[^\s&|()\[\]*,!]+|[*,!]")
_SIGNS: Final = frozenset("&|()[]*,!")
FORMS: Final = (
    "write features with & and |, one level of parentheses, or [x|y] for all nodes the same one: "
    "rack1|rack2, gpu&(ib|efa), [rack1|rack2]&ib"
)
_LIMITS = (
    f"at most {bounds.MOST_FEATURES} features, which make at most {bounds.MOST_CLAUSES} ORs "
    f"joined by ANDs, in {bounds.LONGEST_LIST} characters"
)

Clause = frozenset[str]
"""Features, one of which a node must have."""


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


@dataclass(frozen=True, slots=True)
class Constraint:
    """What Slurm is told, and the classes that are left."""

    text: str
    classes: tuple[str, ...]
    wish: Expression = Expression()


def parse(text: str) -> Expression:
    """The expression. Raises BadInput, with the accepted forms, for anything else, and for one
    that is too long, names too many features, or has too many ORs when it is turned round."""
    if len(text) > bounds.LONGEST_LIST:
        raise _malformed(text, _LIMITS)
    return _Reader(text).expression()


def build(classes: Sequence[str], wish: str, *, facts: NodeFacts, nodes: int) -> Constraint:
    """What a job that may run in `classes`, on up to `nodes` nodes, is held to.

    Raises BadInput when nothing satisfies the wish, with what is there.
    """
    if not wish:
        return Constraint("|".join(classes), tuple(classes))
    wished = parse(wish)
    if nodes == 1 and wished.same:
        wished = Expression(_product([(*wished.clauses, wished.same)]))
    if not facts.kinds:
        return Constraint(_said(classes, wished), tuple(classes), wished)
    wished = _known(wished, {f for kind in facts.kinds for f in kind.features}, wish)
    kinds = facts.of(classes) if classes else facts.kinds
    fitting = [kind for kind in kinds if wished.fits(kind.features)]
    if not fitting:
        raise BadInput(
            f"annotation {KEY}: no node that can take the pod has the features "
            f"{bounds.shown(wish)}; look at "
            "`sinfo -o '%n %f'`, or leave something out",
            field=_FIELD,
        )
    left = tuple(name for name in classes if any(name in kind.features for kind in fitting))
    if left and all(wished.fits(kind.features) for kind in facts.of(left)):
        return Constraint(_said(left, Expression(same=wished.same)), left, wished)
    return Constraint(_said(left, wished), left, wished)


def _said(classes: Sequence[str], wished: Expression) -> str:
    groups = [group for group in (tuple(classes), *map(sorted, wished.clauses)) if group]
    if len(groups) == 1 and not wished.same:
        return "|".join(groups[0])
    said = [f"({'|'.join(group)})" if len(group) > 1 else group[0] for group in groups]
    return "&".join([*said, f"[{'|'.join(sorted(wished.same))}]"] if wished.same else said)


def _known(wished: Expression, known: Collection[str], wish: str) -> Expression:
    """Without the features that no node has, which Slurm refuses to hear of."""

    def reduced(clause: Clause) -> Clause:
        left = clause & frozenset(known)
        if left:
            return left
        near = spelling.meant(clause, known)
        advice = f"; did you mean {' or '.join(near)}?" if near else ""
        raise BadInput(
            f"annotation {KEY}: no node in Slurm has feature {' or '.join(sorted(clause))} of "
            f"{bounds.shown(wish)}{advice}",
            field=_FIELD,
        )

    same = reduced(wished.same) if wished.same else wished.same
    clauses = tuple(map(reduced, wished.clauses))
    return Expression(_product([(*clauses, same)])) if len(same) == 1 else Expression(clauses, same)


class _Reader:
    """Reads the words of a text once, from the left."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _TOKEN.findall(text)
        self._at = 0
        if sum(token not in _SIGNS for token in self._tokens) > bounds.MOST_FEATURES:
            raise _malformed(text, _LIMITS)

    def expression(self) -> Expression:
        """All of it."""
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


def _malformed(text: str, why: str = "no counts, nothing nested") -> BadInput:
    return BadInput(
        f"annotation {KEY}: {bounds.shown(text)} is not taken ({why}): {FORMS}", field=_FIELD
    )
