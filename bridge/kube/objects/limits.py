"""How much a pod may ask of placement: counts of what every node is asked about, and its words.

The API server bounds none of these lists (an object has 1.5 MiB, which are 20,000 terms), and
checks nothing of a pod template inside a CRD. Admission has the same bounds (`validate`).
"""

from collections.abc import Iterable, Sequence

from bridge.errors import BadInput
from bridge.kube.objects import wire
from bridge.model import bounds
from bridge.model.resources import Resources
from bridge.model.scheduling import HostPort

_LABELS = "spec.nodeSelector"
_TOLERATIONS = "spec.tolerations"
_TERMS = "spec.affinity.nodeAffinity"
_TOPOLOGY = "spec.affinity"


def check_counts(spec: wire.PodSpec) -> None:
    """Raises BadInput for too many containers, labels, tolerations, or terms. Looks at no item."""
    for which, containers in (
        ("spec.containers", spec.get("containers")),
        ("spec.initContainers", spec.get("initContainers")),
    ):
        _check(which, len(containers or ()), bounds.MOST_CONTAINERS, "containers")
    _check(_LABELS, len(spec.get("nodeSelector") or ()), bounds.MOST_REQUIREMENTS, "labels")
    tolerations = spec.get("tolerations") or ()
    _check(_TOLERATIONS, len(tolerations), bounds.MOST_REQUIREMENTS, "tolerations")
    required = required_terms((spec.get("affinity") or {}).get("nodeAffinity"))
    if required is not None:
        _check_terms(required)


def required_terms(affinity: wire.NodeAffinity | None) -> wire.NodeSelector | None:
    """What a node affinity requires; None for nothing."""
    return (affinity or {}).get("requiredDuringSchedulingIgnoredDuringExecution")


def check_amounts(asked: Resources, ports: Sequence[HostPort]) -> None:
    """Raises BadInput for too many resources or ports, and for what can't be a resource's name."""
    at = "spec.containers"
    _check(at, len(ports), bounds.MOST_PORTS, "host ports")
    _check(at, len(asked.extended), bounds.MOST_RESOURCES, "resources")
    for name, _ in asked.extended:
        if not bounds.is_qualified(name):
            said = f"{bounds.shown(name)} is no resource's name; write it like nvidia.com/gpu"
            raise BadInput(f"{at}: {said}", field=at)


def check_words(spec: wire.PodSpec, required: wire.NodeSelector | None) -> None:
    """Raises BadInput for words in the selectors that no label can have."""
    labels = spec.get("nodeSelector") or {}
    _check_words(_LABELS, (*labels, *labels.values()))
    for one in spec.get("tolerations") or ():
        _check_words(_TOLERATIONS, (one.get("key") or "", one.get("value") or ""))
    for expression in _expressions(required or {}):
        _check_words(_TERMS, (expression.get("key", ""), *(expression.get("values") or ())))


def check_topology(keys: Sequence[str]) -> None:
    """Raises BadInput for too many topology keys, and for one that no label can have."""
    _check(_TOPOLOGY, len(keys), bounds.MOST_TERMS, "topology keys")
    _check_words(_TOPOLOGY, keys)


def _check_terms(required: wire.NodeSelector) -> None:
    terms = required.get("nodeSelectorTerms") or ()
    _check(_TERMS, len(terms), bounds.MOST_TERMS, "terms")
    lists = [term.get("matchExpressions") or () for term in terms]
    lists += [term.get("matchFields") or () for term in terms]
    _check(_TERMS, sum(map(len, lists)), bounds.MOST_REQUIREMENTS, "requirements")
    values = sum(len(one.get("values") or ()) for one in _expressions(required))
    _check(_TERMS, values, bounds.MOST_WORDS, "values")


def _expressions(required: wire.NodeSelector) -> list[wire.Expression]:
    expressions: list[wire.Expression] = []
    for term in required.get("nodeSelectorTerms") or ():
        expressions += term.get("matchExpressions") or ()
        expressions += term.get("matchFields") or ()
    return expressions


def _check(at: str, count: int, most: int, what: str) -> None:
    bounds.check_count(count, most, what, field=at)


def _check_words(at: str, words: Iterable[str]) -> None:
    for word in words:
        if len(word) > bounds.LONGEST_KEY or not word.isprintable():
            raise BadInput(f"{at}: {bounds.shown(word)} is no label's key or value", field=at)
