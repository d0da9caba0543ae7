"""The existing pods of a gang, by their place and by how close they are to their end. Pure."""

from collections.abc import Iterable, Iterator

from bridge.model.ids import PodUid, SlurmJobId
from bridge.model.pod import Pod


class GangPods:
    """Keeps the pods' newest rows, and which pods were told to end. Times are monotonic seconds."""

    def __init__(self, *, end_again_s: float) -> None:
        self.rows: dict[PodUid, Pod] = {}
        self._end_again_s = end_again_s
        self._told_s: dict[PodUid, float] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Pod]:
        return iter(self.rows.values())

    def __contains__(self, uid: PodUid) -> bool:
        return uid in self.rows

    def see(self, pods: Iterable[Pod]) -> None:
        """Takes in all pods that exist now."""
        self.rows = {pod.uid: pod for pod in pods}
        for uid in self._told_s.keys() - self.rows.keys():
            del self._told_s[uid]

    def live(self) -> list[Pod]:
        """The pods that have neither succeeded nor failed."""
        return [pod for pod in self if not pod.ended]

    def under(self, job_id: SlurmJobId | None) -> list[Pod]:
        """The live pods that have their place by this job."""
        return [pod for pod in self if not pod.ended and pod.job_id == job_id is not None]

    def on_nodes(self, job_id: SlurmJobId) -> list[Pod]:
        """Those that are on their nodes by this job, and that nobody ends."""
        return [pod for pod in self.under(job_id) if pod.node_name and not pod.deleting]

    def outgoing(self, job_id: SlurmJobId | None) -> list[Pod]:
        """The live pods that were placed under another job than the gang's present one."""
        return [pod for pod in self if not pod.ended and pod.job_id not in (None, job_id)]

    def placeless(self) -> list[Pod]:
        """The live pods that wait for a place."""
        return [
            pod
            for pod in self
            if pod.waits_for_place and not pod.node_name and pod.uid not in self._told_s
        ]

    @property
    def hold(self) -> bool:
        """Whether some pod uses resources or may: a pod deleted before it was bound never does."""
        return any(not pod.ended and (pod.node_name or not pod.deleting) for pod in self)

    def tell(self, uid: PodUid, now_s: float) -> None:
        """Notes that the pod was told to end, or will be: it needs no place any more."""
        self._told_s[uid] = now_s

    def just_told(self, pod: Pod, now_s: float) -> bool:
        """Whether the pod was told to end so recently that its end can't be seen yet."""
        told_s = self._told_s.get(pod.uid)
        return told_s is not None and now_s - told_s < self._end_again_s
