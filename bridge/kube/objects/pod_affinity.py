"""Required pod affinity and anti-affinity of a template among its own pods, as topology keys.

A term counts where its selector matches the pod's own labels in its own namespace: it then holds
between the pods of a gang, which are placed before kube-scheduler sees the first of them. Terms
about other pods are left to kube-scheduler.
"""

from collections.abc import Mapping

from bridge import label_selectors
from bridge.errors import BadInput
from bridge.kube.objects import wire


def topology_keys(
    terms: list[wire.PodTerm] | None, labels: Mapping[str, str], namespace: str
) -> tuple[str, ...]:
    """The topology keys of the terms that match a pod with these labels, sorted, each once."""
    keys = {
        term.get("topologyKey", "")
        for term in terms or ()
        if _in_namespace(term, namespace) and _selects(term, labels)
    }
    return tuple(sorted(keys - {""}))


def _in_namespace(term: wire.PodTerm, namespace: str) -> bool:
    """Without any mention, the pod's own; a namespace selector is taken to match (its labels are
    not known here, and placing stricter than needed is the safe side).
    """
    names = term.get("namespaces") or []
    return term.get("namespaceSelector") is not None or not names or namespace in names


def _selects(term: wire.PodTerm, labels: Mapping[str, str]) -> bool:
    """Kubernetes' rule: no selector matches nothing, an empty one everything.

    `matchLabelKeys` need no look: a pod has its own labels' values. A `mismatchLabelKeys` that
    the pod has excludes it.
    """
    selector = term.get("labelSelector")
    if selector is None or any(key in labels for key in term.get("mismatchLabelKeys") or ()):
        return False
    try:
        return label_selectors.matches(label_selectors.parse(selector), labels)
    except BadInput:
        return False  # in a template that nobody has checked: its pods will be refused
