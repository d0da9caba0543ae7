"""The endpoint that submits jobs, and het jobs."""

from dataclasses import dataclass

from bridge.sim.slurm import description, submit
from bridge.sim.slurm.answers import Answer, Call, Envelope
from bridge.sim.slurm.cluster import Cluster
from bridge.sim.slurm.errors import (
    NO_ERROR,
    REST_INVALID_QUERY,
    NotEmulated,
    Refused,
    status_of,
)
from bridge.sim.slurm.job import Job
from bridge.sim.slurm.wire import Complaints, Json

_SUBMIT = "slurm_submit_batch_job()"


@dataclass(frozen=True, slots=True)
class _Words:
    """How slurmrestd speaks of what it submits."""

    what: str
    failed: str
    source: str


_JOB = _Words("Job", "Batch job submission failed", _SUBMIT)
_HET = _Words("HetJob", "HetJob submission failed", "slurm_submit_batch_het_job()")


class SubmitApi:
    """`/job/submit`."""

    def __init__(self, cluster: Cluster, envelope: Envelope, site: description.Site) -> None:
        self._cluster = cluster
        self._envelope = envelope
        self._site = site

    def submit(self, call: Call) -> Answer:
        """A new job. An unknown flag makes the answer a 500 *and* the job; a number that is none
        makes it a 200 without a job.
        """
        body = call.body
        if not isinstance(body, dict):
            return self._envelope.no_dictionary()
        one, several = body.get("job"), body.get("jobs")
        if one and several:
            return self._refuse('Specify only one "job" or "jobs" fields but never both')
        if isinstance(several, list):
            if not several:
                about = "Refusing HetJob submission without any components"
                return self._envelope.refused(NO_ERROR, about, "_job_post_het_submit")
            rows = {f"#/jobs[{number}]/": row for number, row in enumerate(several)}
            return self._all(rows, _HET, call.now)
        if not isinstance(one, dict):
            return self._no_script(Complaints())
        if body.get("script"):
            one = {**one, "script": body["script"]}
        return self._all({"#/job/": one}, _JOB, call.now)

    def _all(self, rows: dict[str, dict[str, Json]], words: _Words, now: float) -> Answer:
        """The descriptions that stand at these places, as one job."""
        complaints = Complaints()
        try:
            read = [self._read(row, complaints, at) for at, row in rows.items()]
            if not all(one.external or one.request.script for one in read):
                return self._no_script(complaints)
            if complaints.wrong_type:
                return self._envelope.answer({}, complaints)
            if complaints.errors and all(one.flags_known for one in read):
                status = status_of(complaints.errors[0]["error_number"])
                return self._envelope.answer({}, complaints, status=status)
            job, warning = self._make(read, words, now)
        except Refused as refused:
            return self._envelope.refused(
                refused.number, words.failed, words.source, complaints=complaints
            )
        if warning:
            _warn(complaints, warning, words)
        content = {"job_id": job.id, "step_id": "batch", "job_submit_user_msg": ""}
        return self._envelope.answer(content, complaints, status=500 if complaints.errors else 200)

    def _make(
        self, read: list[description.Submission], words: _Words, now: float
    ) -> tuple[Job, int]:
        """The (first) job, and the number of Slurm's warning about the last."""
        if words is _HET:
            if any(one.request.script for one in read):
                raise NotEmulated("scripts of het jobs")
            components = [(one.request, one.priority, one.held) for one in read]
            job, warning = self._cluster.submit_het(components, now)
        else:
            one = read[0]
            job, warning = self._cluster.submit(
                one.request, now, priority=one.priority, held=one.held
            )
        return job, submit.HELD if read[-1].held else warning

    def _read(
        self, row: dict[str, Json], complaints: Complaints, at: str
    ) -> description.Submission:
        return description.read(
            row,
            partitions=self._cluster.partitions,
            gres_types=self._cluster.behaviour.gres_types,
            site=self._site,
            complaints=complaints,
            at=at,
        )

    def _no_script(self, complaints: Complaints) -> Answer:
        return self._refuse('Populated "script" field is required for job submission', complaints)

    def _refuse(self, about: str, complaints: Complaints | None = None) -> Answer:
        return self._envelope.refused(REST_INVALID_QUERY, about, "_job_post", complaints=complaints)


def _warn(complaints: Complaints, warning: int, words: _Words) -> None:
    text = submit.TEXTS[warning]
    said = f"{words.what} submission resulted in non-zero return code: {text}"
    complaints.warn(said, words.source)
    if warning == submit.NO_SWITCH:
        complaints.errors.append(
            {"description": "", "error_number": warning, "error": text, "source": _SUBMIT}
        )
    else:
        complaints.warn(text, _SUBMIT)
