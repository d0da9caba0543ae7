"""The job that a gang should have by now, and the nodes that it leaves out."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace

import pytest

from bridge import names
from bridge.controller.gang_jobs import GangJobs
from bridge.errors import BadInput
from bridge.jobs import identity
from bridge.lifecycle import events as ev
from bridge.lifecycle import instructions as do
from bridge.model.gang import Gang
from bridge.model.ids import GangId, NodeName
from bridge.model.job import JobSpec
from bridge.model.namespace import Namespace
from bridge.state.kube_state import KubeState
from tests.builders import SCHEDULER, a_gang, a_job, a_node, a_pod
from tests.unit.controller.doubles import SPEC, Heard, a_double
from tests.unit.slurm.clocks import ManualClock

WEB, OTHER = GangId("uid-web"), GangId("uid-other")
AVOID_S = 300.0


class Building:
    """Two pods of one Job, each a gang; the builder keeps what it is asked to build."""

    def __init__(self) -> None:
        self.clock, self.heard = ManualClock(), Heard()
        self.cluster = KubeState(scheduler_name=SCHEDULER)
        self.cluster.settle_kind(("batch", "Job"), "watched")
        self.cluster.upsert_owner(a_job())
        for name in ("web", "other"):
            self.cluster.upsert_pod(a_pod(name).of(a_job()).build())
        self.cluster.namespaces["team"] = Namespace("team", "1")
        self.asked: list[tuple[Gang, Sequence[NodeName]]] = []
        self.refuses = ""
        self.forgotten: list[GangId] = []
        self.followed: list[tuple[GangId, Hashable]] = []
        self.jobs = GangJobs(
            builder=a_double(self), room_watch=a_double(self), cluster=self.cluster,
            rules=identity.Rules(), avoid_s=AVOID_S, handle=self.heard.handle,
            later=self.clock.later, clock=self.clock,
        )  # fmt: skip

    def forget(self, gang_id: GangId) -> None:
        """As RoomWatch."""
        self.forgotten.append(gang_id)

    def follow(self, gang_id: GangId, key: Hashable) -> None:
        """As RoomWatch."""
        self.followed.append((gang_id, key))

    def build(
        self,
        gang: Gang,
        generation: int,
        avoided: Sequence[NodeName],
        *,
        asked: Callable[[Hashable], None],
    ) -> JobSpec:
        """As JobBuilder."""
        asked("where")
        self.asked.append((gang, avoided))
        if self.refuses:
            raise BadInput(self.refuses)
        return SPEC

    def shortage(self, spec: JobSpec, *, now: bool) -> str:
        """As JobBuilder."""
        return "short now" if now else "short"

    def avoided(self, gang_id: GangId = WEB) -> Sequence[NodeName]:
        """What the gang's next job would leave out."""
        self.jobs.build(a_gang(gang_id), 0)
        return self.asked[-1][1]

    def avoid(self, gang_id: GangId, node: str = "n") -> None:
        self.jobs.avoid(gang_id, do.AvoidNode(NodeName(node), "no room"))


async def test_a_node_that_was_of_no_use_is_left_out_by_all_jobs_of_the_owner_for_a_while() -> None:
    """The pod that a Job makes in place of a refused one is another gang. When the time is over,
    a job that waits is told that it may run there again."""
    it = Building()
    it.avoid(WEB)
    assert it.avoided(WEB) == it.avoided(OTHER) == ("n",)
    assert it.avoided(GangId("uid-stranger")) == ()
    await it.clock.advance(AVOID_S - 1)
    assert it.avoided() == ("n",)
    assert not it.heard.events
    await it.clock.advance(2)
    assert it.avoided() == ()
    assert it.heard.events == [(WEB, ev.NodesChanged())]


@pytest.mark.parametrize("closed", ["cordoned", "silent"])
async def test_a_node_that_takes_no_pods_is_left_out_until_it_does(closed: str) -> None:
    """Room that pods give back there meanwhile is none."""
    it = Building()
    node = replace(a_node("n"), ready=closed != "silent", unschedulable=closed == "cordoned")
    it.cluster.upsert_node(node)
    it.jobs.avoid(WEB, do.AvoidNode(NodeName("n"), closed, until_usable=True))
    assert it.avoided() == ("n",)
    assert not it.jobs.freed([NodeName("n"), NodeName("gone")])
    assert it.avoided() == ("n",)
    it.cluster.upsert_node(a_node("n"))
    assert it.jobs.freed([NodeName("n")]) == {WEB}
    assert it.avoided() == ()


async def test_a_place_on_a_node_that_is_cordoned_is_left_out_no_longer_than_that() -> None:
    """Whatever proved it useless: the cordon explains it."""
    it = Building()
    it.cluster.upsert_node(replace(a_node("n"), unschedulable=True))
    it.avoid(WEB)
    assert it.avoided() == ("n",)
    it.cluster.upsert_node(a_node("n"))
    assert it.jobs.freed([NodeName("n")]) == {WEB}


def test_who_the_pods_are_in_slurm_is_what_their_namespace_says_now() -> None:
    """An admin may change it while they wait."""
    it = Building()
    it.cluster.namespaces["team"] = Namespace(
        "team", "1", annotations={f"{names.JOB_PREFIX}user": "ann:physics"}
    )
    it.jobs.build(a_gang(WEB), 0)
    assert it.asked[-1][0].parameters.user_id == "ann"


def test_a_job_that_waits_is_answered_as_it_should_be_by_now() -> None:
    """One that can't be said to Slurm any more keeps what it has."""
    it = Building()
    instruction = do.RebuildJob(a_gang(WEB), 0)
    it.jobs.rebuild(WEB, instruction)
    assert it.heard.events == [(WEB, ev.JobRebuilt(SPEC))]
    it.refuses = "no node can take it"
    it.jobs.rebuild(WEB, instruction)
    assert len(it.heard.events) == 1


async def test_a_gang_follows_what_its_newest_job_depends_on() -> None:
    """What an earlier job of it asked is forgotten first."""
    it = Building()
    it.jobs.build(a_gang(WEB), 0)
    it.jobs.build(a_gang(WEB), 1)
    assert it.forgotten == [WEB, WEB]
    assert it.followed == [(WEB, "where"), (WEB, "where")]


def test_what_is_short_is_told_where_it_is_asked_for() -> None:
    """With what is true of the moment only in a refusal: a job that waits is not asked about as
    soon as a node is drained."""
    it = Building()
    it.jobs.rebuild(WEB, do.RebuildJob(a_gang(WEB), 0, explain=True))
    assert it.heard.events == [(WEB, ev.JobRebuilt(SPEC, "short"))]
    assert it.jobs.shortage(SPEC) == "short now"
