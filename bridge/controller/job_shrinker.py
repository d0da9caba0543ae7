"""Has Slurm take back nodes that a running job no longer needs."""

from collections.abc import Callable
from functools import partial

import structlog

from bridge import slurm
from bridge.controller.pool import Pool
from bridge.errors import BridgeError
from bridge.lifecycle import events as ev
from bridge.lifecycle import instructions as do
from bridge.model import texts
from bridge.model.ids import GangId, NodeName, SlurmJobId, SlurmNodeName
from bridge.model.job import Allocation
from bridge.state.kube_state import KubeState
from bridge.state.slurm_state import SlurmState

log = structlog.get_logger(__name__)

URGENCY = 2
"""Like updates: after cancels and submits."""
AT_ONCE = 16
"""The most nodes that one request gives back. slurmctld speaks to more than TreeWidth nodes (16 by
default) by way of others of them, which a sink does not do: on 26.05.5 all beyond were lost."""
_MOST_NODES = 5
"""The most nodes that one sentence names."""


class JobShrinker:
    """Performs ShrinkJob, and answers with JobShrunk or ShrinkFailed. `failed` takes errors that
    are mistakes of ours."""

    def __init__(
        self,
        *,
        client: slurm.SlurmClient,
        pool: Pool,
        cluster: KubeState,
        slurm_state: SlurmState,
        reread: Callable[[SlurmJobId], None],
        handle: Callable[[GangId, ev.Event], None],
        failed: Callable[[GangId, Exception], None],
    ) -> None:
        """`reread` has a job read again: the nodes that it holds change without a change of its
        state."""
        self._client = client
        self._pool = pool
        self._cluster = cluster
        self._slurm_state = slurm_state
        self._reread = reread
        self._handle = handle
        self._failed = failed

    def shrink(self, gang_id: GangId, instruction: do.ShrinkJob, *, tenant: str) -> None:
        """Shrinks each component of the job, in the namespace's turn."""
        self._pool.add(
            partial(self._shrink, gang_id, instruction),
            tenant=tenant,
            urgency=URGENCY,
            failed=partial(self._failed, gang_id),
        )

    async def _shrink(self, gang_id: GangId, instruction: do.ShrinkJob) -> None:
        job_id = instruction.job_id
        try:
            for allocation in instruction.allocations:
                await self._shrink_component(allocation, instruction.nodes)
        except BridgeError as error:
            log.warning("job.shrink_failed", slurm_job=job_id, error=str(error))
            self._handle(gang_id, ev.ShrinkFailed(job_id, str(error)))
        else:
            self._handle(gang_id, ev.JobShrunk(job_id))

    async def _shrink_component(self, allocation: Allocation, nodes: frozenset[NodeName]) -> None:
        """Raises BridgeError, also where Slurm would lose a node by it."""
        keep, rest = split(allocation, nodes, self._cluster.by_slurm_name.get)
        if not rest:
            return
        lost = sorted(set(rest) - self._slurm_state.answered)
        if lost:
            raise slurm.InvalidRequest(
                f"no sink answers for {texts.some_of(lost, _MOST_NODES)}, so Slurm would lose what "
                "it takes back"
            )
        try:
            while rest:
                now, rest = rest[:AT_ONCE], rest[AT_ONCE:]
                await self._client.shrink_job(allocation.job_id, [*keep, *rest])
                log.info("job.shrunk", slurm_job=allocation.job_id, nodes=now)
        finally:
            self._reread(allocation.job_id)


def split(
    allocation: Allocation,
    nodes: frozenset[NodeName],
    name_of: Callable[[SlurmNodeName], NodeName | None],
) -> tuple[list[SlurmNodeName], list[SlurmNodeName]]:
    """What a component keeps when it gives these nodes back, and what it gives back. It keeps one
    node in any case: Slurm has no job without nodes."""
    keep: list[SlurmNodeName] = []
    rest: list[SlurmNodeName] = []
    for grant in allocation.nodes:
        name = name_of(grant.node) or NodeName(grant.node)
        (rest if name in nodes else keep).append(grant.node)
    if not keep:
        keep, rest = rest[:1], rest[1:]
    return keep, rest
