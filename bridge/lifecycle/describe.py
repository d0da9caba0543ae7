"""Between our words and Slurm's: JobSpec → job description, Slurm's job → JobFacts."""

from bridge.model.job import Allocation, JobFacts, JobSpec
from bridge.slurm import Job, JobChanges, JobDescription, identity


def description(spec: JobSpec) -> JobDescription:
    """The placeholder job for `spec`: it holds resources and runs nothing."""
    return JobDescription(
        name=spec.name,
        partition=spec.partition,
        tasks=spec.tasks,
        cpus_per_task=spec.cpus_per_task,
        memory_per_node_mib=spec.memory_mib_per_node,
        memory_per_cpu_mib=spec.memory_mib_per_cpu,
        tres_per_task=spec.gres_per_task or None,
        tres_per_node=spec.tres_per_node or None,
        tasks_per_node=1 if spec.one_task_per_node else None,
        min_nodes=spec.min_nodes,
        max_nodes=spec.max_nodes,
        constraints=spec.constraints or None,
        excluded_nodes=spec.excluded_nodes,
        required_nodes=spec.required_nodes,
        exclusive=spec.exclusive,
        shared=("mcs",) if spec.mcs_label and not spec.exclusive else None,
        admin_comment=identity.format(spec.identity),
        comment=spec.comment or None,
        account=spec.account or None,
        qos=spec.qos or None,
        reservation=spec.reservation or None,
        licenses=spec.licenses or None,
        wckey=spec.wckey or None,
        mcs_label=spec.mcs_label or None,
        priority=spec.priority,
        time_limit_min=spec.time_limit_min,
        user_id=spec.user or None,
        group_id=spec.group or None,
    )


def changes(old: JobSpec | None, new: JobSpec) -> JobChanges:
    """What a waiting job needs to become `new`; with `old` unknown, all that may be changed."""
    changed: dict[str, object] = {}
    if old is None or old.constraints != new.constraints:
        changed["constraints"] = new.constraints
    if old is None or old.excluded_nodes != new.excluded_nodes:
        changed["excluded_nodes"] = new.excluded_nodes
    if new.priority is not None and (old is None or old.priority != new.priority):
        changed["priority"] = new.priority
    if new.time_limit_min is not None and (old is None or old.time_limit_min != new.time_limit_min):
        changed["time_limit_min"] = new.time_limit_min
    for field in ("partition", "account", "qos"):
        if old is not None and getattr(old, field) != getattr(new, field):
            changed[field] = getattr(new, field)
    return JobChanges(**changed)  # type: ignore[arg-type]


def facts(job: Job) -> JobFacts:
    """What the gang's life depends on."""
    holds = job.running and bool(job.grants)
    return JobFacts(
        job_id=job.id,
        state=job.state,
        identity=identity.parse(job.admin_comment),
        reason=job.reason,
        description=job.description,
        partition=job.partition,
        constraints=job.constraints,
        excluded=bool(job.excluded_nodes),
        expected_start_s=job.start_s if job.pending else None,
        allocation=Allocation(job.id, job.grants) if holds else None,
    )
