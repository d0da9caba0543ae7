"""What a Kubernetes node shows of a drain in Slurm."""

from dataclasses import replace

import pytest

from bridge import names
from bridge.model.node import Node
from bridge.model.pod import Condition
from bridge.model.scheduling import Taint
from bridge.nodes import actions, marks
from tests.builders import a_node
from tests.unit.nodes.test_plan import TAINT, in_slurm, planned

NODE = replace(a_node(), taints=(TAINT,))
DRAINED = in_slurm("node-1", "DRAIN", reason="broken fan", reason_user="root", reason_s=1796040000)
TOLD = Condition(
    names.DRAINED_CONDITION, "True", "DrainedInSlurm",
    "broken fan, by root at 2026-11-30T12:00:00Z",
)  # fmt: skip


def shown(node: Node = NODE) -> list[actions.Action]:
    return [one for one in planned([node], [DRAINED]) if isinstance(one, actions.Mark)]


def test_a_drain_is_a_taint_and_a_condition_with_who_and_when() -> None:
    """Told once."""
    assert shown() == [
        actions.AddDrainedTaint(NODE.name),
        actions.SetCondition(NODE.name, TOLD),
    ]
    done = replace(NODE, taints=(TAINT, Taint.drained()), drained=TOLD)
    assert shown(done) == []
    assert planned([done], [in_slurm()]) == [
        actions.RemoveDrainedTaint(NODE.name),
        actions.SetCondition(NODE.name, marks.NOT_DRAINED),
    ]
    over = replace(NODE, drained=replace(marks.NOT_DRAINED, message="in other words"))
    assert planned([over], [in_slurm()]) == []


def test_a_node_that_slurm_runs_itself_shows_it_too() -> None:
    """By its name; a node of another Kubernetes cluster does not, nor one that is drained by us."""
    plain = replace(NODE, labels={})
    native = replace(DRAINED, states=frozenset({"IDLE", "DRAIN"}), features=())
    steps = planned([plain], [native])
    assert [type(step) for step in steps[:2]] == [actions.AddDrainedTaint, actions.SetCondition]
    elsewhere = replace(DRAINED, features=("k8s-ffffffff",))
    assert planned([plain], [elsewhere]) == []
    ours = in_slurm("node-1", "DRAIN", reason="slurm-bridge: cordoned in Kubernetes")
    assert planned([replace(NODE, unschedulable=True)], [ours]) == []


@pytest.mark.parametrize(("flag", "reason"), [("DOWN", "DownInSlurm"), ("DRAIN", "DrainedInSlurm")])
def test_the_condition_says_what_slurm_has_done(flag: str, reason: str) -> None:
    """Without a reason too."""
    told = marks.condition(in_slurm("node-1", flag))
    assert (told.reason, told.message) == (reason, "no reason given")


def test_only_the_condition_shows_it_if_the_setting_says_so() -> None:
    """A taint or a cordon from before is taken back."""
    assert marks.mark(NODE, DRAINED, "none") == [actions.SetCondition(NODE.name, TOLD)]
    before = replace(
        NODE, taints=(Taint.drained(),), drained=TOLD, unschedulable=True,
        annotations={names.CORDONED_ANNOTATION: names.CORDON_IS_OURS},
    )  # fmt: skip
    assert marks.mark(before, DRAINED, "none") == [
        actions.RemoveDrainedTaint(NODE.name),
        actions.Uncordon(NODE.name),
    ]
