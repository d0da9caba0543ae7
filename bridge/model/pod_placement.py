"""What the bridge knows about one pod's place, as the extender asks for it."""

from dataclasses import dataclass

from bridge.model.ids import NodeName, PodUid, SlurmJobId


@dataclass(frozen=True, slots=True)
class PodPlacement:
    """`node` is the one node that the pod's live allocation gives it, None while it has none.

    `waits_for` is the sentence for the user while `node` is None. `running_seen_s` is the
    monotonic time at which Slurm last said that the job runs (minus infinity: never).
    """

    pod: PodUid
    node: NodeName | None
    job_id: SlurmJobId | None
    waits_for: str = ""
    running_seen_s: float = float("-inf")
