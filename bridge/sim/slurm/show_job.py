"""A job as slurmrestd shows it (schema job_info of v0.0.45).

What never differs between the jobs that this emulator knows stands in `_CONSTANT`.
"""

from signal import Signals

from bridge.sim.slurm import gres, hosts, tres
from bridge.sim.slurm.cluster import Cluster
from bridge.sim.slurm.job import Job, Share
from bridge.sim.slurm.place import least_nodes
from bridge.sim.slurm.wire import INFINITE, Json, number, time_of

_FOREVER_S = 2**32 - 60
"""What Slurm adds to the start of a waiting job without a limit: infinity, times 60, overflown."""

_NOT_SET = number(None)
_ZERO = number(0)
SUCCESS = {
    "status": ["SUCCESS"],
    "return_code": _ZERO,
    "signal": {"id": _NOT_SET, "name": ""},
}

_CONSTANT: dict[str, Json] = {
    "allocating_node": "localhost",
    "array_job_id": _ZERO,
    "array_task_id": _NOT_SET,
    "array_max_tasks": _ZERO,
    "array_task_string": "",
    "batch_features": "",
    "batch_flag": False,
    "burst_buffer": "",
    "burst_buffer_state": "",
    "cluster_features": "",
    "command": "",
    "container": "",
    "container_id": "",
    "container_type": "",
    "contiguous": False,
    "core_spec": 0,
    "thread_spec": 32766,
    "cores_per_socket": _NOT_SET,
    "cpu_frequency_minimum": _NOT_SET,
    "cpu_frequency_maximum": _NOT_SET,
    "cpu_frequency_governor": _NOT_SET,
    "cpus_per_tres": "",
    "cron": "",
    "deadline": _ZERO,
    "delay_boot": _ZERO,
    "derived_exit_code": SUCCESS,
    "failed_node": "",
    "federation_origin": "",
    "federation_siblings_active": "",
    "federation_siblings_viable": "",
    "het_job_id": _ZERO,
    "het_job_id_set": "",
    "het_job_offset": _ZERO,
    "job_size_str": [],
    "mail_type": [],
    "max_cpus": _ZERO,
    "memory_per_tres": "",
    "memory_update_delay": 0,
    "memory_update_margin": 0,
    "network": "",
    "tasks_per_core": INFINITE,
    "tasks_per_tres": _ZERO,
    "tasks_per_socket": INFINITE,
    "tasks_per_board": _ZERO,
    "prefer": "",
    "minimum_tmp_disk_per_node": _ZERO,
    "pre_sus_time": _ZERO,
    "priority_by_partition": [],
    "profile": ["NOT_SET"],
    "reboot": False,
    "required_switches": 0,
    "requeue": True,
    "resize_time": _ZERO,
    "restart_cnt": 0,
    "segment_size": 0,
    "selinux_context": "",
    "shared": [],
    "sockets_per_board": 0,
    "sockets_per_node": _NOT_SET,
    "standard_input": "",
    "standard_output": "",
    "standard_error": "",
    "stdin_expanded": "",
    "stdout_expanded": "",
    "stderr_expanded": "",
    "submit_line": "",
    "suspend_time": _ZERO,
    "system_comment": "",
    "time_minimum": _ZERO,
    "threads_per_core": _NOT_SET,
    "tres_bind": "",
    "tres_freq": "",
    "tres_per_job": "",
    "tres_per_socket": "",
    "maximum_switch_wait_time": 0,
}


def show_job(job: Job, cluster: Cluster, cluster_name: str) -> dict[str, Json]:
    """All fields of one job."""
    return {
        **_CONSTANT,
        **_script(job),
        **_het(job),
        **_identity(job, cluster, cluster_name),
        **_times(job),
        **_sizes(job, cluster),
        **_allocation(job, cluster),
    }


