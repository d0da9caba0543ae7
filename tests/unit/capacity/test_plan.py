"""What is asked for: exactly what is missing, by whatever way it came to be so."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.capacity.plan import Counts, Plan, plan
from bridge.capacity.present import PresentNodes
from bridge.model.capacity import GangNeed
from bridge.model.ids import GangId, NodeName
from bridge.model.scheduling import Taint
from tests.unit.capacity.pool import NodePool, a_need, a_part, total

G = GangId("g")


def planned(
    pool: NodePool,
    *needs: GangNeed,
    asked: Mapping[GangId, Counts] | None = None,
    paused: Collection[GangId] = (),
    most_nodes: int = 100,
) -> Plan:
    present = PresentNodes(pool.cluster, pool.slurm)
    return plan(needs, present, asked=asked or {}, paused=paused, most_nodes=most_nodes)


def wanted(pool: NodePool, *parts: int, gpu: int = 8) -> Counts:
    """What a gang of these parts asks for."""
    need = a_need("g", *(a_part(count, gpu) for count in parts))
    return planned(pool, need).wanted.get(G, ())


def test_what_is_missing_is_asked_for_and_no_more() -> None:
    """Present nodes count as empty, however busy they are; those that suffice are a queue."""
    assert wanted(NodePool(), 3) == (3,)
    assert wanted(NodePool("a"), 3) == (2,)
    assert wanted(NodePool("a", "b", "c"), 3) == ()
    assert wanted(NodePool("a"), 10, gpu=2) == (6,)
    assert wanted(NodePool("a"), 1, gpu=16) == (1,)


def test_parts_of_a_gang_share_no_node() -> None:
    """Components of a het job never do, so each needs its own."""
    assert wanted(NodePool("a", "b"), 1, 1, gpu=2) == ()
    assert wanted(NodePool("a"), 1, 1, gpu=2) == (0, 1)


def test_pods_that_want_a_node_each_get_one() -> None:
    """Whatever else the node has left."""
    need = a_need("g", a_part(3, 1, per_node=1))
    assert planned(NodePool("a"), need).wanted == {G: (2,)}


@pytest.mark.parametrize("state", ["unregistered", "elsewhere", "no devices", "removed"])
def test_nodes_that_do_not_help_are_not_counted(state: str) -> None:
    """A node that is only joining keeps its request until it is registered, in the right partition
    and with its devices. One that an autoscaler removes is as good as gone."""
    pool = NodePool("a")
    taints = (Taint("karpenter.sh/disrupted", "", "NoSchedule"),) if state == "removed" else ()
    pool.add("b", gpu=0 if state == "no devices" else 8, taints=taints)
    if state != "unregistered":
        pool.register("b", partition="q" if state == "elsewhere" else "p")
    assert wanted(pool, 2) == (1,)
    able = PresentNodes(pool.cluster, pool.slurm).able(a_part(2), "p")
    row = pool.cluster.table.snapshot().row(NodeName("b"))
    assert (row in able.awaited) == (state != "removed")


def test_gangs_that_lack_nodes_are_counted_together() -> None:
    """What the first one takes of the present nodes is not there for the second one."""
    first, second = (a_need(name, a_part(3), created_s=at) for at, name in enumerate("gh"))
    found = planned(NodePool("a", "b"), second, first)
    assert found.wanted == {G: (1,), GangId("h"): (3,)}


def test_a_burst_of_pods_asks_as_long_as_none_could_run() -> None:
    """Each pod counts as a node while no node shows otherwise. As soon as one node can take them,
    those that were asked for are only withdrawn, and nothing is asked for the others."""
    needs = [a_need(f"{number:03}", a_part(1, 1)) for number in range(500)]
    found = planned(NodePool(), *needs, most_nodes=64)
    assert total(found.wanted.values()) == 64
    after = planned(NodePool("a"), *needs, asked=found.wanted, most_nodes=64)
    assert total(after.wanted.values()) == 64 - 8


def test_a_request_only_shrinks_once_its_gang_could_run() -> None:
    """It stands in a queue: nodes that come are for whoever is first in it."""
    need = a_need("g", a_part(2))
    pool = NodePool("a", "b")
    other = a_need("h", a_part(2), created_s=-1.0)
    assert planned(pool, need, other, asked={G: (1,)}).wanted == {}
    pool.remove("b")
    assert planned(pool, need, asked={G: (1,)}).wanted == {G: (1,)}
    pool.remove("a")
    assert planned(pool, need, asked={G: (1,)}).wanted == {G: (2,)}


def test_a_gang_that_needs_too_many_nodes_is_not_asked_for() -> None:
    """A part of a gang is of no use, and smaller gangs still are. Where nodes show how many pods
    they take, that is counted. What the partition does not give a job is bought for nothing."""
    large, small = a_need("g", a_part(40, 2)), a_need("h", a_part(2), created_s=1.0)
    found = planned(NodePool(), large, small, most_nodes=20)
    assert (found.too_many, found.wanted) == ({G: 40}, {GangId("h"): (2,)})
    assert planned(NodePool("a"), large, most_nodes=9).wanted == {G: (36,)}
    limited = a_need("g", a_part(4, per_node=1), most_nodes=3)
    assert planned(NodePool("a"), limited).too_many == {G: 3}


def test_nothing_is_asked_for_a_gang_in_its_pause() -> None:
    """Its last request was of no use."""
    assert planned(NodePool(), a_need("g", a_part(1)), paused={G}).wanted == {}


@dataclass
class Story:
    """An autoscaler that acts on every plan at once; nodes join Slurm some time later."""

    per_node: int
    pool: NodePool = field(default_factory=NodePool)
    gangs: dict[GangId, int] = field(default_factory=dict)
    asked: dict[GangId, Counts] = field(default_factory=dict)
    joining: list[str] = field(default_factory=list)
    made: int = 0

    def look(self) -> None:
        """The bridge plans, and the autoscaler buys what its joining nodes do not take."""
        needs = [
            a_need(gang, a_part(size, 8 // self.per_node), created_s=float(gang))
            for gang, size in self.gangs.items()
        ]
        self.asked = dict(planned(self.pool, *needs, asked=self.asked).wanted)
        tasks = total(self.asked.values())
        demand = sum(self.gangs.values())
        present = len(self.pool.registered)
        assert tasks <= max(0, demand - present * self.per_node), "more than what is missing"
        bought = max(0, -(-tasks // self.per_node) - len(self.joining))
        for _ in range(bought):
            self.made += 1
            self.joining.append(f"n{self.made}")
            self.pool.add(self.joining[-1])
        if bought:
            nodes = present + len(self.joining)
            assert nodes <= -(-demand // self.per_node), "more nodes than demand"

    def step(self, move: str, number: int) -> None:
        """One thing happens."""
        if move == "gang":
            self.gangs[GangId(str(len(self.gangs) + self.made * 100))] = number
        elif move == "end" and self.gangs:
            del self.gangs[sorted(self.gangs)[number % len(self.gangs)]]
        elif move == "join" and self.joining:
            self.pool.register(self.joining.pop(number % len(self.joining)))
        elif move == "lose" and self.pool.registered:
            names = sorted(self.pool.registered)
            self.pool.remove(names[number % len(names)])
        elif move == "fail" and self.joining:
            self.pool.remove(self.joining.pop(number % len(self.joining)))


MOVES = st.sampled_from(["gang", "end", "join", "join", "lose", "fail", "look"])


@given(
    per_node=st.sampled_from([1, 2, 4]),
    moves=st.lists(st.tuples(MOVES, st.integers(1, 9)), max_size=25),
)
def test_never_more_is_asked_for_than_is_missing(
    per_node: int, moves: Sequence[tuple[str, int]]
) -> None:
    """Whatever joins, ends, changes and fails; and when all nodes have joined, nothing is left to
    ask for."""
    story = Story(per_node)
    for move, number in moves:
        story.step(move, number)
        story.look()
    for _ in range(40):
        while story.joining:
            story.step("join", 1)
        story.look()
    assert not story.asked
