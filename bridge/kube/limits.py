"""How much a pod may ask of placement: counts of what every node is asked about, and its words.

The API server bounds none of these lists (an object has 1.5 MiB, which are 20,000 terms), and
checks nothing of a pod template inside a CRD. Admission has the same bounds (`validate`).
"""

from collections.abc import Iterable, Sequence

from bridge.errors import BadInput
from bridge.kube import wire
from bridge.model import bounds
from bridge.model.resources import Resources
from bridge.model.scheduling import HostPort


def check_amounts(asked: Resources, ports: Sequence[HostPort]) -> None:
    """Raises BadInput for too many resources or ports, and for what can't be a resource's name."""
    at = "spec.containers"
    bounds.check_count(len(ports), bounds.MOST_PORTS, "host ports", field=at)
    bounds.check_count(len(asked.extended), bounds.MOST_RESOURCES, "resources", field=at)
    for name, _ in asked.extended:
        if not bounds.is_qualified(name):
            said = f"{bounds.shown(name)} is no resource's name; write it like nvidia.com/gpu"
            raise BadInput(f"{at}: {said}", field=at)


def check_containers(spec: wire.PodSpec) -> None:
    """Raises BadInput for more containers than are read."""
    own, before = spec.get("containers") or (), spec.get("initContainers") or ()
    _check("spec.containers", len(own), bounds.MOST_CONTAINERS, "containers")
    _check("spec.initContainers", len(before), bounds.MOST_CONTAINERS, "containers")


def check_selectors(spec: wire.PodSpec, topology_keys: Sequence[str]) -> None:
    """Raises BadInput for too many labels, tolerations or topology keys, and for words that no
    label can have."""
    labels = spec.get("nodeSelector") or {}
    _check("spec.nodeSelector", len(labels), bounds.MOST_REQUIREMENTS, "labels")
    _check_words("spec.nodeSelector", (*labels, *labels.values()))
    tolerations = spec.get("tolerations") or ()
    _check("spec.tolerations", len(tolerations), bounds.MOST_REQUIREMENTS, "tolerations")
    _check_words("spec.tolerations", (one.get("key") or "" for one in tolerations))
    _check_words("spec.tolerations", (one.get("value") or "" for one in tolerations))
    _check("spec.affinity", len(topology_keys), bounds.MOST_TERMS, "topology keys")
    _check_words("spec.affinity", topology_keys)


def check_terms(required: wire.NodeSelector, *, at: str) -> None:
    """Raises BadInput for too many terms, requirements or values, and for words as above."""
    terms = required.get("nodeSelectorTerms") or ()
    _check(at, len(terms), bounds.MOST_TERMS, "terms")
    expressions: list[wire.Expression] = []
    for term in terms:
        expressions += term.get("matchExpressions") or ()
        expressions += term.get("matchFields") or ()
    _check(at, len(expressions), bounds.MOST_REQUIREMENTS, "requirements")
    values = [value for one in expressions for value in one.get("values") or ()]
    _check(at, len(values), bounds.MOST_WORDS, "values")
    _check_words(at, (one.get("key", "") for one in expressions))
    _check_words(at, values)


def _check(at: str, count: int, most: int, what: str) -> None:
    bounds.check_count(count, most, what, field=at)


def _check_words(at: str, words: Iterable[str]) -> None:
    for word in words:
        if len(word) > bounds.LONGEST_KEY or not word.isprintable():
            raise BadInput(f"{at}: {bounds.shown(word)} is no label's key or value", field=at)
