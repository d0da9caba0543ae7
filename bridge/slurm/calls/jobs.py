"""Jobs that exist: read, list, change, end."""

import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

from bridge.model.ids import SlurmJobId, SlurmNodeName
from bridge.slurm import answers, errno
from bridge.slurm.answers import Operation
from bridge.slurm.calls.base import Calls
from bridge.slurm.cluster import NodeLayout
from bridge.slurm.errors import InvalidRequest, JobEnded, JobNotFound, SlurmError, Unavailable
from bridge.slurm.http import Request
from bridge.slurm.jobs import Job, JobChanges

SIGNALS = (
    "HUP", "INT", "QUIT", "ABRT", "KILL", "ALRM", "TERM", "USR1", "USR2", "URG", "CONT", "STOP",
    "TSTP", "TTIN", "TTOU",
)  # fmt: skip
"""Those that slurmrestd knows by name. It ends the job when told any other."""

_LEADING_ID = re.compile(r"[0-9]{1,10}")
"""Of `12`, `12+0`, `12_3`, `12.batch`."""

_UPDATE_AGAIN_S = (0.1, 0.2, 0.3, 0.4, 0.5, 0.5)


class JobCalls(Calls):
    """`/job/{id}`, `/jobs/`, `/jobs/state/`, `/resources/{id}`."""

    async def get_job(self, job_id: SlurmJobId) -> Job:
        """The whole job, with `raw`. Raises JobNotFound only when a healthy Slurm says so."""
        operation = Operation(f"reading job {job_id}", about="job")
        answer, wire = await self._session.ask(
            operation, lambda _: Request("GET", f"/job/{job_id:d}")
        )
        job = answers.read(answer, operation, lambda body: wire.job(answers.parsed(body), job_id))
        # A start at once that was refused leaves its identity to the job that is queued for it.
        never_was = job.state == "FAILED" and job.reason == "BadConstraints"
        self._submissions.read(job.id, "" if never_was else job.admin_comment)
        return job

    async def makes_room(self, job_id: SlurmJobId) -> bool:
        """Whether Slurm preempts the running job, and its GraceTime runs.

        The answer is 9 KB for a job of any size, as it leaves out which cores the job holds: the
        whole record of a job with 16 nodes of 96 cores is 280 KB.
        """
        operation = Operation(f"reading the times of job {job_id}", about="job")
        answer, wire = await self._session.ask(
            operation, lambda _: Request("GET", f"/job/{job_id:d}?flags=ALL")
        )
        job = answers.read(answer, operation, lambda body: wire.job(answers.parsed(body), job_id))
        return job.state == "RUNNING" and job.preempt_s is not None

    async def job_states(self) -> dict[SlurmJobId, frozenset[str]]:
        """Every job's states, cheaply: the only list of jobs that is ever read."""
        return (await self.job_states_if_changed(b""))[0] or {}

    async def job_states_if_changed(
        self, before: bytes
    ) -> tuple[dict[SlurmJobId, frozenset[str]] | None, bytes]:
        """The same, and the answer's bytes; None for states when they are those of `before`.

        At rest the answer is the same to the byte, and needn't be parsed.
        """
        operation = Operation("listing the states of jobs")
        answer, wire = await self._session.ask(
            operation, lambda _: Request("GET", "/jobs/state/"), unless=before
        )
        if before and answer.body == before:
            return None, before
        states = answers.read(answer, operation, wire.states)
        self._submissions.listed(frozenset(states))
        self._immediate.listed(states.values())
        return states, answer.body

    async def update_job(self, job_id: SlurmJobId, changes: JobChanges) -> None:
        """Change a job. Raises JobNotFound, JobEnded, InvalidRequest …

        While backfill plans, slurmctld refuses changes of partition and account for a moment
        (EAGAIN): they are tried again for two seconds.
        """
        operation = Operation(f"updating job {job_id}", about="job")
        for pause_s in (*_UPDATE_AGAIN_S, None):
            try:
                await self._session.ask(
                    operation,
                    lambda wire: Request("POST", f"/job/{job_id:d}", wire.changes(changes)),
                )
            except Unavailable as error:
                if error.number != errno.TRY_AGAIN or pause_s is None:
                    raise
                await self._clock.sleep(pause_s)
            else:
                return

    async def cancel_job(self, job_id: SlurmJobId) -> None:
        """End a job; one that has ended or is unknown is no error.

        The token must be an operator's or the job's user's: slurmctld 26.05.5 hangs for ever when
        anybody else cancels over REST.
        """
        operation = Operation(f"cancelling job {job_id}", about="job")
        answer, _ = await self._session.ask(
            operation, lambda _: Request("DELETE", f"/job/{job_id:d}")
        )
        problem = answers.killed(answers.envelope(answer, operation), answer, operation)
        if problem is not None and not isinstance(problem, JobNotFound | JobEnded):
            raise problem

    async def cancel_jobs(self, job_ids: Iterable[SlurmJobId]) -> Mapping[SlurmJobId, SlurmError]:
        """End many jobs with one request; what went wrong, by job. Ended or unknown is no error."""
        wanted = list(job_ids)
        operation = Operation(f"cancelling {len(wanted)} jobs", about="job")
        if not wanted:
            return {}
        body = {"jobs": [str(int(job_id)) for job_id in wanted]}
        answer, _ = await self._session.ask(operation, lambda _: Request("DELETE", "/jobs/", body))
        failed: dict[SlurmJobId, SlurmError] = {}
        for name, problem in answers.each_killed(
            answers.envelope(answer, operation), answer, operation
        ):
            if isinstance(problem, JobNotFound | JobEnded):
                continue
            if (number := _LEADING_ID.match(name)) is None:
                raise problem  # whose it is, the answer doesn't say
            failed[SlurmJobId(int(number[0]))] = problem
        return failed

    async def signal_job(self, job_id: SlurmJobId, signal: str) -> None:
        """Send a signal to a running job's processes: TERM, USR1 … (see SIGNALS).

        An external job has none; nodes whose slurmd isn't there become NOT_RESPONDING by it.
        Raises JobNotFound, JobEnded, InvalidRequest for a name that Slurm doesn't know.
        """
        operation = Operation(f"sending {signal} to job {job_id}", about="job", safe=False)
        name = signal.upper().removeprefix("SIG")
        if name not in SIGNALS:
            raise InvalidRequest(f"{operation.tried}: Slurm knows only {', '.join(SIGNALS)}")
        answer, _ = await self._session.ask(
            operation, lambda _: Request("DELETE", f"/job/{job_id:d}?signal={name}")
        )
        problem = answers.killed(answers.envelope(answer, operation), answer, operation)
        if problem is not None:
            raise problem

    async def requeue_job(self, job_id: SlurmJobId, *, hold: bool = False) -> None:
        """End a batch job and queue it again under its id; with `hold`, until it is released.

        It starts two minutes later at the earliest (slurm.conf(5), AuthInfo=cred_expire), unless
        `update_job` gives it another `begin_s` once it is PENDING and no longer COMPLETING.
        Since v0.0.45. Raises ServerTooOld, JobNotFound, InvalidRequest (no batch job, or pending).
        """
        operation = Operation(f"requeueing job {job_id}", about="job", safe=False)
        held = "?Hold=true" if hold else ""
        await self._change(operation, "GET", f"/job/{job_id:d}/requeue{held}")

    async def shrink_job(self, job_id: SlurmJobId, keep: Sequence[SlurmNodeName]) -> None:
        """Give back all nodes of a running job but those.

        slurmctld tells the slurmd of each node given back; external nodes want a sink for that.
        """
        if not keep:
            raise InvalidRequest(f"shrinking job {job_id}: it keeps at least one node; cancel it")
        await self.update_job(job_id, JobChanges(required_nodes=tuple(keep)))

    async def get_layout(self, job_id: SlurmJobId) -> tuple[NodeLayout, ...]:
        """Which cores and devices a running job holds, node by node.

        Raises JobNotFound, InvalidRequest when it isn't running.
        """
        return await self._read(
            Operation(f"reading the layout of job {job_id}", about="job"),
            f"/resources/{job_id:d}",
            lambda wire, answer: wire.layout(answer),
        )

    async def each_job(
        self, wanted: Callable[[frozenset[str]], bool] = lambda _: True
    ) -> AsyncIterator[Job]:
        """The jobs whose states are wanted, read one by one in order of their ids.

        Slurm's own list of whole jobs is 20 KB a job in one answer, for which slurmctld holds its
        locks; this asks as much of it in small pieces. For all jobs at all times, watch.
        """
        states = await self.job_states()
        for job_id in sorted(one for one, said in states.items() if wanted(said)):
            try:
                yield await self.get_job(job_id)
            except JobNotFound:
                continue
