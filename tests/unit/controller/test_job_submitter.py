"""Submits, against a slurmrestd in memory, and what a gang is told of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx2
import pytest

from bridge import slurm
from bridge.controller.job_submitter import JobSubmitter
from bridge.controller.pool import Pool
from bridge.errors import BadInput
from bridge.jobs.node_constraints import NoNodes
from bridge.lifecycle import events as ev
from bridge.lifecycle import instructions as do
from bridge.model.gang import Gang
from bridge.model.ids import GangId, SlurmJobId
from bridge.model.job import JobSpec
from tests.builders import a_gang
from tests.unit.controller.doubles import SPEC, Heard, Kept, at_work
from tests.unit.slurm import recorded
from tests.unit.slurm.clocks import ImpatientClock
from tests.unit.slurm.slurmrestd import Slurmrestd

G = GangId("g")


class Submitting:
    """A submitter; `builds` is what is made of any gang."""

    def __init__(self) -> None:
        self.clock, self.rest, self.heard = ImpatientClock(), Slurmrestd(), Heard()
        self.pool = Pool(1)
        self.builds: JobSpec | Exception = SPEC
        self.kept = Kept(self.clock)
        self.outage = self.kept.outage(self.clock)
        self.order: list[str] = []
        self.client = slurm.SlurmClient(
            endpoints=["http://slurm"], token=slurm.TokenSource.fixed("secret"),
            clock=self.clock, transport=self.rest.server(),
        )  # fmt: skip
        self.left_out = ""
        self.shortage = ""
        self.submitter = JobSubmitter(
            client=self.client, pool=self.pool, build=self._build,
            shortage=lambda spec: self.shortage, left_out=lambda gang_id: self.left_out,
            has_room=lambda gang: False,
            submitted=self._submitted, handle=self._handle, failed=self.heard.failed,
            outage=self.outage, metrics=self.kept.metrics, clock=self.clock,
        )  # fmt: skip

    def _build(self, gang: Gang, generation: int) -> JobSpec:
        if isinstance(self.builds, Exception):
            raise self.builds
        return self.builds

    def _submitted(self, gang_id: GangId, job_id: SlurmJobId) -> None:
        self.order.append(f"job {job_id} is {gang_id}'s")

    def _handle(self, gang_id: GangId, event: ev.Event) -> None:
        self.order.append(f"{gang_id} hears {type(event).__name__}")
        self.heard.handle(gang_id, event)

    async def submit(self, gang_id: str = "g") -> ev.Event:
        """The answer to one submit."""
        before = len(self.heard.events)
        instruction = do.SubmitJob(a_gang(gang_id), 0)
        self.submitter.submit(GangId(gang_id), instruction, tenant="team")
        async with asyncio.timeout(5):
            while len(self.heard.events) == before:  # noqa: ASYNC110  (it has no event)
                await asyncio.sleep(0)
        return self.heard.events[-1][1]

    def refuse(self, number: int) -> None:
        """Slurm refuses submits with this error."""
        self.rest.when = lambda request: (
            recorded.refused(number) if request.url.path.endswith("/submit") else None
        )


@asynccontextmanager
async def submitting() -> AsyncIterator[Submitting]:
    it = Submitting()
    async with it.client, at_work(it.pool.run):
        yield it


async def test_a_job_is_known_as_the_gangs_before_the_gang_hears_of_it() -> None:
    """What Slurm tells of the job in between then reaches its gang."""
    async with submitting() as it:
        assert await it.submit() == ev.Submitted(SlurmJobId(1), SPEC)
        assert it.order == ["job 1 is g's", "g hears Submitted"]
        assert [job["name"] for job in it.rest.jobs.values()] == ["x"]


async def test_a_gang_that_cant_be_said_to_slurm_is_refused_for_good() -> None:
    """Nothing is asked of Slurm; the same gang would be refused again."""
    async with submitting() as it:
        it.builds = BadInput("no such partition")
        assert await it.submit() == ev.SubmitFailed("no such partition", lasting=True)
        assert not it.rest.jobs
        assert it.outage.lasting_s is None


async def test_what_slurm_refuses_is_told_with_the_nodes_that_were_left_out() -> None:
    """Slurm's own words do not say that it was asked for other nodes than these."""
    async with submitting() as it:
        it.left_out = "n0 (6 of 8 GPUs free)"
        it.refuse(2014)
        answer = await it.submit()
        assert isinstance(answer, ev.SubmitFailed)
        assert answer.lasting
        assert answer.message.startswith("Slurm refused the job: ")
        assert answer.message.endswith(". For now the job leaves out n0 (6 of 8 GPUs free)")
        assert it.outage.lasting_s is None, "Slurm has answered"


