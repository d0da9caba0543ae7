"""Nodes that running jobs give back, component by component."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from bridge import names
from bridge.controller.job_shrinker import JobShrinker
from bridge.controller.pool import Pool
from bridge.lifecycle import events as ev
from bridge.lifecycle import instructions as do
from bridge.model.ids import GangId, NodeName, SlurmJobId, SlurmNodeName
from bridge.model.job import Allocation, NodeGrant
from bridge.state.kube_state import KubeState
from bridge.state.slurm_state import SlurmState
from tests.builders import SCHEDULER, a_node
from tests.unit.controller.doubles import Heard, Slurm, a_double, at_work, unavailable
from tests.unit.slurm.clocks import settle

GANG = GangId("g")
NODES = 40


class Shrinking(Slurm):
    """Keeps what it was told to keep of each job."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[tuple[int, list[str]]] = []

    async def shrink_job(self, job_id: SlurmJobId, keep: Sequence[SlurmNodeName]) -> None:
        self._ask("shrink", job_id)
        self.kept.append((job_id, list(keep)))


class It:
    """Nodes k0, k1 … in Kubernetes are s0, s1 … in Slurm, and a sink answers for them."""

    def __init__(self) -> None:
        self.slurm, self.heard, self.pool = Shrinking(), Heard(), Pool(8)
        self.cluster, self.slurm_state = KubeState(scheduler_name=SCHEDULER), SlurmState()
        numbers = range(NODES)
        self.cluster.replace_nodes(
            a_node(f"k{at}", labels={names.SLURM_NODE_NAME_LABEL: f"s{at}"}) for at in numbers
        )
        self.slurm_state.answered = frozenset(SlurmNodeName(f"s{at}") for at in numbers)
        self.reread: list[int] = []
        self.shrinker = JobShrinker(
            client=a_double(self.slurm), pool=self.pool, cluster=self.cluster,
            slurm_state=self.slurm_state, reread=self.reread.append,
            handle=self.heard.handle, failed=self.heard.failed,
        )  # fmt: skip

    async def shrink(self, *nodes: str, held: Sequence[Sequence[str]]) -> list[ev.Event]:
        """The components of job 7 hold what is `held`; what the gang hears."""
        allocations = tuple(
            Allocation(
                SlurmJobId(7 + at), tuple(NodeGrant(SlurmNodeName(one), 1, 1) for one in nodes_of)
            )
            for at, nodes_of in enumerate(held)
        )
        gone = frozenset(map(NodeName, nodes))
        instruction = do.ShrinkJob(SlurmJobId(7), allocations, gone)
        self.shrinker.shrink(GANG, instruction, tenant="team")
        await settle()
        return [event for _, event in self.heard.events]


@asynccontextmanager
async def shrinking() -> AsyncIterator[It]:
    it = It()
    async with at_work(it.pool.run):
        yield it


async def test_slurm_is_told_what_a_job_keeps_by_its_own_names() -> None:
    """And the job is read again, as its state does not show what it holds."""
    async with shrinking() as it:
        heard = await it.shrink("k0", "k2", held=[["s0", "s1", "s2", "s3"]])
        assert it.slurm.kept == [(7, ["s1", "s3"])]
        assert it.reread == [7]
        assert heard == [ev.JobShrunk(SlurmJobId(7))]


async def test_a_component_keeps_one_node_and_others_are_not_touched() -> None:
    """Slurm has no job without nodes."""
    async with shrinking() as it:
        heard = await it.shrink("k1", "k2", "k3", held=[["s0"], ["s1"], ["s2", "s3"]])
        assert it.slurm.kept == [(9, ["s2"])]
        assert heard == [ev.JobShrunk(SlurmJobId(7))]


async def test_many_nodes_go_back_a_few_at_a_time() -> None:
    """slurmctld speaks to more than that by way of others of them, which no sink does."""
    async with shrinking() as it:
        names = [f"s{at}" for at in range(NODES)]
        await it.shrink(*(f"k{at}" for at in range(1, NODES)), held=[names])
        assert [len(kept) for _, kept in it.slurm.kept] == [NODES - 16, NODES - 32, 1]
        assert it.slurm.kept[-1] == (7, ["s0"])
        assert it.reread == [7]


async def test_nodes_that_no_sink_answers_for_stay() -> None:
    """Slurm would lose them: the sink has gone a moment ago, or they have another address."""
    async with shrinking() as it:
        it.slurm_state.answered -= {SlurmNodeName("s0")}
        (event,) = await it.shrink("k0", held=[["s0", "s1"]])
        assert isinstance(event, ev.ShrinkFailed)
        assert event.why == "no sink answers for s0, so Slurm would lose what it takes back"
        assert not it.slurm.kept


async def test_what_slurm_refuses_is_told() -> None:
    """Or that it does not answer."""
    async with shrinking() as it:
        it.slurm.errors["shrink"] = [unavailable()]
        assert await it.shrink("k0", held=[["s0", "s1"]]) == [
            ev.ShrinkFailed(SlurmJobId(7), "asking Slurm: no answer")
        ]
        assert it.reread == [7], "a part may have been done"
