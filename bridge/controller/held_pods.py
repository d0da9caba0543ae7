"""Events on pods for which the bridge can't do anything yet: they say why."""

from bridge.controller.active_gangs import ActiveGangs
from bridge.controller.job_claims import JobClaims
from bridge.controller.pod_events import PodEvents
from bridge.lifecycle import instructions as do
from bridge.model.ids import PodUid
from bridge.state.kube_state import KubeState


class HeldPods:
    """Finds pods whose gang waits for a job to be read, and pods whose gang is not known yet."""

    def __init__(
        self, *, cluster: KubeState, gangs: ActiveGangs, claims: JobClaims, events: PodEvents
    ) -> None:
        self._cluster = cluster
        self._gangs = gangs
        self._claims = claims
        self._events = events
        self._late: set[PodUid] = set()
        """Pods whose gang was not known at the last call."""

    def tell(self) -> None:
        """Writes the events; called every few seconds."""
        self._tell_held()
        self._tell_unresolved()

    def _tell_held(self) -> None:
        """One pod of each gang that is held up by a job that can't be read."""
        for gang_id, machine in self._gangs.machines.items():
            jobs = self._claims.open(gang_id)
            for pod in self._cluster.pods_of(gang_id)[:1] if machine.held and jobs else ():
                named = ", ".join(map(str, sorted(jobs)))
                note = (
                    f"The pods of this gang name Slurm job {named}, and Slurm has not yet said "
                    "whose job that is; until then nothing is done for the pods. slurm-bridge "
                    "asks again automatically"
                )
                self._events.tell(do.EmitEvent(pod, "Warning", "SlurmJobNotRead", note))

    def _tell_unresolved(self) -> None:
        """Not those that came a moment ago: kinds and owners come after their pods."""
        pods = self._cluster.unresolved
        late, self._late = self._late, {pod.uid for pod in pods}
        for pod in (one for one in pods if one.uid in late):
            owner = f"{pod.owner.kind} {pod.owner.name}" if pod.owner else "the group that it names"
            note = (
                f"{owner} can't be read from the API server yet, so slurm-bridge doesn't know "
                "which pods start together; the pod is queued in Slurm when the owner is read"
            )
            self._events.tell(do.EmitEvent(pod, "Warning", "OwnerNotRead", note))
