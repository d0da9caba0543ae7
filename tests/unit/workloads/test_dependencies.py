"""The `dependency` annotation."""

import pytest

from bridge.errors import BadInput
from bridge.model.gang import Dependency
from bridge.model.ids import SlurmJobId
from bridge.workloads import dependencies
from bridge.workloads.dependencies import Standing


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("afterok:12", [("afterok", "12")]),
        ("afterok:12:13", [("afterok", "12"), ("afterok", "13")]),
        ("after:12+5", [("after", "12+5")]),
        ("afterany:Job/prepare, afternotok:7", [("afterany", "job/prepare"), ("afternotok", "7")]),
        ("singleton", [("singleton", "")]),
        ("afterok:7,afterok:7", [("afterok", "7")]),
    ],
)
def test_ids_and_workloads_are_read(text: str, parsed: list[tuple[str, str]]) -> None:
    """Each once, kinds in lower case."""
    assert dependencies.parse(text) == tuple(Dependency(*one) for one in parsed)


@pytest.mark.parametrize(
    "text",
    ["", "12", "afterok", "afterok:", "later:12", "afterok:0", "afterok:12?afterok:13",
     "aftercorr:1", "afterok:12+5", "afterok:job/", "afterok:job/a/b", "singleton:3",
     "afterok:job/A b"],
)  # fmt: skip
def test_other_forms_are_refused_with_the_accepted_ones(text: str) -> None:
    """Also those of Slurm that a placeholder has no use for."""
    with pytest.raises(BadInput, match="afterany:job/prepare"):
        dependencies.parse(text)


def said(text: str, standing: Standing | None = None) -> str:
    return dependencies.build(
        dependencies.parse(text), namespace="team", resolve=lambda *_: standing
    )


RUNNING = Standing(jobs=(SlurmJobId(12), SlurmJobId(13)))


@pytest.mark.parametrize(
    ("text", "standing", "expected"),
    [
        ("afterok:7:8,singleton", None, "afterok:7:8,singleton"),
        ("afterany:job/a", RUNNING, "afterany:12:13"),
        ("after:job/a,afterany:7", RUNNING, "after:12:13,afterany:7"),
        ("afterany:7,afterany:job/a", RUNNING, "afterany:7:12:13"),
        ("afterok:job/a", Standing(over=True, succeeded=True), ""),
        ("afternotok:job/a", Standing(over=True, succeeded=False), ""),
        ("afterany:job/a,afterok:7", Standing(over=True, succeeded=False), "afterok:7"),
        ("after:job/a", Standing(over=True, succeeded=True), ""),
    ],
)
def test_what_is_left_to_wait_for_is_said_in_slurms_form(
    text: str, standing: Standing | None, expected: str
) -> None:
    """What has come true is left out."""
    assert said(text, standing) == expected


@pytest.mark.parametrize(
    ("text", "standing", "says"),
    [
        ("afterok:job/a", None, "does not exist"),
        ("afterany:job/a", Standing(), "no Slurm job yet"),
        ("afterok:job/a", RUNNING, "job/a in namespace team has not ended"),
        ("afternotok:job/a", RUNNING, "has not ended"),
    ],
)
def test_a_gang_is_kept_out_of_the_queue_until_it_can_be_told(
    text: str, standing: Standing | None, says: str
) -> None:
    """A placeholder's end in Slurm does not tell whether its pods succeeded."""
    with pytest.raises(dependencies.Waits, match=says):
        said(text, standing)


@pytest.mark.parametrize(
    ("text", "succeeded"),
    [("afterok:job/a", False), ("afternotok:job/a", True), ("afterok:jobset/a", None)],
)
def test_what_can_never_come_true_is_said(text: str, succeeded: bool | None) -> None:
    """And is no waiting."""
    with pytest.raises(BadInput, match="can't come true") as refusal:
        said(text, Standing(over=True, succeeded=succeeded))
    assert not isinstance(refusal.value, dependencies.Waits)


def test_a_workload_of_more_jobs_than_slurm_should_look_at_is_refused() -> None:
    """However few words named them: what goes to slurmctld is bounded too."""
    wishes = dependencies.parse("after:job/large")
    many = Standing(tuple(SlurmJobId(one) for one in range(1, 1002)))
    with pytest.raises(BadInput, match="1001 Slurm jobs; slurm-bridge reads at most 1000"):
        dependencies.build(wishes, namespace="team", resolve=lambda *_: many)
