"""What a new pod of ours must not ask for, each with what to do instead.

A refusal now is one line in the author's terminal; the same found by the scheduler is a pod that
pends for a reason nobody reads. So everything that can be told from the pod alone is told here.
"""

import itertools
from collections.abc import Iterator, Mapping

from bridge import names
from bridge.admission import scope, wire
from bridge.admission.refusal import Refusal
from bridge.errors import BadInput
from bridge.gangs import annotations
from bridge.model import bounds

_DEVICE_CLASS = "deviceclass.resource.kubernetes.io/"
"""Prefix of the extended resources that stand for a DRA DeviceClass."""
_DRA_CPU = _DEVICE_CLASS + "dra.cpu"
_DEVICE_CLASSES = ("dra.cpu", "gpu.example.com", "gpu.nvidia.com")
"""Those whose drivers' devices can be named after a Slurm allocation, as in the Go bridge."""
_KNOWN_CLASSES = frozenset(_DEVICE_CLASS + name for name in _DEVICE_CLASSES)
_CPU_PER_TASK = names.JOB_PREFIX + "cpu-per-task"
_GRES = names.JOB_PREFIX + "gres"
_FOR_NAMESPACES: Mapping[str, str] = {
    names.NAMESPACE_USER: names.JOB_PREFIX + "user-id",
    names.NAMESPACE_GROUP: names.JOB_PREFIX + "group-id",
    names.NAMESPACE_ACCOUNTS: names.JOB_PREFIX + "account",
    names.NAMESPACE_PARTITIONS: names.JOB_PREFIX + "partition",
}
_OLD_PREFIX = f"{names.OUR_DOMAIN}/"


def refusals(pod: wire.Pod) -> tuple[Refusal, ...]:
    """What is wrong with the pod itself, the first faults of many; who it may be in Slurm is
    `people`'s."""
    every = itertools.chain(
        _of_daemon_set(pod),
        _placed_already(pod),
        _claims(pod),
        _devices(pod),
        _too_many(pod),
        malformed(pod.metadata.annotations),
    )
    return tuple(itertools.islice(every, bounds.MOST_TOLD))


def warnings(pod: wire.Pod) -> tuple[str, ...]:
    """What has no effect, probably against its author's intent."""
    return warnings_about(pod.metadata.annotations)


def warnings_about(values: Mapping[str, str]) -> tuple[str, ...]:
    """Of these annotations. A short line each, and only the first ones of many: kubectl shows
    them, and the API server cuts each at 256 characters and all at 4,096."""
    every = itertools.chain(
        _of_namespaces(values), _old_prefix(values), _unknown_parameters(values)
    )
    first = tuple(itertools.islice(every, bounds.MOST_TOLD))
    more = next(every, None)
    return first if more is None else (*first[:-1], "more annotations have no effect")


def malformed(values: Mapping[str, str]) -> Iterator[Refusal]:
    """Every parameter (`slurmjob.slinky.slurm.net/*`) whose value can't be read; all at once, so
    that nobody corrects them one by one."""
    parameters = {key: values[key] for key in names.PARAMETERS & values.keys()}
    together = _mistake(parameters)
    if together is None:
        return  # nearly always, and read in one go
    each = [found for key, text in sorted(parameters.items()) if (found := _mistake({key: text}))]
    for mistake in each or [together]:
        key = mistake.field.removeprefix("metadata.annotations[").removesuffix("]")
        yield Refusal(mistake.field, str(mistake).removeprefix(f"annotation {key}: "))


def _mistake(parameters: Mapping[str, str]) -> BadInput | None:
    """Why the first of them can't be read that can't; None where all can."""
    try:
        annotations.parse(parameters)
        annotations.gang_wish(parameters)
        annotations.gang_size(parameters)
    except BadInput as error:
        return error
    return None


def _of_daemon_set(pod: wire.Pod) -> Iterator[Refusal]:
    if scope.of_daemon_set(pod):
        yield Refusal(
            "spec.schedulerName",
            "a DaemonSet's pods belong to their nodes and can't wait in a queue. Take "
            "spec.schedulerName out of the DaemonSet's template; a pod that is no DaemonSet's must "
            "not name one as its controller",
        )


def _placed_already(pod: wire.Pod) -> Iterator[Refusal]:
    if pod.spec.node_name:
        yield Refusal(
            "spec.nodeName",
            f"is {bounds.shown(pod.spec.node_name)}, but Slurm chooses the nodes of this pod. "
            "Remove it; to ask for certain nodes use spec.nodeSelector, node affinity or the "
            f"annotation {names.JOB_PREFIX}constraints",
        )
    for field, key, values in (
        ("labels", names.JOB_ID_LABEL, pod.metadata.labels),
        ("annotations", names.NODE_ANNOTATION, pod.metadata.annotations),
        ("annotations", names.GANG_ID_ANNOTATION, pod.metadata.annotations),
    ):
        if values.get(key):
            yield Refusal(
                f"metadata.{field}[{key}]",
                "is written by slurm-bridge once Slurm has granted nodes; a new pod must not "
                "carry it. Remove it (the manifest of a running pod has it)",
            )


