"""What a new pod of ours must not ask for, each with what to do instead.

A refusal now is one line in the author's terminal; the same found by the scheduler is a pod that
pends for a reason nobody reads. So everything that can be told from the pod alone is told here.
"""

from collections.abc import Iterator, Mapping

from bridge import names
from bridge.admission import scope, wire
from bridge.admission.refusal import Refusal
from bridge.errors import BadInput
from bridge.workloads import annotations

_DEVICE_CLASS = "deviceclass.resource.kubernetes.io/"
"""Prefix of the extended resources that stand for a DRA DeviceClass."""
_DRA_CPU = _DEVICE_CLASS + "dra.cpu"
_DEVICE_CLASSES = ("dra.cpu", "gpu.example.com", "gpu.nvidia.com")
"""Those whose drivers' devices can be named after a Slurm allocation, as in the Go bridge."""
_CPU_PER_TASK = names.JOB_PREFIX + "cpu-per-task"
_GRES = names.JOB_PREFIX + "gres"
_FOR_NAMESPACES: Mapping[str, str] = {
    names.NAMESPACE_USER: names.JOB_PREFIX + "user-id",
    names.NAMESPACE_GROUP: names.JOB_PREFIX + "group-id",
    names.NAMESPACE_ACCOUNTS: names.JOB_PREFIX + "account",
    names.NAMESPACE_PARTITIONS: names.JOB_PREFIX + "partition",
}
_LONGEST_VALUE = 4096
"""Characters; no field of a Slurm job is meant for more, and parsers must not chew megabytes."""


def refusals(pod: wire.Pod) -> tuple[Refusal, ...]:
    """All that is wrong with the pod itself; who it may be in Slurm is `people`'s."""
    return (
        *_of_daemon_set(pod),
        *_placed_already(pod),
        *_claims(pod),
        *_devices(pod),
        *malformed(pod.metadata.annotations),
    )


def warnings(pod: wire.Pod) -> tuple[str, ...]:
    """What has no effect, probably against its author's intent. A short line each: kubectl
    shows them, the API server cuts them at 256 characters."""
    values = pod.metadata.annotations
    return (*_unknown_parameters(values), *_of_namespaces(values), *_old_prefix(values))


def malformed(values: Mapping[str, str]) -> Iterator[Refusal]:
    """Every parameter (`slurmjob.slinky.slurm.net/*`) whose value can't be read; all at once, so
    that nobody corrects them one by one."""
    wishes = {key: text for key, text in values.items() if key.startswith(names.JOB_PREFIX)}
    if all(len(text) <= _LONGEST_VALUE for text in wishes.values()) and not _mistake(wishes):
        return  # nearly always, and read in one go
    for key, text in sorted(wishes.items()):
        field = f"metadata.annotations[{key}]"
        if len(text) > _LONGEST_VALUE:
            yield Refusal(field, f"has {len(text)} characters; at most {_LONGEST_VALUE}")
        elif mistake := _mistake({key: text}):
            yield Refusal(field, mistake.removeprefix(f"annotation {key}: "))


def _mistake(wishes: Mapping[str, str]) -> str:
    """The first of them that can't be read; "" for none."""
    try:
        annotations.parse(wishes)
        annotations.gang_wish(wishes)
        annotations.gang_size(wishes)
    except BadInput as error:
        return str(error)
    return ""


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
            f"is {pod.spec.node_name!r}, but Slurm chooses the nodes of this pod. Remove it; to "
            "ask for certain nodes use spec.nodeSelector, node affinity or the annotation "
            f"{names.JOB_PREFIX}constraints",
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
    asked = {resource for _, container in pod.containers() for resource in container.resource_names}
    classes = {resource for resource in asked if resource.startswith(_DEVICE_CLASS)}
    yield from _unknown_classes(pod)
    if _DRA_CPU in classes and "cpu" in asked | _pod_level(pod):
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


def _unknown_classes(pod: wire.Pod) -> Iterator[Refusal]:
    for path, container in pod.containers():
        for resource in sorted(container.resource_names):
            name = resource.removeprefix(_DEVICE_CLASS)
            if name != resource and name not in _DEVICE_CLASSES:
                yield Refusal(
                    f"{path}.resources",
                    f"container {container.name!r} asks for devices of class {name!r}, which "
                    f"slurm-bridge can't place; it knows {', '.join(_DEVICE_CLASSES)}",
                )


def _pod_level(pod: wire.Pod) -> frozenset[str]:
    return pod.spec.resources.named if pod.spec.resources else frozenset()


def _unknown_parameters(values: Mapping[str, str]) -> Iterator[str]:
    for key, nearest in annotations.unknown(values):
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
        suffix = key.removeprefix(names.OUR_DOMAIN + "/")
        if suffix == key or key == names.NODE_ANNOTATION:
            continue
        if not annotations.unknown({names.JOB_PREFIX + suffix: ""}):
            yield f"annotation {key} has no effect any more; write {names.JOB_PREFIX}{suffix}"


def owned_by_us(pod: wire.Pod, pods: scope.Scope) -> bool:
    """Whether an existing pod is ours. `schedulerName` can't be changed, so it tells what the pod
    was created as, whatever was patched since."""
    return pods.names_us(pod)
