"""Het jobs: one job to the gang."""

from dataclasses import replace

from bridge.controller.het_jobs import HetJobs
from bridge.model.ids import SlurmJobId
from bridge.model.job import Garbled, JobFacts
from tests.builders import facts

IDS = (SlurmJobId(10), SlurmJobId(11))


def component(job_id: int, state: str, **fields: object) -> JobFacts:
    gang = "g" if job_id == 10 else ""
    return replace(facts(job_id, state, gang=gang, **fields), components=IDS)  # type: ignore[arg-type]


def test_a_plain_job_is_itself() -> None:
    """Nothing is kept of it."""
    plain = facts(7, "RUNNING", nodes=("n1",))
    het = HetJobs()
    assert het.seen(plain) is plain
    assert het.forget(SlurmJobId(7)) == (7,)


def test_nothing_is_told_before_every_component_was_seen() -> None:
    """Half of an allocation would be placed wrongly."""
    het = HetJobs()
    assert het.seen(component(11, "RUNNING", nodes=("n2",))) is None
    assert het.first_of(SlurmJobId(11)) == 10
    seen = het.seen(component(10, "RUNNING", nodes=("n1",)))
    assert seen is not None
    assert (seen.job_id, seen.state) == (10, "RUNNING")
    assert seen.identity is not None
    assert seen.allocation is not None
    assert [grant.node for grant in seen.allocation.nodes] == ["n1", "n2"]


def test_it_waits_while_one_component_does() -> None:
    """With that one's reason."""
    het = HetJobs()
    het.seen(component(10, "RUNNING", nodes=("n1",)))
    seen = het.seen(component(11, "PENDING", reason="Resources"))
    assert seen is not None
    assert (seen.state, seen.reason, seen.allocation) == ("PENDING", "Resources", None)


def test_it_is_over_when_one_component_is() -> None:
    """Under the first one's id and identity; then all are forgotten."""
    het = HetJobs()
    het.seen(component(10, "RUNNING", nodes=("n1",)))
    seen = het.seen(component(11, "NODE_FAIL"))
    assert seen is not None
    assert seen.ended
    assert (seen.job_id, seen.state) == (10, "NODE_FAIL")
    assert seen.identity is not None
    assert het.forget(SlurmJobId(11)) == IDS
    assert het.first_of(SlurmJobId(11)) == 11


def test_whose_it_is_stands_in_its_first_component() -> None:
    """Also when that can't be understood, and whichever component is seen last."""
    for state in ("NODE_FAIL", "PENDING", "RUNNING"):
        het = HetJobs()
        first = component(10, "RUNNING", nodes=("n1",))
        het.seen(replace(first, identity=None, garbled=Garbled("c")))
        seen = het.seen(component(11, state, nodes=("n2",)))
        assert seen is not None
        assert (seen.identity, seen.garbled) == (None, Garbled("c"))


def test_what_each_component_asks_for_is_kept() -> None:
    """What the gang asks for by now may differ in any of them; whichever is seen last."""
    for order in (IDS, IDS[::-1]):
        het = HetJobs()
        tasks = {10: 1, 11: 4}
        for job_id in order:
            seen = het.seen(replace(component(job_id, "PENDING"), tasks=tasks[job_id]))
        assert seen is not None
        assert [one.tasks for one in (seen, *seen.also)] == [1, 4]


def test_it_is_set_aside_when_one_component_is() -> None:
    """It can't start before Slurm looks at that one again; its pods read that reason."""
    het = HetJobs()
    het.seen(component(10, "PENDING", reason="Priority"))
    seen = het.seen(component(11, "PENDING", reason="BadConstraints"))
    assert seen is not None
    assert seen.stranded
