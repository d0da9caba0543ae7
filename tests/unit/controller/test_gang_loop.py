"""Events of a gang, one after the other, and what is raised on the way."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from bridge.controller.gang_loop import GangLoop
from bridge.lifecycle import events as ev
from bridge.lifecycle import instructions as do
from bridge.lifecycle.state import State
from bridge.model.ids import GangId, SlurmJobId
from tests.unit.controller.doubles import Kept
from tests.unit.slurm.clocks import ManualClock

G, H = GangId("g"), GangId("h")


@dataclass
class Machine:
    """Answers each kind of event with these instructions."""

    id: GangId
    answers: dict[type[ev.Event], list[do.Instruction]] = field(default_factory=dict)
    handled: list[str] = field(default_factory=list)
    state: State = State.KNOWN
    known: Any = field(default_factory=lambda: Known())
    waits_for_room: bool = False
    lacks_nodes: bool = False
    raises: Exception | None = None
    moves_to: State = State.KNOWN

    def handle(self, event: ev.Event, now_s: float) -> list[do.Instruction]:
        self.handled.append(type(event).__name__)
        self.state = self.moves_to
        if self.raises is not None:
            raise self.raises
        return self.answers.get(type(event), [])


@dataclass
class Known:
    gang: None = None
    job_id: None = None


class Looping:
    """A loop over these machines; `done` has what was performed, and the events between."""

    def __init__(self, *machines: Machine) -> None:
        clock = ManualClock()
        self.kept = Kept(clock)
        for machine in machines:
            self.kept.gangs.machines[machine.id] = cast("Any", machine)
        self.loop = GangLoop(self.kept.gangs, metrics=self.kept.metrics, clock=clock)
        self.done: list[str] = []
        self.aside: list[tuple[str, str]] = []
        self.comes_of: dict[str, Callable[[GangId], None]] = {}
        """What each instruction, by name, leads to at once."""
        self.loop.connect(perform=self._perform, set_aside=self._set_aside)

    def _perform(self, machine: Any, instruction: do.Instruction) -> None:
        name = type(instruction).__name__
        self.done.append(f"{machine.id} {name} after {machine.handled[-1]}")
        if name in self.comes_of:
            self.comes_of[name](machine.id)

    def _set_aside(self, gang_id: GangId, error: Exception) -> None:
        self.aside.append((gang_id, str(error)))
        self.kept.gangs.drop(gang_id)

    def leads_to(self, instruction: type[do.Instruction], *events: ev.Event) -> None:
        """These events come of it at once."""

        def tell(gang_id: GangId) -> None:
            for event in events:
                self.loop.handle(gang_id, event)

        self.comes_of[instruction.__name__] = tell


WAKE, FORGET = do.Wake(1.0), do.Forget()
CANCEL = do.CancelJob(SlurmJobId(1), "test")
TICK, NODES, ROOM = ev.Tick(), ev.NodesChanged(), ev.RoomChanged()


def test_an_event_that_comes_of_an_instruction_waits_for_the_last_instruction() -> None:
    """The machine is never called from inside, and hears the events in their order."""
    machine = Machine(G, {ev.Tick: [WAKE, CANCEL, FORGET]})
    looping = Looping(machine)
    looping.leads_to(do.Wake, NODES)
    looping.leads_to(do.CancelJob, ROOM)
    looping.loop.handle(G, TICK)
    assert looping.done == [
        "g Wake after Tick", "g CancelJob after Tick", "g Forget after Tick",
    ]  # fmt: skip
    assert machine.handled == ["Tick", "NodesChanged", "RoomChanged"]


def test_events_for_others_are_handled_at_once() -> None:
    """Only the gang whose instructions are just performed waits."""
    first, second = Machine(G, {ev.Tick: [WAKE, CANCEL]}), Machine(H)
    looping = Looping(first, second)
    looping.comes_of["Wake"] = lambda _: looping.loop.handle(H, TICK)
    looping.comes_of["CancelJob"] = lambda _: looping.done.append(f"h has heard {second.handled}")
    looping.loop.handle(G, TICK)
    assert looping.done[-1] == "h has heard ['Tick']"


def test_a_gangs_fault_stays_alone() -> None:
    """Its machine is set aside with what was raised; another gang's event goes on, and so does the
    one whose instruction led to the fault."""
    lucky = Machine(G, {ev.Tick: [WAKE, CANCEL]})
    looping = Looping(lucky, Machine(H, raises=RuntimeError("mistake")))
    looping.comes_of["Wake"] = lambda _: looping.loop.handle(H, TICK)
    looping.loop.handle(G, TICK)
    assert looping.aside == [("h", "mistake")]
    assert looping.done == ["g Wake after Tick", "g CancelJob after Tick"]


def test_after_a_fault_the_rest_of_the_gangs_inbox_is_dropped() -> None:
    """These events were for the machine that is gone; the one that is begun anew hears its own."""
    machine = Machine(G, {ev.Tick: [WAKE, CANCEL]})
    looping = Looping(machine)
    looping.leads_to(do.Wake, NODES)

    def fail(_: GangId) -> None:
        raise RuntimeError("mistake")

    looping.comes_of["CancelJob"] = fail
    looping.loop.handle(G, TICK)
    assert machine.handled == ["Tick"]
    again = Machine(G)
    looping.kept.gangs.machines[G] = cast("Any", again)
    looping.loop.handle(G, ROOM)
    assert again.handled == ["RoomChanged"]


def test_a_gang_that_cant_even_be_set_aside_harms_nobody() -> None:
    """The event's sender is never to blame."""
    looping = Looping(Machine(G, raises=RuntimeError("mistake")), lucky := Machine(H))

    def fail(_: GangId, __: Exception) -> None:
        raise RuntimeError("another mistake")

    looping.loop.connect(perform=looping._perform, set_aside=fail)
    looping.loop.handle(G, TICK)
    looping.loop.failed(G, RuntimeError("a third"))
    looping.loop.handle(H, TICK)
    assert lucky.handled == ["Tick"]


