"""The parts of workload objects that we read, as the API server sends them.

As `bridge.kube.objects.wire`: typed dictionaries, partial, strict, with counts that are counts.
"""

from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from bridge.kube.objects.wire import ConditionWire, Count, JobSpecWire, Meta, Named, TemplateWire
from bridge.model import bounds


class AnySpec(TypedDict, total=False):
    """spec of a kind we do not know: what is called so in many, of whatever type it is"""

    replicas: Any
    suspend: Any
    podManagementPolicy: Any


class AnyOwner(TypedDict, total=False):
    """Any object"""

    metadata: Meta
    spec: AnySpec | None


class Status(TypedDict, total=False):
    """status, where it has conditions"""

    conditions: list[ConditionWire] | None


class JobTemplate(TypedDict, total=False):
    """spec.replicatedJobs[].template"""

    metadata: Meta | None
    spec: JobSpecWire | None


class ReplicatedJobWire(TypedDict, total=False):
    """spec.replicatedJobs[]"""

    name: str
    replicas: Count | None
    template: JobTemplate | None
    dependsOn: list[Named] | None


class Network(TypedDict, total=False):
    """spec.network"""

    enableDNSHostnames: bool | None
    subdomain: str | None


class StartupPolicy(TypedDict, total=False):
    """spec.startupPolicy"""

    startupPolicyOrder: str | None


class JobSetSpec(TypedDict, total=False):
    """spec of a JobSet"""

    replicatedJobs: list[ReplicatedJobWire] | None
    network: Network | None
    startupPolicy: StartupPolicy | None
    suspend: bool | None


class JobSetStatus(TypedDict, total=False):
    """status of a JobSet"""

    conditions: list[ConditionWire] | None
    terminalState: str | None


class JobSetWire(TypedDict, total=False):
    """jobset.x-k8s.io JobSet"""

    metadata: Meta
    spec: JobSetSpec | None
    status: JobSetStatus | None


class LeaderWorkerTemplate(TypedDict, total=False):
    """spec.leaderWorkerTemplate"""

    leaderTemplate: TemplateWire | None
    workerTemplate: TemplateWire | None
    volumeClaimTemplates: list[object] | None
    size: Annotated[int, Field(ge=1, le=bounds.MOST_PODS)] | None


class LeaderWorkerSetSpec(TypedDict, total=False):
    """spec of a LeaderWorkerSet"""

    replicas: Count | None
    leaderWorkerTemplate: LeaderWorkerTemplate | None
    startupPolicy: str | None


class LeaderWorkerSetWire(TypedDict, total=False):
    """leaderworkerset.x-k8s.io LeaderWorkerSet"""

    metadata: Meta
    spec: LeaderWorkerSetSpec | None


class GangPolicy(TypedDict, total=False):
    """spec.schedulingPolicy.gang"""

    minCount: Count | None


class SchedulingPolicy(TypedDict, total=False):
    """spec.schedulingPolicy"""

    gang: GangPolicy | None


class WorkloadReference(TypedDict, total=False):
    """spec.podGroupTemplateRef.workload"""

    workloadName: str | None


class PodGroupTemplateReference(TypedDict, total=False):
    """spec.podGroupTemplateRef"""

    workload: WorkloadReference | None


class PodGroupSpec(TypedDict, total=False):
    """spec of a PodGroup of either group: only `minMember` is scheduler-plugins' own"""

    schedulingPolicy: SchedulingPolicy | None
    podGroupTemplateRef: PodGroupTemplateReference | None
    minMember: Count | None


class PodGroupWire(TypedDict, total=False):
    """PodGroup"""

    metadata: Meta
    spec: PodGroupSpec | None


class RoleSetWire(TypedDict, total=False):
    """A kind of several roles; where in its spec they are is a matter of settings"""

    metadata: Meta
    spec: dict[str, Any] | None
    status: Status | None
