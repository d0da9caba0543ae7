"""The `dependency` annotation, said to Slurm."""

import pytest

from bridge.errors import BadInput
from bridge.gangs.languages.dependencies import parse
from bridge.jobs import dependencies
from bridge.jobs.workload_status import WorkloadStatus
from bridge.model.ids import SlurmJobId


def said(text: str, status: WorkloadStatus | None = None) -> str:
    return dependencies.build(parse(text), namespace="team", resolve=lambda *_: status)


RUNNING = WorkloadStatus(jobs=(SlurmJobId(12), SlurmJobId(13)))


@pytest.mark.parametrize(
    ("text", "status", "expected"),
    [
        ("afterok:7:8,singleton", None, "afterok:7:8,singleton"),
        ("afterany:job/a", RUNNING, "afterany:12:13"),
        ("after:job/a,afterany:7", RUNNING, "after:12:13,afterany:7"),
        ("afterany:7,afterany:job/a", RUNNING, "afterany:7:12:13"),
        ("afterok:job/a", WorkloadStatus(over=True, succeeded=True), ""),
        ("afternotok:job/a", WorkloadStatus(over=True, succeeded=False), ""),
        ("afterany:job/a,afterok:7", WorkloadStatus(over=True, succeeded=False), "afterok:7"),
        ("after:job/a", WorkloadStatus(over=True, succeeded=True), ""),
    ],
)
def test_what_is_left_to_wait_for_is_said_in_slurms_form(
    text: str, status: WorkloadStatus | None, expected: str
) -> None:
    """What has come true is left out."""
    assert said(text, status) == expected


@pytest.mark.parametrize(
    ("text", "status", "says"),
    [
        ("afterok:job/a", None, "does not exist"),
        ("afterany:job/a", WorkloadStatus(), "no Slurm job yet"),
        ("afterok:job/a", RUNNING, "job/a in namespace team has not ended"),
        ("afternotok:job/a", RUNNING, "has not ended"),
    ],
)
def test_a_gang_is_kept_out_of_the_queue_until_it_can_be_told(
    text: str, status: WorkloadStatus | None, says: str
) -> None:
    """A placeholder's end in Slurm does not tell whether its pods succeeded."""
    with pytest.raises(dependencies.Waits, match=says):
        said(text, status)


@pytest.mark.parametrize(
    ("text", "succeeded"),
    [("afterok:job/a", False), ("afternotok:job/a", True), ("afterok:jobset/a", None)],
)
def test_what_can_never_come_true_is_said(text: str, succeeded: bool | None) -> None:
    """And is no waiting."""
    with pytest.raises(BadInput, match="can't be fulfilled") as refusal:
        said(text, WorkloadStatus(over=True, succeeded=succeeded))
    assert not isinstance(refusal.value, dependencies.Waits)


def test_a_workload_of_more_jobs_than_slurm_should_look_at_is_refused() -> None:
    """However few words named them: what goes to slurmctld is bounded too."""
    wishes = parse("after:job/large")
    many = WorkloadStatus(tuple(SlurmJobId(one) for one in range(1, 1002)))
    with pytest.raises(BadInput, match="1001 Slurm jobs; slurm-bridge reads at most 1000"):
        dependencies.build(wishes, namespace="team", resolve=lambda *_: many)
