"""What a gang's pods and their owner ask for, whatever Slurm does."""

from collections.abc import Mapping

from bridge.lifecycle.gang_pods import GangPods
from bridge.lifecycle.slots import Slots
from bridge.lifecycle.tuning import Tuning
from bridge.lifecycle.waits.pending_claims import PendingClaims
from bridge.lifecycle.waits.spared_pods import SparedPods
from bridge.model.gang import Gang, Rank
from bridge.model.ids import PodUid
from bridge.model.owner import OwnerWill


class Demand:
    """Lives from the first look at the gang until the gang is forgotten."""

    def __init__(self, tuning: Tuning) -> None:
        self.pods = GangPods(end_again_s=tuning.retries.end_again_s)
        self.gang: Gang | None = None
        """The gang that the pods ask for; None until it was understood once."""
        self.problem = ""
        """Why the pods' present demand can't be understood; "" if it can."""
        self.owner: OwnerWill = "creates"
        self.ranks: Mapping[PodUid, Rank] = {}
        """The rank of each pod in the gang."""
        self.lost: frozenset[PodUid] = frozenset()
        """Pods that can't end, as their node is gone or does not answer."""
        self.judged: frozenset[PodUid] = frozenset()
        """Pods whose Job says itself what a disruption means, in a gang that has others too."""
        self.spared = SparedPods(
            moment_s=tuning.retries.judged_s, unscheduled_s=tuning.patience.unscheduled_s
        )
        self.singletons = 0
        """The number of the owner's pods that queue on their own."""
        self.claims = PendingClaims(
            tell_after_s=tuning.notices.first_condition_s, patience_s=tuning.patience.claims_s
        )
        self.told_gates: tuple[str, ...] = ()
        """The gates of others that an event has already named."""

    @property
    def more_pods_may_come(self) -> bool:
        """Whether the owner still makes pods."""
        return self.owner in ("creates", "unknown")

    def lacking(self) -> int:
        """The number of members that must come before the whole gang's demand is known."""
        if self.gang is None or not self.gang.whole_first:
            return 0
        return self.slots().vacant

    def slots(self) -> Slots:
        """The slots that the gang would have in a job submitted now, with the pods on them."""
        slots = Slots(self.gang)
        free = {pod.uid: pod for pod in self.pods if pod.ended or pod.job_id is None}
        slots.assign(free, self.ranks, None)
        return slots