def _identity(job: Job, cluster: Cluster, cluster_name: str) -> dict[str, Json]:
    request, texts = job.request, job.request.texts
    return {
        "account": job.charge.account,
        "admin_comment": texts.get("admin_comment", ""),
        "cluster": cluster_name,
        "comment": texts.get("comment", ""),
        "dependency": "",
        "excluded_nodes": request.excluded_text,
        "exit_code": exit_code(job),
        "extra": texts.get("extra", ""),
        "features": request.constraints,
        "flags": _flags(job),
        "group_id": request.group_id,
        "group_name": request.group_name,
        "hold": job.held or (job.pending and job.priority == 0),
        "job_id": job.id,
        "job_state": [job.state],
        "licenses": request.licenses,
        "licenses_allocated": cluster.licenses.allocated(request.licenses) if job.shares else "",
        "mail_user": request.user_name,
        "mcs_label": texts.get("mcs_label", ""),
        "name": request.name,
        "nice": request.nice,
        "current_working_directory": request.directory,
        "partition": request.partition,
        "priority": number(job.priority),
        "qos": job.charge.qos,
        "association_id": job.charge.association_id,
        "required_nodes": request.required_text,
        "resv_name": request.reservation,
        "scheduled_nodes": hosts.compress(job.planned),
        "state_description": job.description,
        "state_reason": job.reason,
        "step_id": {
            "sluid": f"s{job.id:013X}",
            "job_id": number(job.id),
            "step_het_component": _NOT_SET,
            "step_id": "entire",
        },
        "user_id": request.user_id,
        "user_name": request.user_name,
        "wckey": texts.get("wckey", ""),
    }


def _flags(job: Job) -> list[str]:
    request = job.request
    flags = ["EXACT_TASK_COUNT_REQUESTED"] if request.tasks_given else []
    if job.running:
        flags.append("JOB_WAS_RUNNING")
    if request.memory_per_cpu_mib or request.memory_per_node_mib:
        flags.append("EXACT_MEMORY_REQUESTED")
    if request.external:
        flags.append("EXTERNAL_JOB")
    for name, flag in (
        ("account", "USING_DEFAULT_ACCOUNT"),
        ("qos", "USING_DEFAULT_QOS"),
        ("wckey", "USING_DEFAULT_WCKEY"),
    ):
        if not request.texts.get(name):
            flags.append(flag)
    if request.tasks_given and request.max_nodes is None:
        flags.append("JOB_IMPLICIT_MAX_NODES")
    return flags


def exit_code(job: Job) -> dict[str, Json]:
    """How its process ended."""
    how = job.exit
    if how.signal:
        name = Signals(how.signal).name.removeprefix("SIG")
        signal = {"id": number(how.signal), "name": name}
        return {"status": ["SIGNALED"], "return_code": _NOT_SET, "signal": signal}
    if how.code:
        return {**SUCCESS, "status": ["ERROR"], "return_code": number(how.code)}
    return SUCCESS


def _script(job: Job) -> dict[str, Json]:
    """Of a batch job: that it is one, and where its output goes."""
    if job.request.script is None:
        return {}
    return {
        "batch_flag": True,
        "requeue": job.request.requeue,
        "restart_cnt": job.restarts,
        "standard_output": "slurm-%j.out",
        "stdout_expanded": f"/tmp/slurm-{job.id}.out",
    }


def _het(job: Job) -> dict[str, Json]:
    if job.het is None:
        return {}
    first, last = job.het.ids[0], job.het.ids[-1]
    return {
        "het_job_id": number(first),
        "het_job_id_set": f"{first}-{last}" if last > first else str(first),
        "het_job_offset": number(job.het.offset),
    }


def _times(job: Job) -> dict[str, Json]:
    limit = job.request.time_limit_min
    end = job.end_s
    if job.pending and job.start_s:
        end = job.start_s + (_FOREVER_S if limit is None else 60 * limit)
    eligible = time_of(max(job.submit_s, job.request.begin_s))
    return {
        "accrue_time": eligible,
        "eligible_time": eligible,
        "end_time": time_of(end),
        "last_sched_evaluation": time_of(job.evaluated_s),
        "preempt_time": time_of(job.preempt_s),
        "preemptable_time": time_of(0 if job.pending else job.start_s),
        "start_time": time_of(job.start_s),
        "submit_time": time_of(job.submit_s),
        "time_limit": INFINITE if limit is None else number(limit),
    }


