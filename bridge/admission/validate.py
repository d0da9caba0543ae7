"""What a new pod of ours must not ask for, each with what to do instead.

A refusal now is one line in the author's terminal; the same found by the scheduler is a pod that
pends for a reason nobody reads. So everything that can be told from the pod alone is told here.
"""

import itertools
from collections.abc import Iterator, Mapping

from bridge import names
from bridge.admission import scope, wire
from bridge.errors import BadInput
from bridge.gangs import annotations, refused
from bridge.model import bounds
from bridge.model.refusal import Refusal

_FOR_NAMESPACES: Mapping[str, str] = {
    names.NAMESPACE_USER: names.JOB_PREFIX + "user-id",
    names.NAMESPACE_GROUP: names.JOB_PREFIX + "group-id",
    names.NAMESPACE_ACCOUNTS: names.JOB_PREFIX + "account",
    names.NAMESPACE_PARTITIONS: names.JOB_PREFIX + "partition",
}
_OLD_PREFIX = f"{names.OUR_DOMAIN}/"


def refusals(pod: wire.Pod) -> tuple[Refusal, ...]:
    """What is wrong with the pod itself, the first faults of many; who it may be in Slurm is
    `identity_validator`'s."""
    facts = _facts(pod)
    every = itertools.chain(
        _of_daemon_set(pod),
        refused.refusals(facts),
        _too_many(pod, len(facts.resources)),
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
            "a DaemonSet's pods belong to their nodes and can't wait in a queue. Remove "
            "spec.schedulerName from the DaemonSet's template; if the pod was not made by a "
            "DaemonSet, it must not name one as its controller",
        )


def _facts(pod: wire.Pod) -> refused.PodFacts:
    asked: dict[str, str] = {}
    for path, index, container in pod.containers():
        for resource in wire.resource_names(container.get("resources")):
            asked.setdefault(resource, f"{path}[{index}].resources")
    return refused.PodFacts(
        node_name=pod.spec.node_name,
        has_resource_claims=bool(pod.spec.resource_claims),
        resources=asked,
        asks_for_cpus="cpu" in asked.keys() | wire.resource_names(pod.spec.resources),
        labels=pod.metadata.labels,
        annotations=pod.metadata.annotations,
    )


def _too_many(pod: wire.Pod, resources: int) -> Iterator[Refusal]:
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
        ("spec.containers", resources, bounds.MOST_RESOURCES, "resources"),
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
            yield f"annotation {key} has an effect only on a namespace; on a pod write {instead}"


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
    return pods.requests_our_scheduler(pod)