def _claims(pod: wire.Pod) -> Iterator[Refusal]:
    if pod.spec.resource_claims:
        yield Refusal(
            "spec.resourceClaims",
            "claims choose devices that Slurm would not know of. Ask for devices in a "
            "container's resources instead (nvidia.com/gpu, or a DeviceClass as "
            f"{_DEVICE_CLASS}<class>)",
        )


def _devices(pod: wire.Pod) -> Iterator[Refusal]:
    asked = _asked(pod)
    classes = {resource for resource in asked if resource.startswith(_DEVICE_CLASS)}
    if classes.difference(_KNOWN_CLASSES):
        yield from _unknown_classes(pod)
    if _DRA_CPU in classes and "cpu" in asked | wire.resource_names(pod.spec.resources):
        yield Refusal(
            "spec.containers",
            f"ask for CPUs twice, as cpu and as {_DRA_CPU}. Keep one of the two in every "
            "container (requests and limits) and in spec.resources",
        )
    if _DRA_CPU in classes and _CPU_PER_TASK in pod.metadata.annotations:
        yield Refusal(
            f"metadata.annotations[{_CPU_PER_TASK}]",
            f"and {_DRA_CPU} both say how many CPUs; remove one of them",
        )
    if classes - {_DRA_CPU} and _GRES in pod.metadata.annotations:
        yield Refusal(
            f"metadata.annotations[{_GRES}]",
            f"and {min(classes - {_DRA_CPU})} both say which devices; remove one of them",
        )


def _asked(pod: wire.Pod) -> set[str]:
    """Every resource that a container requests or limits."""
    asked: set[str] = set()
    for _, _, container in pod.containers():
        resources = container.get("resources")
        if resources:
            asked.update(resources.get("requests") or (), resources.get("limits") or ())
    return asked


def _unknown_classes(pod: wire.Pod) -> Iterator[Refusal]:
    for path, index, container in pod.containers():
        for resource in sorted(wire.resource_names(container.get("resources"))):
            if resource.startswith(_DEVICE_CLASS) and resource not in _KNOWN_CLASSES:
                yield Refusal(
                    f"{path}[{index}].resources",
                    f"container {bounds.shown(container.get('name') or '')} asks for devices of "
                    f"class {bounds.shown(resource.removeprefix(_DEVICE_CLASS))}, which "
                    f"slurm-bridge can't place; it knows {', '.join(_DEVICE_CLASSES)}",
                )


def _too_many(pod: wire.Pod) -> Iterator[Refusal]:
    """What the bridge does not read of a pod (`bridge.kube.objects.shapes` has the same bounds)."""
    spec = pod.spec
    ports = sum(len(container.get("ports") or ()) for _, _, container in pod.containers())
    claims = sum(bool(one.keys() & {"persistentVolumeClaim", "ephemeral"}) for one in spec.volumes)
    requirements = _requirements(spec)
    words = sum(len(one.get("values") or ()) for one in requirements)
    for field, count, most, what in (
        ("spec.nodeSelector", len(spec.node_selector), bounds.MOST_REQUIREMENTS, "labels"),
        ("spec.affinity.nodeAffinity", len(requirements), bounds.MOST_REQUIREMENTS, "requirements"),
        ("spec.affinity.nodeAffinity", words, bounds.MOST_WORDS, "values"),
        ("spec.volumes", claims, bounds.MOST_CLAIMS, "claims"),
        ("spec.containers", ports, bounds.MOST_PORTS, "ports"),
        ("spec.containers", len(_asked(pod)), bounds.MOST_RESOURCES, "resources"),
    ):
        if count > most:
            yield Refusal(field, bounds.too_many(count, most, what))


def _requirements(spec: wire.PodSpec) -> list[wire.FieldRequirement]:
    """Of all terms of the required node affinity."""
    affinity = spec.affinity and spec.affinity.node_affinity
    required = affinity and affinity.required_during_scheduling_ignored_during_execution
    return [
        one
        for term in (required.node_selector_terms if required else ())
        for one in (*term.match_expressions, *term.match_fields)
    ]


def _unknown_parameters(values: Mapping[str, str]) -> Iterator[str]:
    for key in annotations.unknown(values):
        nearest = annotations.nearest(key)
        advice = f"; did you mean {nearest}?" if nearest else ""
        yield f"annotation {key[:100]} is not known to slurm-bridge and has no effect{advice}"


def _of_namespaces(values: Mapping[str, str]) -> Iterator[str]:
    """Those that an admin says on the namespace; a pod chooses one of them by another key."""
    for key, instead in _FOR_NAMESPACES.items():
        if key in values:
            yield f"annotation {key} counts on a namespace only; on a pod write {instead}"


def _old_prefix(values: Mapping[str, str]) -> Iterator[str]:
    """Before 1.0 the Go bridge read `slinky.slurm.net/job-name`; manifests still carry it."""
    for key in values:
        if key.startswith(_OLD_PREFIX) and key != names.NODE_ANNOTATION:
            now = names.JOB_PREFIX + key.removeprefix(_OLD_PREFIX)
            if annotations.is_known(now):
                yield f"annotation {key} has no effect any more; write {now}"


def owned_by_us(pod: wire.Pod, pods: scope.Scope) -> bool:
    """Whether an existing pod is ours. `schedulerName` can't be changed, so it tells what the pod
    was created as, whatever was patched since."""
    return pods.names_us(pod)