def _sizes(job: Job, cluster: Cluster) -> dict[str, Json]:
    request = job.request
    nodes = len(job.shares) or least_nodes(request, cluster.table)
    cpus = sum(share.cpus for share in job.shares) or request.cpus
    per_cpu, per_node = request.memory_per_cpu_mib, request.memory_per_node_mib
    return {
        "cpus": number(cpus),
        "cpus_per_task": number(request.cpus_per_task),
        "max_nodes": number(request.max_nodes or 0),
        "memory_per_cpu": number(per_cpu),
        "memory_per_node": _NOT_SET if per_cpu else number(per_node or 0),
        "minimum_cpus_per_node": number(request.cpus_per_task * (request.tasks_per_node or 1)),
        "node_count": number(nodes),
        "tasks": number(request.tasks),
        "tasks_per_node": number(request.tasks_per_node),
        "tres_per_node": request.tres_per_node,
        "tres_per_task": request.tres_per_task,
        "tres_req_str": tres.text(tres_asked(job, cluster)),
    }


def tres_asked(job: Job, cluster: Cluster) -> dict[str, int]:
    """What the accounting counts of what a job asks for."""
    return tres.asked(
        job.request,
        cpus=job.request.cpus,
        memory_mib=_memory_asked(job, cluster),
        nodes=job.request.min_nodes,
        counted=cluster.policy.counted,
    )


def _memory_asked(job: Job, cluster: Cluster) -> int:
    request = job.request
    if request.memory_said_mib is not None:
        return request.memory_said_mib
    if request.memory_per_cpu_mib:
        return request.memory_per_cpu_mib * request.cpus
    if request.memory_per_node_mib:
        return request.memory_per_node_mib * request.min_nodes
    held = sum(share.memory_mib for share in job.shares)
    return held or (int(cluster.table.memory.max()) if len(cluster.table) else 0)


def _allocation(job: Job, cluster: Cluster) -> dict[str, Json]:
    shares = job.shares
    if not shares:
        return {
            "batch_host": "",
            "billable_tres": number(None),
            "gres_detail": [],
            "job_resources": None,
            "nodes": "",
            "tres_alloc_str": "",
        }
    names = hosts.compress(job.nodes)
    cpus = sum(share.cpus for share in shares)
    details = [_gres_detail(share) for share in shares] if any(s.gres for s in shares) else []
    nodes = {
        "count": len(shares),
        "select_type": ["ONE_ROW"],
        "list": names,
        "whole": job.request.exclusive,
        "allocation": [_node(index, share) for index, share in enumerate(shares)],
    }
    return {
        "batch_host": shares[0].node,
        "billable_tres": number(float(cpus)),
        "gres_detail": details,
        "job_resources": {
            "select_type": ["CR_CORE_MEMORY"],
            "nodes": nodes,
            "cpus": _cpus_asked(job),
            "threads_per_core": {"set": False, "infinite": False, "number": 0},
        },
        "nodes": names,
        "tres_alloc_str": tres.text(tres.held(shares, cluster.policy.counted)),
    }


def _cpus_asked(job: Job) -> int:
    """What it holds for its tasks, not for being alone or for whole cores."""
    request = job.request
    if request.exclusive:
        return request.cpus
    tasks = sum(max(share.tasks, request.tasks_per_node) for share in job.shares)
    return tasks * request.cpus_per_task


def _gres_detail(share: Share) -> str | None:
    """Pieces with a device file by their numbers; others are only counted, `efa(CNT:2)`.

    null for a node that gives none, where others of the job do.
    """
    if not share.gres:
        return None
    return ",".join(
        f"{kind.text(mask.bit_count())}(IDX:{gres.index_list(mask)})"
        if kind.indexed
        else f"{kind.text()}(CNT:{mask.bit_count()})"
        for kind, mask in share.gres
    )


def _node(index: int, share: Share) -> dict[str, Json]:
    return {
        "index": index,
        "name": share.node,
        "cpus": {"count": share.cpus, "used": 0},
        "memory": {"used": 0, "allocated": share.memory_mib},
        "sockets": share.cores.by_socket(),
    }
