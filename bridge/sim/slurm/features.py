"""Constraint expressions over node features: `a|b&c`, `(a|b)&x`, `[x|y]&a`, `a*2`.

Rule: sbatch(1), --constraint. `&` and `|` bind equally and are read from the left, parentheses
hold one level; a matching OR in brackets takes all nodes from one alternative.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from bridge.sim.slurm.errors import INVALID_FEATURE, Refused

_TOKEN = re.compile(r"\s*([&|()\[\]]|[^&|()\[\]*\s]+(?:\*\d+)?)")


@dataclass(frozen=True, slots=True)
class Group:
    """Features joined by one kind of operator, read from the left."""

    first: "Group | str"
    rest: tuple[tuple[str, "Group | str"], ...] = ()
    same_for_all: bool = False
    """Square brackets: every node of the job must match the same alternative."""

    def matches(self, features: Collection[str]) -> bool:
        """Whether a node with these features satisfies it."""
        verdict = _matches(self.first, features)
        for operator, operand in self.rest:
            if operator == "&":
                verdict = verdict and _matches(operand, features)
            else:
                verdict = verdict or _matches(operand, features)
        return verdict

    def names(self) -> set[str]:
        """Every feature that is named."""
        found: set[str] = set()
        for operand in (self.first, *(operand for _, operand in self.rest)):
            found |= operand.names() if isinstance(operand, Group) else {operand}
        return found


def _matches(operand: "Group | str", features: Collection[str]) -> bool:
    return operand.matches(features) if isinstance(operand, Group) else operand in features


def parse(text: str) -> Group | None:
    """The expression, None for an empty one.

    Raises Refused (2029) for what Slurm doesn't read: nested parentheses, dangling operators.
    """
    if not text.strip():
        return None
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != re.sub(r"\s", "", text):
        raise Refused(INVALID_FEATURE)
    group, rest = _group(tokens, depth=0)
    if rest:
        raise Refused(INVALID_FEATURE)
    return group


def _group(tokens: list[str], *, depth: int) -> tuple[Group, list[str]]:
    first, tokens = _operand(tokens, depth=depth)
    rest: list[tuple[str, Group | str]] = []
    while tokens and tokens[0] in "&|":
        operand, after = _operand(tokens[1:], depth=depth)
        rest.append((tokens[0], operand))
        tokens = after
    return Group(first, tuple(rest)), tokens


def _operand(tokens: list[str], *, depth: int) -> tuple[Group | str, list[str]]:
    if not tokens or tokens[0] in ("&", "|", ")", "]"):
        raise Refused(INVALID_FEATURE)
    if tokens[0] not in ("(", "["):
        return tokens[0].partition("*")[0], tokens[1:]
    if depth:
        raise Refused(INVALID_FEATURE)
    closing = ")" if tokens[0] == "(" else "]"
    group, rest = _group(tokens[1:], depth=depth + 1)
    if not rest or rest[0] != closing:
        raise Refused(INVALID_FEATURE)
    return Group(group.first, group.rest, same_for_all=closing == "]"), rest[1:]
