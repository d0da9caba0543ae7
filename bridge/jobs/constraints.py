"""The user's `constraints` and the node classes as one constraint of the job.

A class whose nodes all satisfy the wish stands for it, one whose nodes don't is left out. Where an
admin gave some nodes of a class features that others lack, the wish is passed on beside the classes
and Slurm judges node by node. `[x|y]`, all nodes the same one, is always passed on: no class can
say it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from bridge.errors import BadInput
from bridge.gangs.languages import constraints as language
from bridge.gangs.languages.constraints import Clause, Expression
from bridge.model import bounds, spelling
from bridge.state.slurm_facts import NodeFacts


@dataclass(frozen=True, slots=True)
class Constraint:
    """The text for Slurm, and the node classes that are left."""

    text: str
    classes: tuple[str, ...]
    wish: Expression = Expression()


def build(classes: Sequence[str], wish: str, *, facts: NodeFacts, nodes: int) -> Constraint:
    """The constraint of a job that may run in `classes`, on up to `nodes` nodes.

    Raises BadInput if nothing satisfies `wish`; the message says where to look.
    """
    if not wish:
        return Constraint("|".join(classes), tuple(classes))
    wished = language.parse(wish)
    if nodes == 1 and wished.same:
        wished = wished.with_same_as_or()
    if not facts.kinds:
        return Constraint(_said(classes, wished), tuple(classes), wished)
    wished = _known(wished, {f for kind in facts.kinds for f in kind.features}, wish)
    kinds = facts.of(classes) if classes else facts.kinds
    fitting = [kind for kind in kinds if wished.fits(kind.features)]
    if not fitting:
        raise BadInput(
            f"annotation {language.KEY}: no node that can take the pod has the features "
            f"{bounds.shown(wish)}; compare them with `sinfo -o '%n %f'`, or leave some out",
            field=language.FIELD,
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
            f"annotation {language.KEY}: no node in Slurm has feature "
            f"{' or '.join(sorted(clause))} of {bounds.shown(wish)}{advice}",
            field=language.FIELD,
        )

    same = reduced(wished.same) if wished.same else wished.same
    clauses = tuple(map(reduced, wished.clauses))
    left = Expression(clauses, same)
    return left.with_same_as_or() if len(same) == 1 else left
