"""What kube-scheduler sends and what the extender is handed, for tests."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from bridge.errors import BridgeError
from bridge.model.ids import NodeName, PodUid, SlurmJobId
from bridge.model.pod_placement import PodPlacement

UID = PodUid("uid-web")
WHO = {"name": "web", "namespace": "team", "uid": UID}


def go(value: Any) -> bytes:
    """JSON as Go's encoding/json writes it: no spaces, no escapes beyond what it must."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def pod_json(**metadata: Any) -> dict[str, Any]:
    """The pod of a call; kube-scheduler sends the whole object."""
    return {
        "metadata": {**WHO, **metadata},
        "spec": {"containers": [{"name": "main"}]},
        "status": {"phase": "Pending"},
    }


def filter_body(names: Sequence[str], **metadata: Any) -> bytes:
    """ExtenderArgs with nodeCacheCapable, byte for byte as Go orders the struct."""
    return go({"Pod": pod_json(**metadata), "Nodes": None, "NodeNames": list(names)})


def bind_body(*, node: str = "n1", uid: str = UID) -> bytes:
    """ExtenderBindingArgs."""
    return go({"PodName": "web", "PodNamespace": "team", "PodUID": uid, "Node": node})


def a_placement(
    node: str | None = "n1", *, job_id: int | None = 7, waits_for: str = "", seen_s: float = 0.0
) -> PodPlacement:
    """Granted `node` by job 7, seen running at 0 s, until told otherwise."""
    return PodPlacement(
        pod=UID,
        node=NodeName(node) if node else None,
        job_id=SlurmJobId(job_id) if job_id is not None else None,
        waits_for=waits_for,
        running_seen_s=seen_s,
    )


class ManualClock:
    """A clock that stands still until it is told to move."""

    def __init__(self, now_s: float = 0.0) -> None:
        self.now_s = now_s
        self.slept_s: list[float] = []

    def monotonic(self) -> float:
        return self.now_s

    def time(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.now_s += seconds


class KnownPlacements:
    """Placements by uid; `confirm` answers what it is told to, and counts how often it is asked."""

    def __init__(self, *placements: PodPlacement) -> None:
        self.by_uid = {placement.pod: placement for placement in placements}
        self.confirms: Callable[[], bool] = lambda: True
        self.asked: list[PodPlacement] = []

    def of(self, uid: PodUid) -> PodPlacement | None:
        return self.by_uid.get(uid)

    async def confirm(self, placement: PodPlacement) -> bool:
        self.asked.append(placement)
        return self.confirms()


class RecordingBinder:
    """Binds pods in memory; the next call fails with `fails` when that is set."""

    def __init__(self) -> None:
        self.bound: list[tuple[str, str, PodUid, NodeName]] = []
        self.fails: BridgeError | None = None
        self.found: NodeName | None = None
        self.finding_fails: BridgeError | None = None

    async def bind(self, *, namespace: str, name: str, uid: PodUid, node: NodeName) -> None:
        if self.fails is not None:
            raise self.fails
        self.bound.append((namespace, name, uid, node))

    async def node_of(self, *, namespace: str, name: str, uid: PodUid) -> NodeName | None:
        assert (namespace, name, uid) == ("team", "web", UID)
        if self.finding_fails is not None:
            raise self.finding_fails
        return self.found
