"""Stories told from sights."""

import pytest

from bridge.sim.demo.chronicle import Chronicle
from tests.unit.sim.demo.sights import SCENE, Looking, a_job, a_pod, nodes

EIGHT = range(8)


@pytest.fixture
def chronicle() -> Chronicle:
    """A chronicle of the small scene."""
    return Chronicle(SCENE, nodes())


def test_a_gang_has_started_when_all_of_it_is_bound(chronicle: Chronicle) -> None:
    """It waited since its author submitted it; then it runs on these nodes of these leaves."""
    looking = Looking()
    chronicle.arrived("train", 0.5)
    job = a_job(1, tasks=2, on={"n-01": EIGHT, "n-09": EIGHT})
    first, second = a_pod("train-0", node="n-01", job=1), a_pod("train-1", job=1)
    chronicle.take(looking.sees(jobs=(job,), pods=(first, second)))
    story = chronicle.stories["train"]
    assert story.started_s is None
    bound = a_pod("train-1", node="n-09", job=1)
    chronicle.take(looking.sees(jobs=(job,), pods=(first, bound)))
    assert story.started_s == 2
    assert story.waited_s == pytest.approx((0.5 + 1.5) / 2)
    assert chronicle.leaves_of(story.nodes) == [1, 2]
    assert [one.text for one in chronicle.news()] == [
        "submitted: gang of 2 pods × 8 GPU",
        "started: Slurm job 1 on 2 nodes, 2 leaves, after 1.0 s",
    ]
    assert not chronicle.news(), "told once"


def test_preempted_jobs_of_one_workload_are_one_line(chronicle: Chronicle) -> None:
    """And are counted."""
    looking = Looking()
    chronicle.arrived("sweep", 0)
    chronicle.news()
    running = tuple(a_job(n, "sweep", on={"n-01": range(n, n + 1)}) for n in range(3))
    chronicle.take(looking.sees(jobs=running))
    gone = tuple(a_job(n, "sweep", state="PREEMPTED") for n in range(3))
    chronicle.take(looking.sees(jobs=gone))
    chronicle.take(looking.sees(jobs=gone))
    assert chronicle.stories["sweep"].preempted == 3
    assert [one.short for one in chronicle.news()] == ["preempted"]


def test_pods_are_counted_by_how_far_they_are(chronicle: Chronicle) -> None:
    """Finished ones as their Jobs count them: they may be gone from sight."""
    pods = (
        a_pod("sweep-0", gated=True),
        a_pod("sweep-1", job=1),
        a_pod("sweep-2", node="n-01", job=2),
        a_pod("train-0", node="n-02", job=3, phase="Succeeded"),
        a_pod("train-1", node="n-03", job=3, ending=True),
    )
    chronicle.take(Looking().sees(pods=pods, succeeded={"train": 2}))
    counts = chronicle.counts()
    assert dict(counts) == {"gated": 1, "pinned": 1, "bound": 1, "ended": 1, "finished": 2}


def test_the_use_of_gpus_is_measured_over_time(chronicle: Chronicle) -> None:
    """Half of the GPUs for half of the time is a quarter."""
    looking = Looking()
    chronicle.take(looking.sees())
    half = tuple(a_pod(f"train-{n}", node=f"n-{n + 1:02}", job=1) for n in range(8))
    for _ in range(2):
        chronicle.take(looking.sees(pods=half))
    chronicle.take(looking.sees())
    assert chronicle.utilization() == pytest.approx(0.25)


def test_all_is_done_when_every_job_is_complete(chronicle: Chronicle) -> None:
    """Kubernetes says so."""
    looking = Looking()
    chronicle.take(looking.sees(complete=("train", "sweep")))
    assert (chronicle.done, chronicle.all_done) == (2, False)
    chronicle.take(looking.sees(complete=("train", "sweep", "bench")))
    assert chronicle.all_done
    assert chronicle.stories["train"].done_s == 1
