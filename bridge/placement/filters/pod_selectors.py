"""Selectors of pods: on which nodes pods are that they select, and whom required anti-affinity
keeps away.

Kubernetes' rules (kube-scheduler `AffinityTerm.Matches`, apimachinery `labels.Requirement`). A
selector is asked about each distinct label set once, and then of all pods at once.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from bridge import label_selectors
from bridge.model.pod_identity import NUMBERING, LabelSet, PodIdentity
from bridge.model.scheduling import PodSelector, PodShape, PodTerm, Requirement
from bridge.placement.table.interning import Bools
from bridge.placement.table.namespaces import Namespaces
from bridge.placement.table.placed_pods import Template
from bridge.placement.table.snapshot import Snapshot

Counts = npt.NDArray[np.int64]


def selects(namespaces: Namespaces, selector: PodSelector, pod: PodIdentity) -> bool:
    """Whether the selector, of a pod that is to be placed, selects the pod."""
    if selector.labels is None:
        return False
    among = _namespaces(namespaces, selector)
    return (among is None or pod.namespace in among) and label_selectors.matches(
        selector.labels, pod.all_labels()
    )


def keys_apart(namespaces: Namespaces, shape: PodShape, pod: PodIdentity | None) -> tuple[str, ...]:
    """The topology keys by which pods of this shape and identity keep away from each other."""
    if pod is None:
        return ()
    terms = (one for one in shape.pod_anti_affinity if selects(namespaces, one.selector, pod))
    return tuple(sorted({term.topology_key for term in terms}))


def placed(snapshot: Snapshot, selectors: Sequence[PodSelector], *, ending: bool) -> Counts:
    """(n,) int64: how many pods on each node all of the selectors select.

    If `ending` is False, pods that are being deleted do not count.
    """
    pods = snapshot.placed
    chosen = np.ones(len(pods.row), dtype=np.bool_)
    for selector in selectors:
        chosen &= _selected(snapshot, selector)
    if not ending:
        chosen &= ~pods.ending
    return np.bincount(pods.row[chosen], minlength=snapshot.size)


def keeping_away(
    snapshot: Snapshot, pod: PodIdentity, *, ending: bool
) -> Mapping[PodTerm, npt.NDArray[np.intp]]:
    """The terms by which placed pods keep this pod away → the rows of these pods.

    If `ending` is False, pods that are being deleted do not count.
    """
    return snapshot.memo.remember(
        ("away", pod, ending), lambda: _keeping_away(snapshot, pod, ending)
    )


def _selected(snapshot: Snapshot, selector: PodSelector) -> Bools:
    """(places,) bool: the selector selects the pod there."""
    pods = snapshot.placed
    if selector.labels is None:
        return np.zeros(len(pods.row), dtype=np.bool_)
    shared = tuple(one for one in selector.labels if one.key not in NUMBERING)
    own = tuple(one for one in selector.labels if one.key in NUMBERING)
    homes = _namespaces(snapshot.namespaces, selector)

    def template_meets(template: Template) -> bool:
        return _meets(shared, template[1])

    of_template = pods.templates.verdicts((shared, homes), template_meets, homes)
    chosen: Bools = of_template[pods.template]
    if own:
        of_own = pods.owns.verdicts(own, lambda labels: _meets(own, labels)).copy()
        of_own[0] = _meets(own, pods.owns.values[0])  # pods that nothing numbers are pods too
        chosen &= of_own[pods.own]
    return chosen


def _keeping_away(
    snapshot: Snapshot, pod: PodIdentity, ending: bool
) -> Mapping[PodTerm, npt.NDArray[np.intp]]:
    pods, namespaces = snapshot.placed, snapshot.namespaces
    if len(pods.terms.values) == 1:
        return {}
    labels = pod.all_labels()
    of_namespace = tuple(sorted(namespaces.labels_of(pod.namespace).items()))

    def away(term: PodTerm) -> bool:
        selector = term.selector
        return (
            selector.labels is not None
            and _in_namespace(namespaces, selector, pod.namespace)
            and label_selectors.matches(selector.labels, labels)
        )

    holds = pods.terms.verdicts((pod, of_namespace), lambda terms: any(map(away, terms)))
    if not holds.any():
        return {}
    keepers = holds[pods.keeps]
    if not ending:
        keepers = keepers & ~pods.ending
    rows: dict[PodTerm, list[npt.NDArray[np.intp]]] = {}
    places = np.flatnonzero(keepers)
    numbers = pods.keeps[places]
    for number in np.unique(numbers).tolist():
        there = pods.row[places[numbers == number]].astype(np.intp)
        for term in pods.terms.values[number]:
            if away(term):
                rows.setdefault(term, []).append(there)
    return {term: np.unique(np.concatenate(parts)) for term, parts in rows.items()}


def _meets(requirements: Iterable[Requirement], labels: LabelSet) -> bool:
    return label_selectors.matches(requirements, dict(labels))


def _in_namespace(namespaces: Namespaces, selector: PodSelector, name: str) -> bool:
    """For a term of a placed pod: a namespace that is not known has no labels
    (`GetNamespaceLabelsSnapshot`). For the pod that comes, only those that exist count.
    """
    if name in selector.namespaces:
        return True
    wanted = selector.namespace_selector
    return wanted is not None and label_selectors.matches(wanted, namespaces.labels_of(name))


def _namespaces(namespaces: Namespaces, selector: PodSelector) -> tuple[str, ...] | None:
    """The namespaces that the selector is about, sorted; None for all."""
    wanted = selector.namespace_selector
    if wanted is None:
        return selector.namespaces
    if not wanted:
        return None
    found = namespaces.selected(wanted, lambda labels: label_selectors.matches(wanted, labels))
    return tuple(sorted(found.union(selector.namespaces)))
