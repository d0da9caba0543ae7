"""Scores."""

import json

from bridge.extender import prioritize
from bridge.model.ids import NodeName

NAMES = (NodeName("n1"), NodeName("n2"), NodeName("n3"))


def test_scores_in_order() -> None:
    """Each node gets its score, cut to what kube-scheduler accepts (0 to 10)."""
    assert json.loads(prioritize.answer(NAMES, [3, 99, -1])) == [
        {"Host": "n1", "Score": 3},
        {"Host": "n2", "Score": 10},
        {"Host": "n3", "Score": 0},
    ]


def test_nothing_to_score() -> None:
    """No candidates, an empty list."""
    assert json.loads(prioritize.answer((), [])) == []


def test_by_grant() -> None:
    """Where nobody scores, the granted node is best and all others are alike."""
    assert prioritize.by_grant(NAMES, NodeName("n2")) == [0, 10, 0]
    assert prioritize.by_grant(NAMES, None) == [0, 0, 0]
