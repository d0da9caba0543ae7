"""A story and the queue as text."""

from dataclasses import replace

from bridge.explain import table, text
from bridge.explain.rows import (
    GangRow,
    JobRow,
    NodeReport,
    Place,
    PodRow,
    QueueRow,
    StepRow,
    Story,
)
from bridge.model.ids import GangId, SlurmJobId

NOW_S = 1_796_042_455.0
GANG = GangRow(GangId("team/u"), "team", "Job", "train", "Queued", 2, 2, SlurmJobId(7), "It waits.")
JOB = JobRow(
    SlurmJobId(7), name="team/train", state="PENDING", reason="Resources", partition="p",
    user="ann", start_s=NOW_S + 60, submit_s=NOW_S - 60, time_limit_min=90,
)  # fmt: skip
STORY = Story(
    gang=GANG,
    pods=(PodRow("train-0", "Pending"), PodRow("train-1", "Pending")),
    job=JOB,
    steps=(StepRow(NOW_S - 60, "2 pods were created."),),
    place=Place(2, 9, "p"),
    nodes=(NodeReport(12, 1, ((10, "0 of 8 nvidia.com/gpu free"), (1, "cordoned"))),),
    notes=("a note",),
    starts_when="It starts soon",
    advice=("Nothing has to be done", "Ask for less"),
)


def told(story: Story) -> str:
    return "\n".join(text.lines(story, now_s=NOW_S))


def test_a_story_has_the_answer_first() -> None:
    """How it stands, when it starts, what to do; then what that is known from."""
    said = told(STORY)
    parts = (
        "Job team/train: waits in Slurm's queue, 2 pods", "It waits.", "When it starts: It starts "
        "soon.", "What to do:     Nothing has to be done.", "Ask for less.",
        "Its place:      3 of 9 jobs that wait in partition p, by priority.",
        "Also:           a note.", "1 of 12 nodes have room for one of its pods now:",
        "  10  0 of 8 nvidia.com/gpu free", "   1  cordoned", "Slurm job 7 (team/train)",
        "expected start  2026-11-30 12:41:55Z (in 1 min)", "What has happened",
        "2026-11-30 12:39:55Z  2 pods were created.", "train-1  Pending",
    )  # fmt: skip
    at = [said.index(part) for part in parts]
    assert at == sorted(at)


def test_what_is_not_known_takes_no_line() -> None:
    """A gang without a job, and one that runs."""
    bare = told(Story(replace(GANG, state="Known")))
    assert bare.splitlines() == [
        "Job team/train: not in Slurm's queue, 2 pods",
        "",
        "  It waits.",
    ]
    job = replace(JOB, state="RUNNING", reason="", end_s=NOW_S + 600, start_s=NOW_S, nodes=("n1",))
    runs = told(
        Story(replace(GANG, state="Running"), job=job, pods=(PodRow("a", "Running", "n1"),))
    )
    assert "ends at last    2026-11-30 12:50:55Z" in runs
    assert "a  Running on n1" in runs
    assert "expected" not in runs


def test_who_has_cancelled_a_job() -> None:
    """The bridge cancels each job whose pods have ended: that is no mishap."""
    over = Story(replace(GANG, state="Done"), job=replace(JOB, state="CANCELLED", reason=""))
    assert "CANCELLED (so slurm-bridge ends a job that no pod needs)" in told(over)
    step = StepRow(NOW_S, "Slurm job 7 was cancelled in Slurm.")
    assert "so slurm-bridge ends" not in told(replace(over, steps=(step,)))


def test_the_first_and_the_only_one_in_the_queue() -> None:
    """Nobody counts from zero."""
    first = told(replace(STORY, place=Place(0, 3, "p")))
    assert "the first of 3 jobs that wait in partition p" in first
    assert "no other job waits in partition p" in told(replace(STORY, place=Place(0, 1, "p")))


def test_many_pods_are_counted() -> None:
    """A thousand lines help nobody."""
    pods = tuple(PodRow(f"train-{at}", "Pending") for at in range(32))
    assert "  and 992 more" in told(replace(STORY, pods=pods, more_pods=968))


def test_the_queue_is_as_squeue_shows_it() -> None:
    """By partition, those that wait first, by priority; then gangs that have no job."""
    rows = [
        QueueRow(None, "team", "Pod", "lost", 1, "It is not queued in Slurm: a claim is away."),
        QueueRow(replace(JOB, id=SlurmJobId(1), state="RUNNING", start_s=NOW_S - 3661,
                         nodes=("n1", "n2")), "team", "Job", "runs", 2),
        QueueRow(replace(JOB, priority=1), "team", "Job", "train", 2),
        QueueRow(replace(JOB, id=SlurmJobId(8), priority=2, name="native"), "", "", "", 0),
    ]  # fmt: skip
    lines = list(table.lines(sorted(rows, key=table.order), unread=3, now_s=NOW_S))
    assert [line.split()[0] for line in lines] == ["JOBID", "8", "7", "1", "-", "and"]
    assert "native (native)" in lines[1]
    assert "job/team/train" in lines[2]
    assert "(Resources)" in lines[2]
    assert "12:41" in lines[2]
    assert "1:01:01" in lines[3]
    assert "n[1-2]" in lines[3]
    assert "(not queued: a claim is away)" in lines[4]
    assert lines[5].startswith("and 3 native jobs")
    assert list(table.lines([], unread=0, now_s=NOW_S)) == ["No job is in the queue."]
