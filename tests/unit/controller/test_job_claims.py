"""Which jobs pods name, until Slurm has said whose they are."""

from bridge.controller.job_claims import JobClaims
from bridge.model.ids import GangId, SlurmJobId

MINE, FORGED = GangId("team/a"), GangId("elsewhere/b")
SEVEN, EIGHT = SlurmJobId(7), SlurmJobId(8)


def test_a_gang_waits_for_all_the_jobs_that_its_pods_name() -> None:
    """And one answer serves all who name the job."""
    claims = JobClaims()
    claims.add(MINE, [SEVEN, EIGHT])
    claims.add(FORGED, [SEVEN])
    assert claims.gangs_of(SEVEN) == {MINE, FORGED}
    assert claims.answered(SEVEN) == {MINE, FORGED}
    assert claims.open(MINE) == {EIGHT}
    assert not claims.open(FORGED)
    assert claims.answered(EIGHT) == {MINE}
    assert EIGHT not in claims
    assert claims.answered(EIGHT) == frozenset()


def test_a_gang_that_is_gone_claims_nothing() -> None:
    """Others' claims stay."""
    claims = JobClaims()
    claims.add(MINE, [SEVEN, EIGHT])
    claims.add(FORGED, [SEVEN])
    claims.forget(MINE)
    assert claims.gangs_of(SEVEN) == {FORGED}
    assert EIGHT not in claims
