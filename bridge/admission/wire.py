"""What is read of an AdmissionReview (admission.k8s.io/v1) and of the pod inside it.

Partial on purpose: a field that we don't name is neither parsed nor judged, so a pod with fields
of a newer Kubernetes passes. Everything may be missing or null, as in a hand-written manifest.

A pod may have a hundred thousand containers, tolerations or volumes: the API server asks us before
it knows that the object is too large. So each list has a length far beyond any real one, and a pod
with a longer one is refused before its items are looked at. What may be many all the same is a
typed dictionary, which costs a fifth of a model.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel
from typing_extensions import TypedDict

from bridge.model import bounds

REVIEW_VERSION = "admission.k8s.io/v1"


def _or_empty(value: Any) -> Any:
    return "" if value is None else value


def _or_no_list(value: Any) -> Any:
    return () if value is None else value


def _or_no_map(value: Any) -> Any:
    return {} if value is None else value


_MOST_OWNERS = 1000

# A length stands before the validator that allows for null, or it would be looked at last.
Text = Annotated[str, BeforeValidator(_or_empty)]
Texts = Annotated[dict[str, str], Field(max_length=bounds.MOST_KEYS), BeforeValidator(_or_no_map)]


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
    owner_references: Annotated[
        tuple[OwnerReference, ...], Field(max_length=_MOST_OWNERS), BeforeValidator(_or_no_list)
    ] = ()


class Gate(Partial):
    name: Text = ""


class Toleration(TypedDict, total=False):
    key: str | None
    operator: str | None
    value: str | None
    effect: str | None
    tolerationSeconds: int | None


class ResourceLists(TypedDict, total=False):
    """Only the names of what is asked for matter here; the API server checks the amounts."""

    requests: Annotated[dict[str, Any], Field(max_length=bounds.MOST_REQUIREMENTS)] | None
    limits: Annotated[dict[str, Any], Field(max_length=bounds.MOST_REQUIREMENTS)] | None


class Counted(TypedDict):
    """Anything of which only matters that it is there"""


class Container(TypedDict, total=False):
    name: str | None
    resources: ResourceLists | None
    ports: Annotated[list[Counted], Field(max_length=bounds.MOST_PORTS)] | None


class Volume(TypedDict, total=False):
    persistentVolumeClaim: Counted | None
    ephemeral: Counted | None


class FieldRequirement(TypedDict, total=False):
    """On a label, or on a field of the node"""

    key: str | None
    operator: str | None
    values: Annotated[list[str], Field(max_length=bounds.MOST_WORDS)] | None


Requirements = Annotated[
    tuple[FieldRequirement, ...],
    Field(max_length=bounds.MOST_REQUIREMENTS),
    BeforeValidator(_or_no_list),
]


class NodeSelectorTerm(Partial):
    match_expressions: Requirements = ()
    match_fields: Requirements = ()


class NodeSelector(Partial):
    node_selector_terms: Annotated[
        tuple[NodeSelectorTerm, ...],
        Field(max_length=bounds.MOST_TERMS),
        BeforeValidator(_or_no_list),
    ] = ()


class NodeAffinity(Partial):
    required_during_scheduling_ignored_during_execution: NodeSelector | None = Field(
        default=None, alias="requiredDuringSchedulingIgnoredDuringExecution"
    )


class Affinity(Partial):
    node_affinity: NodeAffinity | None = None


Containers = Annotated[
    tuple[Container, ...],
    Field(max_length=bounds.MOST_CONTAINERS),
    BeforeValidator(_or_no_list),
]


class PodSpec(Partial):
    scheduler_name: Text = ""
    node_name: Text = ""
    scheduling_gates: Annotated[tuple[Gate, ...] | None, Field(max_length=bounds.MOST_GATES)] = None
    node_selector: Texts = {}
    tolerations: Annotated[
        tuple[Toleration, ...] | None, Field(max_length=bounds.MOST_REQUIREMENTS)
    ] = None
    affinity: Affinity | None = None
    resource_claims: Annotated[
        tuple[Counted, ...],
        Field(max_length=bounds.MOST_CONTAINERS),
        BeforeValidator(_or_no_list),
    ] = ()
    volumes: Annotated[
        tuple[Volume, ...], Field(max_length=bounds.MOST_CONTAINERS), BeforeValidator(_or_no_list)
    ] = ()
    resources: ResourceLists | None = None
    containers: Containers = ()
    init_containers: Containers = ()


class Pod(Partial):
    """A pod in an admission request. `spec` is required: without it nothing can be judged."""

    metadata: Metadata = Metadata()
    spec: PodSpec

    @property
    def display_name(self) -> str:
        """Its name, or what its name will start with."""
        return self.metadata.name or f"{self.metadata.generate_name}*"

    def containers(self) -> Iterator[tuple[str, int, Container]]:
        """Every container with the path of the list that it stands in, and its place there."""
        for index, container in enumerate(self.spec.init_containers):
            yield "spec.initContainers", index, container
        for index, container in enumerate(self.spec.containers):
            yield "spec.containers", index, container


def resource_names(resources: ResourceLists | None) -> frozenset[str]:
    """Every resource that is requested or limited, even to 0."""
    if not resources:
        return frozenset()
    return frozenset(resources.get("requests") or ()) | frozenset(resources.get("limits") or ())


class DaemonSetSpec(Partial):
    template: Pod


class DaemonSet(Partial):
    """A DaemonSet in an admission request: of what it is, only its pods matter."""

    spec: DaemonSetSpec


class UserInfo(Partial):
    username: Text = ""
    groups: Annotated[tuple[str, ...], BeforeValidator(_or_no_list)] = ()


class Kind(Partial):
    kind: Text = ""


class Request(Partial):
    """`object` and `oldObject` stay unparsed: a pod that can't be read is refused with a
    sentence, a request that can't be read is not even answered."""

    uid: str = Field(min_length=1, max_length=bounds.LONGEST_UID)
    kind: Kind = Kind()
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
