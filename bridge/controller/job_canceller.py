"""Ends jobs in Slurm, each until Slurm has answered: a job that nobody needs must not stay."""

from collections.abc import Callable
from functools import partial

import structlog

from bridge import slurm
from bridge.controller.pool import Pool
from bridge.controller.timers import Later
from bridge.errors import BridgeError
from bridge.lifecycle import instructions as do
from bridge.model.ids import SlurmJobId
from bridge.retry import Backoff
from bridge.telemetry import OutageLog

log = structlog.get_logger(__name__)

URGENCY = 0
"""Cancels go before submits and updates."""
_CANCEL_AGAIN_S, _CANCEL_AGAIN_MOST_S = 2.0, 60.0


class JobCanceller:
    """Performs CancelJob; `done` is called after each job that Slurm was told to end."""

    def __init__(
        self,
        *,
        client: slurm.SlurmClient,
        pool: Pool,
        done: Callable[[], None],
        outage: OutageLog,
        later: Later,
    ) -> None:
        self._client = client
        self._pool = pool
        self._done = done
        self._outage = outage
        self._later = later
        self._cancelling: dict[SlurmJobId, Backoff] = {}
        """Jobs whose end was asked for, and the last error of each."""

    def cancel(self, instruction: do.CancelJob, *, tenant: str) -> None:
        """Ends the job; does nothing if its end was already asked for and not yet seen."""
        if instruction.job_id in self._cancelling:
            return
        self._cancelling[instruction.job_id] = Backoff(
            first_s=_CANCEL_AGAIN_S, most_s=_CANCEL_AGAIN_MOST_S
        )
        self._add_cancel(instruction, tenant)

    def cancel_leak(self, job_id: SlurmJobId) -> None:
        """Ends a job of this cluster that no gang needs."""
        self.cancel(do.CancelJob(job_id, "no gang needs the job"), tenant="")

    def is_cancelling(self, job_id: SlurmJobId) -> bool:
        """Whether the job's end was asked for and not yet seen."""
        return job_id in self._cancelling

    def forget(self, job_id: SlurmJobId) -> None:
        """Drops what is kept of a job that is over."""
        self._cancelling.pop(job_id, None)

    def _add_cancel(self, instruction: do.CancelJob, tenant: str) -> None:
        work = partial(self._cancel, instruction, tenant)
        self._pool.add(work, tenant=tenant, urgency=URGENCY)

    async def _cancel(self, instruction: do.CancelJob, tenant: str) -> None:
        try:
            await self._client.cancel_job(instruction.job_id)
        except Exception as error:
            self._cancel_again(instruction, tenant)
            if not isinstance(error, BridgeError):
                raise  # a mistake of ours: it is logged, and the job is still ours to end
            self._outage.failed(error)
            return
        log.info("job.cancelled", slurm_job=instruction.job_id, why=instruction.why)
        self._done()

    def _cancel_again(self, instruction: do.CancelJob, tenant: str) -> None:
        backoff = self._cancelling.get(instruction.job_id)
        if backoff is None:
            return  # its end was seen meanwhile
        self._later(backoff.next_s(), partial(self._add_cancel, instruction, tenant))
