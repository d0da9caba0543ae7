"""The parts of Kubernetes' objects that we read, as the API server sends them.

Partial on purpose: a pod is 5 to 20 KB of JSON and we need a twentieth of it. Typed dictionaries,
not models: pydantic checks and prunes them straight from the bytes (`bridge.kube.api.decode`) and
leaves no objects behind. Strict: "3" is not a number here, as it isn't for the API server.
Quantities stay as they are; `bridge.model.quantity` reads them. A count that is negative or beyond
what Kubernetes counts is refused here, so that nobody below has to think of it.
"""

from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import TypedDict

from bridge.model import bounds
from bridge.model.scheduling import Operator, TaintEffect

PortNumber = Annotated[int, Field(ge=0, le=65535)]
Count = Annotated[int, Field(ge=0, le=bounds.MOST_PODS)]
"""A number of pods, Jobs or groups: 32 bits in Kubernetes' own kinds, anything in a CRD."""

Amounts = dict[str, Any]
"""A resource list: name → quantity."""


class OwnerRef(TypedDict, total=False):
    """metadata.ownerReferences[]"""

    apiVersion: str
    kind: str
    name: str
    uid: str
    controller: bool | None


class Meta(TypedDict, total=False):
    """metadata"""

    name: str
    namespace: str
    uid: str
    resourceVersion: str
    creationTimestamp: str | None
    deletionTimestamp: str | None
    deletionGracePeriodSeconds: int | None
    labels: dict[str, str] | None
    annotations: dict[str, str] | None
    ownerReferences: list[OwnerRef] | None


class Requirements(TypedDict, total=False):
    """resources of a container or of a pod"""

    requests: Amounts | None
    limits: Amounts | None


class Port(TypedDict, total=False):
    """spec.containers[].ports[]"""

    containerPort: PortNumber
    hostPort: PortNumber | None
    hostIP: str | None
    protocol: str | None


class Container(TypedDict, total=False):
    """spec.containers[], spec.initContainers[]"""

    name: str
    resources: Requirements | None
    ports: list[Port] | None
    restartPolicy: str | None


class Expression(TypedDict, total=False):
    """One requirement of a node selector term"""

    key: str
    operator: Operator
    values: list[str] | None


class Term(TypedDict, total=False):
    """One node selector term"""

    matchExpressions: list[Expression] | None
    matchFields: list[Expression] | None


class NodeSelector(TypedDict, total=False):
    """requiredDuringSchedulingIgnoredDuringExecution of a node affinity"""

    nodeSelectorTerms: list[Term] | None


class NodeAffinity(TypedDict, total=False):
    """spec.affinity.nodeAffinity"""

    requiredDuringSchedulingIgnoredDuringExecution: NodeSelector | None


class LabelExpression(TypedDict, total=False):
    """One requirement of a label selector"""

    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: list[str] | None


class LabelSelector(TypedDict, total=False):
    """metav1.LabelSelector"""

    matchLabels: dict[str, str] | None
    matchExpressions: list[LabelExpression] | None


class PodTerm(TypedDict, total=False):
    """One required term of a pod (anti-)affinity"""

    labelSelector: LabelSelector | None
    namespaces: list[str] | None
    namespaceSelector: LabelSelector | None
    topologyKey: str
    matchLabelKeys: list[str] | None
    mismatchLabelKeys: list[str] | None


class PodAffinity(TypedDict, total=False):
    """spec.affinity.podAffinity, spec.affinity.podAntiAffinity"""

    requiredDuringSchedulingIgnoredDuringExecution: list[PodTerm] | None


class Affinity(TypedDict, total=False):
    """spec.affinity"""

    nodeAffinity: NodeAffinity | None
    podAffinity: PodAffinity | None
    podAntiAffinity: PodAffinity | None


class SpreadWire(TypedDict, total=False):
    """spec.topologySpreadConstraints[]"""

    maxSkew: int
    topologyKey: str
    whenUnsatisfiable: str
    labelSelector: LabelSelector | None
    minDomains: int | None
    nodeAffinityPolicy: str | None
    nodeTaintsPolicy: str | None
    matchLabelKeys: list[str] | None


class TolerationWire(TypedDict, total=False):
    """spec.tolerations[]"""

    key: str | None
    operator: Literal["Equal", "Exists", "Lt", "Gt", ""] | None
    value: str | None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute", ""] | None


