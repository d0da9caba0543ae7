"""One tenant's flood, and the single pods of another meanwhile."""

import statistics
import threading
import time
from dataclasses import dataclass, field

from bridge import names
from tests.arena import manifests
from tests.arena.api import Object, wait_for
from tests.arena.arena import NAMESPACE, PLAIN_NAMESPACE, Arena, Nodes, condition

OURS: Object = {"schedulerName": names.SCHEDULER_NAME}
OTHER_QUEUE = {manifests.JOB + "partition": "high"}
"""Of the same nodes, looked at before the flood's: what is measured is not Slurm's own queue."""


@dataclass
class Times:
    """Seconds from creating a single pod to its binding, and what was still to be done then."""

    quiet_s: list[float] = field(default_factory=list)
    """Nobody else is there."""
    amid_s: list[float] = field(default_factory=list)
    """The flood's pods are being created and dealt with."""
    queued_s: list[float] = field(default_factory=list)
    """All of them wait in Slurm's queue, and the bridge has nothing to do."""
    untold: list[int] = field(default_factory=list)
    """How many of the flood's pods the bridge had not dealt with when each single pod was bound."""

    @property
    def ratio(self) -> float:
        """What the flood costs the other tenant in the bridge, median by median: with the same
        jobs in Slurm's queue, which Slurm looks through before the single pod's."""
        return statistics.median(self.amid_s) / statistics.median(self.queued_s)


class Flood:
    """`count` pods of namespace `elsewhere` that all wait for one node, which is full.

    Each is submitted, told and looked at again, so the bridge's queues have as much to do for it as
    for a pod that runs.
    """

    def __init__(self, arena: Arena, count: int) -> None:
        self._arena = arena
        self._count = count
        self.times = Times()

    def run(self, singles: int) -> Times:
        """Single pods before the flood, amid it, and when all of it is told."""
        arena = self._arena
        (full, _) = sorted(node for node in arena.slurm.nodes())
        on_it: Object = {"nodeSelector": {"kubernetes.io/hostname": full}}
        arena.create(manifests.pod("holder", PLAIN_NAMESPACE, gpus=8, **OURS, **on_it))
        arena.wait_bound("holder", namespace=PLAIN_NAMESPACE)
        self._single("warm")
        self.times.quiet_s += [self._single(f"quiet-{n}") for n in range(singles)]
        writer = threading.Thread(target=self._write, args=(on_it,))
        writer.start()
        wait_for("it has begun", lambda: len(self._waiting()) > self._count // 10)
        for number in range(singles):
            self.times.amid_s.append(self._single(f"amid-{number}"))
            self.times.untold.append(self._untold())
        writer.join()
        wait_for("the flood is told", lambda: self._untold() == 0, seconds=180)
        self.times.queued_s += [self._single(f"queued-{n}") for n in range(singles)]
        return self.times

    def end(self) -> None:
        """It leaves nothing."""
        for pod in self._arena.kubernetes.pods(PLAIN_NAMESPACE):
            self._arena.delete_pod(pod["metadata"]["name"], PLAIN_NAMESPACE)
        self._arena.wait_idle(seconds=120)

    def _write(self, where: Object) -> None:
        for number in range(self._count):
            name = f"flood-{number:04}"
            self._arena.create(manifests.pod(name, PLAIN_NAMESPACE, gpus=8, **OURS, **where))

    def _single(self, name: str) -> float:
        began_s = time.monotonic()
        self._arena.create(manifests.pod(name, NAMESPACE, gpus=1, annotations=OTHER_QUEUE))
        self._arena.wait_bound(name, seconds=60)
        took_s = time.monotonic() - began_s
        self._arena.delete_pod(name)
        self._arena.wait_gone(name)
        return took_s

    def _waiting(self) -> list[Object]:
        pods = self._arena.kubernetes.pods(PLAIN_NAMESPACE)
        return [one for one in pods if one["metadata"]["name"] != "holder"]

    def _untold(self) -> int:
        """How many of its pods were not told yet why they wait, or are still to be created."""
        told = sum(condition(one) is not None for one in self._waiting())
        return self._count - told


def nodes() -> Nodes:
    """One that the flood wants, one for the others."""
    return Nodes(count=2)
