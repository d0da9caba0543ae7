"""What a pod asks of a node, and whether a node can take it (pure).

The questions of kube-scheduler's filter plugins and of the kubelet's admission; the answers are
the sentences that both put into status and events.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from bridge.errors import BadInput
from bridge.model.resources import Resources
from bridge.model.scheduling import HostPort, Taint, Toleration
from bridge.sim.kube import taints
from bridge.sim.kube.apiserver.objects import Object
from bridge.sim.kube.apiserver.selectors import Requirement

_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
AFFINITY: Final = "node(s) didn't match Pod's node affinity/selector"
TAINTED: Final = "node(s) had untolerated taint(s)"
UNSCHEDULABLE: Final = "node(s) were unschedulable"
NO_PORTS: Final = "node(s) didn't have free ports for the requested pod ports"
TOO_MANY: Final = "Too many pods"


@dataclass(frozen=True, slots=True)
class Demand:
    """All that decides where a pod may run, read once."""

    requests: Resources
    ports: frozenset[HostPort]
    selector: tuple[Requirement, ...]
    terms: tuple[tuple[tuple[Requirement, ...], tuple[Requirement, ...]], ...] | None
    """Required node affinity: ORed pairs of (label, field) requirements; None is no wish."""
    tolerations: tuple[Toleration, ...]

    @property
    def only_nodes(self) -> frozenset[str] | None:
        """The nodes that the pod names itself (pinned); None when it names none."""
        if self.terms is None:
            return None
        names: set[str] = set()
        for _, fields in self.terms:
            wanted = [set(one.values) for one in fields if one.operator == "In"]
            if not wanted:
                return None
            names |= set.intersection(*wanted)
        return frozenset(names)


@dataclass(slots=True)
class Usage:
    """What the pods of one node take together."""

    resources: Resources = Resources()
    pods: int = 0
    ports: frozenset[HostPort] = frozenset()


def of_pod(pod: Object) -> Demand:
    """Read a pod's demand."""
    spec = pod["spec"]
    affinity = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(_REQUIRED)
    terms = None
    if affinity is not None:
        terms = tuple(
            (
                _requirements(term.get("matchExpressions")),
                _requirements(term.get("matchFields")),
            )
            for term in affinity.get("nodeSelectorTerms") or ()
        )
    return Demand(
        requests=requests(spec),
        ports=_ports(spec),
        selector=tuple(
            Requirement(key, "In", (value,))
            for key, value in (spec.get("nodeSelector") or {}).items()
        ),
        terms=terms,
        tolerations=tuple(one for one, _ in taints.of_pod(pod)),
    )


def requests(spec: Object) -> Resources:
    """A pod's requests: the sum of its containers, or its largest init container, plus overhead.

    Sidecars (init containers that restart) count with the containers and with every later init
    container, as in k8s.io/component-helpers.
    """
    running = Resources()
    peak = Resources()
    for container in spec.get("initContainers") or ():
        asked = _resources((container.get("resources") or {}).get("requests"))
        if container.get("restartPolicy") == "Always":
            running += asked
            peak = peak.at_least(running)
        else:
            peak = peak.at_least(running + asked)
    for container in spec.get("containers") or ():
        running += _resources((container.get("resources") or {}).get("requests"))
    total = peak.at_least(running)
    whole = (spec.get("resources") or {}).get("requests")
    if whole:
        total = total.at_least(_resources(whole))
    return total + _resources(spec.get("overhead"))


def allocatable(node: Object) -> tuple[Resources, int]:
    """What a node offers, and to how many pods."""
    amounts = (node.get("status") or {}).get("allocatable") or {}
    return _resources(amounts), int(str(amounts.get("pods", 110)))


def misfits(demand: Demand, node: Object) -> str:
    """Why the node's nature (labels, taints, cordon) excludes the pod; "" when it doesn't."""
    if (node.get("spec") or {}).get("unschedulable") and not _tolerates_cordon(demand):
        return UNSCHEDULABLE
    if not affinity_matches(demand, node):
        return AFFINITY
    if taints.untolerated(taints.of_node(node), demand.tolerations, "NoSchedule", "NoExecute"):
        return TAINTED
    return ""


def shortages(demand: Demand, node: Object, usage: Usage) -> list[str]:
    """What the node lacks for the pod beside the pods it has: "Insufficient cpu", …"""
    offered, most_pods = allocatable(node)
    reasons = [TOO_MANY] if usage.pods + 1 > most_pods else []
    reasons += [f"Insufficient {name}" for name in lacking(demand.requests, offered, usage)]
    if any(_collides(one, taken) for one in demand.ports for taken in usage.ports):
        reasons.append(NO_PORTS)
    return reasons


def lacking(asked: Resources, offered: Resources, usage: Usage) -> list[str]:
    """Names of the resources of which there is not enough left."""
    used = usage.resources
    found = []
    for name, want, have, taken in (
        ("cpu", asked.cpu_milli, offered.cpu_milli, used.cpu_milli),
        ("memory", asked.memory_bytes, offered.memory_bytes, used.memory_bytes),
        (
            "ephemeral-storage",
            asked.ephemeral_bytes,
            offered.ephemeral_bytes,
            used.ephemeral_bytes,
        ),
        *((name, amount, offered.get(name), used.get(name)) for name, amount in asked.extended),
    ):
        if want and want > have - taken:
            found.append(name)
    return found


def affinity_matches(demand: Demand, node: Object) -> bool:
    """nodeSelector and required node affinity against a node's labels and name."""
    labels: Mapping[str, str] = node["metadata"].get("labels") or {}
    if not all(one.matches(labels) for one in demand.selector):
        return False
    if demand.terms is None:
        return True
    fields = {"metadata.name": node["metadata"]["name"]}
    return any(
        (expressions or named)
        and all(one.matches(labels) for one in expressions)
        and all(one.matches(fields) for one in named)
        for expressions, named in demand.terms
    )


def _tolerates_cordon(demand: Demand) -> bool:
    taint = Taint("node.kubernetes.io/unschedulable", "", "NoSchedule")
    return any(one.tolerates(taint) for one in demand.tolerations)


def _requirements(entries: list[Object] | None) -> tuple[Requirement, ...]:
    return tuple(
        Requirement(one["key"], one["operator"], tuple(one.get("values") or ()))
        for one in entries or ()
    )


def _resources(amounts: Object | None) -> Resources:
    return _parsed(tuple((amounts or {}).items()))


@lru_cache(maxsize=4096)
def _parsed(amounts: tuple[tuple[str, str | int | float], ...]) -> Resources:
    """The pods of a Job all ask for the same, and nodes come in few sizes: read each once."""
    try:
        return Resources.parse(dict(amounts))
    except BadInput:
        return Resources()


def _ports(spec: Object) -> frozenset[HostPort]:
    return frozenset(
        HostPort(port["hostPort"], port.get("protocol") or "TCP", port.get("hostIP") or "")
        for container in spec.get("containers") or ()
        for port in container.get("ports") or ()
        if port.get("hostPort")
    )


def _collides(one: HostPort, other: HostPort) -> bool:
    if (one.port, one.protocol) != (other.port, other.protocol):
        return False
    everywhere = ("", "0.0.0.0")
    return one.host_ip == other.host_ip or one.host_ip in everywhere or other.host_ip in everywhere