def test_news_for_a_gang_that_is_gone_is_nothing() -> None:
    """An answer may come after its gang, also after one that is dropped by its own instruction."""
    machine = Machine(G, {ev.Tick: [FORGET]})
    looping = Looping(machine)
    looping.leads_to(do.Forget, NODES)
    gone = looping.comes_of["Forget"]

    def forget(gang_id: GangId) -> None:
        gone(gang_id)
        looping.kept.gangs.drop(gang_id)

    looping.comes_of["Forget"] = forget
    looping.loop.handle(G, TICK)
    looping.loop.handle(G, TICK)
    assert machine.handled == ["Tick"]
    assert not looping.aside


def test_a_gang_that_waits_for_room_is_noted_before_its_instructions_are_performed() -> None:
    """So that room which one of them gives back is told to it too."""
    machine = Machine(G, {ev.Tick: [WAKE]}, waits_for_room=True)
    looping = Looping(machine)
    noted: list[set[GangId]] = []
    looping.comes_of["Wake"] = lambda _: noted.append(set(looping.kept.gangs.waiting_for_room))
    looping.loop.handle(G, TICK)
    assert noted == [{G}]
    machine.waits_for_room = False
    looping.loop.handle(G, ROOM)
    assert not looping.kept.gangs.waiting_for_room


def test_each_change_of_state_is_logged_and_counted_once(logged: list[dict[str, Any]]) -> None:
    """With what caused it."""
    machine = Machine(G)
    looping = Looping(machine)
    looping.loop.handle(G, TICK)
    assert not logged
    machine.moves_to = State.QUEUED
    looping.loop.handle(G, NODES)
    looping.loop.handle(G, ROOM)
    assert [(line["event"], line["state"], line["cause"]) for line in logged] == [
        ("gang.moved", "Queued", "NodesChanged")
    ]
    counted = looping.kept.metrics.gang_transitions.labels("Queued")
    assert counted._value.get() == 1


def test_events_that_lead_to_each_other_without_end_are_the_fault_of_their_gang() -> None:
    """A mistake of ours holds the loop for a moment, not for ever."""
    machine = Machine(G, {ev.Tick: [do.Forget()]})
    looping = Looping(machine)
    looping.comes_of["Forget"] = lambda gang_id: looping.loop.handle(gang_id, ev.Tick())
    looping.loop.handle(G, ev.Tick())
    assert looping.aside == [(G, "the events of one gang lead to each other without end")]
