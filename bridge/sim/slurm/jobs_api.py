"""The endpoints about jobs that exist."""

import json

from bridge.sim.slurm import changes, het
from bridge.sim.slurm.answers import Answer, Call, Envelope
from bridge.sim.slurm.cluster import Cluster
from bridge.sim.slurm.errors import ALREADY_DONE, NO_ERROR, TEXT, Refused
from bridge.sim.slurm.job import Job
from bridge.sim.slurm.script import SIGNALS
from bridge.sim.slurm.show_job import show_job
from bridge.sim.slurm.wire import Complaints, Json, number, time_of


class JobsApi:
    """`/jobs/`, `/jobs/state/`, `/job/{id}`, `/job/{id}/requeue`."""

    def __init__(self, cluster: Cluster, envelope: Envelope, cluster_name: str) -> None:
        self._cluster = cluster
        self._envelope = envelope
        self._name = cluster_name
        self._tail = f'],"meta":{json.dumps(envelope.meta)},"errors":[],"warnings":[]}}'

    def states(self, call: Call) -> Answer:
        """The cheap list: id and state of every job."""
        rows = ",".join(
            [
                f'{{"job_id":"{job.label}","state":["{job.state}"]}}'
                for job in self._cluster.jobs.values()
            ]
        )
        return Answer(200, f'{{"jobs":[{rows}{self._tail}')

    def everything(self, call: Call) -> Answer:
        """Every job in full."""
        complaints = Complaints()
        jobs = [show_job(job, self._cluster, self._name) for job in self._cluster.jobs.values()]
        if not jobs:
            complaints.warn("Zero jobs to dump")
        return self._envelope.answer(self._content(jobs, call.now), complaints)

    def get(self, call: Call) -> Answer:
        """One job in full; the first component of a het job with all others."""
        if not call.argument.isdigit():
            return self._envelope.bad_id()
        try:
            jobs = het.addressed(self._cluster.jobs, self._cluster.job(int(call.argument)))
        except Refused as refused:
            content = {"jobs": [], "last_backfill": number(0), "last_update": number(0)}
            about = f"Unable to query JobId={call.argument}"
            return self._envelope.refused(refused.number, about, "_handle_job_get", content=content)
        shown = [show_job(job, self._cluster, self._name) for job in jobs]
        if "DETAIL" not in call.query.get("flags", "DETAIL"):
            shown = [{**job, "job_resources": None, "gres_detail": []} for job in shown]
        return self._envelope.answer(self._content(shown, call.now))

    def _content(self, jobs: list[dict[str, Json]], now: float) -> dict[str, Json]:
        return {
            "jobs": jobs,
            "last_backfill": time_of(self._cluster.last_backfill_s),
            "last_update": time_of(now),
        }

    def update(self, call: Call) -> Answer:
        """Change a job."""
        if not call.argument.isdigit():
            return self._envelope.bad_id()
        if not isinstance(call.body, dict):
            return self._envelope.no_dictionary()
        complaints = Complaints()
        content: dict[str, Json] = {"results": []}
        try:
            changes.update_job(self._cluster, int(call.argument), call.body, complaints, call.now)
        except Refused as refused:
            return self._envelope.refused(
                refused.number,
                "Job update requested failed",
                "slurm_update_job2()",
                content=content,
                complaints=complaints,
            )
        return self._envelope.answer(content, complaints)

    def requeue(self, call: Call) -> Answer:
        """End a batch job and queue it again."""
        if not call.argument.isdigit():
            return self._envelope.bad_id("op_handler_job_requeue")
        content: dict[str, Json] = {"status": []}
        hold = call.query.get("Hold") == "true"
        try:
            self._cluster.requeue(int(call.argument), call.now, hold=hold)
        except Refused as refused:
            about = f"Requeue JobID={call.argument} failed"
            return self._envelope.refused(
                refused.number, about, "op_handler_job_requeue", content=content
            )
        return self._envelope.answer(content)

    def cancel(self, call: Call) -> Answer:
        """End or signal a job. What goes wrong is told inside, with status 200; an unknown signal
        is told of, and ends the job.
        """
        if not call.argument.isdigit():
            return self._envelope.bad_id()
        complaints = Complaints()
        signal = call.query.get("signal", "").removeprefix("SIG")
        if signal and signal not in SIGNALS:
            complaints.error(NO_ERROR, "Unknown signal (null)", "#/signal/")
            signal = ""
        status = self._end(call.argument, call, signal=signal)
        return self._envelope.answer({"status": status}, complaints)

    def cancel_several(self, call: Call) -> Answer:
        """End each of a list of jobs; of those that can't be, the status tells why."""
        if not isinstance(call.body, dict) or not isinstance(call.body.get("jobs"), list):
            return self._envelope.no_dictionary()
        status = [one for name in call.body["jobs"] for one in self._end(str(name), call)]
        return self._envelope.answer({"status": status})

    def _end(self, argument: str, call: Call, *, signal: str = "") -> list[dict[str, Json]]:
        """What went wrong; of a het job that is told by its first component, whoever was over."""
        job_id = int(argument) if argument.isdigit() else 0
        over: list[Job] = []
        ended = signal == "KILL" or not signal
        try:
            told = het.addressed(self._cluster.jobs, self._cluster.job(job_id))
            over = [job for job in told if job.over]
            if ended:
                self._cluster.cancel(job_id, call.now)
            else:
                self._cluster.signal(job_id, signal, call.now)
        except Refused as refused:
            if refused.number != ALREADY_DONE:
                known = job_id if job_id in self._cluster.jobs else None
                return [_failure(refused.number, argument, known)]
        failures = [_failure(ALREADY_DONE, _step(job), job.id) for job in over]
        if over and over[0].id != job_id:  # the first one's answer is that of the last
            failures.append(_failure(ALREADY_DONE, argument, job_id))
        return failures


def _step(job: Job) -> str:
    """A component by its het job."""
    return f"{job.het.ids[0]}+{job.het.offset}" if job.het and job.het.offset else str(job.id)


def _failure(why: int, step: str, job_id: int | None) -> dict[str, Json]:
    return {
        "error": {"string": TEXT[why], "code": why, "message": TEXT[why]},
        "step_id": step,
        "job_id": number(job_id),
        "federation": {"sibling": ""},
    }
