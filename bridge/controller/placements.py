"""Each pod's place as far as it is known, for the extender."""

from collections.abc import Callable

from bridge import slurm
from bridge.controller.active_gangs import ActiveGangs
from bridge.controller.faults import Faults
from bridge.lifecycle.machine import GangMachine
from bridge.model.ids import GangId, NodeName, PodUid
from bridge.model.pod_placement import PodPlacement
from bridge.state.kube_state import KubeState


class Placements:
    """Answers the extender. `holds` tells whether a gang's job holds a node, `is_mine` whether a
    job says that it is the gang's."""

    def __init__(
        self,
        *,
        cluster: KubeState,
        gangs: ActiveGangs,
        faults: Faults,
        client: slurm.SlurmClient,
        watcher: slurm.JobWatcher,
        holds: Callable[[GangMachine, NodeName], bool],
        is_mine: Callable[[slurm.Job, GangId], bool],
    ) -> None:
        self._cluster = cluster
        self._gangs = gangs
        self._faults = faults
        self._client = client
        self._watcher = watcher
        self._holds = holds
        self._is_mine = is_mine

    def of(self, uid: PodUid) -> PodPlacement | None:
        """The pod's place; None for an unknown pod."""
        gang_id = self._cluster.gang_of(uid)
        if gang_id is None:
            return None
        machine = self._gangs.machines.get(gang_id)
        if machine is None:
            fault = self._faults.set_aside(gang_id)
            if fault is None:
                return None
            return PodPlacement(uid, node=None, job_id=None, waits_for=fault.sentence)
        node, waits_for = machine.placement_of(uid)
        job_id = machine.known.job_id
        if node is not None and not self._holds(machine, node):
            waits_for = f"Slurm job {job_id} does not hold node {node}, which the pod names"
            node = None
        watched = self._watcher.jobs.get(job_id) if job_id is not None else None
        running = watched is not None and watched.job.running
        return PodPlacement(
            pod=uid,
            node=node,
            job_id=job_id,
            waits_for=waits_for,
            running_seen_s=watched.seen_s if watched is not None and running else float("-inf"),
        )

    async def confirm(self, placement: PodPlacement) -> bool:
        """Asks Slurm whether the job runs and belongs to this gang. Raises Unreachable."""
        gang_id = self._cluster.gang_of(placement.pod)
        if placement.job_id is None or gang_id is None:
            return False
        try:
            job = await self._client.get_job(placement.job_id)
        except slurm.NotFound:
            return False
        return job.running and self._is_mine(job, gang_id)
