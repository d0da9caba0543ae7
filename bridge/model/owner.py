"""The objects that own pods, directly or through others, as far as they decide how pods wait.

`Owner` alone is a kind whose spec is not read: it hands down annotations and leads on to its own
owner. The classes below it are kinds whose spec says how many pods belong together.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bridge.model.pod import OwnerReference
from bridge.model.pod_identity import NO_LABELS, LabelSet
from bridge.model.scheduling import PodShape

OwnerWill = Literal["creates", "unknown", "suspended", "over"]
"""What a gang's owner does about pods: it creates more, can't be read, creates none for now, or
none any more (it is finished, deleted or gone)."""


@dataclass(frozen=True, slots=True)
class PodTemplate:
    """A pod template's part that matters before its pods exist."""

    shape: PodShape = PodShape()
    annotations: Mapping[str, str] = field(default_factory=dict)
    """Only keys of our domain."""
    labels: LabelSet = NO_LABELS
    """All that the template gives its pods; controllers add more."""
    subdomain: str = ""
    active_deadline_s: int | None = None
    volume_claims: tuple[str, ...] = ()
    """PersistentVolumeClaims that all of its pods mount, by name."""
    own_claims: bool = False
    """Each of its pods mounts a claim that is made for it alone."""
    node_name: str = ""
    """spec.nodeName, where somebody wrote one."""
    has_resource_claims: bool = False


@dataclass(frozen=True, slots=True)
class Owner:
    """Any object that owns pods or owners of pods; also what names a group (PodGroup)."""

    uid: str
    namespace: str
    name: str
    resource_version: str
    api_version: str = ""
    kind: str = ""
    suspended: bool = False
    finished: bool = False
    """No pod will be created by it any more."""
    deleting: bool = False
    annotations: Mapping[str, str] = field(default_factory=dict)
    """Only keys of our domain, and those of its controller that decide how pods are placed."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Only those that say which pods belong together."""
    owner: OwnerReference | None = None
    known: bool = True
    """False: it can't be read, and only what a reference says of it is here."""
    replicas: int | None = None
    """spec.replicas, where the kind has one: what an explicit gang of it counts."""
    one_by_one: bool = False
    """It makes each pod only when those before it are ready."""


@dataclass(frozen=True, slots=True)
class BatchJob(Owner):
    """A batch/v1 Job; counts are as the API server defaulted them."""

    api_version: str = "batch/v1"
    kind: str = "Job"
    parallelism: int = 1
    completions: int | None = 1
    """None: a work queue, done when one pod succeeds and all have ended."""
    indexed: bool = False
    active_deadline_s: int | None = None
    succeeded: bool | None = None
    """How it ended; None until then."""
    succeeded_pods: int = 0
    """How many of its pods have succeeded."""
    completed_indexes: str = ""
    """Of an Indexed Job: which of its indexes have, as the API server writes it ("1,3-5,7")."""
    failed_indexes: str = ""
    """Which of its indexes have been given up, as their pods failed too often (the same form)."""
    template: PodTemplate = PodTemplate()
    judges_disruptions: bool = False
    """Its podFailurePolicy has a rule for pods that were disrupted (DisruptionTarget)."""

    @property
    def settled_indexes(self) -> str:
        """Indexes for which no pod will be made any more."""
        return ",".join(filter(None, (self.completed_indexes, self.failed_indexes)))


@dataclass(frozen=True, slots=True)
class ReplicatedJob:
    """One of a JobSet's: `replicas` Jobs of the same template, in rank order."""

    name: str
    replicas: int
    job: BatchJob
    """Its template as a Job; no uid, no name."""
    after: tuple[str, ...] = ()
    """dependsOn: names of replicated jobs that must be ready or complete first."""


@dataclass(frozen=True, slots=True)
class JobSet(Owner):
    """A jobset.x-k8s.io JobSet."""

    kind: str = "JobSet"
    replicated_jobs: tuple[ReplicatedJob, ...] = ()
    in_order: bool = False
    """startupPolicy InOrder: each replicated job starts when the one before it has."""


@dataclass(frozen=True, slots=True)
class LeaderWorkerSet(Owner):
    """A leaderworkerset.x-k8s.io LeaderWorkerSet: `replicas` groups of `size` pods each."""

    kind: str = "LeaderWorkerSet"
    size: int = 1
    """Pods of one group, the leader included."""
    leader: PodTemplate | None = None
    """None: the leader is made of the worker's template."""
    worker: PodTemplate = PodTemplate()
    leader_ready: bool = False
    """startupPolicy LeaderReady: workers are created when their leader is ready."""


@dataclass(frozen=True, slots=True)
class PodGroup(Owner):
    """A PodGroup of `scheduling.k8s.io` or of scheduler-plugins; pods name it, it owns none."""

    kind: str = "PodGroup"
    least: int = 0
    """minCount, minMember: with so many pods it may start; 0: no gang (policy basic)."""
    workload: str = ""
    """The Workload it was made from; its annotations count too."""


@dataclass(frozen=True, slots=True)
class RoleSpec:
    """Pods of one template in a kind with several roles (Master and Workers)."""

    name: str
    """As the label on its pods says it, lower case."""
    replicas: int
    template: PodTemplate = PodTemplate()
    late: bool = False
    """Its pods are made only when those of the other roles are ready."""


@dataclass(frozen=True, slots=True)
class RoleSet(Owner):
    """A training job of several roles (MPIJob, PyTorchJob …), read by the table of kinds."""

    roles: tuple[RoleSpec, ...] = ()
    """In rank order."""
    role_label: str = ""
    """Label on its pods that says the role."""
    index_label: str = ""
    """Label on its pods that says which of the role's replicas it is."""
    elastic: bool = False
    """It starts with fewer and grows: no gang unless it says so."""


OwnerKey = tuple[str, str]
"""(API group, kind): "" is the core group. Versions are one object's different faces."""

Settled = Literal["watched", "unreadable"]
"""Whether objects of a kind are known as they are, or never will be (forbidden, not served)."""


def key_of(api_version: str, kind: str) -> OwnerKey:
    """The kind without its version."""
    group, slash, _ = api_version.rpartition("/")
    return (group if slash else "", kind)
