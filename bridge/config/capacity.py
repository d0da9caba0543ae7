"""Settings of the requests for new nodes."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from bridge import names
from bridge.config.section import Section

Quantity = Annotated[
    str,
    BeforeValidator(lambda value: str(value) if isinstance(value, int) else value),
    StringConstraints(pattern=r"^\d+(\.\d+)?(m|[kMGTPE]|[KMGTPE]i)?$"),
]


class NodeTaint(Section):
    """A taint of new nodes."""

    key: str = Field(min_length=1)
    value: str = ""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]


class ScaledObject(Section):
    """An object whose replicas are nodes, such as a MachineDeployment of Cluster API."""

    api_version: str = Field(pattern=r"^[a-z0-9.-]+/v[a-z0-9]+$")
    kind: str = Field(min_length=1)
    namespace: str = Field(min_length=1)
    name: str = Field(min_length=1)
    max: int = Field(ge=1, le=1000)
    allocatable: dict[str, Quantity] = Field(min_length=1)
    labels: dict[str, str] = Field(min_length=1)
    taints: tuple[NodeTaint, ...] = ()
    partitions: tuple[str, ...] = ()


class CapacitySettings(Section):
    """Asking an autoscaler for nodes that gangs lack ([autoscaling.md](autoscaling.md))."""

    mode: Literal["none", "placeholderPods", "provisioningRequest", "scale"] = "none"
    """How new nodes are asked for when the present ones could never take a gang: `none` never asks,
    `placeholderPods` creates pods that can never run and that autoscalers see as unschedulable,
    `provisioningRequest` creates a ProvisioningRequest for each gang (Cluster Autoscaler), `scale`
    raises the replicas of `capacity.scaledObjects`."""
    autoscaler: Literal["karpenter", "clusterAutoscaler"] = "karpenter"
    """Which autoscaler looks at the placeholder pods. For `karpenter` the bridge labels the present
    nodes, for `clusterAutoscaler` the pods name the hostnames of these nodes."""
    namespace: str = Field(default=names.CAPACITY_NAMESPACE, min_length=1)
    """Namespace of the placeholder pods and of the ProvisioningRequests. It must exist; the bridge
    may create pods only there. It must not be a managed namespace, and its pods must be allowed to
    tolerate the taint of managed nodes: deploy/managed-nodes.yaml and deploy/webhook.yaml exempt
    the default."""
    provisioning_class_name: str = Field(
        default="best-effort-atomic-scale-up.autoscaling.x-k8s.io", min_length=1
    )
    """provisioningClassName of the ProvisioningRequests. The class must be one that makes nodes:
    check-capacity.autoscaling.x-k8s.io only looks at present ones."""
    provisioning_parameters: dict[str, str] = Field(default={})
    """Parameters of the ProvisioningRequests, which their class may require."""
    scaled_objects: tuple[ScaledObject, ...] = ()
    """The objects whose replicas are nodes, for `capacity.mode: scale`; the first one whose nodes
    suit a gang is asked first. Fields: `apiVersion`, `kind`, `namespace`, `name`; `max`, the most
    replicas that it is given; of its nodes `allocatable` (as in their status), `labels`, which must
    tell them from all other nodes, `taints`, and `partitions` in Slurm (none means any)."""
    max_nodes: int = Field(default=100, ge=1, le=1000)
    """Maximum number of new nodes asked for at a time, for all gangs. If no present node shows how
    many pods a node takes, each pod counts as a node. A gang that needs more is not asked for."""
    timeout_s: float = Field(default=900.0, ge=1)
    """Maximum time, in seconds, that a request stays. If the nodes have not come, the request is
    withdrawn and made again after a minute, then after two, up to an hour."""
    priority_class: str = ""
    """PriorityClass of the placeholder pods; "" means the cluster's default. Cluster Autoscaler
    ignores pods whose priority is below -10."""
    image: str = "registry.k8s.io/pause:3.10"
    """Image of the placeholder pods. It is never pulled, but policies may ask where it is from."""

    @model_validator(mode="after")
    def _names_what_is_scaled(self) -> Self:
        if self.mode == "scale" and not self.scaled_objects:
            raise ValueError("mode scale raises the replicas of scaledObjects, and there are none")
        return self
