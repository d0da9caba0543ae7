"""What a pass creates, withdraws and tells, against an API server in memory."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from itertools import count
from typing import Any, cast

import pytest

from bridge import names
from bridge.capacity.controller import CapacityController, Rules
from bridge.capacity.placeholder_pods import PlaceholderPods
from bridge.capacity.writer import RequestWriter, Standing, Wanted
from bridge.kube.api import times
from bridge.kube.api.errors import Forbidden
from bridge.kube.objects.placeholders import Form
from bridge.model.capacity import GangNeed
from bridge.model.ids import GangId, NodeName
from tests.builders import SCHEDULER
from tests.unit.capacity.pool import NodePool, a_need, a_part
from tests.unit.slurm.clocks import ManualClock, settle

FORM = Form("capacity", "pause", "", SCHEDULER, by_hostname=False)
G = GangId("g")
DO_NOT_DISRUPT = names.KARPENTER_DO_NOT_DISRUPT


class Api:
    """Keeps pods, and what was asked, in order."""

    def __init__(self, clock: ManualClock, pool: NodePool) -> None:
        self.clock = clock
        self.pods: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.refuses = False
        self._pool = pool
        self._numbers = count()

    async def create(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.refuses:
            raise Forbidden("may not create pods", status=403, reason="Forbidden")
        name = body["metadata"]["name"]
        self.asked.append(f"create {path} {name}")
        meta = {
            **body["metadata"],
            "uid": f"uid-{next(self._numbers)}",
            "creationTimestamp": times.seconds(self.clock.time()),
        }
        self.pods[name] = {**body, "metadata": meta, "status": {}}
        return self.pods[name]

    async def patch(self, path: str, body: Any, *, kind: str = "merge") -> Mapping[str, Any]:
        self.asked.append(f"patch {path}")
        if path.startswith("/api/v1/nodes/"):
            name = path.rpartition("/")[2]
            node = self._pool.cluster.nodes[NodeName(name)]
            labels = {**node.labels, **body["metadata"]["labels"]}
            annotations = {**node.annotations, **body["metadata"]["annotations"]}
            written = {key: text for key, text in annotations.items() if text is not None}
            allocatable = {"cpu": "64", "memory": "512Gi", "nvidia.com/gpu": "8"}
            return {
                "metadata": {
                    "name": name, "uid": node.uid, "labels": labels, "annotations": written
                },
                "status": {"allocatable": allocatable},
            }  # fmt: skip
        pod = self.pods[path.split("/")[-2]]
        pod["status"] = body["status"]
        return pod

    async def delete(
        self, path: str, *, uid: str | None = None, grace_s: int | None = None
    ) -> None:
        self.asked.append(f"delete {path.rpartition('/')[2]}")
        del self.pods[path.rpartition("/")[2]]


class Requests:
    """A `RequestWriter` that keeps in memory what is asked for."""

    def __init__(self) -> None:
        self.made: dict[GangId, Standing] = {}

    async def follow(self) -> None:
        """Nobody else changes them."""

    async def wait_for_sync(self) -> None:
        """They are known."""

    def standing(self) -> Mapping[GangId, Standing]:
        """As `RequestWriter`."""
        return self.made

    async def withdraw(self, wanted: Mapping[GangId, Wanted]) -> bool:
        """As `RequestWriter`."""
        surplus = self.made.keys() - wanted.keys()
        for gang in surplus:
            del self.made[gang]
        return bool(surplus)

    async def ask(self, wanted: Mapping[GangId, Wanted]) -> Mapping[GangId, str]:
        """As `RequestWriter`."""
        for gang, one in wanted.items():
            self.made.setdefault(gang, Standing(one.counts, 0.0, sum(one.counts)))
        return {}

    async def clear(self) -> None:
        """As `RequestWriter`."""
        self.made.clear()


class Asking:
    """A controller over a pool; `needs` are the gangs that lack nodes."""

    def __init__(
        self,
        *nodes: str,
        form: Form = FORM,
        timeout_s: float = 600.0,
        writer: RequestWriter | None = None,
    ) -> None:
        self.clock, self.pool = ManualClock(), NodePool(*nodes)
        self.api = Api(self.clock, self.pool)
        self.needs: list[GangNeed] | None = []
        self.told: list[tuple[str, str, bool]] = []
        self.controller = CapacityController(
            Rules(most_nodes=10, timeout_s=timeout_s, by_label=not form.by_hostname),
            writer=writer or PlaceholderPods(form, kube=cast("Any", self.api)),
            cluster=self.pool.cluster,
            slurm_state=self.pool.slurm,
            kube=cast("Any", self.api),
            needs=self._needs,
            tell=self._tell,
            clock=self.clock,
        )

    def _needs(self, asked: Collection[GangId]) -> Sequence[GangNeed] | None:
        return self.needs

    def _tell(self, gang_id: GangId, note: str, *, event: str, here: bool) -> None:
        self.told.append((event, note.partition(":")[0], here))

    async def look(self, passes: int = 1) -> list[str]:
        """What so many passes ask of the API server."""
        self.api.asked.clear()
        for _ in range(passes):
            await self.controller.look()
        return self.api.asked


async def test_present_nodes_are_marked_before_anything_is_asked_for() -> None:
    """Else the autoscaler would find room on them. Each pod is shown only once it is there."""
    it = Asking("a")
    it.needs = [a_need("g", a_part(2))]
    asked = await it.look()
    assert [one.split()[0] for one in asked] == ["patch", "create", "patch"]
    assert asked[0] == "patch /api/v1/nodes/a"
    (pod,) = it.api.pods.values()
    (condition,) = pod["status"]["conditions"]
    assert (condition["type"], condition["status"]) == ("PodScheduled", "False")
    assert condition["reason"] == "Unschedulable"
    assert pod["spec"]["schedulerName"] == names.CAPACITY_SCHEDULER_NAME
    assert await it.look() == [], "nothing is done twice"
    assert it.told == [("NewNodesAsked", "It waits for new nodes for one of its pods", False)]


async def test_a_node_that_joins_is_marked_a_pass_after_its_pod_was_withdrawn() -> None:
    """An autoscaler that saw the mark first would buy another node for that pod."""
    it = Asking()
    it.needs = [a_need("g", a_part(3))]
    await it.look()
    it.pool.add("new")
    assert await it.look() == [], "it is not registered yet"
    it.pool.register("new")
    assert [one.split()[0] for one in await it.look()] == ["delete"]
    assert await it.look() == ["patch /api/v1/nodes/new"]
    assert len(it.api.pods) == 2


async def test_a_request_goes_as_soon_as_its_gang_waits_no_longer() -> None:
    """Its pods fill the new nodes at once, and the autoscaler would buy others for the request."""
    requests = Requests()
    it = Asking(writer=requests)
    it.needs = [a_need("g", a_part(1))]
    run = asyncio.create_task(it.controller.run())
    await settle()
    assert requests.made.keys() == {G}
    it.needs = []
    it.controller.waits_no_longer(GangId("of-no-request"))
    await settle()
    assert requests.made.keys() == {G}
    it.controller.waits_no_longer(G)
    await settle()
    assert not requests.made, "no time has passed"
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)


async def test_a_node_that_is_made_anew_in_slurm_stays_counted_for_a_while() -> None:
    """No other one is bought in its place, unless it stays away."""
    it = Asking("a")
    it.needs = [a_need("g", a_part(2))]
    await it.look()
    it.pool.unregister("a")
    it.clock.now_s += 29
    assert await it.look(passes=2) == []
    it.clock.now_s += 2
    await it.look()
    assert len(it.api.pods) == 2


async def test_the_gang_is_told_that_its_nodes_are_there() -> None:
    """It then tries at once, however often it was refused before."""
    it = Asking()
    it.needs = [a_need("g", a_part(1))]
    await it.look()
    it.pool.add("new")
    it.pool.register("new")
    await it.look()
    assert not it.api.pods
    assert it.told[-1] == ("", "", True)


async def test_a_gang_that_is_gone_or_changed_takes_its_request_along() -> None:
    """What was asked for in another form is asked for anew."""
    it = Asking()
    it.needs = [a_need("g", a_part(2))]
    await it.look()
    it.needs = [a_need("g", a_part(2, gpu=4))]
    assert [one.split()[0] for one in await it.look()] == ["delete"] * 2
    assert len(await it.look()) == 4
    it.needs = []
    assert [one.split()[0] for one in await it.look()] == ["delete"] * 2
    assert it.told[-1] == ("", "", False)


async def test_while_gangs_do_not_decide_nothing_is_withdrawn() -> None:
    """After a start the gangs of the pods are not known yet."""
    it = Asking()
    it.needs = [a_need("g", a_part(1))]
    await it.look()
    it.needs = None
    assert await it.look() == []


async def test_a_request_that_brings_nothing_is_made_again_after_longer_and_longer() -> None:
    """Pods say when."""
    it = Asking(timeout_s=30.0)
    it.needs = [a_need("g", a_part(1))]
    pauses = []
    for _ in range(3):
        await it.look()
        assert len(it.api.pods) == 1
        it.clock.now_s += 31
        await it.look()
        assert not it.api.pods
        assert it.told[-1][0] == "NewNodesNotCome"
        began_s = it.clock.now_s
        while not it.api.pods:
            it.clock.now_s += 10
            await it.look()
        pauses.append(it.clock.now_s - began_s)
    assert pauses == sorted(pauses)
    assert pauses[0] == pytest.approx(60, abs=10)


async def test_a_refusal_is_told() -> None:
    """Its admin has to give the right to create pods there."""
    it = Asking()
    it.needs = [a_need("g", a_part(1))]
    it.api.refuses = True
    await it.look()
    assert it.told[-1][:2] == ("NewNodesNotAsked", "The autoscaler can't be asked for new nodes")


async def test_for_cluster_autoscaler_the_pods_name_the_nodes_to_avoid() -> None:
    """It copies labels of present nodes to those that it imagines, so they get no label."""
    form = Form("capacity", "pause", "", SCHEDULER, by_hostname=True)
    it = Asking("a", form=form)
    it.needs = [a_need("g", a_part(2))]
    asked = [one.split() for one in await it.look()]
    assert [verb for verb, *_ in asked] == ["patch", "create", "patch"]
    node = it.pool.cluster.nodes[NodeName("a")]
    assert names.PRESENT_NODE_LABEL not in node.labels
    assert node.annotations[names.CLUSTER_AUTOSCALER_NO_SCALE_DOWN] == "true"
    (pod,) = it.api.pods.values()
    wished = pod["spec"]["affinity"]["nodeAffinity"]
    (term,) = wished["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert term["matchExpressions"] == [
        {"key": names.HOSTNAME_LABEL, "operator": "NotIn", "values": ["a"]}
    ]


def is_held(it: Asking, name: str) -> bool:
    """Whether Karpenter must not remove the node."""
    return it.pool.cluster.nodes[NodeName(name)].annotations.get(DO_NOT_DISRUPT) == "true"


async def test_nodes_are_held_until_their_gang_runs() -> None:
    """Those that were there and those that have come: all of them are empty until the last one
    comes. A little later they may go again."""
    it = Asking("a")
    it.needs = [a_need("g", a_part(3))]
    await it.look()
    it.pool.add("b")
    it.pool.register("b")
    await it.look(passes=2)
    assert is_held(it, "a")
    assert is_held(it, "b")
    it.needs = []
    await it.look()
    assert is_held(it, "a")
    it.clock.now_s += 31
    assert await it.look() == ["patch /api/v1/nodes/a", "patch /api/v1/nodes/b"]
    assert not is_held(it, "a")
    assert await it.look() == []


async def test_what_an_admin_holds_stays_held() -> None:
    """It was held before anything was asked for."""
    it = Asking()
    it.pool.add("a", annotations={DO_NOT_DISRUPT: "true"})
    it.pool.register("a")
    it.needs = [a_need("g", a_part(3))]
    await it.look()
    it.needs = []
    await it.look()
    it.clock.now_s += 31
    await it.look()
    assert is_held(it, "a")
