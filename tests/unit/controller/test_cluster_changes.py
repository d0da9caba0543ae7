"""What changed in the cluster, and whose turn comes of it."""

import asyncio

from bridge.controller.cluster_changes import ClusterChanges
from bridge.controller.turns import Reasons, Turns
from bridge.model.ids import GangId, SlurmNodeName
from bridge.state.kube_state import KubeState
from bridge.state.slurm_state import SlurmState
from tests.builders import SCHEDULER, a_gang_job, a_pod, held_by
from tests.unit.controller.doubles import Kept, a_machine, at_work
from tests.unit.slurm.clocks import ManualClock

G, H = GangId("uid-g"), GangId("uid-h")


class Changing:
    """Two gangs with machines; `turns` has who had a turn, and why."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.kept = Kept(self.clock, a_machine(G), a_machine(H))
        self.cluster = KubeState(scheduler_name=SCHEDULER)
        for name in ("g", "h"):
            self.cluster.upsert_pod(a_pod(name).build())
        self.queue = Turns(clock=self.clock)
        self.slurm_state = SlurmState()
        self.changes = ClusterChanges(
            cluster=self.cluster, slurm_state=self.slurm_state, gangs=self.kept.gangs,
            turns=self.queue,
        )  # fmt: skip
        self.turns: list[tuple[GangId, list[str]]] = []

    def take(self, gang_id: GangId, reasons: Reasons) -> None:
        self.turns.append((gang_id, [type(one).__name__ for one in reasons]))

    async def go_round(self) -> list[tuple[GangId, list[str]]]:
        async with at_work(lambda: self.queue.run(self.take)):
            await self.clock.advance(0.1)
        return self.turns


async def test_changes_of_a_gang_until_its_turn_are_one_look() -> None:
    """Its pods come in crowds, and a look costs as much as it has members."""
    it = Changing()
    for _ in range(100):
        it.changes.mark_dirty([G])
    it.changes.volumes_changed([G])
    it.changes.volumes_changed([G])
    assert await it.go_round() == [(G, ["NoneType", "VolumesChanged"])]


async def test_room_is_told_to_those_that_wait_for_it() -> None:
    """Not to all gangs whenever some pod ends."""
    it = Changing()
    it.kept.gangs.waiting_for_room.add(H)
    it.changes.room_changed(())
    assert await it.go_round() == [(H, ["RoomChanged"])]


async def test_changed_nodes_are_told_to_all() -> None:
    """A job that waits may run on other nodes now, and one that was refused may be taken."""
    it = Changing()
    it.changes.nodes_changed()
    assert await it.go_round() == [(G, ["NodesChanged"]), (H, ["NodesChanged"])]


async def test_a_sink_that_comes_or_goes_is_told_to_all_once() -> None:
    """What running gangs need no more goes back to Slurm only while it answers."""
    it = Changing()
    it.slurm_state.answered = frozenset({SlurmNodeName("n1")})
    it.changes.nodes_changed()
    told = await it.go_round()
    assert told == [(gang, ["NodesChanged", "SinkChanged"]) for gang in (G, H)]
    it.changes.nodes_changed()
    assert (await it.go_round())[2:] == [(gang, ["NodesChanged"]) for gang in (G, H)]


async def test_a_pod_that_is_split_off_and_the_gang_that_it_left_have_their_turns() -> None:
    """It queues alone."""
    it = Changing()
    job = a_gang_job(size=2)
    it.cluster.settle_kind(("batch", "Job"), "watched")
    it.cluster.upsert_owner(job)
    pods = [a_pod(f"train-{index}").of(job, index).build() for index in range(2)]
    for pod in pods:
        it.cluster.upsert_pod(pod)
    it.changes.split_off(pods[1].uid)
    looked = await it.go_round()
    assert {gang for gang, _ in looked} == {held_by(job), GangId(pods[1].uid)}


async def test_a_gang_that_nobody_knows_has_its_turn_too() -> None:
    """It has gone: what is left of it is dropped then."""
    it = Changing()
    it.changes.mark_dirty([GangId("gone")])
    assert it.changes.tenant_of(GangId("gone")) == ""
    assert it.changes.tenant_of(G) == "team"
    assert await it.go_round() == [(GangId("gone"), ["NoneType"])]


async def test_the_loop_goes_round_also_when_nothing_happens() -> None:
    """Readiness looks at that."""
    turns = Turns(clock=(clock := ManualClock()))
    clock.now_s += 100
    assert turns.alive_s == 100
    async with at_work(lambda: turns.run(lambda gang_id, reasons: None)):
        await asyncio.sleep(0)
        assert turns.alive_s == 0
