"""Translates between our terms and Slurm's: JobSpec → job description, Slurm's job → JobFacts.

What Slurm 26.05 lets change on a waiting external job, as seen there (tests/contract):
- Tasks, CPUs and nodes only together: after a change of `tasks` or `cpus_per_task` alone slurmctld
  keeps the old count of CPUs, and the job waits for "Resources" for ever. A rise of the fewest
  nodes beyond the old tasks is refused (2006) unless the most are said too; but a job that was told
  its most nodes is spread over as many as it can get, and there is no way back.
- A refused change may have been made in part. So what is sent is whole, and checked before.
- `shared: ["none"]` is taken without effect, `mcs_label` too, other users are refused (2010).
"""

from typing import Final

from bridge.model.job import QUEUE_FIELDS, Allocation, Garbled, JobFacts, JobIdentity, JobSpec
from bridge.slurm import Job, JobChanges, JobDescription, identity

_ALIKE: Final = {
    "name": "name",
    "comment": "comment",
    "partition": "partition",
    "account": "account",
    "qos": "qos",
    "reservation": "reservation",
    "licenses": "licenses",
    "wckey": "wckey",
    "dependency": "dependency",
    "constraints": "constraints",
    "excluded_nodes": "excluded_nodes",
    "required_nodes": "required_nodes",
    "gres_per_task": "tres_per_task",
    "tres_per_node": "tres_per_node",
    "time_limit_min": "time_limit_min",
}
"""The fields of a JobSpec and of a change, where "" and () clear the field."""
_SIZE: Final = ("tasks", "cpus_per_task", "min_nodes", "max_nodes")
_SURELY: Final = ("constraints", "excluded_nodes", "required_nodes", "gres_per_task",
                  "tres_per_node")  # fmt: skip
"""The fields that are sent to a job whose former description is not known."""
_COMPUTED_PRIORITY: Final = 0xFFFFFFFF
"""Slurm's INFINITE: as a priority it means the computed priority."""


def description(spec: JobSpec) -> JobDescription:
    """The placeholder job for `spec`: it holds resources and runs nothing."""
    is_alone = spec.exclusive or spec.whole_nodes
    return JobDescription(
        name=spec.name,
        working_directory=spec.working_directory,
        partition=spec.partition,
        tasks=spec.tasks,
        cpus_per_task=spec.cpus_per_task,
        memory_per_node_mib=spec.memory_mib_per_node,
        memory_per_cpu_mib=spec.memory_mib_per_cpu,
        tres_per_task=spec.gres_per_task or None,
        tres_per_node=spec.tres_per_node or None,
        tasks_per_node=spec.tasks_per_node,
        min_nodes=spec.min_nodes,
        max_nodes=spec.max_nodes,
        constraints=spec.constraints or None,
        excluded_nodes=spec.excluded_nodes,
        required_nodes=spec.required_nodes,
        exclusive=is_alone,
        shared=("mcs",) if spec.mcs_label and not is_alone else None,
        admin_comment=identity.format(spec.identity),
        comment=spec.comment or None,
        account=spec.account or None,
        qos=spec.qos or None,
        reservation=spec.reservation or None,
        licenses=spec.licenses or None,
        wckey=spec.wckey or None,
        mcs_label=spec.mcs_label or None,
        dependency=spec.dependency or None,
        priority=spec.priority,
        nice=spec.nice,
        time_limit_min=spec.time_limit_min,
        user_id=spec.user or None,
        group_id=spec.group or None,
    )


def changes(old: JobSpec | None, new: JobSpec) -> JobChanges:
    """The changes by which a waiting job becomes `new`, which it `can_become`.

    With `old` unknown (after a restart): all that decides where, when and how large.
    """
    changed: dict[str, object] = {}
    for name, field in _ALIKE.items():
        differs = name in _SURELY if old is None else getattr(old, name) != getattr(new, name)
        if differs:
            changed[field] = getattr(new, name)
    if old is None:
        changed |= {name: said for name in QUEUE_FIELDS if (said := getattr(new, name))}
    if old is None and new.time_limit_min is not None:
        changed["time_limit_min"] = new.time_limit_min
    if old is None or any(getattr(old, name) != getattr(new, name) for name in _SIZE):
        changed |= _size(old, new)
    if (old is None or _memory(old) != _memory(new)) and _memory(new):
        changed |= _memory(new)
    if new.priority is not None and (old is None or old.priority != new.priority):
        changed["priority"] = new.priority
    if old is not None and old.priority is not None and new.priority is None:
        changed["priority"] = _COMPUTED_PRIORITY
    known_nice = old.nice or 0 if old is not None else 0
    if known_nice != (new.nice or 0):
        changed["nice"] = new.nice or 0
    return JobChanges(**changed)  # type: ignore[arg-type]


def _size(old: JobSpec | None, new: JobSpec) -> dict[str, object]:
    """Tasks, CPUs and nodes, as a submit counts what it isn't told."""
    size: dict[str, object] = {
        "tasks": new.tasks,
        "cpus_per_task": new.cpus_per_task,
        "min_cpus": new.tasks * new.cpus_per_task,
        "min_nodes": new.min_nodes or 1,
    }
    if new.max_nodes is not None:
        size["max_nodes"] = new.max_nodes
    elif old is not None and (new.min_nodes or 1) > old.most_nodes:
        size["max_nodes"] = new.tasks
    return size


def _memory(spec: JobSpec) -> dict[str, object]:
    if spec.memory_mib_per_node is not None:
        return {"memory_per_node_mib": spec.memory_mib_per_node}
    if spec.memory_mib_per_cpu is not None:
        return {"memory_per_cpu_mib": spec.memory_mib_per_cpu}
    return {}


def facts(job: Job) -> JobFacts:
    """The facts of a job that the gang's life depends on."""
    holds = job.running and bool(job.grants)
    makes_room = holds and job.preempt_s is not None
    whose = identity.parse(job.admin_comment)
    return JobFacts(
        job_id=job.id,
        state=job.state,
        identity=whose if isinstance(whose, JobIdentity) else None,
        garbled=whose if isinstance(whose, Garbled) else None,
        reason=job.reason,
        description=job.description,
        partition=job.partition,
        account=job.account,
        qos=job.qos,
        users=(job.user, str(job.user_id)),
        constraints=job.constraints,
        excluded=bool(job.excluded_nodes),
        expected_start_s=job.start_s if job.pending else None,
        end_s=job.end_s if holds and not makes_room and job.time_limit_min is not None else None,
        makes_room_until_s=job.end_s if makes_room else None,
        tasks=job.tasks,
        components=job.het_job_ids,
        allocation=Allocation(job.id, job.grants) if holds else None,
    )
