"""Changes waiting jobs in Slurm: a job's changes are made one after the other, and of those that
wait for that only the newest is made."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import structlog

from bridge import slurm
from bridge.controller.pool import Pool
from bridge.errors import BridgeError
from bridge.jobs import to_slurm
from bridge.lifecycle import events as ev
from bridge.lifecycle import instructions as do
from bridge.model.ids import GangId, SlurmJobId

log = structlog.get_logger(__name__)

URGENCY = 2
"""Updates go after cancels and submits."""


class JobUpdater:
    """Performs UpdateJob, and answers with UpdateFailed or not at all. `failed` takes errors that
    are mistakes of ours."""

    def __init__(
        self,
        *,
        client: slurm.SlurmClient,
        pool: Pool,
        handle: Callable[[GangId, ev.Event], None],
        failed: Callable[[GangId, Exception], None],
    ) -> None:
        self._client = client
        self._pool = pool
        self._handle = handle
        self._failed = failed
        self._pending: dict[SlurmJobId, do.UpdateJob] = {}
        """The newest change of each job that waits for its turn."""
        self._updating: set[SlurmJobId] = set()
        """Jobs that are being changed."""

    def update(self, gang_id: GangId, instruction: do.UpdateJob, *, tenant: str) -> None:
        """Makes the change in its turn."""
        job_id = instruction.job_id
        pending = self._pending.get(job_id)
        if pending is not None and instruction.old is not None:
            instruction = replace(instruction, old=pending.old)
        self._pending[job_id] = instruction
        if pending is None and job_id not in self._updating:
            self._add_update(gang_id, job_id, tenant)

    def _add_update(self, gang_id: GangId, job_id: SlurmJobId, tenant: str) -> None:
        self._pool.add(
            partial(self._update, gang_id, job_id, tenant),
            tenant=tenant,
            urgency=URGENCY,
            failed=partial(self._failed, gang_id),
        )

    async def _update(self, gang_id: GangId, job_id: SlurmJobId, tenant: str) -> None:
        self._updating.add(job_id)
        try:
            await self._change(gang_id, self._pending.pop(job_id))
        finally:
            self._updating.discard(job_id)
            if job_id in self._pending:
                self._add_update(gang_id, job_id, tenant)

    async def _change(self, gang_id: GangId, instruction: do.UpdateJob) -> None:
        old, new = instruction.old, instruction.new
        olds = (old, *old.also) if old is not None else (None,) * (1 + len(new.also))
        try:
            for offset, (before, after) in enumerate(zip(olds, (new, *new.also), strict=True)):
                component = SlurmJobId(instruction.job_id + offset)
                await self._client.update_job(component, to_slurm.changes(before, after))
        except BridgeError as error:
            log.warning("job.update_failed", slurm_job=instruction.job_id, error=str(error))
            self._handle(gang_id, ev.UpdateFailed(instruction.job_id))
