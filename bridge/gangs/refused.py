"""What a pod must not ask for: one set of rules for pods and for pod templates.

The webhook refuses such a pod when it is created. An owner whose template says so gets none of
these pods, while those of its other templates are there: its gang would hold nodes for members that
never come. So it is not queued, and its pods and the owner say why.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from bridge import names
from bridge.errors import BadInput
from bridge.model import bounds
from bridge.model.owner import PodTemplate
from bridge.model.refusal import Refusal

DEVICE_CLASS = "deviceclass.resource.kubernetes.io/"
"""Prefix of the extended resources that stand for a DRA DeviceClass."""
_DRA_CPU = DEVICE_CLASS + "dra.cpu"
_DEVICE_CLASSES = ("dra.cpu", "gpu.example.com", "gpu.nvidia.com")
"""The classes whose devices can be named by a Slurm allocation, as in the Go bridge."""
_KNOWN_CLASSES = frozenset(DEVICE_CLASS + name for name in _DEVICE_CLASSES)
_CPU_PER_TASK = names.JOB_PREFIX + "cpu-per-task"
_GRES = names.JOB_PREFIX + "gres"


class TemplateRefused(BadInput):
    """The owner's pods will be refused by the webhook; the message says which, and why."""


@dataclass(frozen=True, slots=True)
class PodFacts:
    """What the rules look at. `resources`: what some container requests or limits, by name, with
    the path of the first that does."""

    node_name: str = ""
    has_resource_claims: bool = False
    resources: Mapping[str, str] = field(default_factory=dict)
    asks_for_cpus: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_template(cls, template: PodTemplate) -> "PodFacts":
        """The facts of the template's future pods."""
        requests = template.shape.requests
        return cls(
            node_name=template.node_name,
            has_resource_claims=template.has_resource_claims,
            resources={name: "spec.containers" for name, _ in requests.extended},
            asks_for_cpus=requests.cpu_milli > 0,
            annotations=template.annotations,
        )


def refusals(pod: PodFacts) -> Iterator[Refusal]:
    """All that is wrong with the pod."""
    yield from _placed_already(pod)
    if pod.has_resource_claims:
        yield Refusal(
            "spec.resourceClaims",
            "claims choose devices without Slurm's knowledge. Ask for devices in a "
            "container's resources instead (nvidia.com/gpu, or a DeviceClass as "
            f"{DEVICE_CLASS}<class>)",
        )
    yield from _devices(pod)


def check(template: PodTemplate, *, owner: str, role: str) -> None:
    """Raises TemplateRefused for a template whose pods are refused. The message names `owner` and
    `role`; `role` is "" if the owner has one template."""
    found = next(refusals(PodFacts.of_template(template)), None)
    if found is not None:
        pods = f"its {role} pods" if role else "its pods"
        raise TemplateRefused(
            f"{owner} is not queued in Slurm, because {pods} will be refused at creation: "
            f"{found}. Correct the pod template",
            field=found.field,
        )


def _placed_already(pod: PodFacts) -> Iterator[Refusal]:
    if pod.node_name:
        yield Refusal(
            "spec.nodeName",
            f"is {bounds.shown(pod.node_name)}, but Slurm chooses the nodes of this pod. "
            "Remove it; to ask for certain nodes use spec.nodeSelector, node affinity or the "
            f"annotation {names.JOB_PREFIX}constraints",
        )
    for at, key, values in (
        ("labels", names.JOB_ID_LABEL, pod.labels),
        ("annotations", names.NODE_ANNOTATION, pod.annotations),
        ("annotations", names.GANG_ID_ANNOTATION, pod.annotations),
    ):
        if values.get(key):
            yield Refusal(
                f"metadata.{at}[{key}]",
                "is written by slurm-bridge when Slurm has granted nodes; a new pod must not "
                "have it. Remove it (the manifest was probably copied from a running pod)",
            )


def _devices(pod: PodFacts) -> Iterator[Refusal]:
    classes = {resource for resource in pod.resources if resource.startswith(DEVICE_CLASS)}
    for resource in sorted(classes.difference(_KNOWN_CLASSES)):
        yield Refusal(
            pod.resources[resource],
            f"asks for devices of class {bounds.shown(resource.removeprefix(DEVICE_CLASS))}, which "
            f"slurm-bridge can't place; the classes that it knows are {', '.join(_DEVICE_CLASSES)}",
        )
    if _DRA_CPU in classes and pod.asks_for_cpus:
        yield Refusal(
            "spec.containers",
            f"ask for CPUs twice, as cpu and as {_DRA_CPU}. Keep one of the two in every "
            "container (requests and limits) and in spec.resources",
        )
    if _DRA_CPU in classes and _CPU_PER_TASK in pod.annotations:
        yield Refusal(
            f"metadata.annotations[{_CPU_PER_TASK}]",
            f"and {_DRA_CPU} both say how many CPUs; remove one of them",
        )
    if classes - {_DRA_CPU} and _GRES in pod.annotations:
        yield Refusal(
            f"metadata.annotations[{_GRES}]",
            f"and {min(classes - {_DRA_CPU})} both say which devices; remove one of them",
        )
