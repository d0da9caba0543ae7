"""Performs what concerns the jobs in Slurm: submits, changes, cancels."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import structlog

from bridge import slurm
from bridge.clock import Clock
from bridge.controller.pool import Pool
from bridge.errors import BadInput, BridgeError
from bridge.jobs import to_slurm
from bridge.lifecycle import events as ev
from bridge.lifecycle import instructions as do
from bridge.model.gang import Gang
from bridge.model.ids import GangId, SlurmJobId
from bridge.model.job import JobSpec
from bridge.telemetry import Metrics, OutageLog

log = structlog.get_logger(__name__)

_CANCEL, _SUBMIT, _UPDATE = 0, 1, 2
_CANCEL_AGAIN_S, _CANCEL_AGAIN_MOST_S = 2.0, 60.0
_NAMED = 5


class JobWriter:
    """Performs instructions about jobs, a few at a time.

    `build` makes the job of a gang (generation), `has_room` tells whether it could start at once,
    `follow` is told of each new job before anything else is, `handle` takes what came of it,
    `failed` what should never have been raised. Tenants take turns.
    """

    def __init__(
        self,
        *,
        client: slurm.SlurmClient,
        watcher: slurm.JobWatcher,
        build: Callable[[Gang, int], JobSpec],
        has_room: Callable[[Gang], bool],
        follow: Callable[[GangId, SlurmJobId], None],
        handle: Callable[[GangId, ev.Event], None],
        failed: Callable[[GangId, Exception], None],
        outage: OutageLog,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._client = client
        self._watcher = watcher
        self._build = build
        self._has_room = has_room
        self._follow = follow
        self._handle = handle
        self._failed = failed
        self._outage = outage
        self._metrics = metrics
        self._clock = clock
        self._pool = Pool(workers=8)
        self._cancelling: dict[SlurmJobId, int] = {}
        """Jobs whose end was asked for, and how often that failed."""
        self._wished: dict[SlurmJobId, do.UpdateJob] = {}
        """Changes that wait for their turn."""
        self._updating: set[SlurmJobId] = set()
        """Jobs that are being changed."""

    async def run(self) -> None:
        """Perform until cancelled."""
        await self._pool.run()

    async def drain(self) -> None:
        """Start no more requests; return when those in flight are answered."""
        await self._pool.drain()

    def submit(self, gang_id: GangId, instruction: do.SubmitJob, *, tenant: str) -> None:
        """Answers with Submitted or SubmitFailed."""
        self._pool.add(
            partial(self._submit, gang_id, instruction),
            tenant=tenant,
            urgency=_SUBMIT,
            failed=partial(self._failed, gang_id),
        )

    def update(self, gang_id: GangId, instruction: do.UpdateJob, *, tenant: str) -> None:
        """Answers with UpdateFailed, or not at all. A job's changes are made one after the other;
        of those that wait for that only the newest is made."""
        job_id = instruction.job_id
        waiting = self._wished.get(job_id)
        if waiting is not None and instruction.old is not None:
            instruction = replace(instruction, old=waiting.old)
        self._wished[job_id] = instruction
        if waiting is None and job_id not in self._updating:
            self._add_update(gang_id, job_id, tenant)

    def _add_update(self, gang_id: GangId, job_id: SlurmJobId, tenant: str) -> None:
        self._pool.add(
            partial(self._update, gang_id, job_id, tenant),
            tenant=tenant,
            urgency=_UPDATE,
            failed=partial(self._failed, gang_id),
        )

    def cancel(self, instruction: do.CancelJob, *, tenant: str) -> None:
        """Until Slurm has answered: a job that nobody needs must not stay."""
        if instruction.job_id in self._cancelling:
            return
        self._cancelling[instruction.job_id] = 0
        self._add_cancel(instruction, tenant)

    def _add_cancel(self, instruction: do.CancelJob, tenant: str) -> None:
        work = partial(self._cancel, instruction, tenant)
        self._pool.add(work, tenant=tenant, urgency=_CANCEL)

    def is_cancelling(self, job_id: SlurmJobId) -> bool:
        """Whether its end has been asked for and not been seen."""
        return job_id in self._cancelling

    def forget(self, job_id: SlurmJobId) -> None:
        """The job is over."""
        self._cancelling.pop(job_id, None)

    async def _submit(self, gang_id: GangId, instruction: do.SubmitJob) -> None:
        event: ev.Event
        began_s = self._clock.monotonic()
        try:
            spec = self._build(instruction.gang, instruction.generation)
            job_id = await self._send(spec, instruction.gang)
        except BadInput as error:
            event = ev.SubmitFailed(str(error), lasting=True)
        except (slurm.InvalidRequest, slurm.RejectedByPolicy) as error:
            event = ev.SubmitFailed(
                f"Slurm refused the job: {error}{_left_out(spec)}", lasting=True
            )
        except BridgeError as error:
            self._outage.failed(error)
            event = ev.SubmitFailed(f"Slurm did not take the job: {error}", lasting=False)
        else:
            self._follow(gang_id, job_id)
            self._watcher.poke()
            event = ev.Submitted(job_id, spec)
        outcome = "submitted" if isinstance(event, ev.Submitted) else "failed"
        self._metrics.submit_seconds.labels(outcome).observe(self._clock.monotonic() - began_s)
        self._handle(gang_id, event)

    async def _send(self, spec: JobSpec, gang: Gang) -> SlurmJobId:
        if spec.also:
            components = [to_slurm.description(one) for one in (spec, *spec.also)]
            return (await self._client.submit_het(components)).id
        return await self._client.submit(to_slurm.description(spec), at_once=self._has_room(gang))

    async def _update(self, gang_id: GangId, job_id: SlurmJobId, tenant: str) -> None:
        self._updating.add(job_id)
        try:
            await self._change(gang_id, self._wished.pop(job_id))
        finally:
            self._updating.discard(job_id)
            if job_id in self._wished:
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
        self._watcher.poke()

    def _cancel_again(self, instruction: do.CancelJob, tenant: str) -> None:
        failures = self._cancelling.get(instruction.job_id)
        if failures is None:
            return  # its end was seen meanwhile
        self._cancelling[instruction.job_id] = failures + 1
        delay_s = min(_CANCEL_AGAIN_MOST_S, _CANCEL_AGAIN_S * 2.0 ** min(failures, 16))
        asyncio.get_running_loop().call_later(delay_s, self._add_cancel, instruction, tenant)


def _left_out(spec: JobSpec) -> str:
    """Slurm's refusal does not say that it was asked for other nodes than these."""
    nodes = [node for part in (spec, *spec.also) for node in part.excluded_nodes]
    if not nodes:
        return ""
    more = f" and {len(nodes) - _NAMED} more" if len(nodes) > _NAMED else ""
    return f"; nodes that the job leaves out: {', '.join(nodes[:_NAMED])}{more}"