class Named(TypedDict, total=False):
    """Anything of which only the name matters"""

    name: str


class ClaimSource(TypedDict, total=False):
    """spec.volumes[].persistentVolumeClaim"""

    claimName: str


class Volume(TypedDict, total=False):
    """spec.volumes[]"""

    name: str
    persistentVolumeClaim: ClaimSource | None
    ephemeral: dict[str, Any] | None


class SchedulingGroup(TypedDict, total=False):
    """spec.schedulingGroup"""

    podGroupName: str | None


class PodSpec(TypedDict, total=False):
    """spec of a pod or of a pod template"""

    schedulerName: str | None
    nodeName: str | None
    nodeSelector: dict[str, str] | None
    affinity: Affinity | None
    topologySpreadConstraints: list[SpreadWire] | None
    tolerations: list[TolerationWire] | None
    containers: list[Container] | None
    initContainers: list[Container] | None
    resources: Requirements | None
    overhead: Amounts | None
    hostNetwork: bool | None
    schedulingGates: list[Named] | None
    terminationGracePeriodSeconds: int | None
    activeDeadlineSeconds: int | None
    priorityClassName: str | None
    subdomain: str | None
    schedulingGroup: SchedulingGroup | None
    volumes: list[Volume] | None
    resourceClaims: list[Named] | None


class ConditionWire(TypedDict, total=False):
    """status.conditions[]"""

    type: str
    status: str
    reason: str | None
    message: str | None


class ContainerStatus(TypedDict, total=False):
    """status.containerStatuses[]: what a resize in place has made of the requests"""

    name: str
    resources: Requirements | None
    allocatedResources: Amounts | None


class PodStatus(TypedDict, total=False):
    """status"""

    phase: Literal["Pending", "Running", "Succeeded", "Failed", "Unknown", ""] | None
    reason: str | None
    conditions: list[ConditionWire] | None
    containerStatuses: list[ContainerStatus] | None
    initContainerStatuses: list[ContainerStatus] | None
    resources: Requirements | None
    allocatedResources: Amounts | None


class PodWire(TypedDict, total=False):
    """v1 Pod"""

    metadata: Meta
    spec: PodSpec
    status: PodStatus | None


class TemplateWire(TypedDict, total=False):
    """A pod template"""

    metadata: Meta | None
    spec: PodSpec


class TaintWire(TypedDict, total=False):
    """spec.taints[]"""

    key: str
    value: str | None
    effect: TaintEffect


class NodeSpec(TypedDict, total=False):
    """spec of a node"""

    taints: list[TaintWire] | None
    unschedulable: bool | None


class Address(TypedDict, total=False):
    """status.addresses[]"""

    type: str
    address: str


class NodeStatus(TypedDict, total=False):
    """status of a node"""

    allocatable: Amounts | None
    capacity: Amounts | None
    conditions: list[ConditionWire] | None
    addresses: list[Address] | None


class NodeWire(TypedDict, total=False):
    """v1 Node"""

    metadata: Meta
    spec: NodeSpec | None
    status: NodeStatus | None


class PodConditionRule(TypedDict, total=False):
    """An item of onPodConditions"""

    type: str | None


class FailureRule(TypedDict, total=False):
    """A rule of a podFailurePolicy"""

    onPodConditions: list[PodConditionRule] | None


class FailurePolicy(TypedDict, total=False):
    """podFailurePolicy of a Job"""

    rules: list[FailureRule] | None


class JobSpecWire(TypedDict, total=False):
    """spec of a Job"""

    parallelism: Count | None
    completions: Count | None
    completionMode: str | None
    suspend: bool | None
    activeDeadlineSeconds: int | None
    podFailurePolicy: FailurePolicy | None
    template: TemplateWire


class JobStatus(TypedDict, total=False):
    """status of a Job"""

    conditions: list[ConditionWire] | None
    succeeded: Count | None
    completedIndexes: str | None
    failedIndexes: str | None


class JobWire(TypedDict, total=False):
    """batch/v1 Job"""

    metadata: Meta
    spec: JobSpecWire
    status: JobStatus | None


class NamespaceWire(TypedDict, total=False):
    """v1 Namespace"""

    metadata: Meta
