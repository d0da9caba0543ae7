"""The endpoints about jobs."""

import json

from bridge.sim.slurm import changes, description, submit
from bridge.sim.slurm.answers import Answer, Call, Envelope
from bridge.sim.slurm.cluster import Cluster
from bridge.sim.slurm.errors import (
    ALREADY_DONE,
    REST_INVALID_QUERY,
    NotEmulated,
    Refused,
    status_of,
)
from bridge.sim.slurm.show_job import show_job
from bridge.sim.slurm.wire import Complaints, Json, number, time_of

_SUBMIT = "slurm_submit_batch_job()"


class JobsApi:
    """`/jobs/`, `/jobs/state/`, `/job/submit`, `/job/{id}`."""

    def __init__(
        self, cluster: Cluster, envelope: Envelope, site: description.Site, cluster_name: str
    ) -> None:
        self._cluster = cluster
        self._envelope = envelope
        self._site = site
        self._name = cluster_name
        self._tail = f'],"meta":{json.dumps(envelope.meta)},"errors":[],"warnings":[]}}'

    def states(self, call: Call) -> Answer:
        """The cheap list: id and state of every job."""
        rows = ",".join(
            [
                f'{{"job_id":"{job.id}","state":["{job.state}"]}}'
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
        """One job in full."""
        if not call.argument.isdigit():
            return self._envelope.bad_id()
        try:
            job = self._cluster.job(int(call.argument))
        except Refused as refused:
            content = {"jobs": [], "last_backfill": number(0), "last_update": number(0)}
            about = f"Unable to query JobId={call.argument}"
            return self._envelope.refused(refused.number, about, "_handle_job_get", content=content)
        shown = show_job(job, self._cluster, self._name)
        return self._envelope.answer(self._content([shown], call.now))

    def _content(self, jobs: list[dict[str, Json]], now: float) -> dict[str, Json]:
        return {
            "jobs": jobs,
            "last_backfill": time_of(self._cluster.last_backfill_s),
            "last_update": time_of(now),
        }

    def submit(self, call: Call) -> Answer:
        """A new job. An unknown flag makes the answer a 500 *and* the job; a number that is none
        makes it a 200 without a job.
        """
        if not isinstance(call.body, dict):
            return self._envelope.no_dictionary()
        if call.body.get("jobs"):
            raise NotEmulated("heterogeneous jobs")
        body = call.body.get("job")
        if not isinstance(body, dict):
            return self._no_script(Complaints())
        complaints = Complaints()
        try:
            return self._submit(body, complaints, call.now)
        except Refused as refused:
            about = "Batch job submission failed"
            return self._envelope.refused(refused.number, about, _SUBMIT, complaints=complaints)

    def _submit(self, body: dict[str, Json], complaints: Complaints, now: float) -> Answer:
        submission = description.read(
            body,
            partitions=self._cluster.partitions,
            gres_types=self._cluster.behaviour.gres_types,
            site=self._site,
            complaints=complaints,
        )
        if not submission.external and not body.get("script"):
            return self._no_script(complaints)
        if complaints.wrong_type:
            return self._envelope.answer({}, complaints)
        if complaints.errors and submission.flags_known:
            status = status_of(complaints.errors[0]["error_number"])
            return self._envelope.answer({}, complaints, status=status)
        job, warning = self._cluster.submit(
            submission.request, now, priority=submission.priority, held=submission.held
        )
        warning = submit.HELD if submission.held else warning
        if warning:
            text = submit.TEXTS[warning]
            complaints.warn(f"Job submission resulted in non-zero return code: {text}", _SUBMIT)
            if warning == submit.NO_SWITCH:
                complaints.errors.append(
                    {"description": "", "error_number": warning, "error": text, "source": _SUBMIT}
                )
            else:
                complaints.warn(text, _SUBMIT)
        content = {"job_id": job.id, "step_id": "batch", "job_submit_user_msg": ""}
        return self._envelope.answer(content, complaints, status=500 if complaints.errors else 200)

    def _no_script(self, complaints: Complaints) -> Answer:
        about = 'Populated "script" field is required for job submission'
        return self._envelope.refused(REST_INVALID_QUERY, about, "_job_post", complaints=complaints)

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

    def cancel(self, call: Call) -> Answer:
        """End or signal a job. What goes wrong is told inside, with status 200."""
        if not call.argument.isdigit():
            return self._envelope.bad_id()
        failure = self._end(call.argument, call, signal=bool(call.query.get("signal")))
        return self._envelope.answer({"status": [failure] if failure else []})

    def cancel_several(self, call: Call) -> Answer:
        """End each of a list of jobs; of those that can't be, the status tells why."""
        if not isinstance(call.body, dict) or not isinstance(call.body.get("jobs"), list):
            return self._envelope.no_dictionary()
        ended = [self._end(str(one), call, signal=False) for one in call.body["jobs"]]
        return self._envelope.answer({"status": [one for one in ended if one]})

    def _end(self, argument: str, call: Call, *, signal: bool) -> dict[str, Json] | None:
        """What went wrong."""
        job_id = int(argument) if argument.isdigit() else 0
        try:
            if signal:
                self._cluster.signal(job_id, call.now)
            else:
                self._cluster.cancel(job_id, call.now)
        except Refused as refused:
            known = job_id if refused.number == ALREADY_DONE else None
            error = {"string": refused.text, "code": refused.number, "message": refused.text}
            return {
                "error": error,
                "step_id": argument,
                "job_id": number(known),
                "federation": {"sibling": ""},
            }
        return None
