"""What a gang does with news of the nodes that were asked for."""

from bridge.lifecycle import events as ev
from bridge.lifecycle import instructions as do
from bridge.lifecycle.machine import GangMachine
from bridge.lifecycle.tuning import Tuning
from bridge.model.ids import GangId
from tests.builders import a_gang, a_pod


def refused(times: int) -> tuple[GangMachine, float]:
    """A gang that Slurm has refused so many times for lack of nodes, and when it is."""
    machine, now_s = GangMachine(GangId("g"), single=False, tuning=Tuning()), 0.0
    machine.release()
    machine.handle(ev.MembersSeen(a_gang("g"), (a_pod().build(),)), now_s)
    for _ in range(times):
        machine.handle(ev.SubmitFailed("no node has that", lasting=True, lacks_nodes=True), now_s)
        now_s += 100
        machine.handle(ev.Tick(), now_s)
    machine.handle(ev.SubmitFailed("no node has that", lasting=True, lacks_nodes=True), now_s)
    return machine, now_s


def submits(instructions: list[do.Instruction]) -> int:
    return sum(isinstance(one, do.SubmitJob) for one in instructions)


def test_pods_are_told_of_the_request() -> None:
    """By an event, once, and by the condition, as long as it is so."""
    machine, now_s = refused(1)
    note = "It waits for new nodes for one of its pods"
    said = machine.handle(ev.NewNodes(note, "NewNodesAsked"), now_s + 11)
    (event,) = (one for one in said if isinstance(one, do.EmitEvent))
    assert (event.type, event.reason, event.note) == ("Normal", "NewNodesAsked", f"{note}.")
    (told,) = (one for one in said if isinstance(one, do.SetCondition))
    assert told.condition.message == f"no node has that. {note}."
    said = machine.handle(ev.NewNodes("", here=False), now_s + 22)
    (told,) = (one for one in said if isinstance(one, do.SetCondition))
    assert told.condition.message == "no node has that"


def test_a_gang_whose_nodes_have_come_is_submitted_at_once() -> None:
    """However often it was refused before: what was in the way is gone, and nodes that stay empty
    for long are taken away again."""
    machine, now_s = refused(6)
    assert not submits(machine.handle(ev.NewNodes("It waits", ""), now_s + 1))
    assert submits(machine.handle(ev.NewNodes("", here=True), now_s + 2)) == 1
