"""The start, and what goes on after it."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from bridge import slurm
from bridge.controller.recovery import Recovery
from bridge.model.ids import GangId
from bridge.model.pod import Pod
from tests.builders import a_pod
from tests.unit.controller.doubles import a_double, at_work, unavailable
from tests.unit.slurm.clocks import ManualClock


class Parts:
    """The parts that recovery calls, all in one; `done` has the calls in their order."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.gangs = [GangId("g"), GangId("h")]
        self.machines = dict.fromkeys(self.gangs)
        self.unresolved: list[Pod] = []
        self.errors: list[Exception] = []
        self.missing: set[GangId] = set()

    async def run_once(self) -> None:
        self.done.append("sweep")
        if self.errors:
            raise self.errors.pop(0)

    def open(self) -> None:
        self.done.append("open")

    def tell(self) -> None:
        self.done.append("tell held")

    def settle_missing(self) -> set[GangId]:
        self.done.append("settle missing")
        return self.missing

    def reconcile(self, gang_id: GangId) -> None:
        self.done.append(f"reconcile {gang_id}")

    def mark_dirty(self, gang_ids: Iterable[GangId]) -> None:
        self.done += [f"dirty {gang_id}" for gang_id in gang_ids]

    def nodes_changed(self) -> None:
        self.done.append("nodes changed")


class Recovering:
    def __init__(self) -> None:
        self.clock, self.parts = ManualClock(), Parts()
        parts = a_double(self.parts)
        self.recovery = Recovery(
            cluster=parts, gangs=parts, gate=parts, sweep=parts, held=parts,
            reconcile=parts.reconcile, mark_dirty=parts.mark_dirty,
            nodes_changed=parts.nodes_changed, clock=self.clock, interval_s=5.0,
        )  # fmt: skip

    async def done_after(self, seconds: float) -> list[str]:
        """What was done in this time."""
        before = len(self.parts.done)
        await self.clock.advance(seconds)
        return self.parts.done[before:]


@asynccontextmanager
async def recovering(*errors: Exception) -> AsyncIterator[Recovering]:
    """`errors` are raised by the first sweeps."""
    it = Recovering()
    it.parts.errors = list(errors)
    async with at_work(it.recovery.run):
        yield it


async def test_gangs_decide_only_when_all_jobs_have_been_looked_through() -> None:
    """First each gang asks about the jobs that its pods name; what no pod names comes after that;
    then all decide, and look for nodes as they are now."""
    async with recovering() as it:
        assert await it.done_after(0) == [
            "reconcile g", "reconcile h", "sweep", "open", "nodes changed",
        ]  # fmt: skip


async def test_a_slurm_that_cant_be_reached_is_waited_for(logged: list[dict[str, Any]]) -> None:
    """A gang that decided without knowing its job would submit a second one."""
    async with recovering(unavailable(), slurm.MalformedAnswer("nonsense")) as it:
        assert (await it.done_after(0))[-1] == "sweep"
        assert await it.done_after(1.0) == ["sweep"]
        assert await it.done_after(1.0) == ["sweep", "open", "nodes changed"]
    assert [line["event"] for line in logged] == ["recovery.waits_for_slurm"] * 2 + [
        "recovery.finished"
    ]


async def test_after_the_start_the_sweep_goes_on() -> None:
    """For what gets lost later: every five seconds."""
    async with recovering() as it:
        await it.clock.advance(0)
        for _ in range(3):
            assert await it.done_after(5.0) == ["settle missing", "tell held", "sweep"]


async def test_a_sweep_that_fails_later_ends_nothing() -> None:
    """The next one comes in its time, and pods are told all the same."""
    async with recovering() as it:
        await it.clock.advance(0)
        it.parts.errors = [unavailable()]
        assert await it.done_after(10.0) == ["settle missing", "tell held", "sweep"] * 2


async def test_pods_whose_owner_turns_out_not_to_exist_have_their_turn() -> None:
    """They are told so, or queue on their own."""
    async with recovering() as it:
        await it.clock.advance(0)
        it.parts.missing = {GangId("late")}
        assert (await it.done_after(5.0))[:2] == ["settle missing", "dirty late"]


async def test_a_start_waits_until_the_gang_of_each_pod_is_known() -> None:
    """Kinds of owners are listed after their pods; a job of such a pod would look like a leak."""
    it = Recovering()
    it.parts.unresolved = [a_pod("early").build()]
    async with at_work(it.recovery.run):
        assert await it.done_after(1.0) == []
        it.parts.unresolved = []
        assert "open" in await it.done_after(0.1)


async def test_a_start_gives_up_owners_that_do_not_exist() -> None:
    """What was missing twice will not come."""
    it = Recovering()
    it.parts.unresolved = [a_pod("orphan").build()]
    async with at_work(it.recovery.run):
        assert await it.done_after(11.0) == ["settle missing"] * 2


async def test_an_api_server_that_does_not_tell_of_a_kind_keeps_nobody_else_waiting(
    logged: list[dict[str, Any]],
) -> None:
    """After half a minute the others start without these pods."""
    it = Recovering()
    it.parts.unresolved = [a_pod("waits").build()]
    async with at_work(it.recovery.run):
        assert "open" not in await it.done_after(29.0)
        assert "open" in await it.done_after(2.0)
    (line,) = [line for line in logged if line["event"] == "recovery.goes_on_without"]
    assert line["pods"] == ["team/waits"]
