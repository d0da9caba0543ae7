"""What the demo's checks let pass and what not."""

import pytest

from bridge.sim.demo.checks import REACTION_S, Checks
from bridge.sim.demo.snapshot import Pod, SlurmJob
from tests.unit.sim.demo.snapshots import SCENE, Looking, a_job, a_pod

EIGHT = range(8)


@pytest.fixture
def checks() -> Checks:
    """Checks that have seen nothing."""
    return Checks(SCENE)


def test_pods_on_the_nodes_of_their_job_are_right(checks: Checks) -> None:
    """And their nodes count as compared."""
    job = a_job(1, tasks=2, on={"n-01": EIGHT, "n-02": EIGHT})
    pods = (a_pod("train-0", node="n-01", job=1), a_pod("train-1", node="n-02", job=1))
    checks.take(Looking().sees(jobs=(job,), pods=pods))
    assert checks.ok
    assert checks.compared == 2


@pytest.mark.parametrize(
    ("pod", "said"),
    [
        (a_pod("train-0", node="n-03", job=1), "its Slurm job (1) holds n-01"),
        (a_pod("train-0", node="n-01", job=9), "its Slurm job (9) holds nothing"),
        (a_pod("train-0", node="n-01"), "its Slurm job (none) holds nothing"),
        (a_pod("train-0", node="n-03", job=1, phase="Failed"), "bound to n-03"),
    ],
)
def test_a_pod_off_its_allocation_is_told_once(checks: Checks, pod: Pod, said: str) -> None:
    """Also when its kubelet has refused it, and however often it is seen."""
    looking, job = Looking(), a_job(1, on={"n-01": EIGHT})
    for _ in range(3):
        checks.take(looking.sees(jobs=(job,), pods=(pod,)))
    assert checks.off_allocation == 1
    (told,) = [problem for problem in checks.problems if "was bound to" in problem]
    assert said in told


def test_a_job_that_ended_between_the_reads_still_counts(checks: Checks) -> None:
    """The pod was there before Slurm took the node away."""
    held = a_job(1, on={"n-01": EIGHT})
    over = a_job(1, state="CANCELLED")
    pod = a_pod("train-0", node="n-01", job=1)
    checks.take(Looking().sees(before=(held,), jobs=(over,), pods=(pod,)))
    assert checks.ok


def test_a_job_that_ran_between_two_looks_still_counts(checks: Checks) -> None:
    """It started and was preempted before anybody looked; Slurm says where it ran."""
    over = a_job(1, state="PREEMPTED", ran_on=("n-01",))
    pods = (
        a_pod("train-0", node="n-01", job=1, ending=True),
        a_pod("train-1", node="n-02", job=1, ending=True),
    )
    checks.take(Looking().sees(jobs=(over,), pods=pods))
    (told,) = checks.problems
    assert "pod train-1 was bound to n-02" in told


def test_a_pod_may_outlive_its_job_for_a_moment(checks: Checks) -> None:
    """Not longer than the bridge needs to react, unless it is on its way out."""
    looking = Looking()
    pod = a_pod("train-0", node="n-01", job=1)
    ending = a_pod("train-1", node="n-02", job=1, ending=True)
    held = a_job(1, tasks=2, on={"n-01": EIGHT, "n-02": EIGHT})
    checks.take(looking.sees(jobs=(held,), pods=(pod, ending)))
    over = a_job(1, state="PREEMPTED")
    for _ in range(int(REACTION_S) + 1):
        checks.take(looking.sees(jobs=(over,), pods=(pod, ending)))
    assert checks.ok
    checks.take(looking.sees(jobs=(over,), pods=(pod, ending)))
    assert checks.problems == ["pod train-0 runs on n-01 though its Slurm job is over"]


@pytest.mark.parametrize(
    ("jobs", "pods", "said"),
    [
        pytest.param(
            (a_job(1, "sweep", on={"n-01": range(1)}),),
            (a_pod("sweep-0", node="n-01", job=1, gpus=2),),
            "use 2 GPUs, Slurm gave 1",
            id="more than Slurm gave",
        ),
        pytest.param(
            (a_job(1, "sweep", on={"n-01": range(2)}),),
            (a_pod("sweep-0", node="n-01", job=1, gpus=1),),
            "use 1 GPUs, Slurm gave 2",
            id="less, though all tasks are there",
        ),
        pytest.param(
            (a_job(1, "sweep", on={"n-01": EIGHT}), a_job(2, "train", state="CANCELLED")),
            (
                a_pod("sweep-0", node="n-01", job=1),
                a_pod("train-0", node="n-01", job=2, ending=True),
            ),
            "use 16 of its 8 GPUs",
            id="the old pod is not gone yet",
        ),
    ],
)
def test_gpus_are_counted_on_both_sides(
    checks: Checks, jobs: tuple[SlurmJob, ...], pods: tuple[Pod, ...], said: str
) -> None:
    """Node by node."""
    checks.take(Looking().sees(jobs=jobs, pods=pods))
    assert any(said in problem for problem in checks.problems), checks.problems
    assert checks.mismatches == 1


def test_a_gang_that_is_just_being_bound_is_no_mismatch(checks: Checks) -> None:
    """Slurm holds all of it, the first pod is there."""
    job = a_job(1, tasks=2, on={"n-01": EIGHT, "n-02": EIGHT})
    checks.take(Looking().sees(jobs=(job,), pods=(a_pod("train-0", node="n-01", job=1),)))
    assert checks.ok
    assert not checks.compared


def test_who_wants_a_node_alone_holds_all_of_it(checks: Checks) -> None:
    """One GPU used, eight held: right; somebody beside it: wrong."""
    looking, job = Looking(), a_job(1, "bench", on={"n-01": EIGHT})
    alone = a_pod("bench-0", node="n-01", job=1, gpus=1)
    checks.take(looking.sees(jobs=(job,), pods=(alone,)))
    assert checks.ok
    other = a_job(2, "sweep", on={"n-01": range(1)})
    guest = a_pod("sweep-0", node="n-01", job=2, gpus=1)
    checks.take(looking.sees(jobs=(job, other), pods=(alone, guest)))
    assert checks.problems == ["not alone on n-01: bench-0, sweep-0"]


def test_at_the_end_all_is_complete_and_nothing_left(checks: Checks) -> None:
    """A job of a workload that is complete has leaked."""
    names = ("train", "sweep", "bench")
    checks.finish(Looking().sees(complete=names))
    assert checks.ok
    checks.finish(Looking().sees(complete=names, jobs=(a_job(7, state="PENDING"),)))
    assert checks.leaked_jobs == 1
    assert checks.problems == ["left in Slurm at the end: jobs 7"]


def test_what_is_missing_at_the_end_is_named(checks: Checks) -> None:
    """Failed ones apart."""
    checks.finish(Looking().sees(complete=("train",), failed=("bench",)))
    assert checks.problems == ["Jobs that failed: bench", "Jobs that are not complete: sweep"]
