"""Submitting jobs: never twice.

A lost answer is looked for by the job's identity (see submissions).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from bridge.model.ids import SlurmJobId
from bridge.slurm import answers
from bridge.slurm.answers import Operation
from bridge.slurm.calls.jobs import JobCalls
from bridge.slurm.errors import (
    InvalidRequest,
    JobNotFound,
    MalformedAnswer,
    ServerTooOld,
    SlurmError,
    Unavailable,
)
from bridge.slurm.http import Request
from bridge.slurm.immediate import DEFERRED, startable
from bridge.slurm.jobs import JobDescription, Submitted
from bridge.slurm.submissions import Attempt
from bridge.slurm.wire import Wire

log = structlog.get_logger(__name__)

_LOOK_AGAIN_S = (0.0, 0.2, 0.5, 1.0)
"""Pauses before each look for a lost job: a slurmctld that hung may list jobs before it has
carried out the submit that waited."""


class SubmitCalls(JobCalls):
    """`POST /job/submit` and `/job/allocate`."""

    async def submit(
        self, job: JobDescription, *, recover: bool = True, immediate: bool = False
    ) -> SlurmJobId:
        """Submit a job; its id. The same as `submission`, without Slurm's words."""
        return (await self.submission(job, recover=recover, immediate=immediate)).id

    async def submission(
        self, job: JobDescription, *, recover: bool = True, immediate: bool = False
    ) -> Submitted:
        """Submit a job; its id, and what Slurm said of it.

        With `immediate` Slurm is asked to start it in this very call, where that is likely (see
        the module immediate); where it doesn't, the job is queued as any other.

        With `recover`, a lost answer is looked for by `admin_comment`, which must then be this
        job's alone; what is not found raises Unavailable, and the next submit with the same
        admin_comment looks again before it sends. So a caller may simply submit again until it
        succeeds: there is never a second job. Without `recover` (or without an admin_comment)
        Unavailable leaves open whether there is a job.
        """
        operation = Operation(f"submitting job {job.name!r}", about="job", safe=False)
        identity = (job.admin_comment or "") if recover else ""
        return await self._once(identity, lambda: self._make(job, operation, immediate=immediate))

    async def submit_het(
        self, components: Sequence[JobDescription], *, recover: bool = True
    ) -> Submitted:
        """Submit a het job, whose components start together on nodes of their own.

        The id is the first component's; the others are in `/jobs/state/` as jobs of their own,
        with `het_job_id`. `recover` goes by the first component's admin_comment. Only backfill
        starts them, and a change applies to one component.
        """
        if not components:
            raise InvalidRequest("submitting a het job: it has no components")
        first = components[0]
        operation = Operation(f"submitting het job {first.name!r}", about="job", safe=False)
        identity = (first.admin_comment or "") if recover else ""
        return await self._once(
            identity,
            lambda: self._submit(
                operation,
                lambda wire: Request("POST", "/job/submit", wire.het_submission(components)),
            ),
        )

    async def _once(self, identity: str, make: Callable[[], Awaitable[Submitted]]) -> Submitted:
        """`make`, unless a job of that identity is found that an earlier answer was lost of."""
        if not identity:
            return await make()
        if self._submissions.blind:
            await self.job_states()
        if (before := self._submissions.lost_before(identity)) is not None:
            found = await self._look_for(before)
            if found is not None:
                return Submitted(found)
        attempt = self._submissions.begin(identity)
        try:
            made = await make()
        except Unavailable as error:
            if error.nothing_done:
                raise
            return Submitted(await self._recover(attempt, error))
        except asyncio.CancelledError:
            self._submissions.lost(attempt)
            raise
        self._submissions.answered(made.id, identity)
        return made

    async def _make(
        self, job: JobDescription, operation: Operation, *, immediate: bool
    ) -> Submitted:
        """The job, running or queued."""
        if immediate and startable(job) and self._immediate.worth_asking(self._clock.monotonic()):
            try:
                made = await self._submit(
                    operation, lambda wire: Request("POST", "/job/allocate", wire.allocation(job))
                )
            except Unavailable:
                raise
            except SlurmError as error:  # whatever it is, the queue has the last word
                never = error.number == DEFERRED or isinstance(error, ServerTooOld)
                self._immediate.refused(self._clock.monotonic(), always=never)
                log.debug("job.not_started_at_once", job=job.name, error=str(error))
            else:
                self._immediate.granted()
                return made
        return await self._submit(
            operation, lambda wire: Request("POST", "/job/submit", wire.submission(job))
        )

    async def _submit(self, operation: Operation, request: Callable[[Wire], Request]) -> Submitted:
        answer, _ = await self._session.call(operation, request)
        found = answers.envelope(answer, operation)
        job_id = SlurmJobId(found.job_id or 0)
        if answers.queued_all_the_same(found):
            return Submitted(job_id, found.caveats)
        problem = answers.judge(found, answer, operation)
        if problem is not None and job_id > 0:
            # Slurm takes jobs with a flag or field it does not know, and runs them without.
            await self._withdraw(job_id, problem)
        if problem is not None:
            raise problem
        if found.warnings:
            raise InvalidRequest(
                f"{operation.tried}: Slurm made no job of it: {'; '.join(found.words)}",
                warnings=found.words,
            )
        raise MalformedAnswer(f"{operation.tried}: {answer.url} answered without a job id")

    async def _withdraw(self, job_id: SlurmJobId, problem: SlurmError) -> None:
        try:
            await self.cancel_job(job_id)
        except SlurmError as error:
            problem.args = (
                f"{problem}; it made job {job_id} of it all the same, which could not be "
                f"cancelled ({error}): do that",
            )

    async def _recover(self, attempt: Attempt, error: Unavailable) -> SlurmJobId:
        """The job of a lost answer. Raises Unavailable when it can't be found now."""
        self._submissions.lost(attempt)
        try:
            found = await self._look_for(attempt)
        except SlurmError as second:
            raise Unavailable(
                f"{error}; whether there is a job now can't be said ({second}). Submitting it "
                "again looks for it first",
                number=error.number,
                by_slurm=error.by_slurm,
            ) from error
        if found is not None:
            return found
        raise Unavailable(
            f"{error}; there is no job of it so far. Submitting it again looks for it first",
            number=error.number,
            by_slurm=error.by_slurm,
        ) from error

    async def _look_for(self, attempt: Attempt) -> SlurmJobId | None:
        for pause_s in _LOOK_AGAIN_S:
            if pause_s:
                await self._clock.sleep(pause_s)
            ids = frozenset(await self.job_states())
            found = self._submissions.match(attempt, ids)
            for job_id in self._submissions.unread(attempt, ids):
                if found is not None:
                    break
                try:
                    await self.get_job(job_id)  # which notes its admin_comment
                except JobNotFound:
                    continue
                found = self._submissions.match(attempt, ids)
            if found is not None:
                self._submissions.answered(found, attempt.identity)
                log.info("submission.found_again", slurm_job=found)
                return found
        return None
