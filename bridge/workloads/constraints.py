"""The user's `constraints`: read, weighed against the node classes, and said to Slurm.

Slurm's `|` and `&` bind equally and are read from the left: `x|y&z` is `(x|y)&z` (seen on 26.05).
It takes any number of parentheses joined by `&`, but none inside others, and no blanks. So an
expression is kept as an AND of ORs, a form in which it can always be joined with the classes.

A class whose nodes all satisfy the wish stands for it, one whose nodes don't is left out. Where an
admin gave some nodes of a class features that others lack, the wish is passed on beside the classes
and Slurm judges node by node. `[x|y]`, all nodes the same one, is always passed on: no class can
say it.
"""

import difflib
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from bridge import names
from bridge.errors import BadInput
from bridge.workloads.facts import NodeFacts

KEY: Final = names.JOB_PREFIX + "constraints"
_FIELD: Final = f"metadata.annotations[{KEY}]"
_TOKEN = re.compile(r"\s*([&|()\[\]]|[^\s&|()\[\]*,!]+)")
_MOST_CLAUSES = 64
_FORMS = (
    "write features with & and |, one level of parentheses, or [x|y] for all nodes the same one: "
    "rack1|rack2, gpu&(ib|efa), [rack1|rack2]&ib"
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
    """The expression. Raises BadInput, with the accepted forms, for anything else."""
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != re.sub(r"\s", "", text) or not tokens:
        raise _malformed(text)
    found, rest = _read(tokens, text, inside="")
    if rest:
        raise _malformed(text)
    return found


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
            f"annotation {KEY}: no node that can take the pod has the features {wish!r}; look at "
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
        near = {n for f in clause for n in difflib.get_close_matches(f, known, n=1)}
        advice = f"; did you mean {' or '.join(sorted(near))}?" if near else ""
        raise BadInput(
            f"annotation {KEY}: no node in Slurm has feature {' or '.join(sorted(clause))} of "
            f"{wish!r}{advice}",
            field=_FIELD,
        )

    same = reduced(wished.same) if wished.same else wished.same
    clauses = tuple(map(reduced, wished.clauses))
    return Expression(_product([(*clauses, same)])) if len(same) == 1 else Expression(clauses, same)


def _read(tokens: list[str], text: str, *, inside: str) -> tuple[Expression, list[str]]:
    """From the left, up to the end or a closing bracket; the rest."""
    found, tokens = _operand(tokens, text, inside=inside)
    while tokens and tokens[0] in "&|":
        operator = tokens[0]
        more, tokens = _operand(tokens[1:], text, inside=inside)
        if operator == "|":
            if found.same or more.same or len(found.clauses) * len(more.clauses) > _MOST_CLAUSES**2:
                raise _malformed(text)
            clauses = (a | b for a in found.clauses for b in more.clauses)
            found = Expression(_product([clauses], text))
        else:
            if found.same and more.same:
                raise _malformed(text)
            found = Expression(
                _product([found.clauses, more.clauses], text), found.same | more.same
            )
    return found, tokens


def _operand(tokens: list[str], text: str, *, inside: str) -> tuple[Expression, list[str]]:
    if not tokens or tokens[0] in "&|)]" or (inside and tokens[0] in "(["):
        raise _malformed(text)
    if tokens[0] not in "([":
        return Expression((frozenset(tokens[:1]),)), tokens[1:]
    closing = {"(": ")", "[": "]"}[tokens[0]]
    found, rest = _read(tokens[1:], text, inside=closing)
    if not rest or rest[0] != closing:
        raise _malformed(text)
    if closing == "]":
        if len(found.clauses) != 1:  # Slurm reads an & in brackets only with counts
            raise _malformed(text)
        if len(found.clauses[0]) > 1:
            found = Expression(same=found.clauses[0])
    return found, rest[1:]


def _product(parts: Iterable[Iterable[Clause]], text: str = "") -> tuple[Clause, ...]:
    """All clauses once, without those that another one implies; in order."""
    every = list(dict.fromkeys(clause for part in parts for clause in part))
    least = tuple(one for one in every if not any(other < one for other in every))
    if len(least) > _MOST_CLAUSES:
        raise _malformed(text)
    return least


def _malformed(text: str) -> BadInput:
    return BadInput(
        f"annotation {KEY}: {text!r} is not taken (no counts, nothing nested): {_FORMS}",
        field=_FIELD,
    )
