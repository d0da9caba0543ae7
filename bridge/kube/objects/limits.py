"""How much a pod may ask of placement: counts of what every node is asked about, and its words.

The API server bounds none of these lists (an object has 1.5 MiB, which are 20,000 terms), and
checks nothing of a pod template inside a CRD. Admission has the same bounds (`validate`).
"""

from collections.abc import Iterable, Sequence

from bridge.errors import BadInput
from bridge.kube.objects import pod_terms, wire
from bridge.model import bounds
from bridge.model.resources import Resources
from bridge.model.scheduling import HostPort

_LABELS = "spec.nodeSelector"
_TOLERATIONS = "spec.tolerations"
_TERMS = "spec.affinity.nodeAffinity"
_POD_TERMS = "spec.affinity.podAffinity, podAntiAffinity and spec.topologySpreadConstraints"


def check_counts(spec: wire.PodSpec) -> None:
    """Raises BadInput for too many containers, labels, tolerations, or terms about nodes."""
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


def check_pod_terms(found: pod_terms.PodTerms | None) -> None:
    """Raises BadInput for too many terms about other pods, for too much in them, and for words that
    no label can have.
    """
    if found is None:
        return
    terms = [*found["affinity"], *found["anti_affinity"]]
    count = len(terms) + len(found["spread"])
    _check(_POD_TERMS, count, bounds.MOST_TERMS, "terms about other pods")
    selectors = [one.get("labelSelector") for one in (*terms, *found["spread"])]
    selectors += [term.get("namespaceSelector") for term in terms]
    keys = [one.get("matchLabelKeys") or [] for one in (*terms, *found["spread"])]
    keys += [term.get("mismatchLabelKeys") or [] for term in terms]
    requirements = sum(map(len, keys)) + sum(map(_requirements, selectors))
    _check(_POD_TERMS, requirements, bounds.MOST_POD_REQUIREMENTS, "requirements on other pods")
    words = [word for selector in selectors for word in _words(selector)]
    words += [name for term in terms for name in term.get("namespaces") or ()]
    _check(_POD_TERMS, len(words), bounds.MOST_POD_WORDS, "values and namespaces of other pods")
    topology = [one.get("topologyKey", "") for one in (*terms, *found["spread"])]
    _check_words(_POD_TERMS, (*words, *topology, *(key for some in keys for key in some)))
    for selector in selectors:
        _check_words(_POD_TERMS, _selector_keys(selector))


def _requirements(selector: wire.LabelSelector | None) -> int:
    found: wire.LabelSelector = selector or {}
    return len(found.get("matchLabels") or ()) + len(found.get("matchExpressions") or ())


def _words(selector: wire.LabelSelector | None) -> list[str]:
    found: wire.LabelSelector = selector or {}
    words = list((found.get("matchLabels") or {}).values())
    for expression in found.get("matchExpressions") or ():
        words += expression.get("values") or ()
    return words


def _selector_keys(selector: wire.LabelSelector | None) -> list[str]:
    found: wire.LabelSelector = selector or {}
    expressions = found.get("matchExpressions") or ()
    return [*(found.get("matchLabels") or {}), *(one.get("key", "") for one in expressions)]


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
