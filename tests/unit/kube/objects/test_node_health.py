"""What is read of a node's conditions, taints and times."""

from dataclasses import replace
from typing import Any

import pytest

from bridge import names
from bridge.config.nodes import DRAINING, UNHEALTHY
from bridge.kube.objects import node_health, nodes
from bridge.model.node import Node

SIGNS = node_health.Signs(
    conditions={("KernelDeadlock", "True"): 0, ("KernelReady", "False"): 1},
    taints=("spot.io/*", "gone"),
    end_keys=(names.AVAILABLE_UNTIL, "other.io/end"),
)


def read(
    conditions: list[dict[str, str]] | None = None,
    taints: list[dict[str, str]] | None = None,
    **meta: Any,
) -> Node:
    """The row of a node with these."""
    return nodes.parser(SIGNS)(
        {
            "metadata": {"name": "n", "uid": "u", **meta},
            "spec": {"taints": taints or []},
            "status": {"conditions": conditions or []},
        }
    )


def bad(message: str, kind: str = "KernelDeadlock", status: str = "True") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": "DockerHung", "message": message}


def test_causes_come_in_the_settings_order() -> None:
    """Conditions before taints, however the API server lists them; nothing else is kept."""
    found = read(
        [
            bad("x", "KernelReady", "False"), bad("y"), bad("z", "Ready", "False"),
            bad("z", "KernelReady", "True"),
        ],
        [
            {"key": "gone", "effect": "NoSchedule"}, {"key": "gone-not", "effect": "NoSchedule"},
            {"key": "spot.io/itn", "effect": "NoExecute"},
        ],
    )  # fmt: skip
    assert [cause.text for cause in found.causes] == [
        "KernelDeadlock=True (DockerHung)", "KernelReady=False (DockerHung)",
        "taint spot.io/itn", "taint gone",
    ]  # fmt: skip
    assert not replace(found, ready=True).takes_pods
    assert [taint.key for taint in found.kind_taints] == ["gone-not"]


def test_other_words_of_a_condition_are_no_other_node() -> None:
    """An agent that counts seconds makes no news."""
    assert read([bad("for 120 s")]) == read([bad("for 240 s")])


def test_words_of_a_condition_can_stand_in_a_reason() -> None:
    """They are printable ASCII without quotes, of bounded length."""
    (cause,) = read([bad('a "b"\nc\x1b[0m é' + 500 * "x")]).causes
    assert cause.message.startswith("a b c [0m xxx")
    assert cause.message.endswith("...")
    assert len(cause.message) == 120


@pytest.mark.parametrize(
    "text",
    ["2026-11-30T12:00:00Z", "2026-11-30T13:00:00+01:00", "20261130T120000Z", "1796040000"],
)
def test_times_that_can_be_read(text: str) -> None:
    """Also those that a label's value can hold."""
    assert node_health.end_time(text) == 1796040000


@pytest.mark.parametrize(
    "text", ["", "soon", "2026-11-30T12:00:00", "12", "2026-11-30", "1e9", "0001-01-01T00:00:00Z"]
)
def test_times_that_can_not_be_read(text: str) -> None:
    """Without a zone nobody knows when it is."""
    assert node_health.end_time(text) is None


def test_the_earliest_end_counts() -> None:
    """Of labels and annotations; what can't be read is told, and does not hide the others."""
    node = read(
        labels={names.AVAILABLE_UNTIL: "20261130T120000Z"},
        annotations={names.AVAILABLE_UNTIL: "soon", "other.io/end": "2026-11-29T12:00:00Z"},
    )
    assert (node.end_s, node.unreadable_end) == (1796040000 - 86400, names.AVAILABLE_UNTIL)
    assert (read().end_s, read().unreadable_end) == (None, "")


def test_our_own_condition_is_kept() -> None:
    """So that nothing is written that is so already."""
    row = read([bad("broken fan", names.DRAINED_CONDITION)])
    assert row.drained is not None
    assert (row.drained.status, row.drained.message) == ("True", "broken fan")
    assert row.takes_pods is False, "it has no condition Ready"
    assert row.causes == ()


def test_defaults_name_each_once() -> None:
    """And well-formed."""
    for listed in (UNHEALTHY, DRAINING):
        assert len(set(listed)) == len(listed)
