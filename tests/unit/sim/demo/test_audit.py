"""What the demo's audit lets pass and what not."""

import pytest

from bridge.sim.demo.audit import REACTION_S, Audit
from bridge.sim.demo.sight import Pod, SlurmJob
from tests.unit.sim.demo.sights import SCENE, Looking, a_job, a_pod

EIGHT = range(8)


@pytest.fixture
def audit() -> Audit:
    """An audit that has seen nothing."""
    return Audit(SCENE)


def test_pods_on_the_nodes_of_their_job_are_right(audit: Audit) -> None:
    """And their nodes count as compared."""
    job = a_job(1, tasks=2, on={"n-01": EIGHT, "n-02": EIGHT})
    pods = (a_pod("train-0", node="n-01", job=1), a_pod("train-1", node="n-02", job=1))
    audit.take(Looking().sees(jobs=(job,), pods=pods))
    assert audit.ok
    assert audit.compared == 2


@pytest.mark.parametrize(
    ("pod", "said"),
    [
        (a_pod("train-0", node="n-03", job=1), "its Slurm job (1) holds n-01"),
        (a_pod("train-0", node="n-01", job=9), "its Slurm job (9) holds nothing"),
        (a_pod("train-0", node="n-01"), "its Slurm job (none) holds nothing"),
        (a_pod("train-0", node="n-03", job=1, phase="Failed"), "bound to n-03"),
    ],
)
def test_a_pod_off_its_allocation_is_told_once(audit: Audit, pod: Pod, said: str) -> None:
    """Also when its kubelet has refused it, and however often it is seen."""
    looking, job = Looking(), a_job(1, on={"n-01": EIGHT})
    for _ in range(3):
        audit.take(looking.sees(jobs=(job,), pods=(pod,)))
    assert audit.off_allocation == 1
    (told,) = [problem for problem in audit.problems if "was bound to" in problem]
    assert said in told


def test_a_job_that_ended_between_the_reads_still_counts(audit: Audit) -> None:
    """The pod was there before Slurm took the node away."""
    held = a_job(1, on={"n-01": EIGHT})
    over = a_job(1, state="CANCELLED")
    pod = a_pod("train-0", node="n-01", job=1)
    audit.take(Looking().sees(before=(held,), jobs=(over,), pods=(pod,)))
    assert audit.ok


def test_a_pod_may_outlive_its_job_for_a_moment(audit: Audit) -> None:
    """Not longer than the bridge needs to react, unless it is on its way out."""
    looking = Looking()
    pod = a_pod("train-0", node="n-01", job=1)
    leaving = a_pod("train-1", node="n-02", job=1, ending=True)
    held = a_job(1, tasks=2, on={"n-01": EIGHT, "n-02": EIGHT})
    audit.take(looking.sees(jobs=(held,), pods=(pod, leaving)))
    over = a_job(1, state="PREEMPTED")
    for _ in range(int(REACTION_S) + 1):
        audit.take(looking.sees(jobs=(over,), pods=(pod, leaving)))
    assert audit.ok
    audit.take(looking.sees(jobs=(over,), pods=(pod, leaving)))
    assert audit.problems == ["pod train-0 runs on n-01 though its Slurm job is over"]


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
    audit: Audit, jobs: tuple[SlurmJob, ...], pods: tuple[Pod, ...], said: str
) -> None:
    """Node by node."""
    audit.take(Looking().sees(jobs=jobs, pods=pods))
    assert any(said in problem for problem in audit.problems), audit.problems
    assert audit.mismatches == 1


def test_a_gang_that_is_just_being_bound_is_no_mismatch(audit: Audit) -> None:
    """Slurm holds all of it, the first pod is there."""
    job = a_job(1, tasks=2, on={"n-01": EIGHT, "n-02": EIGHT})
    audit.take(Looking().sees(jobs=(job,), pods=(a_pod("train-0", node="n-01", job=1),)))
    assert audit.ok
    assert not audit.compared


def test_who_wants_a_node_alone_holds_all_of_it(audit: Audit) -> None:
    """One GPU used, eight held: right; somebody beside it: wrong."""
    looking, job = Looking(), a_job(1, "bench", on={"n-01": EIGHT})
    alone = a_pod("bench-0", node="n-01", job=1, gpus=1)
    audit.take(looking.sees(jobs=(job,), pods=(alone,)))
    assert audit.ok
    other = a_job(2, "sweep", on={"n-01": range(1)})
    guest = a_pod("sweep-0", node="n-01", job=2, gpus=1)
    audit.take(looking.sees(jobs=(job, other), pods=(alone, guest)))
    assert audit.problems == ["not alone on n-01: bench-0, sweep-0"]


def test_at_the_end_all_is_complete_and_nothing_left(audit: Audit) -> None:
    """A job of a workload that is complete has leaked."""
    names = ("train", "sweep", "bench")
    audit.finish(Looking().sees(complete=names))
    assert audit.ok
    audit.finish(Looking().sees(complete=names, jobs=(a_job(7, state="PENDING"),)))
    assert audit.leaked_jobs == 1
    assert audit.problems == ["left in Slurm at the end: jobs 7"]


def test_what_is_missing_at_the_end_is_named(audit: Audit) -> None:
    """Failed ones apart."""
    audit.finish(Looking().sees(complete=("train",), failed=("bench",)))
    assert audit.problems == ["Jobs that failed: bench", "Jobs that are not complete: sweep"]
