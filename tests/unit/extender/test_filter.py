"""Which nodes pass."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bridge.extender import filter as filtering
from bridge.extender import wire
from bridge.model.pod_placement import PodPlacement
from tests.unit.extender.calls import a_placement, filter_body, go, pod_json


def answer(names: list[str], placement: PodPlacement | None) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(
        filtering.answer(wire.filter_call(filter_body(names)), placement)
    )
    return told


def test_only_the_granted_node_passes() -> None:
    """The granted node passes; each other is refused as unresolvable, with the reason."""
    told = answer(["n0", "n1", "n2"], a_placement("n1"))
    assert told["NodeNames"] == ["n1"]
    reason = "Slurm granted node n1 to this pod (Slurm job 7), not this one"
    assert told["FailedAndUnresolvableNodes"] == {"n0": reason, "n2": reason}
    assert "FailedNodes" not in told
    assert "Error" not in told


def test_a_pinned_pod() -> None:
    """One candidate, the granted one: nothing is refused."""
    assert answer(["n1"], a_placement("n1")) == {
        "NodeNames": ["n1"],
        "FailedAndUnresolvableNodes": {},
    }


def test_an_unknown_pod_waits() -> None:
    """A pod without a placement is an error (not a refusal: no autoscaler buys a node for it)."""
    told = answer(["n1"], None)
    assert set(told) == {"Error"}
    assert "waiting for Slurm" in told["Error"]


def test_a_queued_pod_says_what_for() -> None:
    """A pod in the queue shows Slurm's own reason."""
    told = answer(
        ["n1"], a_placement(None, waits_for="Slurm job 7 waits in partition gpu: Priority.")
    )
    assert told == {"Error": "waiting in Slurm: Slurm job 7 waits in partition gpu: Priority."}
    told = answer(["n1"], a_placement(None))
    assert told == {"Error": "waiting in Slurm: Slurm job 7 has no nodes yet"}
    told = answer(["n1"], a_placement(None, job_id=None))
    assert told == {"Error": "waiting in Slurm: its Slurm job has no nodes yet"}


def test_the_granted_node_is_not_offered() -> None:
    """A grant that kube-scheduler finds unfit passes no other node."""
    told = answer(["n2", "n3"], a_placement("n1"))
    assert set(told) == {"Error"}
    assert "Slurm job 7 holds node n1" in told["Error"]
    assert "candidates: 2" in told["Error"]


def test_a_prefix_is_not_the_node() -> None:
    """Names are compared whole."""
    assert "Error" in answer(["n10", "xn1", "n1.zone"], a_placement("n1"))


def test_a_huge_refusal_is_cheap() -> None:
    """Of 15,000 refused nodes only some are named: to kube-scheduler an unnamed one is
    unresolvable too."""
    names = [f"node-{number:05}" for number in range(15_000)]
    told = answer(names, a_placement("node-14999"))
    assert told["NodeNames"] == ["node-14999"]
    assert len(told["FailedAndUnresolvableNodes"]) == filtering.LISTED
    assert len(json.dumps(told)) < 10_000
    assert len(json.dumps(answer(names, None))) < 1_000


def test_as_many_are_named_wherever_the_granted_node_stands() -> None:
    """The granted node among the first does not take a place in the list of the refused."""
    names = [f"n{number}" for number in range(2 * filtering.LISTED)]
    for granted in (names[0], names[-1]):
        told = answer(names, a_placement(granted))
        assert len(told["FailedAndUnresolvableNodes"]) == filtering.LISTED


def test_node_objects_come_back_as_objects() -> None:
    """A kube-scheduler that sends objects gets the granted node's object back."""
    items = [{"metadata": {"name": name}, "spec": {"x": name}} for name in ("n1", "n2")]
    call = wire.filter_call(go({"Pod": pod_json(), "Nodes": {"items": items}, "NodeNames": None}))
    told = json.loads(filtering.answer(call, a_placement("n2")))
    assert "NodeNames" not in told
    assert told["Nodes"] == {"items": [items[1]]}
    assert list(told["FailedAndUnresolvableNodes"]) == ["n1"]


@given(
    names=st.lists(st.sampled_from([f"n{number}" for number in range(100)]), unique=True),
    granted=st.sampled_from(["n0", "n5", "n99", None]),
)
def test_passed_is_the_granted_node_or_nothing(names: list[str], granted: str | None) -> None:
    """For any candidates the answer holds the granted node alone, or an error; refused nodes are
    candidates and never the granted one (kube-scheduler refuses a result that is no subset)."""
    told = answer(names, a_placement(granted))
    if granted in names:
        assert told["NodeNames"] == [granted]
        refused = set(told["FailedAndUnresolvableNodes"])
        assert refused <= set(names) - {granted}
        assert len(refused) == min(len(names) - 1, filtering.LISTED)
    else:
        assert set(told) == {"Error"}
