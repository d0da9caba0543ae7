"""What of the controller's state reaches the ledger."""

from dataclasses import replace
from typing import Any, cast

from bridge import names
from bridge.model.ids import GangId, NodeName, PodUid, SlurmJobId
from bridge.model.pod import Pod
from bridge.model.pod_placement import PodPlacement
from bridge.rpc.placement_feed import PlacementFeed
from bridge.rpc.placement_ledger import PlacementLedger, Row
from bridge.slurm.updates import PollTick, Watched
from tests.unit.controller.doubles import Watcher, a_slurm_job
from tests.unit.slurm.clocks import ManualClock

GANG, SEVEN = GangId("gang"), SlurmJobId(7)


def a_pod(name: str, *, gated: bool = False) -> Pod:
    return Pod(
        uid=PodUid(name), namespace="team", name=name, resource_version="1",
        scheduler_name=names.SCHEDULER_NAME, node_name=NodeName(""), phase="Pending",
        shape=cast("Any", None), gates=(names.ALLOCATION_GATE,) if gated else (),
    )  # fmt: skip


class Fed:
    """A feed over a gang whose pods and placements the test sets."""

    def __init__(self, *pods: Pod) -> None:
        self.pods = list(pods)
        self.placements: dict[PodUid, PodPlacement] = {}
        self.watcher = Watcher()
        self.watcher.seen_s = 1.0  # type: ignore[attr-defined]
        self.ledger = PlacementLedger("t")
        self.feed = PlacementFeed(
            cluster=cast("Any", self),
            placements=cast("Any", self),
            watcher=cast("Any", self.watcher),
            ledger=self.ledger,
            clock=ManualClock(),
        )

    def pods_of(self, gang_id: GangId) -> tuple[Pod, ...]:
        return tuple(self.pods) if gang_id == GANG else ()

    def of(self, uid: PodUid) -> PodPlacement | None:
        return self.placements.get(uid)

    def place(self, name: str, node: str) -> None:
        uid = PodUid(name)
        self.placements[uid] = PodPlacement(uid, NodeName(node) if node else None, SEVEN)

    def slurm_says(self, state: str, *, in_step: bool = True) -> None:
        job = a_slurm_job(7, "gang", state, nodes=("node-1",))
        tick = PollTick()
        self.watcher.jobs[SEVEN] = Watched(job, fetched_s=1.0, in_step=in_step, tick=tick)
        self.watcher.seen_s += 1.0  # type: ignore[attr-defined]

    def look(self, *, marked: bool = True) -> dict[str, Row]:
        if marked:
            self.feed.mark(GANG)
        self.feed.refresh()
        return {uid: row for uid, (_, row) in self.ledger.rows.items()}


def test_pods_that_kube_scheduler_may_ask_for_are_told_of() -> None:
    """Not those that are gated: a long queue changes its reasons all the time."""
    fed = Fed(a_pod("a"), a_pod("b", gated=True))
    fed.place("a", "node-1")
    fed.place("b", "node-2")
    assert fed.look().keys() == {"a"}
    fed.pods[1] = replace(fed.pods[1], gates=())
    assert fed.look().keys() == {"a", "b"}


def test_a_pod_that_ended_or_left_its_gang_is_gone() -> None:
    """As is one that nobody knows a place of any more."""
    fed = Fed(a_pod("a"), a_pod("b"), a_pod("c"))
    for name in "abc":
        fed.place(name, "node-1")
    fed.look()
    fed.pods = [fed.pods[0], replace(fed.pods[1], phase="Succeeded")]
    assert fed.look().keys() == {"a"}
    del fed.placements[PodUid("a")]
    assert fed.look() == {}


def test_whether_slurm_runs_the_job_is_told_after_each_look_at_slurm() -> None:
    """Nobody marks a gang for it; a job that its last list contradicts does not count."""
    fed = Fed(a_pod("a"))
    fed.place("a", "node-1")
    fed.slurm_says("RUNNING")
    assert fed.look()["a"].is_running
    fed.slurm_says("RUNNING", in_step=False)
    assert not fed.look(marked=False)["a"].is_running
    fed.slurm_says("RUNNING")
    assert fed.look(marked=False)["a"].is_running
    fed.slurm_says("CANCELLED")
    assert not fed.look(marked=False)["a"].is_running
    del fed.watcher.jobs[SEVEN]
    fed.watcher.seen_s += 1.0  # type: ignore[attr-defined]
    assert not fed.look(marked=False)["a"].is_running


def test_a_look_at_what_has_not_changed_is_no_news() -> None:
    """Followers are not woken for it."""
    fed = Fed(a_pod("a"))
    fed.place("a", "node-1")
    fed.look()
    fed.feed.mark(GANG)
    assert not fed.feed.refresh()
