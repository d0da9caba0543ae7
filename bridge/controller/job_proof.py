"""What a job's admin_comment proves: whose the job is, and that its pod was split off its gang.

A pod that queues apart from its gang is a gang of one under its own uid. The process that decided
so may be gone by now; what is left of the decision is the pod's own job in Slurm. So a job whose
gang is the uid of a pod which waits as a member of another gang splits the pod off again. The pod
keeps its place in the queue, and never gets a second job.
"""

from collections.abc import Callable

from bridge.controller.active_gangs import ActiveGangs
from bridge.model.ids import GangId, PodUid
from bridge.model.job import JobFacts
from bridge.state.kube_state import KubeState


class JobProof:
    """Believes jobs of this cluster only; what pods say of themselves counts for nothing here."""

    def __init__(self, *, cluster_uid: str, cluster: KubeState, gangs: ActiveGangs) -> None:
        self.cluster_uid = cluster_uid
        """uid of the kube-system namespace, which stands in each job of this cluster."""
        self._cluster = cluster
        self._gangs = gangs
        self._split_off: Callable[[PodUid], None] = lambda pod: None

    def connect(self, *, split_off: Callable[[PodUid], None]) -> None:
        """`split_off` makes a pod a gang of its own, which has a machine then."""
        self._split_off = split_off

    def is_of(self, facts: JobFacts, gang_id: GangId) -> bool:
        """Whether the job says that it is this gang's."""
        return facts.identity is not None and facts.identity.is_of(self.cluster_uid, gang_id)

    def restore(self, facts: JobFacts) -> GangId | None:
        """Splits the job's pod off, where the pod is taken for a member of another gang; the pod's
        own gang, None where there is nothing to split off."""
        pod = self._pod_of(facts)
        if pod is None:
            return None
        self._split_off(pod)
        return GangId(pod)

    def _pod_of(self, facts: JobFacts) -> PodUid | None:
        if facts.identity is None:
            return None
        uid = PodUid(facts.identity.gang)
        pod, gang_id = self._cluster.pods.get(uid), self._cluster.gang_of(uid)
        if pod is None or gang_id in (None, GangId(uid)) or not self.is_of(facts, GangId(uid)):
            return None
        if not pod.waits_for_place or pod.node_name or self._is_being_pinned(pod.uid, gang_id):
            return None
        return uid

    def _is_being_pinned(self, pod: PodUid, gang_id: GangId | None) -> bool:
        """Whether its gang is just giving it a place, after which there is no way back."""
        machine = self._gangs.machines.get(gang_id) if gang_id is not None else None
        run = None if machine is None else machine.known.run
        return run is not None and pod in run.placement.pinning
