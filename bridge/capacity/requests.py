"""The placeholder pods that exist: which gang each one stands for."""

from collections import defaultdict
from collections.abc import Mapping

from bridge import names
from bridge.kube.api.reflector import Change, Deleted, Replaced, Upserted
from bridge.kube.objects import placeholders
from bridge.model.ids import GangId, PodUid
from bridge.model.pod import Pod


class Requests:
    """Follows the pods by a watch, and by the answers to what is written."""

    def __init__(self) -> None:
        self._pods: dict[PodUid, Pod] = {}
        self._gone: set[PodUid] = set()
        """Pods that were deleted, of which the watch may still tell."""

    def take(self, change: Change[Pod]) -> None:
        """Takes in what the watch tells."""
        match change:
            case Replaced(rows):
                listed = {pod.uid: pod for pod in rows}
                self._gone &= listed.keys()
                self._pods = {uid: pod for uid, pod in listed.items() if uid not in self._gone}
            case Upserted(row):
                self.put(row)
            case Deleted(row):
                self._pods.pop(row.uid, None)
                self._gone.discard(row.uid)

    def put(self, pod: Pod) -> None:
        """Takes in a pod as it is now."""
        if pod.uid not in self._gone:
            self._pods[pod.uid] = pod

    def drop(self, pod: Pod) -> None:
        """Notes that the pod was deleted."""
        if self._pods.pop(pod.uid, None) is not None:
            self._gone.add(pod.uid)

    def __len__(self) -> int:
        return len(self._pods)

    def by_gang(self) -> Mapping[GangId, list[Pod]]:
        """The pods of each gang, the oldest first. Pods that name no gang are those of ""."""
        found: dict[GangId, list[Pod]] = defaultdict(list)
        for pod in sorted(self._pods.values(), key=lambda one: (one.created_s, one.name)):
            found[GangId(pod.annotations.get(names.GANG_ID_ANNOTATION, ""))].append(pod)
        return found


def counts(pods: list[Pod]) -> tuple[int, ...]:
    """(parts,) how many of a gang's pods stand for each part."""
    parts = [part for pod in pods if (part := placeholders.part_of(pod)) >= 0]
    return tuple(parts.count(part) for part in range(max(parts, default=-1) + 1))
