"""Stories told from snapshots."""

import pytest

from bridge.sim.demo.timeline import Timeline
from tests.unit.sim.demo.snapshots import SCENE, Looking, a_job, a_pod, nodes

EIGHT = range(8)


@pytest.fixture
def timeline() -> Timeline:
    """A timeline of the small scenario."""
    return Timeline(SCENE, nodes())


def test_a_gang_has_started_when_all_of_it_is_bound(timeline: Timeline) -> None:
    """It waited since its author submitted it; then it runs on these nodes of these leaves."""
    looking = Looking()
    timeline.arrived("train", 0.5)
    job = a_job(1, tasks=2, on={"n-01": EIGHT, "n-09": EIGHT})
    first, second = a_pod("train-0", node="n-01", job=1), a_pod("train-1", job=1)
    timeline.take(looking.sees(jobs=(job,), pods=(first, second)))
    story = timeline.stories["train"]
    assert story.started_s is None
    bound = a_pod("train-1", node="n-09", job=1)
    timeline.take(looking.sees(jobs=(job,), pods=(first, bound)))
    assert story.started_s == 2
    assert story.waited_s == pytest.approx((0.5 + 1.5) / 2)
    assert timeline.leaves_of(story.nodes) == [1, 2]
    assert [one.text for one in timeline.news()] == [
        "submitted: gang of 2 pods × 8 GPU",
        "started: Slurm job 1 on 2 nodes, 2 leaves, after 1.0 s",
    ]
    assert not timeline.news(), "told once"


def test_preempted_jobs_of_one_workload_are_one_line(timeline: Timeline) -> None:
    """And are counted."""
    looking = Looking()
    timeline.arrived("sweep", 0)
    timeline.news()
    running = tuple(a_job(n, "sweep", on={"n-01": range(n, n + 1)}) for n in range(3))
    timeline.take(looking.sees(jobs=running))
    gone = tuple(a_job(n, "sweep", state="PREEMPTED") for n in range(3))
    timeline.take(looking.sees(jobs=gone))
    timeline.take(looking.sees(jobs=gone))
    assert timeline.stories["sweep"].preempted == 3
    assert [one.short for one in timeline.news()] == ["preempted"]


def test_pods_are_counted_by_how_far_they_are(timeline: Timeline) -> None:
    """Finished ones as their Jobs count them: they may be gone from snapshot."""
    pods = (
        a_pod("sweep-0", gated=True),
        a_pod("sweep-1", job=1),
        a_pod("sweep-2", node="n-01", job=2),
        a_pod("train-0", node="n-02", job=3, phase="Succeeded"),
        a_pod("train-1", node="n-03", job=3, ending=True),
    )
    timeline.take(Looking().sees(pods=pods, succeeded={"train": 2}))
    counts = timeline.counts()
    assert dict(counts) == {"gated": 1, "pinned": 1, "bound": 1, "ended": 1, "finished": 2}


def test_the_use_of_gpus_is_measured_over_time(timeline: Timeline) -> None:
    """Half of the GPUs for half of the time is a quarter."""
    looking = Looking()
    timeline.take(looking.sees())
    half = tuple(a_pod(f"train-{n}", node=f"n-{n + 1:02}", job=1) for n in range(8))
    for _ in range(2):
        timeline.take(looking.sees(pods=half))
    timeline.take(looking.sees())
    assert timeline.utilization() == pytest.approx(0.25)


def test_all_is_done_when_every_job_is_complete(timeline: Timeline) -> None:
    """Kubernetes says so."""
    looking = Looking()
    timeline.take(looking.sees(complete=("train", "sweep")))
    assert (timeline.done, timeline.all_done) == (2, False)
    timeline.take(looking.sees(complete=("train", "sweep", "bench")))
    assert timeline.all_done
    assert timeline.stories["train"].done_s == 1
