"""What the extender is told of a pod's place."""

from typing import Any

import pytest

from bridge import slurm
from bridge.controller.placements import Placements
from bridge.errors import Unreachable
from bridge.lifecycle.machine import GangMachine
from bridge.model.ids import GangId, NodeName, PodUid, SlurmJobId
from bridge.model.pod_placement import PodPlacement
from bridge.slurm.updates import PollTick, Watched
from tests.unit.controller.doubles import (
    Kept,
    Slurm,
    Watcher,
    a_double,
    a_machine,
    a_slurm_job,
    unavailable,
)
from tests.unit.slurm.clocks import ManualClock

POD, NODE, SEVEN = PodUid("p"), NodeName("n"), SlurmJobId(7)
RUNNING: dict[str, Any] = {"state": "RUNNING", "nodes": ("n",)}


class Placed:
    """A gang with job 7, whose machine says that its one pod is placed on a node."""

    def __init__(self) -> None:
        self.gang_of = {POD: GangId("g")}
        machine = a_machine("g", 7)
        machine.placement_of = lambda uid: (NODE, "")  # type: ignore[method-assign]
        self.kept = Kept(ManualClock(), machine)
        self.slurm, self.watcher, self.held = Slurm(), Watcher(), {NODE}
        cluster: Any = type("Cluster", (), {"gang_of": staticmethod(self.gang_of.get)})
        self.placements = Placements(
            cluster=cluster, gangs=self.kept.gangs, faults=self.kept.faults,
            client=a_double(self.slurm), watcher=a_double(self.watcher), holds=self._holds,
            is_mine=lambda job, gang_id: f'"{gang_id}"' in job.admin_comment,
        )  # fmt: skip

    def _holds(self, machine: GangMachine, node: NodeName) -> bool:
        return node in self.held

    def seen(self, job: slurm.Job, seen_s: float) -> None:
        """The watcher has read the job at that time."""
        self.watcher.jobs[job.id] = Watched(job, fetched_s=seen_s, in_step=False, tick=PollTick())

    async def confirm(self) -> bool:
        return await self.placements.confirm(PodPlacement(POD, NODE, SEVEN))


def test_a_pod_has_the_node_that_its_gangs_job_gives_it() -> None:
    """And when the job was last seen running, so that bind needs not ask."""
    placed = Placed()
    placed.seen(a_slurm_job(7, "g", **RUNNING), 42.0)
    assert placed.placements.of(POD) == PodPlacement(POD, NODE, SEVEN, running_seen_s=42.0)


@pytest.mark.parametrize("state", ["PENDING", "COMPLETING"])
def test_a_job_that_does_not_run_was_not_seen_running(state: str) -> None:
    """However fresh that is; bind asks Slurm itself."""
    placed = Placed()
    placed.seen(a_slurm_job(7, "g", state), 42.0)
    placement = placed.placements.of(POD)
    assert placement is not None
    assert placement.running_seen_s == float("-inf")


def test_a_node_that_the_job_does_not_hold_is_nobodys_place() -> None:
    """Whatever the pod's annotation says."""
    placed = Placed()
    placed.held.clear()
    placement = placed.placements.of(POD)
    assert placement is not None
    assert placement.node is None
    assert placement.waits_for == "Slurm job 7 does not hold node n, which the pod names"


def test_a_pod_that_is_not_known_has_no_placement() -> None:
    """Nor one whose gang is not known yet: the extender says that it waits."""
    placed = Placed()
    assert placed.placements.of(PodUid("other")) is None
    placed.gang_of[PodUid("early")] = GangId("early")
    assert placed.placements.of(PodUid("early")) is None


def test_a_pod_of_a_gang_that_is_set_aside_is_told_so() -> None:
    """It has no node, whatever it had before."""
    placed = Placed()
    placed.kept.faults.add(GangId("g"), RuntimeError("mistake"), 0.0)
    placed.kept.gangs.drop(GangId("g"))
    placement = placed.placements.of(POD)
    assert placement is not None
    assert (placement.node, placement.job_id) == (None, None)
    assert "slurm-bridge failed at this pod's gang" in placement.waits_for


async def test_slurm_itself_confirms_a_job_that_runs_and_is_the_gangs() -> None:
    """Asked now, not what was read some time ago."""
    placed = Placed()
    placed.slurm.jobs[SEVEN] = a_slurm_job(7, "g", **RUNNING)
    assert await placed.confirm()


@pytest.mark.parametrize(
    "job", [a_slurm_job(7, "g"), a_slurm_job(7, "h", **RUNNING), a_slurm_job(8, "g", **RUNNING)]
)
async def test_a_job_that_waits_is_anothers_or_is_gone_is_not_confirmed(job: slurm.Job) -> None:
    """The id may have been given anew."""
    placed = Placed()
    placed.slurm.jobs[job.id] = job
    assert not await placed.confirm()


async def test_a_slurm_that_does_not_answer_confirms_nothing() -> None:
    """Nor does it deny: the extender tells the two apart."""
    placed = Placed()
    placed.slurm.errors["get"] = [unavailable()]
    with pytest.raises(Unreachable):
        await placed.confirm()


async def test_a_pod_that_went_meanwhile_is_not_confirmed() -> None:
    """Slurm needs not be asked."""
    placed = Placed()
    placed.gang_of.clear()
    assert not await placed.confirm()
    assert not placed.slurm.asked
