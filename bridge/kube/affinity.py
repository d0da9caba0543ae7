"""The pin: a pod's required node affinity, narrowed to one node. Pure.

Terms are ORed, so the node must stand in every one; and a term without any requirement matches no
node, so it must stay empty, or the pin would open what the user closed. The API server holds the
same rule for gated pods: requirements may be added to terms, nothing else.
"""

from collections.abc import Sequence
from typing import Any

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
    wire: dict[str, Any] = {"key": one.key, "operator": one.operator}
    if one.values:
        wire["values"] = list(one.values)
    return wire
