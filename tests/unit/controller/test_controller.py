"""The whole controller between an API server and a slurmrestd: what becomes of one pod."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from bridge import names, slurm
from bridge.controller import GangController, GangRules, Outages, Surroundings
from bridge.jobs import jobspec, tasks
from bridge.kube.api.client import KubeClient
from bridge.lifecycle import messages
from bridge.lifecycle.state import State
from bridge.lifecycle.tuning import Tuning
from bridge.model.ids import GangId
from bridge.model.job import JobIdentity
from bridge.model.namespace import Namespace
from bridge.model.pod import Pod
from bridge.placement.filters.classes import classes
from bridge.slurm import identity
from bridge.slurm.immediate import DEFERRED
from bridge.state.kube_state import KubeState
from bridge.state.slurm_state import SlurmState
from bridge.telemetry import Metrics
from tests.builders import SCHEDULER, PodBuilder, a_node, a_pod
from tests.unit.controller.doubles import CLUSTER, Kept, Recorder, a_double, at_work
from tests.unit.kube.apiserver import ApiServer, connected, drop, ok, refuse
from tests.unit.slurm import recorded
from tests.unit.slurm.clocks import ImpatientClock, ManualClock
from tests.unit.slurm.slurmrestd import Slurmrestd

WEB = GangId("uid-web")
PATH = "/api/v1/namespaces/team/pods/web"
NODES = ("rec-1", "rec-2")  # those of the recorded job that runs


def defers(request: httpx2.Request) -> httpx2.Response | None:
    """A Slurm that starts no job in the call that submits it."""
    return recorded.refused(DEFERRED) if request.url.path.endswith("/job/allocate") else None


class Driving:
    """A controller, both servers, and the clock."""

    def __init__(self, kube: KubeClient, server: ApiServer) -> None:
        self.clock, self.server, self.rest = ManualClock(), server, Slurmrestd()
        self.rest.when = defers
        self.client = slurm.SlurmClient(
            endpoints=["http://slurm"], token=slurm.TokenSource.fixed("secret"),
            clock=ImpatientClock(), transport=self.rest.server(),
        )  # fmt: skip
        self.watcher = slurm.JobWatcher(self.client, clock=self.clock, jitter=lambda: 0.5)
        self.cluster = KubeState(scheduler_name=SCHEDULER)
        self.cluster.namespaces["team"] = Namespace("team", "1")
        for name in NODES:
            self.cluster.upsert_node(a_node(name))
        self.kube_outage = Kept(self.clock).outage(self.clock)
        features = frozenset(classes(self.cluster.table.snapshot()))
        around = Surroundings(
            cluster=self.cluster, slurm_state=SlurmState(features=features), client=self.client,
            watcher=self.watcher, kube=kube, recorder=a_double(Recorder()),
            cluster_uid=CLUSTER, scheduler_name=SCHEDULER,
            outages=Outages(
                slurm=Kept(self.clock).outage(self.clock), kubernetes=self.kube_outage
            ),
            metrics=Metrics(), clock=self.clock, later=self.clock.later,
        )  # fmt: skip
        rules = GangRules(
            translation=jobspec.Rules("p", 1024), limits=tasks.Limits(), tuning=Tuning()
        )
        self.controller = GangController(around, rules)

    # -- what happens outside ------------------------------------------------------------------

    def create(self, pod: PodBuilder) -> Pod:
        """The watch tells of a pod."""
        row = pod.build()
        self.controller.changes.mark_dirty(self.cluster.upsert_pod(row))
        return row

    def remove(self, pod: Pod) -> None:
        """The watch tells that it is gone."""
        self.controller.changes.mark_dirty(self.cluster.remove_pod(pod.uid))

    def a_job(self, gang: str, state: str = "PENDING", job_id: int | None = None) -> int:
        """Slurm has a job of this gang: a new one, or one that it had is so by now."""
        comment = identity.format(JobIdentity(CLUSTER, gang, 0, "Pod/team/web"))
        made = self.rest.add(state, admin_comment=comment)
        if job_id is None:
            return made
        self.rest.jobs[job_id] = {**self.rest.jobs.pop(made), "job_id": job_id}
        return job_id

    async def until(self, what: Callable[[], object]) -> None:
        """Let time pass until it is so."""
        async with asyncio.timeout(10):
            while not what():
                await self.clock.advance(0.05)
                await asyncio.sleep(0.001)  # the API server is behind a socket

    async def pass_time(self, seconds: float) -> None:
        """Let so much time pass, in small steps."""
        for _ in range(int(seconds / 0.5)):
            await self.clock.advance(0.5)
            await asyncio.sleep(0.001)

    # -- what is seen ----------------------------------------------------------------------------

    def state(self, gang_id: GangId = WEB) -> State | None:
        machine = self.controller.gangs.machines.get(gang_id)
        return None if machine is None else machine.state

    def slurm_states(self) -> dict[int, str]:
        return {job_id: job["job_state"][0] for job_id, job in self.rest.jobs.items()}


@asynccontextmanager
async def driving(
    folder: Path, prepare: Callable[[Driving], object] = lambda it: None, *, recover: bool = True
) -> AsyncIterator[Driving]:
    """`prepare` says what is there before the start."""
    async with ApiServer() as server, connected(server, folder) as kube:
        it = Driving(kube, server)
        prepare(it)
        server.on("PATCH", f"{PATH}/status", refuse(404, "NotFound"))
        async with it.client, at_work(it.watcher.run), at_work(it.controller.run):
            await it.until(lambda: it.watcher.healthy)
            async with at_work(it.controller.recovery.run):
                if recover:
                    await it.until(lambda: it.controller.recovered)
                yield it


def pinned(node: str = "rec-1", job_id: int = 1) -> dict[str, Any]:
    """The pod as the API server has it after the patch."""
    meta = {
        "name": "web", "namespace": "team", "uid": "uid-web", "resourceVersion": "2",
        "labels": {names.JOB_ID_LABEL: str(job_id)}, "annotations": {names.NODE_ANNOTATION: node},
    }  # fmt: skip
    spec = {"schedulerName": SCHEDULER, "containers": [{"name": "c", "image": "i"}]}
    return {"metadata": meta, "spec": spec, "status": {"phase": "Pending"}}


async def test_a_pod_waits_as_a_job_and_is_pinned_where_the_job_runs(tmp_path: Path) -> None:
    """One submit, one patch; the extender hears of the node then, and not before."""
    async with driving(tmp_path) as it:
        it.server.on("PATCH", PATH, ok(pinned()))
        pod = it.create(a_pod().asking(cpu=1))
        await it.until(lambda: it.state() is State.QUEUED)
        assert it.slurm_states() == {1: "PENDING"}
        placement = it.controller.placements.of(pod.uid)
        assert placement is not None
        assert (placement.node, placement.job_id) == (None, 1)
        it.a_job(WEB, "RUNNING", job_id=1)
        await it.until(lambda: it.state() is State.RUNNING)
        assert len(it.server.seen("PATCH", PATH)) == 1
        placement = it.controller.placements.of(pod.uid)
        assert placement is not None
        assert placement.node == "rec-1"
        assert await it.controller.placements.confirm(placement)


async def test_a_job_of_a_pod_that_goes_while_it_is_submitted_is_cancelled(
    tmp_path: Path,
) -> None:
    """The answer comes after the pod is gone: nobody needs the job."""
    async with driving(tmp_path) as it:
        pod = it.create(a_pod().asking(cpu=1))

        def goes(request: httpx2.Request) -> None:
            if request.url.path.endswith("/submit"):
                it.remove(pod)

        it.rest.after = goes
        await it.until(lambda: it.slurm_states() == {1: "CANCELLED"})
        await it.until(lambda: not it.controller.gangs.machines)


async def test_after_a_restart_a_pod_that_runs_is_left_alone(tmp_path: Path) -> None:
    """Its gang finds the job that its label names: nothing is submitted, ended or pinned."""

    def prepare(it: Driving) -> None:
        it.a_job(WEB, "RUNNING")
        it.create(a_pod().asking(cpu=1).pinned(1, "rec-1").bound("rec-1").in_phase("Running"))

    async with driving(tmp_path, prepare) as it:
        assert it.state() is State.RUNNING
        await it.pass_time(15)
        assert it.slurm_states() == {1: "RUNNING"}
        assert {one.path for one in it.server.requests} <= {f"{PATH}/status"}


async def test_after_a_restart_a_pod_that_waits_keeps_its_job(tmp_path: Path) -> None:
    """Its condition names the job: it keeps its place in the queue."""

    def prepare(it: Driving) -> None:
        it.a_job(WEB)
        told = messages.waits("Priority", "Slurm job 1 waits in partition p: Priority.")
        it.create(a_pod().asking(cpu=1).told(told))

    async with driving(tmp_path, prepare) as it:
        assert it.state() is State.QUEUED
        await it.pass_time(15)
        assert it.slurm_states() == {1: "PENDING"}


async def test_after_a_restart_a_pod_that_was_never_told_of_its_job_keeps_it(
    tmp_path: Path,
) -> None:
    """The bridge was killed between submit and condition: the job itself says whose it is."""

    def prepare(it: Driving) -> None:
        it.a_job(WEB)
        it.create(a_pod().asking(cpu=1))

    async with driving(tmp_path, prepare) as it:
        await it.until(lambda: it.state() is State.QUEUED)
        await it.pass_time(15)
        assert it.slurm_states() == {1: "PENDING"}


async def test_after_a_restart_a_pod_that_names_anothers_job_gets_one_of_its_own(
    tmp_path: Path,
) -> None:
    """The other's job is not touched."""

    def prepare(it: Driving) -> None:
        it.rest.add(admin_comment="theirs")
        told = messages.waits("Priority", "Slurm job 1 waits in partition p: Priority.")
        it.create(a_pod().asking(cpu=1).told(told))

    async with driving(tmp_path, prepare) as it:
        await it.until(lambda: it.slurm_states() == {1: "PENDING", 2: "PENDING"})


