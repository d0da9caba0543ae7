"""Which pods wait and start together.

A gang is what holds its resources together: one Slurm job. Its size comes from the owner's spec,
never from the pods that happen to exist, because controllers create pods one after another and a
gang must not start with half of its members. (architecture: "Workloads")
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bridge.errors import BadInput
from bridge.model.gang import Gang
from bridge.model.ids import GangId
from bridge.model.owner import BatchJob
from bridge.model.pod import Pod
from bridge.model.scheduling import PodShape
from bridge.workloads import annotations


def id_of(pod: Pod, job: BatchJob | None) -> GangId:
    """The gang that `pod` belongs to; `job` is its controlling Job, if it has one.

    Raises BadInput when the `gang` annotation can't be read.
    """
    if job is not None and _waits_together(job, pod):
        return GangId(job.uid)
    return GangId(pod.uid)


def gang_of(pods: Sequence[Pod], job: BatchJob | None, *, shape: PodShape | None = None) -> Gang:
    """The gang of `pods` (at least one, all of one gang).

    `shape` overrides what the pods ask for: pinned pods carry their node in their affinity, which
    is not a wish of the user. Raises BadInput for parameters that can't be read.
    """
    first = pods[0]
    together = job is not None and _waits_together(job, first)
    inherited = job.annotations if job is not None else {}
    merged = {**inherited, **first.annotations}  # nearest the pod wins
    owner_kind, owner_name = ("Job", job.name) if job is not None else ("Pod", first.name)
    parameters = annotations.parse(merged)
    if parameters.timelimit_min is None:
        deadline_s = job.active_deadline_s if job is not None else first.active_deadline_s
        if deadline_s:
            parameters = replace(parameters, timelimit_min=max(1, -(-deadline_s // 60)))
    return Gang(
        id=id_of(first, job),
        namespace=first.namespace,
        owner_kind=owner_kind,
        owner_name=owner_name if together or job is None else f"{owner_name}/{first.name}",
        size=_size(job, merged) if together and job is not None else 1,
        shape=shape or largest(pods),
        parameters=parameters,
        priority_class=first.priority_class,
    )


def largest(pods: Sequence[Pod]) -> PodShape:
    """One shape that covers every pod: the most of each resource, the first pod's conditions."""
    requests = pods[0].shape.requests
    for pod in pods[1:]:
        if pod.shape is not pods[0].shape:
            requests = requests.at_least(pod.shape.requests)
    return replace(pods[0].shape, requests=requests)


def _waits_together(job: BatchJob, pod: Pod) -> bool:
    wish = annotations.gang_wish({**job.annotations, **pod.annotations})
    if wish is not None:
        return wish
    covers = job.completions is not None and job.parallelism >= job.completions
    return job.indexed and covers and bool(job.template.subdomain or pod.subdomain)


def _size(job: BatchJob, merged: Mapping[str, str]) -> int:
    asked = annotations.gang_size(merged)
    together = min(job.parallelism, job.completions or job.parallelism)
    if asked is not None and asked < together and job.indexed:
        raise BadInput(
            f"gang-size {asked} is smaller than the {together} pods that Job {job.name} runs at "
            "once; leave the annotation out or make it as large"
        )
    return max(1, asked or together)
