"""A pod, as far as the bridge cares: a slotted row of a few hundred bytes."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from bridge import names
from bridge.model import bounds
from bridge.model.ids import NodeName, PodUid, SlurmJobId
from bridge.model.pod_identity import PodIdentity
from bridge.model.scheduling import PodShape, Taint

_KUBELET_REFUSALS = frozenset(
    {"UnexpectedAdmissionError", "TopologyAffinityError", "NodeAffinity", "NodePorts",
     "InvalidNodeInfo"}
)  # fmt: skip

PodPhase = Literal["Pending", "Running", "Succeeded", "Failed", "Unknown"]


@dataclass(frozen=True, slots=True)
class OwnerReference:
    """The controlling owner of an object."""

    api_version: str
    kind: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition in an object's status; `status` is "True", "False" or "Unknown"."""

    type: str
    status: str
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod. `labels` and `annotations` hold only keys of our domain (OUR_DOMAIN) and the
    few of Kubernetes that we read; `identity` has the labels that selectors of pods can meet (None:
    not known, and no selector meets it).
    """

    uid: PodUid
    namespace: str
    name: str
    resource_version: str
    scheduler_name: str
    node_name: NodeName
    """"" while unbound."""
    phase: PodPhase
    shape: PodShape
    gates: tuple[str, ...] = ()
    deleting: bool = False
    owner: OwnerReference | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    identity: PodIdentity | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)
    completion_index: int | None = None
    created_s: float = 0.0
    """metadata.creationTimestamp, seconds since the epoch."""
    allocated: Condition | None = None
    """Our condition as the API server has it."""
    status_reason: str = ""
    """status.reason: OutOfcpu, UnexpectedAdmissionError, Evicted …"""
    unschedulable: str = ""
    """kube-scheduler's words while it finds no way onto any node it may use (PodScheduled)."""
    grace_s: int = 30
    active_deadline_s: int | None = None
    priority_class: str = ""
    """spec.priorityClassName."""
    subdomain: str = ""
    pod_group: str = ""
    """spec.schedulingGroup.podGroupName: the built-in PodGroup it belongs to."""
    volume_claims: tuple[str, ...] = ()
    """PersistentVolumeClaims it mounts, generic ephemeral volumes included."""
    ephemeral_claims: tuple[str, ...] = ()
    """Those of them that are of its generic ephemeral volumes: made for it, and its alone."""
    resource_claims: tuple[str, ...] = ()
    """Names of its entries in spec.resourceClaims (DRA)."""
    job_id: SlurmJobId | None = field(init=False, compare=False, repr=False)
    """The Slurm job it is pinned under, from its label; None if absent or not a number."""

    def __post_init__(self) -> None:
        # Read millions of times in a large gang's life, so not parsed at each look.
        number = bounds.number_in(self.labels.get(names.JOB_ID_LABEL), bounds.LARGEST_ID)
        object.__setattr__(self, "job_id", None if number is None else SlurmJobId(number))

    @property
    def key(self) -> str:
        """namespace/name, as users read it."""
        return f"{self.namespace}/{self.name}"

    @property
    def pinned_node(self) -> NodeName:
        """The node that a pin has given it, by its annotation; "" for none."""
        return NodeName(self.annotations.get(names.NODE_ANNOTATION, ""))

    @property
    def node(self) -> NodeName:
        """The node that it is bound to, else the one that it is pinned to; "" for neither."""
        return self.node_name or self.pinned_node

    @property
    def unpinned_shape(self) -> PodShape:
        """What it asked for before a pin was written into its node affinity."""
        terms = self.shape.affinity_terms
        if not terms or not self.pinned_node:
            return self.shape
        left = tuple(term.without_node(self.pinned_node) for term in terms)
        is_ours = not any(term.expressions or term.fields for term in left)
        return replace(self.shape, affinity_terms=None if is_ours else left)

    @property
    def ended(self) -> bool:
        """Terminal: its containers hold nothing any more."""
        return self.phase in ("Succeeded", "Failed")

    @property
    def waits_for_place(self) -> bool:
        """Whether it has no place by a Slurm job, and may still get one."""
        return self.job_id is None and not self.ended and not self.deleting

    @property
    def refused_by_kubelet(self) -> bool:
        """Bound, and not admitted by its node: it never ran.

        The reasons are those of the kubelet's admission (pkg/kubelet/lifecycle, cm, predicates);
        OutOf is followed by the resource.
        """
        return self.phase == "Failed" and (
            self.status_reason.startswith("OutOf") or self.status_reason in _KUBELET_REFUSALS
        )

    @property
    def belongs_to_node(self) -> bool:
        """Whether it comes back when it goes: a DaemonSet's pod, or the node's own."""
        return self.owner is not None and self.owner.kind in ("DaemonSet", "Node")

    @property
    def daemon_set(self) -> str:
        """The DaemonSet of its namespace that it names as its controller; "" for none."""
        if self.owner is None or self.owner.kind != "DaemonSet":
            return ""
        return f"{self.namespace}/{self.owner.uid}"

    def tolerates(self, taint: Taint) -> bool:
        """Whether it may be on a node with that taint."""
        return any(one.tolerates(taint) for one in self.shape.tolerations)

    @property
    def gated_by_us(self) -> bool:
        """Whether it still waits for our allocation."""
        return names.ALLOCATION_GATE in self.gates

    @property
    def foreign_gates(self) -> tuple[str, ...]:
        """Gates of others: while one is there the pod cannot run, so it does not queue."""
        return tuple(gate for gate in self.gates if gate != names.ALLOCATION_GATE)
