"""Node selector terms from and to the wire; the pin: terms narrowed to one node. Pure.

Terms are ORed, so the node must stand in every one; and a term without any requirement matches no
node, so it must stay empty, or the pin would open what the user closed. The API server holds the
same rule for gated pods: requirements may be added to terms, nothing else.
"""

import sys
from collections.abc import Sequence
from typing import Any

from bridge.errors import BadInput
from bridge.kube.objects import wire
from bridge.model.ids import NodeName
from bridge.model.scheduling import NodeSelectorTerm, Requirement


def narrowed(
    terms: Sequence[NodeSelectorTerm] | None, node: NodeName
) -> tuple[NodeSelectorTerm, ...]:
    """The terms of a pod that may run on `node` only. Narrowing twice is narrowing once."""
    here = Requirement(key="metadata.name", operator="In", values=(node,))
    if not terms:
        return (NodeSelectorTerm(fields=(here,)),)
    return tuple(
        NodeSelectorTerm(term.expressions, (*term.fields, here))
        if (term.expressions or term.fields) and here not in term.fields
        else term
        for term in terms
    )


def of_wire(selector: wire.NodeSelector, *, at: str) -> tuple[NodeSelectorTerm, ...]:
    """The terms of a node selector that stands at the path `at`. Raises BadInput."""
    return tuple(
        NodeSelectorTerm(
            expressions=tuple(_parsed(one, at=at) for one in term.get("matchExpressions") or ()),
            fields=tuple(_parsed(one, at=at) for one in term.get("matchFields") or ()),
        )
        for term in selector.get("nodeSelectorTerms") or ()
    )


def _parsed(expression: wire.Expression, *, at: str) -> Requirement:
    try:
        key, operator = expression["key"], expression["operator"]
    except KeyError as missing:
        raise BadInput(f"{at}: an expression without {missing}", field=at) from None
    values = tuple(sys.intern(value) for value in expression.get("values") or ())
    return Requirement(key=sys.intern(key), operator=operator, values=values)


def to_wire(terms: Sequence[NodeSelectorTerm]) -> dict[str, Any]:
    """spec.affinity for a merge patch: only the required node affinity is touched."""
    return {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [_term(term) for term in terms]
            }
        }
    }


def _term(term: NodeSelectorTerm) -> dict[str, Any]:
    return {
        name: [_requirement(one) for one in requirements]
        for name, requirements in (
            ("matchExpressions", term.expressions),
            ("matchFields", term.fields),
        )
        if requirements
    }


def _requirement(one: Requirement) -> dict[str, Any]:
    written: dict[str, Any] = {"key": one.key, "operator": one.operator}
    if one.values:
        written["values"] = list(one.values)
    return written
