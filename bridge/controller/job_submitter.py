"""Submits the jobs of gangs to Slurm."""

from collections.abc import Callable
from functools import partial

from bridge import slurm
from bridge.clock import Clock
from bridge.controller.pool import Pool
from bridge.errors import BadInput, BridgeError
from bridge.jobs import to_slurm
from bridge.jobs.node_constraints import NoNodes
from bridge.lifecycle import events as ev
from bridge.lifecycle import instructions as do
from bridge.model.gang import Gang
from bridge.model.ids import GangId, SlurmJobId
from bridge.model.job import JobSpec
from bridge.telemetry import Metrics, OutageLog

URGENCY = 1
"""Submits go after cancels and before updates."""


class JobSubmitter:
    """Performs SubmitJob, and answers with Submitted or SubmitFailed.

    `build` makes the job of a gang (generation), `shortage` says why no nodes can ever take a job,
    `left_out` names the nodes that the gang's job leaves out for a while, `has_room` tells whether
    the job could start at once, `submitted` is called first with each new job, `handle` takes the
    answer, `failed` takes errors that are mistakes of ours.
    """

    def __init__(
        self,
        *,
        client: slurm.SlurmClient,
        pool: Pool,
        build: Callable[[Gang, int], JobSpec],
        shortage: Callable[[JobSpec], str],
        left_out: Callable[[GangId], str],
        has_room: Callable[[Gang], bool],
        submitted: Callable[[GangId, SlurmJobId], None],
        handle: Callable[[GangId, ev.Event], None],
        failed: Callable[[GangId, Exception], None],
        outage: OutageLog,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._client = client
        self._pool = pool
        self._build = build
        self._shortage = shortage
        self._left_out = left_out
        self._has_room = has_room
        self._submitted = submitted
        self._handle = handle
        self._failed = failed
        self._outage = outage
        self._metrics = metrics
        self._clock = clock

    def submit(self, gang_id: GangId, instruction: do.SubmitJob, *, tenant: str) -> None:
        """Submits the job in the tenant's turn."""
        self._pool.add(
            partial(self._submit, gang_id, instruction),
            tenant=tenant,
            urgency=URGENCY,
            failed=partial(self._failed, gang_id),
        )

    async def _submit(self, gang_id: GangId, instruction: do.SubmitJob) -> None:
        event: ev.Event
        began_s = self._clock.monotonic()
        spec: JobSpec | None = None
        try:
            spec = self._build(instruction.gang, instruction.generation)
            job_id = await self._send(spec, instruction.gang)
        except BadInput as error:
            lacks_nodes = isinstance(error, NoNodes)
            event = ev.SubmitFailed(str(error), lasting=True, lacks_nodes=lacks_nodes)
        except (slurm.InvalidRequest, slurm.RejectedByPolicy) as error:
            event = ev.SubmitFailed(
                self._refusal(gang_id, spec, error),
                lasting=True,
                lacks_nodes=error.is_lack_of_nodes,
            )
        except BridgeError as error:
            self._outage.failed(error)
            event = ev.SubmitFailed(f"Slurm did not take the job: {error}", lasting=False)
        else:
            self._submitted(gang_id, job_id)
            event = ev.Submitted(job_id, spec)
        outcome = "submitted" if isinstance(event, ev.Submitted) else "failed"
        self._metrics.submit_seconds.labels(outcome).observe(self._clock.monotonic() - began_s)
        self._handle(gang_id, event)

    async def _send(self, spec: JobSpec, gang: Gang) -> SlurmJobId:
        if spec.also:
            components = [to_slurm.description(one) for one in (spec, *spec.also)]
            return (await self._client.submit_het(components)).id
        return await self._client.submit(to_slurm.description(spec), immediate=self._has_room(gang))

    def _refusal(self, gang_id: GangId, spec: JobSpec | None, error: slurm.SlurmError) -> str:
        """What Slurm does not say: what is short on which nodes, and that it was asked for other
        nodes than some."""
        shortage = ""
        if spec is not None and error.is_lack_of_nodes:
            shortage = self._shortage(spec)
        answer = f"{shortage}. Slurm's answer: {error}" if shortage else str(error)
        left_out = self._left_out(gang_id)
        beside = f". For now the job leaves out {left_out}" if left_out else ""
        return f"Slurm refused the job: {answer}{beside}"
