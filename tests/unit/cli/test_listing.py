"""Rows as people see them."""

import json

import pytest

from bridge.cli import listing
from bridge.model.ids import SlurmJobId, SlurmNodeName
from bridge.slurm import Job, SlurmNode


def _job(**fields: object) -> Job:
    said = {"id": SlurmJobId(1), "name": "train", "states": frozenset({"PENDING"}), **fields}
    return Job(**said)  # type: ignore[arg-type]


def test_names_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Nor are they markup; as JSON they are whole."""
    row = listing.job_row(_job(name="\x1b[2Jevil[red]"))
    listing.show([row], noun="job", as_json=False)
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "evil[red]" in shown
    listing.show([row], noun="job", as_json=True)
    assert json.loads(capsys.readouterr().out)[0]["name"] == "\x1b[2Jevil[red]"


@pytest.mark.parametrize(
    ("start_s", "shown"), [(0, "1970-01-01T00:00:00Z"), (None, ""), (10**15, str(10**15))]
)
def test_times(capsys: pytest.CaptureFixture[str], start_s: int | None, shown: str) -> None:
    """In UTC; what is no time of a calendar stays a number."""
    listing.show([listing.job_row(_job(start_s=start_s))], noun="job", as_json=False)
    assert shown in capsys.readouterr().out


@pytest.mark.parametrize(("count", "title"), [(0, "no nodes"), (1, "1 node"), (2, "2 nodes")])
def test_the_title_counts(capsys: pytest.CaptureFixture[str], count: int, title: str) -> None:
    """In words that fit the number."""
    node = SlurmNode(SlurmNodeName("n1"), frozenset({"EXTERNAL", "MIXED", "DRAIN"}))
    listing.show([listing.node_row(node)] * count, noun="node", as_json=False)
    assert capsys.readouterr().out.splitlines()[0].strip() == title


def test_whether_a_node_is_free_is_told_first() -> None:
    """Then the flags beside it."""
    node = SlurmNode(SlurmNodeName("n1"), frozenset({"EXTERNAL", "MIXED", "DRAIN"}))
    assert listing.node_row(node)["state"] == "MIXED+DRAIN+EXTERNAL"
