"""What a gang's pods and their owner ask for, whatever Slurm makes of it."""

from collections.abc import Mapping

from bridge.lifecycle.events import OwnerWill
from bridge.lifecycle.gang_pods import GangPods
from bridge.lifecycle.slots import Slots
from bridge.lifecycle.tuning import Tuning
from bridge.lifecycle.waits.pending_claims import PendingClaims
from bridge.lifecycle.waits.spared_pods import SparedPods
from bridge.model.gang import Gang, Rank
from bridge.model.ids import PodUid


class Demand:
    """Lives from the first look at the gang until the gang is forgotten."""

    def __init__(self, tuning: Tuning) -> None:
        self.pods = GangPods(end_again_s=tuning.retries.end_again_s)
        self.gang: Gang | None = None
        """What the pods ask for; None until that could be understood once."""
        self.problem = ""
        """Why what the pods ask for now can't be understood."""
        self.owner: OwnerWill = "creates"
        self.ranks: Mapping[PodUid, Rank] = {}
        """Where in the gang each pod belongs."""
        self.lost: frozenset[PodUid] = frozenset()
        """Pods that can't end, as their node is gone or does not answer."""
        self.judged: frozenset[PodUid] = frozenset()
        """Pods whose Job says itself what a disruption means, in a gang that has others too."""
        self.spared = SparedPods(moment_s=tuning.retries.judged_s)
        self.singletons = 0
        """Pods of the owner that queue on their own."""
        self.claims = PendingClaims(
            tell_after_s=tuning.notices.first_condition_s, patience_s=tuning.patience.claims_s
        )
        self.told_gates: tuple[str, ...] = ()
        """The other schedulers' gates that the pods' author was told of."""

    @property
    def more_pods_may_come(self) -> bool:
        """Whether the owner still makes pods."""
        return self.owner in ("creates", "unknown")

    def lacking(self) -> int:
        """Members that are to come before it is known what the whole gang asks for."""
        if self.gang is None or not self.gang.whole_first:
            return 0
        return self.slots().vacant

    def slots(self) -> Slots:
        """The slots that the gang would have in a job submitted now, with the pods on them."""
        slots = Slots(self.gang)
        free = {pod.uid: pod for pod in self.pods if pod.ended or pod.job_id is None}
        slots.assign(free, self.ranks, None)
        return slots
