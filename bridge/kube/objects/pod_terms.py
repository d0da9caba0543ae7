"""What a pod requires of the pods beside it: pod affinity, anti-affinity and topology spread.

Only what is required counts: preferred terms and ScheduleAnyway never keep a pod off a node. The
selectors are made complete here. A term that names no namespace is about the pod's own, a spread
constraint always is. `matchLabelKeys` and `mismatchLabelKeys` become requirements with the pod's
own values, as the API server makes them when a pod is created (`applyMatchLabelKeys…`): a template
has them unmerged. Keys of labels that the pod does not have say nothing.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from typing_extensions import TypedDict

from bridge import label_selectors
from bridge.errors import BadInput
from bridge.kube.objects import wire
from bridge.label_selectors import Requirement
from bridge.model import bounds
from bridge.model.scheduling import InclusionPolicy, PodSelector, PodTerm, SpreadConstraint

_DO_NOT_SCHEDULE: Final = "DoNotSchedule"


class PodTerms(TypedDict):
    """The parts of a pod that decide beside which pods it may run, as they are remembered."""

    affinity: list[wire.PodTerm]
    anti_affinity: list[wire.PodTerm]
    spread: list[wire.SpreadWire]
    namespace: str
    labels: dict[str, str]
    """The labels that `matchLabelKeys` and `mismatchLabelKeys` name."""


def required(affinity: wire.PodAffinity | None) -> list[wire.PodTerm]:
    """The required terms of an affinity or an anti-affinity."""
    return (affinity or {}).get("requiredDuringSchedulingIgnoredDuringExecution") or []


def required_spread(spec: wire.PodSpec) -> list[wire.SpreadWire]:
    """The constraints that keep a pod off a node."""
    found = spec.get("topologySpreadConstraints") or []
    return [one for one in found if one.get("whenUnsatisfiable") == _DO_NOT_SCHEDULE]


def picked(spec: wire.PodSpec, meta: wire.Meta | None) -> PodTerms | None:
    """What `spec` requires of other pods; None if it is nothing."""
    wished = spec.get("affinity") or {}
    affinity, anti_affinity = (
        required(wished.get("podAffinity")),
        required(wished.get("podAntiAffinity")),
    )
    spread = required_spread(spec)
    if meta is None or not (affinity or anti_affinity or spread):
        return None
    labels = meta.get("labels") or {}
    named = [key for term in (*affinity, *anti_affinity) for key in _keys(term)]
    named += [key for one in spread for key in one.get("matchLabelKeys") or ()]
    return PodTerms(
        affinity=affinity,
        anti_affinity=anti_affinity,
        spread=spread,
        namespace=meta.get("namespace", ""),
        labels={key: labels[key] for key in sorted(set(named)) if key in labels},
    )


def terms(found: Iterable[wire.PodTerm], beside: PodTerms) -> tuple[PodTerm, ...]:
    """The required terms of one list, each once."""
    read = (
        PodTerm(term.get("topologyKey", ""), _selector(term, beside))
        for term in found
        if term.get("topologyKey")
    )
    return tuple(dict.fromkeys(read))


def spread(beside: PodTerms) -> tuple[SpreadConstraint, ...]:
    """The spread constraints, each once."""
    read = (_constraint(one, beside) for one in beside["spread"] if one.get("topologyKey"))
    return tuple(dict.fromkeys(read))


def _keys(term: wire.PodTerm) -> list[str]:
    return [*(term.get("matchLabelKeys") or ()), *(term.get("mismatchLabelKeys") or ())]


def _selector(term: wire.PodTerm, beside: PodTerms) -> PodSelector:
    named, selector = term.get("namespaces") or [], term.get("namespaceSelector")
    if not named and selector is None:
        named = [beside["namespace"]]
    added = _of_keys(term.get("matchLabelKeys"), "In", beside["labels"])
    added += _of_keys(term.get("mismatchLabelKeys"), "NotIn", beside["labels"])
    return PodSelector(
        namespaces=tuple(sorted(set(named))),
        labels=_requirements(term.get("labelSelector"), added),
        namespace_selector=_requirements(selector, []),
    )


def _constraint(one: wire.SpreadWire, beside: PodTerms) -> SpreadConstraint:
    added = _of_keys(one.get("matchLabelKeys"), "In", beside["labels"])
    return SpreadConstraint(
        topology_key=one.get("topologyKey", ""),
        max_skew=min(max(1, one.get("maxSkew", 1)), bounds.MOST_PODS),
        selector=PodSelector(
            (beside["namespace"],), labels=_requirements(one.get("labelSelector"), added)
        ),
        min_domains=min(max(1, one.get("minDomains") or 1), bounds.MOST_PODS),
        node_affinity_policy=_policy(one.get("nodeAffinityPolicy"), otherwise="Honor"),
        node_taints_policy=_policy(one.get("nodeTaintsPolicy"), otherwise="Ignore"),
    )


def _policy(text: str | None, *, otherwise: InclusionPolicy) -> InclusionPolicy:
    match text:
        case "Honor" | "Ignore":
            return text
        case _:
            return otherwise


def _of_keys(
    keys: Iterable[str] | None, operator: Any, labels: Mapping[str, str]
) -> list[Requirement]:
    return [Requirement(key, operator, (labels[key],)) for key in keys or () if key in labels]


def _requirements(
    selector: wire.LabelSelector | None, added: list[Requirement]
) -> tuple[Requirement, ...] | None:
    """Each once, in one order, so that equal selectors are equal values. No selector selects
    nothing; nor does one of a template that nobody has checked: its pods will be refused.
    """
    if selector is None:
        return None
    try:
        found = {*label_selectors.parse(selector), *added}
    except BadInput:
        return None
    return tuple(sorted(found, key=lambda one: (one.key, one.operator, one.values)))
