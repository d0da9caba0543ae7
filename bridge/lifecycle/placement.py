"""Which node each pod of one Slurm job gets, of the nodes that the job holds."""

from collections.abc import Iterable, Mapping

from bridge.lifecycle.slots import Slots
from bridge.lifecycle.tuning import Tuning
from bridge.lifecycle.waits.idle_nodes import IdleNodes
from bridge.lifecycle.waits.missing_members import MissingMembers
from bridge.lifecycle.waits.node_return import NodeReturn
from bridge.lifecycle.waits.stuck_pins import StuckPins
from bridge.model.gang import Gang, Rank, Shortfall
from bridge.model.ids import PodUid, SlurmJobId
from bridge.model.pod import Pod
from bridge.retry import Backoff


class Placement:
    """The placement of one job; dropped with the job. Times are monotonic seconds."""

    def __init__(self, gang: Gang | None, tuning: Tuning) -> None:
        self.slots = Slots(gang)
        self.placing: Gang | None = None
        """The gang that is being placed; None while no placing is under way."""
        self.pinning: set[PodUid] = set()
        """Pods whose patch is under way."""
        self.shortfall: Shortfall | None = None
        """Why the nodes can't be used yet; None if they can, or are not placed yet."""
        self.short_since_s: float | None = None
        """Since when they can't be used."""
        self.look_again_s = float("-inf")
        """The gang is not placed again before this time."""
        self.missing = MissingMembers(patience_s=tuning.patience.members_s)
        self.idle = IdleNodes(tell_after_s=tuning.notices.idle_nodes_s)
        self.node_return = NodeReturn(
            settle_s=tuning.retries.settled_s,
            most_s=tuning.notices.idle_nodes_s,
            again_s=tuning.retries.end_again_s,
            backoff=Backoff(first_s=tuning.retries.refused_s, most_s=tuning.retries.most_s * 10),
        )
        self.stuck = StuckPins(
            patience_s=tuning.patience.stuck_pin_s,
            avoid_s=tuning.patience.avoid_s,
            backoff=Backoff(
                first_s=tuning.retries.first_s,
                most_s=tuning.retries.most_s,
                forget_s=tuning.patience.avoid_s,
            ),
        )

    def resize(self, gang: Gang | None) -> None:
        """Notes that the waiting job is for another number of pods now."""
        self.slots = Slots(gang)

    def assign_slots(
        self, pods: Iterable[Pod], ranks: Mapping[PodUid, Rank], job_id: SlurmJobId
    ) -> None:
        """Gives each pod a slot, except pods that an earlier job placed."""
        self.slots.assign(
            {pod.uid: pod for pod in pods if pod.ended or pod.job_id in (None, job_id)},
            ranks,
            job_id,
        )

    def in_slot_order(self, pods: Iterable[Pod]) -> list[Pod]:
        """The pods by their slots, those without one last."""
        last = len(self.slots)

        def position(pod: Pod) -> int:
            slot = self.slots.of(pod.uid)
            return last if slot is None else slot

        return sorted(pods, key=position)
