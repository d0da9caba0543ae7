"""How far replicas are raised, against an API server in memory."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge import names
from bridge.capacity.controller import CapacityController, Rules
from bridge.capacity.machines import MachineGroup
from bridge.capacity.scaling import ScaledObjects
from bridge.kube.api.errors import Conflict, NotFound, Unavailable
from bridge.model.capacity import GangNeed
from bridge.model.ids import GangId
from bridge.model.resources import Resources
from bridge.model.scheduling import Taint
from tests.builders import GI, SCHEDULER
from tests.unit.capacity.pool import NodePool, a_need, a_part
from tests.unit.slurm.clocks import ManualClock

GROUP = "cluster.x-k8s.io/v1beta1"
PATH = "/apis/cluster.x-k8s.io/v1beta1/namespaces/machines/machinedeployments"


def a_group(name: str = "gpu", *, most: int = 9, gpu: int = 8, **fields: Any) -> MachineGroup:
    """Machines of so many GPUs."""
    return MachineGroup(
        api_version=GROUP,
        kind="MachineDeployment",
        namespace="machines",
        name=name,
        most=most,
        allocatable=Resources(
            cpu_milli=64_000, memory_bytes=512 * GI, extended=(("nvidia.com/gpu", gpu),)
        ),
        labels=(("pool", name),),
        **fields,
    )


class Api:
    """Keeps objects by path. `fails`: the next write of a note is not answered."""

    def __init__(self, clock: ManualClock, replicas: Mapping[str, int]) -> None:
        self.clock = clock
        self.replicas = dict(replicas)
        self.notes: dict[str, str] = {}
        self.version = 1
        self.raised = 0
        self.fails = False
        self.is_changed = False

    async def get(
        self, path: str, params: Mapping[str, str] | None = None, *, urgent: bool = False
    ) -> Mapping[str, Any]:
        if path == f"/apis/{GROUP}":
            verbs = ["list", "watch"]
            kind = {"name": "machinedeployments", "kind": "MachineDeployment", "verbs": verbs}
            return {"resources": [kind]}
        name = path.removeprefix(f"{PATH}/").removesuffix("/scale")
        if name not in self.replicas:
            raise NotFound("there is none", status=404, reason="NotFound")
        meta: dict[str, Any] = {"name": name, "resourceVersion": str(self.version)}
        if name in self.notes:
            meta["annotations"] = {names.CAPACITY_ASKED_ANNOTATION: self.notes[name]}
        return {"metadata": meta, "spec": {"replicas": self.replicas[name]}}

    async def patch(self, path: str, body: Any, *, kind: str = "merge") -> Mapping[str, Any]:
        if path.startswith("/api/v1/nodes/"):
            raise NotFound("it is gone", status=404, reason="NotFound")
        name = path.removeprefix(f"{PATH}/").removesuffix("/scale")
        if path.endswith("/scale"):
            if self.is_changed or body["metadata"]["resourceVersion"] != str(self.version):
                self.is_changed = False
                raise Conflict("it has changed", status=409, reason="Conflict")
            assert body["spec"]["replicas"] > self.replicas[name], "never lowered"
            self.raised += body["spec"]["replicas"] - self.replicas[name]
            self.replicas[name] = body["spec"]["replicas"]
        elif self.fails:
            self.fails = False
            raise Unavailable("no answer")
        else:
            text = body["metadata"]["annotations"][names.CAPACITY_ASKED_ANNOTATION]
            self.notes[name] = text
            if text is None:
                del self.notes[name]
        self.version += 1
        return {}


class Asking:
    """A controller over a pool; `needs` are the gangs that lack nodes."""

    def __init__(self, *groups: MachineGroup) -> None:
        self.groups = groups or (a_group(),)
        self.clock, self.pool = ManualClock(), NodePool()
        self.api = Api(self.clock, {one.name: 0 for one in self.groups})
        self.needs: list[GangNeed] = []
        self.told: list[tuple[str, str]] = []
        self.made = 0

    async def start(self) -> None:
        """The bridge starts (anew)."""
        writer = ScaledObjects(
            self.groups,
            kube=cast("Any", self.api),
            cluster=self.pool.cluster,
            scheduler_name=SCHEDULER,
        )
        await writer.follow()
        self.controller = CapacityController(
            Rules(most_nodes=100, timeout_s=600.0, by_label=False),
            writer=writer,
            cluster=self.pool.cluster,
            slurm_state=self.pool.slurm,
            kube=cast("Any", self.api),
            needs=self._needs,
            tell=self._tell,
            clock=self.clock,
        )

    def _needs(self, asked: Collection[GangId]) -> Sequence[GangNeed]:
        return self.needs

    def _tell(self, gang_id: GangId, note: str, *, event: str, here: bool) -> None:
        self.told.append((event, note))

    def come(self, group: str = "gpu", *, is_registered: bool = True) -> str:
        """A machine of the group becomes a node."""
        self.made += 1
        name = f"n{self.made}"
        self.pool.add(name, labels={"pool": group})
        if is_registered:
            self.pool.register(name)
        return name

    async def look(self) -> list[int]:
        """Two passes; the replicas then."""
        for _ in range(2):
            await self.controller.look()
        return list(self.api.replicas.values())

    def gangs(self) -> list[str]:
        """For whom all objects were scaled up."""
        return [gang for note in self.api.notes.values() for gang in json.loads(note)["gangs"]]


async def test_replicas_are_raised_by_the_nodes_that_are_missing() -> None:
    """Tasks that fit on one node share it, those of several gangs too."""
    it = Asking()
    await it.start()
    it.needs = [a_need("g", a_part(3, gpu=4)), a_need("h", a_part(2, gpu=2), created_s=1.0)]
    assert await it.look() == [2]
    assert sorted(it.gangs()) == ["g", "h"]
    assert it.told[0][0] == "NewNodesAsked"
    assert it.told[0][1].endswith("MachineDeployment machines/gpu has 2 replicas")


async def test_nodes_on_their_way_are_not_asked_for_again() -> None:
    """Nor are they after a restart, when another bridge could not note what it had asked for, or
    when nodes come that do not help."""
    it = Asking()
    await it.start()
    it.needs = [a_need("g", a_part(3))]
    it.api.fails = True
    assert await it.look() == [3]
    await it.start()
    assert await it.look() == [3]
    it.come()
    it.come(is_registered=False)
    assert await it.look() == [3]
    assert it.gangs() == ["g"]


async def test_replicas_are_never_lowered() -> None:
    """The gang goes, and the note with it; what was asked for may still come."""
    it = Asking()
    await it.start()
    it.needs = [a_need("g", a_part(3))]
    await it.look()
    it.needs = []
    assert await it.look() == [3]
    assert not it.api.notes
    it.needs = [a_need("h", a_part(2))]
    assert await it.look() == [3]
    assert it.gangs() == ["h"]


async def test_who_lowers_replicas_is_not_overruled() -> None:
    """Until the request is made anew."""
    it = Asking()
    await it.start()
    it.needs = [a_need("g", a_part(3))]
    await it.look()
    it.api.replicas["gpu"] = 1
    assert await it.look() == [1]
    assert "has lowered the replicas" in it.told[-1][1]
    it.clock.now_s += 601
    assert await it.look() == [1]
    it.clock.now_s += 61
    assert await it.look() == [3]


async def test_an_object_that_has_changed_is_read_again() -> None:
    """Its number is another one, perhaps."""
    it = Asking()
    await it.start()
    it.api.is_changed = True
    it.needs = [a_need("g", a_part(3))]
    assert await it.look() == [3]


async def test_a_gang_gets_all_or_nothing() -> None:
    """From the objects in their order, of those whose nodes suit it; never above their max."""
    taint = Taint("other", "", "NoSchedule")
    groups = (
        a_group("tainted", taints=(taint,)),
        a_group("elsewhere", partitions=frozenset({"q"})),
        a_group("small", gpu=4),
        a_group("first", most=2),
        a_group("second", most=2),
    )
    it = Asking(*groups)
    await it.start()
    it.needs = [a_need("large", a_part(5)), a_need("fits", a_part(3), created_s=1.0)]
    assert await it.look() == [0, 0, 0, 2, 1]
    assert any("within its max" in note for _, note in it.told)


async def test_an_object_that_is_not_there_is_told() -> None:
    """Its admin has to name another one."""
    it = Asking()
    it.api.replicas.clear()
    await it.start()
    it.needs = [a_need("g", a_part(1))]
    await it.look()
    assert it.told[-1][0] == "NewNodesNotAsked"


MOVES = st.sampled_from(["gang", "end", "join", "lose", "restart", "lost answer", "changed"])


@settings(max_examples=60)
@given(
    per_node=st.sampled_from([1, 2, 4]),
    moves=st.lists(st.tuples(MOVES, st.integers(1, 5)), max_size=14),
)
async def test_never_more_is_asked_for_than_is_missing(
    per_node: int, moves: Sequence[tuple[str, int]]
) -> None:
    """Whatever happens in between: when replicas are raised, they are what all gangs need together,
    at most; and a machine comes for each replica."""
    it = Asking(a_group(most=6))
    await it.start()
    sizes: dict[str, int] = {}
    for number_of, (move, number) in enumerate(moves):
        present = sorted(it.pool.registered)
        if move == "gang":
            sizes[f"g{number_of:02}"] = number
        elif move == "end" and sizes:
            del sizes[sorted(sizes)[number % len(sizes)]]
        elif move == "join" and len(present) < it.api.replicas["gpu"]:
            it.come()
        elif move == "lose" and present:
            it.pool.remove(present[number % len(present)])
        elif move == "restart":
            await it.start()
        elif move == "lost answer":
            it.api.fails = True
        elif move == "changed":
            it.api.is_changed = True
        it.needs = [
            a_need(gang, a_part(size, 8 // per_node), created_s=float(gang[1:]))
            for gang, size in sizes.items()
        ]
        before = it.api.replicas["gpu"]
        (after,) = await it.look()
        needed = -(-sum(sizes.values()) // per_node)
        assert after == before or after <= min(6, needed)
