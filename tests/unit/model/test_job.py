"""What a job in Slurm asks for, compared with what its gang asks for."""

from dataclasses import replace

import pytest

from bridge.model.ids import SlurmJobId, SlurmNodeName
from bridge.model.job import JobFacts, JobIdentity, JobSpec

IDS = (SlurmJobId(7), SlurmJobId(8))
WORKERS = JobSpec(
    JobIdentity("cluster", "g#1", 0, "o"), "x", 2, 1, "slurm-bridge", constraints="gpu", user="ann"
)
WISHED = replace(WORKERS, tasks=1, constraints="cpu", also=(WORKERS,))


def facts_of(spec: JobSpec, job_id: int = 7) -> JobFacts:
    """How Slurm tells of the waiting job that was submitted so."""
    others = tuple(facts_of(one, job_id + at) for at, one in enumerate(spec.also, start=1))
    return JobFacts(
        SlurmJobId(job_id),
        "PENDING",
        spec.identity,
        partition=spec.partition,
        constraints=spec.constraints,
        excluded=bool(spec.excluded_nodes),
        users=(spec.user, "1000"),
        tasks=spec.tasks,
        components=IDS if job_id > 7 or others else (),
        also=others,
    )


def test_a_het_job_is_what_its_gang_asks_for_when_each_component_is() -> None:
    """Nothing is told to Slurm then."""
    assert facts_of(WISHED).matches(WISHED)


@pytest.mark.parametrize(
    "other",
    [
        replace(WORKERS, tasks=3),
        replace(WORKERS, constraints="gpu|fast"),
        replace(WORKERS, excluded_nodes=(SlurmNodeName("n1"),)),
        replace(WORKERS, partition="high"),
        replace(WORKERS, user="bob"),
    ],
)
def test_a_het_job_of_which_a_later_component_differs_is_another(other: JobSpec) -> None:
    """Its first component alone says nothing of the whole."""
    assert not facts_of(WISHED).matches(replace(WISHED, also=(other,)))


def test_a_waiting_job_becomes_no_job_of_another_number_of_components() -> None:
    """Slurm adds none and takes none away: what the gang asks for now queues anew."""
    known, plain = facts_of(WISHED), replace(WISHED, also=())
    assert known.can_become(WISHED)
    for wish in (plain, replace(WISHED, also=(WORKERS, WORKERS))):
        assert not known.can_become(wish)
        assert not known.matches(wish)
    assert not facts_of(plain).can_become(WISHED)


def test_a_waiting_job_becomes_no_job_of_which_a_component_is_somebody_elses() -> None:
    """Slurm never gives a job to somebody else."""
    wish = replace(WISHED, also=(replace(WORKERS, user="bob"),))
    assert not facts_of(WISHED).can_become(wish)