async def test_while_slurm_is_away_at_a_start_nobody_decides(tmp_path: Path) -> None:
    """A gang might have a job already; when Slurm answers, all goes on."""

    def away(request: httpx2.Request) -> httpx2.Response | None:
        if request.url.path.endswith("/job/1"):
            raise httpx2.ConnectError("refused")
        return defers(request)

    def prepare(it: Driving) -> None:
        it.a_job(WEB)
        it.create(a_pod().asking(cpu=1))
        it.rest.when = away

    async with driving(tmp_path, prepare, recover=False) as it:
        await it.pass_time(5)
        assert not it.controller.recovered
        assert it.state() is State.KNOWN
        it.rest.when = defers
        await it.until(lambda: it.state() is State.QUEUED)
        assert it.slurm_states() == {1: "PENDING"}


async def test_a_job_without_a_gang_is_cancelled_after_a_second_look(tmp_path: Path) -> None:
    """The first one is part of the start."""
    async with driving(tmp_path, lambda it: it.a_job("uid-gone")) as it:
        assert it.slurm_states() == {1: "PENDING"}
        await it.pass_time(6)
        assert it.slurm_states() == {1: "CANCELLED"}


async def test_an_api_server_that_is_away_keeps_no_gang_from_its_job(tmp_path: Path) -> None:
    """The pod can't be told, and is queued all the same."""

    def prepare(it: Driving) -> None:
        it.server.on("PATCH", f"{PATH}/status", *[drop()] * 4)

    async with driving(tmp_path, prepare) as it:
        it.create(a_pod().asking(cpu=1))
        await it.until(lambda: it.kube_outage.lasting_s is not None)
        assert it.slurm_states() == {1: "PENDING"}
        assert it.state() is State.QUEUED


async def test_when_the_process_ends_nothing_more_is_begun(tmp_path: Path) -> None:
    """What is left undone is found by the next start."""
    async with driving(tmp_path) as it:
        await it.controller.drain()
        it.create(a_pod().asking(cpu=1))
        await it.pass_time(5)
        assert it.slurm_states() == {}
