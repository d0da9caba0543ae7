"""What became of jobs, also of those that slurmctld has forgotten."""

from collections.abc import Iterator
from dataclasses import dataclass

from bridge.sim.slurm import hosts
from bridge.sim.slurm import tres as counts
from bridge.sim.slurm.cluster import Cluster
from bridge.sim.slurm.core import Change
from bridge.sim.slurm.dbd import tres
from bridge.sim.slurm.job import Job
from bridge.sim.slurm.show_job import SUCCESS, exit_code, tres_asked
from bridge.sim.slurm.wire import INFINITE, Json, number

_NEVER = 0xFFFFFFFE
"""The start of a job that ended before one."""
_NOT_SET = number(None)
_NO_TIME = {"seconds": 0, "microseconds": 0}


@dataclass(frozen=True, slots=True)
class Question:
    """Which jobs are asked for; None for all. Times are epoch seconds."""

    since_s: int | None = None
    until_s: int | None = None
    user_ids: frozenset[int] | None = None
    accounts: frozenset[str] | None = None
    partitions: frozenset[str] | None = None
    names: frozenset[str] | None = None
    states: frozenset[str] | None = None
    last_runs: bool = False
    """Of each number only the last one."""

    def meets(self, job: Job, now: float) -> bool:
        """Whether a job was there in that time, and is one of those. It comes when it may start."""
        if not self._was_in_states(job):
            return False
        ended_s = job.end_s if not job.pending and not job.running else None
        if self.since_s and ended_s is not None and int(ended_s) < self.since_s:
            return False
        if int(_eligible_s(job)) >= (self.until_s or now + 1):
            return False
        return (
            _among(self.user_ids, job.request.user_id)
            and _among(self.accounts, job.charge.account)
            and _among(self.partitions, job.request.partition)
            and _among(self.names, job.request.name)
        )

    def _was_in_states(self, job: Job) -> bool:
        """In one of them at some time; slurmdbd finds none unless it is told an end. When not
        asked for states it leaves out what was held from its submit to its end.
        """
        if self.states is None:
            return not job.held
        been = {"PENDING", job.state}
        if job.shares and job.end_s > job.start_s:
            been.add("RUNNING")
        return self.until_s is not None and bool(been & self.states)


def _among(wanted: frozenset[str] | frozenset[int] | None, value: str | int) -> bool:
    return wanted is None or value in wanted


def _eligible_s(job: Job) -> float:
    return max(job.submit_s, job.request.begin_s)


def _het(job: Job) -> tuple[int, int | None]:
    """The first id and the offset, which slurmctld tells when a component starts."""
    return (job.het.ids[0], job.het.offset) if job.het and job.shares else (0, None)


class History:
    """Every run of every job since the beginning; an id may come again after slurmctld lost its
    state.
    """

    def __init__(self, cluster: Cluster, *, cluster_name: str, speaker: str) -> None:
        self._cluster = cluster
        self._name = cluster_name
        self._speaker = speaker
        self._jobs: list[Job] = []
        cluster.watch(self._hear)

    def _hear(self, change: Change) -> None:
        if change.state == "PENDING":
            self._jobs.append(self._cluster.jobs[change.job_id])

    def of(self, job_id: int) -> Iterator[Job]:
        """Every run under that number; of a het job's number, all its components."""
        return (job for job in self._jobs if job_id in (job.id, _het(job)[0]))

    def find(self, question: Question, now: float) -> Iterator[Job]:
        """In the order of their submits."""
        found = (job for job in self._jobs if question.meets(job, now))
        return iter({job.id: job for job in found}.values()) if question.last_runs else found

    def busy(self) -> frozenset[int]:
        """Associations whose jobs wait or run."""
        alive = (*self._cluster.waiting, *self._cluster.running)
        return frozenset(job.charge.association_id for job in alive)

    def show(self, job: Job, now: float) -> dict[str, Json]:
        """A row. slurmctld tells the comment at the end, and the reason only of a limit."""
        request, over = job.request, not job.pending and not job.running
        held = counts.held(job.shares, self._cluster.policy.counted)
        names = hosts.compress(job.nodes)
        return {
            "account": job.charge.account,
            "comment": {
                "administrator": request.texts.get("admin_comment", "") if over else "",
                "job": "",
                "system": "",
            },
            "allocation_nodes": len(job.shares),
            "association": {
                "account": "",
                "cluster": self._name,
                "partition": "",
                "user": "",
                "id": job.charge.association_id,
            },
            "cluster": self._name,
            "constraints": request.constraints,
            "derived_exit_code": SUCCESS,
            "exit_code": exit_code(job) if job.shares else SUCCESS,
            "time": _times(job, now),
            "flags": ["START_RECEIVED"],
            "group": request.group_name or str(request.group_id),
            "het": {
                "job_id": _het(job)[0],
                "job_offset": number(_het(job)[1]),
            },
            "hold": job.held or job.priority == 0,
            "job_id": job.id,
            "kill_request_user": self._speaker if job.state == "CANCELLED" else "",
            "name": request.name,
            "nodes": names or "None assigned",
            "partition": request.partition,
            "priority": number(job.priority),
            "qos": job.charge.qos,
            "qosreq": request.texts.get("qos", ""),
            "required": {
                "CPUs": request.cpus,
                "memory_per_cpu": number(request.memory_per_cpu_mib),
                "memory_per_node": _NOT_SET
                if request.memory_per_cpu_mib
                else number(request.memory_per_node_mib or 0),
            },
            "reservation": {"id": 0, "name": "", "requested": ""},
            "restart_cnt": job.restarts,
            "state": {
                "current": ["PENDING", "REQUEUED"] if job.state == "REQUEUED" else [job.state],
                "reason": (job.limit_reason if job.start_s or over else "") or "None",
            },
            "steps": [],
            "tres": {
                "allocated": tres.show_held(held),
                "requested": tres.show(tres_asked(job, self._cluster)),
            },
            "user": request.user_name or None,
            "wckey": {"wckey": request.texts.get("wckey", ""), "flags": []},
            "working_directory": request.directory,
        }


def _times(job: Job, now: float) -> dict[str, Json]:
    over, began = not job.pending and not job.running, bool(job.shares)
    eligible = 0 if job.held else int(_eligible_s(job))
    start = int(job.start_s) if began else _NEVER if over else 0
    end = int(job.end_s) if over else 0
    waited = (start if began else end or int(now)) - eligible if eligible else 0
    limit = job.request.time_limit_min
    return {
        "elapsed": (end or int(now)) - start if began else 0,
        "eligible": eligible,
        "end": end,
        "planned": number(waited),
        "start": start,
        "submission": int(job.submit_s),
        "suspended": 0,
        "system": _NO_TIME,
        "limit": INFINITE if limit is None and began else number(limit),
        "total": _NO_TIME,
        "user": _NO_TIME,
    }
