"""What people read: times, Slurm's reasons, places in the queue."""

import pytest

from bridge.explain import reasons, times
from bridge.explain.place import Lines
from bridge.explain.rows import JobRow, Place
from bridge.model.ids import SlurmJobId

NOW_S = 1_796_042_455.0


@pytest.mark.parametrize(
    ("seconds", "text", "clock"),
    [
        (0, "0 s", "0:00"),
        (61, "1 min 1 s", "1:01"),
        (3600, "1 h", "1:00:00"),
        (7505, "2 h 5 min", "2:05:05"),
        (86_400, "1 day", "1-00:00:00"),
        (200_000, "2 days 7 h", "2-07:33:20"),
    ],
)
def test_lengths_of_time(seconds: float, text: str, clock: str) -> None:
    """In two units for a sentence, as squeue writes them for a table."""
    assert (times.about(seconds), times.clock(seconds)) == (text, clock)


def test_points_in_time() -> None:
    """In UTC, with how far away they are; a time that no calendar has does no harm."""
    assert times.ahead(NOW_S + 3600, NOW_S) == "2026-11-30 13:40:55Z (in 1 h)"
    assert times.ahead(NOW_S, NOW_S) == "2026-11-30 12:40:55Z (now)"
    assert times.at(1e18) == "in the far future"


@pytest.mark.parametrize(
    ("reason", "meaning", "starts"),
    [
        ("", "not yet looked", "when Slurm has looked"),
        ("None", "not yet looked", "when Slurm has looked"),
        ("Resources", "Not enough of the nodes", "running jobs have given back"),
        ("Priority", "higher priority", "they have started"),
        ("JobHeldAdmin", "admin holds", "released"),
        ("Reservation", "reservation that it names", "begun"),
        ("PartitionConfig", "more than its partition", "never"),
        ("AssocGrpGRES", "user or account", "other jobs under this limit end"),
        ("QOSMaxCpuPerJobLimit", "more CPUs than its QOS allows", "never"),
        ("SomethingNew", "SomethingNew", ""),
    ],
)
def test_reasons_in_plain_words(reason: str, meaning: str, starts: str) -> None:
    """What it means, and what has to happen; Slurm's own word where nobody knows it."""
    words = reasons.of(reason)
    assert meaning in words.meaning
    assert starts in words.starts_when
    for sentence in (words.meaning, words.starts_when, *words.advice):
        assert not sentence.endswith(".")
        assert sentence[:1] == sentence[:1].upper()


def test_a_maintenance_is_told_apart() -> None:
    """Slurm has one word for nodes that are broken and for those that will be maintained."""
    words = reasons.of("ReqNodeNotAvail", "ReqNodeNotAvail, Reserved for maintenance")
    assert "maintenance" in words.meaning
    assert "maintenance" not in reasons.of("ReqNodeNotAvail", "ReqNodeNotAvail").meaning


def test_a_hold_names_the_job_to_release() -> None:
    """As it is typed."""
    assert "scontrol release 12" in reasons.of("JobHeldUser", job_id=12).advice[0]


def a_job(job_id: int, *, priority: int | None = 0, partition: str = "p") -> JobRow:
    return JobRow(SlurmJobId(job_id), state="PENDING", partition=partition, priority=priority)


def test_its_place_is_by_priority_then_by_age() -> None:
    """In the line of its partition, whether the line knows it already or not."""
    job = a_job(5, priority=10)
    others = [
        a_job(4, priority=10),
        a_job(6, priority=10),
        a_job(7, priority=11, partition="p,q"),
        a_job(8, priority=99, partition="else"),
        a_job(10, priority=None),
    ]
    assert Lines(others).place(job) == Lines([*others, job]).place(job) == Place(2, 5, "p")
    assert Lines(()).place(job) == Place(0, 1, "p")


def test_of_several_partitions_the_shortest_line_counts() -> None:
    """Slurm starts the job where it is first."""
    others = [a_job(1, priority=9), a_job(2, priority=9), a_job(3, priority=9, partition="q")]
    assert Lines(others).place(a_job(5, partition="p,q")) == Place(1, 2, "q")
