"""What Kubernetes' own scheduler reads of a pod: selectors, taints, tolerations, the shape."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from bridge import names
from bridge.label_selectors import Operator as Operator
from bridge.label_selectors import Requirement as Requirement
from bridge.model.resources import Resources

_DECIMAL = re.compile(r"0|-?[1-9][0-9]{0,18}")
TaintEffect = Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]


@dataclass(frozen=True, slots=True)
class Taint:
    """A node's taint."""

    key: str
    value: str
    effect: TaintEffect

    @classmethod
    def managed(cls, scheduler_name: str) -> "Taint":
        """That of a node which Slurm decides about: pods that do not wait in Slurm keep away."""
        return cls(names.MANAGED_NODE_TAINT, scheduler_name, "NoExecute")

    @classmethod
    def drained(cls) -> "Taint":
        """That of a node which an admin has taken out of use in Slurm: pods that do not wait in
        Slurm keep away, and those that Slurm has placed there go on."""
        return cls(names.DRAINED_TAINT, "", "NoSchedule")


@dataclass(frozen=True, slots=True)
class Toleration:
    """A pod's toleration; empty `key` with Exists tolerates all, empty `effect` all effects."""

    key: str = ""
    operator: Literal["Equal", "Exists", "Lt", "Gt"] = "Equal"
    value: str = ""
    effect: TaintEffect | Literal[""] = ""

    @classmethod
    def managed(cls, scheduler_name: str) -> "Toleration":
        """Lets a pod onto the nodes that Slurm decides about."""
        return cls(names.MANAGED_NODE_TAINT, "Equal", scheduler_name, "NoExecute")

    @classmethod
    def drained(cls) -> "Toleration":
        """Lets a pod that Slurm has placed onto a node that is drained there."""
        return cls(names.DRAINED_TAINT, "Exists", "", "NoSchedule")

    @classmethod
    def ours(cls, scheduler_name: str) -> tuple["Toleration", ...]:
        """Those that every pod of ours has."""
        return (cls.managed(scheduler_name), cls.drained())

    def tolerates(self, taint: Taint) -> bool:
        """Kubernetes' rule (v1 `ToleratesTaint`; Gt and Lt are behind a feature gate there)."""
        if self.effect and self.effect != taint.effect:
            return False
        if self.key and self.key != taint.key:
            return False
        if self.operator == "Exists":
            return True
        if self.operator == "Equal":
            return bool(self.key) and self.value == taint.value
        return _compares(self.operator, taint.value, self.value)


def in_order(tolerations: Iterable[Toleration]) -> tuple[Toleration, ...]:
    """Each once, in one order: pods that tolerate the same are alike however they say it."""
    return tuple(
        sorted(set(tolerations), key=lambda one: (one.key, one.operator, one.value, one.effect))
    )


def _compares(operator: Literal["Gt", "Lt"], taint: str, toleration: str) -> bool:
    """Decimal 64-bit integers without sign or zeros in front; anything else tolerates nothing."""
    if not all(_DECIMAL.fullmatch(text) for text in (taint, toleration)):
        return False
    mine, limit = int(taint), int(toleration)
    if not all(-(2**63) <= value < 2**63 for value in (mine, limit)):
        return False
    return mine > limit if operator == "Gt" else mine < limit


@dataclass(frozen=True, slots=True)
class NodeSelectorTerm:
    """All of its expressions (on labels) and fields (only metadata.name) must match.

    A term with neither matches no node (Kubernetes' rule).
    """

    expressions: tuple[Requirement, ...] = ()
    fields: tuple[Requirement, ...] = ()

    def without_node(self, node: str) -> "NodeSelectorTerm":
        """The term without the demand for just this node, by its name."""
        here = Requirement(key="metadata.name", operator="In", values=(node,))
        return replace(self, fields=tuple(one for one in self.fields if one != here))


@dataclass(frozen=True, slots=True)
class HostPort:
    """A port of the node that a pod takes; `host_ip` "" and "0.0.0.0" mean every address."""

    port: int
    protocol: str = "TCP"
    host_ip: str = ""


@dataclass(frozen=True, slots=True)
class PodSelector:
    """Pods, by their namespace and their labels.

    A namespace counts if `namespaces` names it or if its labels meet `namespace_selector` (None: no
    further namespace; without requirements: every one). `labels` are the requirements on the pods'
    labels (None: no pod at all; without requirements: every pod).
    """

    namespaces: tuple[str, ...] = ()
    labels: tuple[Requirement, ...] | None = ()
    namespace_selector: tuple[Requirement, ...] | None = None


@dataclass(frozen=True, slots=True)
class PodTerm:
    """A required term of a pod affinity or anti-affinity; a domain is the nodes with one value of
    the label `topology_key`.
    """

    topology_key: str
    selector: PodSelector


InclusionPolicy = Literal["Honor", "Ignore"]


@dataclass(frozen=True, slots=True)
class SpreadConstraint:
    """A topology spread constraint with DoNotSchedule.

    No domain may have more than `max_skew` selected pods more than the domain with the fewest; that
    counts as 0 where there are fewer than `min_domains`. The policies say whether nodes that the
    pod's node affinity, or their taints, keep it off make domains too.
    """

    topology_key: str
    max_skew: int
    selector: PodSelector
    min_domains: int = 1
    node_affinity_policy: InclusionPolicy = "Honor"
    node_taints_policy: InclusionPolicy = "Ignore"


@dataclass(frozen=True, slots=True)
class PodShape:
    """All of a pod that decides where it may run; equal for pods of one template.

    Hashable, so that what is computed for a shape is computed once. `affinity_terms` are the
    required node affinity terms, ORed; None means no requirement (an empty tuple matches no node).
    `volume_terms` are, for each volume that is bound, the ORed terms of its node affinity: all
    volumes must be reachable. `pod_affinity`, `pod_anti_affinity` and `spread` say beside which
    other pods it may run; only what is required counts.
    """

    requests: Resources = Resources()
    node_selector: tuple[tuple[str, str], ...] = ()
    affinity_terms: tuple[NodeSelectorTerm, ...] | None = None
    tolerations: tuple[Toleration, ...] = ()
    host_ports: tuple[HostPort, ...] = field(default=())
    volume_terms: tuple[tuple[NodeSelectorTerm, ...], ...] = ()
    pod_affinity: tuple[PodTerm, ...] = ()
    pod_anti_affinity: tuple[PodTerm, ...] = ()
    spread: tuple[SpreadConstraint, ...] = ()

    @property
    def pod_terms(self) -> int:
        """How many terms it has about other pods."""
        return len(self.pod_affinity) + len(self.pod_anti_affinity) + len(self.spread)

    @property
    def without_pod_terms(self) -> "PodShape":
        """The shape without what it says about other pods."""
        if not self.pod_terms:
            return self
        return replace(self, pod_affinity=(), pod_anti_affinity=(), spread=())