async def test_a_refusal_begins_with_what_is_short() -> None:
    """Slurm's own sentence is the same for all causes; the nodes left out come last."""
    async with submitting() as it:
        it.shortage, it.left_out = "it needs 3 nodes, and partition p has 2", "n0 (why)"
        it.refuse(2014)
        answer = await it.submit()
        assert isinstance(answer, ev.SubmitFailed)
        assert answer.message.startswith(
            "Slurm refused the job: it needs 3 nodes, and partition p has 2. Slurm's answer: "
        )
        assert "Slurm error 2014" in answer.message
        assert answer.message.endswith(". For now the job leaves out n0 (why)")


async def test_a_refusal_that_is_not_about_nodes_tells_of_no_shortage() -> None:
    """Nodes may be short as well, but that is not why Slurm refused it."""
    async with submitting() as it:
        it.shortage = "it needs 3 nodes, and partition p has 2"
        it.refuse(2048)
        answer = await it.submit()
        assert isinstance(answer, ev.SubmitFailed)
        assert it.shortage not in answer.message


async def test_a_slurm_that_is_away_is_no_refusal() -> None:
    """The gang tries again soon; the outage is told once, not for each gang."""
    async with submitting() as it:

        def away(request: httpx2.Request) -> httpx2.Response | None:
            if request.url.path.endswith("/submit"):
                raise httpx2.ConnectError("refused")
            return None

        it.rest.when = away
        answer = await it.submit()
        assert isinstance(answer, ev.SubmitFailed)
        assert not answer.lasting
        assert it.outage.lasting_s is not None


async def test_a_mistake_of_ours_is_the_gangs_fault_alone() -> None:
    """The next gang's job is submitted by the same worker."""
    async with submitting() as it:
        it.builds = RuntimeError("mistake")
        it.submitter.submit(G, do.SubmitJob(a_gang("g"), 0), tenant="team")
        async with asyncio.timeout(5):
            while not it.heard.faults:  # noqa: ASYNC110  (it has no event)
                await asyncio.sleep(0)
        it.builds = SPEC
        await it.submit("h")
        assert it.heard.faults == [("g", "mistake")]
        assert it.heard.kinds("h") == ["Submitted"]


async def test_the_components_of_a_het_job_are_one_submit() -> None:
    """They start together, or not at all."""
    async with submitting() as it:
        bodies = list[str]()

        def het(request: httpx2.Request) -> httpx2.Response | None:
            if not request.url.path.endswith("/submit"):
                return None
            bodies.append(request.content.decode())
            return recorded.well(job_id=it.rest.add())

        it.rest.when = het
        it.builds = replace(SPEC, also=(replace(SPEC, name="second"),))
        assert isinstance(await it.submit(), ev.Submitted)
        (body,) = bodies
        assert '"second"' in body
        assert '"x"' in body


@pytest.mark.parametrize(("builds", "outcome"), [(SPEC, "submitted"), (BadInput("no"), "failed")])
async def test_how_long_a_submit_takes_is_measured(
    builds: JobSpec | Exception, outcome: str
) -> None:
    """Apart for those that fail: a refusal is quick."""
    async with submitting() as it:
        it.builds = builds
        await it.submit()
        measured = it.kept.metrics.submit_seconds.labels(outcome).collect()
        counts = [
            one.value for row in measured for one in row.samples if one.name.endswith("_count")
        ]
        assert counts == [1.0]


@pytest.mark.parametrize(("number", "lacks_nodes"), [(2014, True), (2045, False)])
async def test_whether_nodes_are_lacking_is_told(number: int, lacks_nodes: bool) -> None:
    """Only then may somebody buy some."""
    async with submitting() as it:
        it.refuse(number)
        answer = await it.submit()
        assert isinstance(answer, ev.SubmitFailed)
        assert answer.lacks_nodes is lacks_nodes


async def test_a_gang_that_no_node_can_ever_take_lacks_nodes() -> None:
    """Slurm is not even asked."""
    async with submitting() as it:
        it.builds = NoNodes("no node can ever take this pod")
        assert await it.submit() == ev.SubmitFailed(str(it.builds), lasting=True, lacks_nodes=True)
