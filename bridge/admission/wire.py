"""What is read of an AdmissionReview (admission.k8s.io/v1) and of the pod inside it.

Partial on purpose: a field that we don't name is neither parsed nor judged, so a pod with fields
of a newer Kubernetes passes. Everything may be missing or null, as in a hand-written manifest.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

REVIEW_VERSION = "admission.k8s.io/v1"


def _or_empty(value: Any) -> Any:
    return "" if value is None else value


def _or_no_list(value: Any) -> Any:
    return () if value is None else value


def _or_no_map(value: Any) -> Any:
    return {} if value is None else value


Text = Annotated[str, BeforeValidator(_or_empty)]
Texts = Annotated[dict[str, str], BeforeValidator(_or_no_map)]


class Partial(BaseModel):
    """A part of a wire object: frozen, unknown fields ignored, camelCase outside."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True
    )


class OwnerReference(Partial):
    kind: Text = ""
    api_version: Text = ""
    controller: bool | None = None


class Metadata(Partial):
    name: Text = ""
    generate_name: Text = ""
    namespace: Text = ""
    labels: Texts = {}
    annotations: Texts = {}
    owner_references: Annotated[tuple[OwnerReference, ...], BeforeValidator(_or_no_list)] = ()


class Gate(Partial):
    name: Text = ""


class Toleration(Partial):
    key: Text = ""
    operator: Text = ""
    value: Text = ""
    effect: Text = ""
    toleration_seconds: int | None = None


class ResourceLists(Partial):
    """Only the names of what is asked for matter here; the API server checks the amounts."""

    requests: Annotated[dict[str, Any], BeforeValidator(_or_no_map)] = {}
    limits: Annotated[dict[str, Any], BeforeValidator(_or_no_map)] = {}

    @property
    def named(self) -> frozenset[str]:
        """Every resource that is requested or limited, even to 0."""
        return frozenset(self.requests) | frozenset(self.limits)


class Container(Partial):
    name: Text = ""
    resources: ResourceLists | None = None

    @property
    def resource_names(self) -> frozenset[str]:
        return self.resources.named if self.resources else frozenset()


class FieldRequirement(Partial):
    key: Text = ""
    operator: Text = ""
    values: Annotated[tuple[str, ...], BeforeValidator(_or_no_list)] = ()


class NodeSelectorTerm(Partial):
    match_fields: Annotated[tuple[FieldRequirement, ...], BeforeValidator(_or_no_list)] = ()


class NodeSelector(Partial):
    node_selector_terms: Annotated[tuple[NodeSelectorTerm, ...], BeforeValidator(_or_no_list)] = ()


class NodeAffinity(Partial):
    required_during_scheduling_ignored_during_execution: NodeSelector | None = Field(
        default=None, alias="requiredDuringSchedulingIgnoredDuringExecution"
    )


class Affinity(Partial):
    node_affinity: NodeAffinity | None = None


class PodSpec(Partial):
    scheduler_name: Text = ""
    node_name: Text = ""
    scheduling_gates: tuple[Gate, ...] | None = None
    tolerations: tuple[Toleration, ...] | None = None
    affinity: Affinity | None = None
    resource_claims: Annotated[tuple[Any, ...], BeforeValidator(_or_no_list)] = ()
    resources: ResourceLists | None = None
    containers: Annotated[tuple[Container, ...], BeforeValidator(_or_no_list)] = ()
    init_containers: Annotated[tuple[Container, ...], BeforeValidator(_or_no_list)] = ()


class Pod(Partial):
    """A pod in an admission request. `spec` is required: without it nothing can be judged."""

    metadata: Metadata = Metadata()
    spec: PodSpec

    @property
    def display_name(self) -> str:
        """Its name, or what its name will start with."""
        return self.metadata.name or f"{self.metadata.generate_name}*"

    def containers(self) -> Iterator[tuple[str, Container]]:
        """Every container with the path of the list that it stands in."""
        for index, container in enumerate(self.spec.init_containers):
            yield f"spec.initContainers[{index}]", container
        for index, container in enumerate(self.spec.containers):
            yield f"spec.containers[{index}]", container


class UserInfo(Partial):
    username: Text = ""
    groups: Annotated[tuple[str, ...], BeforeValidator(_or_no_list)] = ()


class Request(Partial):
    """`object` and `oldObject` stay unparsed: a pod that can't be read is refused with a
    sentence, a request that can't be read is not even answered."""

    uid: str = Field(min_length=1)
    operation: str
    sub_resource: Text = ""
    namespace: Text = ""
    name: Text = ""
    user_info: UserInfo = UserInfo()
    object: Any = None
    old_object: Any = None


class AdmissionReview(Partial):
    api_version: Literal["admission.k8s.io/v1"]
    kind: Literal["AdmissionReview"]
    request: Request
