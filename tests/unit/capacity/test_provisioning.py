"""What ProvisioningRequests are created and withdrawn, against an API server in memory."""

from collections.abc import Collection, Mapping, Sequence
from itertools import count
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge import names
from bridge.capacity.controller import CapacityController, Rules
from bridge.capacity.provisioning import ProvisioningForm, ProvisioningRequests
from bridge.kube.api import discovery, times
from bridge.kube.api.errors import AlreadyExists, NotFound, Unavailable
from bridge.kube.api.reflector import Replaced
from bridge.kube.objects import provisioning_requests
from bridge.kube.objects.placeholders import Form
from bridge.model.capacity import GangNeed
from bridge.model.ids import GangId
from tests.builders import SCHEDULER
from tests.unit.capacity.pool import NodePool, a_need, a_part
from tests.unit.slurm.clocks import ManualClock

FORM = ProvisioningForm(Form("capacity", "pause", "", SCHEDULER, by_hostname=True), "atomic", {})
SERVED = discovery.Served("autoscaling.x-k8s.io/v1", "provisioningrequests")
G = GangId("g")


class Api:
    """Keeps requests and templates by path. `loses`: the next answer to a creation is lost."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.objects: dict[str, dict[str, Any]] = {}
        self.created: list[dict[str, Any]] = []
        self.loses = False
        self._numbers = count()

    async def create(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        where = f"{path}/{body['metadata']['name']}"
        if where in self.objects:
            raise AlreadyExists("it is there", status=409, reason="AlreadyExists")
        if body["kind"] == "ProvisioningRequest":
            for pod_set in body["spec"]["podSets"]:
                template = pod_set["podTemplateRef"]["name"]
                assert f"/api/v1/namespaces/capacity/podtemplates/{template}" in self.objects
        meta = {
            **body["metadata"],
            "uid": f"uid-{next(self._numbers)}",
            "creationTimestamp": times.seconds(self.clock.time()),
        }
        self.objects[where] = {**body, "metadata": meta}
        if body["kind"] == "ProvisioningRequest":
            self.created.append(self.objects[where])
            if self.loses:
                self.loses = False
                raise Unavailable("no answer")
        return self.objects[where]

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        if path in self.objects:
            return self.objects[path]
        return {"items": [one for at, one in self.objects.items() if at.startswith(f"{path}/")]}

    async def delete(
        self, path: str, *, uid: str | None = None, grace_s: int | None = None
    ) -> None:
        if path not in self.objects:
            raise NotFound("it is gone", status=404, reason="NotFound")
        del self.objects[path]

    def of(self, plural: str) -> list[dict[str, Any]]:
        """All of a kind."""
        return [one for path, one in self.objects.items() if f"/{plural}/" in path]


class Asking:
    """A controller over a pool; `needs` are the gangs that lack nodes."""

    def __init__(self, *nodes: str) -> None:
        self.clock, self.pool = ManualClock(), NodePool(*nodes)
        self.api = Api(self.clock)
        self.needs: list[GangNeed] = []
        self.told: list[tuple[str, str]] = []
        self.start()

    def start(self) -> None:
        """The bridge starts (anew): it knows what a list tells."""
        self.writer = ProvisioningRequests(FORM, kube=cast("Any", self.api))
        self.writer._served = SERVED
        self.listed()
        self.controller = CapacityController(
            Rules(most_nodes=100, timeout_s=600.0, by_label=False),
            writer=self.writer,
            cluster=self.pool.cluster,
            slurm_state=self.pool.slurm,
            kube=cast("Any", NoNodes()),
            needs=self._needs,
            tell=self._tell,
            clock=self.clock,
        )

    def listed(self) -> None:
        """The watch tells all that there is."""
        rows = self.api.of("provisioningrequests")
        self.writer._take(Replaced(tuple(map(provisioning_requests.parse, rows))))

    def _needs(self, asked: Collection[GangId]) -> Sequence[GangNeed]:
        return self.needs

    def _tell(self, gang_id: GangId, note: str, *, event: str, here: bool) -> None:
        self.told.append((event, note))

    def say(self, kind: str, message: str = "", status: str = "True") -> None:
        """The autoscaler says so of all requests."""
        for request in self.api.of("provisioningrequests"):
            said = {"type": kind, "status": status, "message": message}
            request.setdefault("status", {}).setdefault("conditions", []).append(said)
        self.listed()

    async def look(self) -> list[list[int]]:
        """Two passes, as one withdraws and the next one asks. Returns the counts of all requests
        that are there then."""
        for _ in range(2):
            await self.controller.look()
        return self.sizes()

    def sizes(self) -> list[list[int]]:
        """The counts of all requests."""
        requests = self.api.of("provisioningrequests")
        return [[one["count"] for one in request["spec"]["podSets"]] for request in requests]


class NoNodes:
    """Takes what is written to nodes."""

    async def patch(self, path: str, body: Any, *, kind: str = "merge") -> Mapping[str, Any]:
        raise NotFound("it is gone", status=404, reason="NotFound")


async def test_a_gang_asks_by_one_request_for_what_is_missing() -> None:
    """A pod set for each part that misses something, and the templates first. Nodes that are there
    are avoided by name."""
    it = Asking("a")
    it.needs = [a_need("g", a_part(1), a_part(2))]
    assert await it.look() == [[2]]
    (request,) = it.api.of("provisioningrequests")
    assert request["spec"]["provisioningClassName"] == "atomic"
    assert request["metadata"]["annotations"][names.CAPACITY_PARTS_ANNOTATION].startswith("1.")
    (template,) = it.api.of("podtemplates")
    assert '"a"' in str(template).replace("'", '"')
    assert await it.look() == [[2]]
    assert len(it.api.created) == 1, "nothing is done twice"


async def test_a_request_goes_when_it_is_not_needed_and_takes_its_templates_along() -> None:
    """Whether its gang is gone, or its nodes have come."""
    it = Asking()
    it.needs = [a_need("g", a_part(2)), a_need("h", a_part(1))]
    assert await it.look() == [[2], [1]]
    it.needs = it.needs[:1]
    assert await it.look() == [[2]]
    it.pool.add("a")
    it.pool.add("b")
    it.pool.register("a", "b")
    assert await it.look() == []
    assert not it.api.objects


async def test_only_a_request_that_was_not_taken_shrinks() -> None:
    """Once it is taken, its nodes come one after the other. It is replaced when more is missing
    than it asks for, or when the gang has changed."""
    it = Asking()
    it.needs = [a_need("g", a_part(3))]
    assert await it.look() == [[3]]
    it.pool.add("a")
    it.pool.register("a")
    assert await it.look() == [[2]]
    it.say("Accepted")
    it.pool.add("b")
    it.pool.register("b")
    assert await it.look() == [[2]]
    assert len(it.api.created) == 2
    it.pool.remove("a")
    it.pool.remove("b")
    assert await it.look() == [[3]]
    it.needs = [a_need("g", a_part(3, gpu=4))]
    assert await it.look() == [[3]]
    assert len(it.api.created) == 4


async def test_it_is_found_again_after_a_restart() -> None:
    """Also if the answer to its creation was lost."""
    it = Asking()
    it.api.loses = True
    it.needs = [a_need("g", a_part(2))]
    await it.look()
    it.start()
    assert await it.look() == [[2]]
    assert len(it.api.created) == 1
    assert len(it.api.of("podtemplates")) == 1


async def test_after_a_creation_that_was_not_answered_it_is_looked_for() -> None:
    """Else a second one could be made of another size, before the watch tells of the first."""
    it = Asking("a")
    it.api.loses = True
    it.needs = [a_need("g", a_part(2))]
    await it.controller.look()
    it.pool.remove("a")
    assert await it.look() == [[2]]
    assert len(it.api.created) == 2


@pytest.mark.parametrize("state", ["Failed", "BookingExpired", "CapacityRevoked"])
async def test_what_the_autoscaler_gives_up_is_withdrawn_and_told(state: str) -> None:
    """Whatever it was before; it is asked again later."""
    it = Asking()
    it.needs = [a_need("g", a_part(2))]
    await it.look()
    it.say("Accepted", "it is tried")
    await it.look()
    assert it.told[-1][1].endswith("is Accepted: it is tried")
    it.say("Provisioned", "not yet", "False")
    await it.look()
    assert it.told[-1][1].endswith("is Accepted: not yet")
    it.say(state, "no machine.")
    assert await it.look() == []
    event, note = it.told[-1]
    assert event == "NewNodesNotCome"
    assert note.endswith(f"is {state}: no machine")
    it.clock.now_s += 61
    assert await it.look() == [[2]]


async def test_time_ends_a_request_too() -> None:
    """The autoscaler never said anything."""
    it = Asking()
    it.needs = [a_need("g", a_part(2))]
    await it.look()
    it.clock.now_s += 601
    assert await it.look() == []


async def test_where_the_kind_is_not_served_gangs_are_told() -> None:
    """Nothing else happens, and it is told once."""
    it = Asking()
    it.writer._lost("the API server has no ProvisioningRequest")
    it.needs = [a_need("g", a_part(2))]
    await it.look()
    await it.look()
    assert [event for event, _ in it.told] == ["NewNodesNotAsked"]


MOVES = st.sampled_from(["gang", "end", "join", "lose", "take", "restart", "lost answer"])


@settings(max_examples=60)
@given(moves=st.lists(st.tuples(MOVES, st.integers(1, 5)), max_size=12))
async def test_never_more_is_asked_for_than_is_missing(moves: Sequence[tuple[str, int]]) -> None:
    """When a request is made: later its own nodes come, and it stays as it is. A gang never has two
    requests."""
    it = Asking()
    sizes: dict[str, int] = {}
    made = seen = 0
    for move, number in moves:
        present = sorted(it.pool.registered)
        if move == "gang":
            made += 1
            sizes[f"g{made}"] = number
        elif move == "end" and sizes:
            del sizes[sorted(sizes)[number % len(sizes)]]
        elif move == "join":
            made += 1
            it.pool.add(f"n{made}")
            it.pool.register(f"n{made}")
        elif move == "lose" and present:
            it.pool.remove(present[number % len(present)])
        elif move == "take":
            it.say("Accepted")
        elif move == "restart":
            it.start()
        elif move == "lost answer":
            it.api.loses = True
        it.needs = [a_need(gang, a_part(size)) for gang, size in sizes.items()]
        await it.look()
        present = sorted(it.pool.registered)
        for request in it.api.created[seen:]:
            gang = request["metadata"]["annotations"][names.GANG_ID_ANNOTATION]
            (pod_set,) = request["spec"]["podSets"]
            assert pod_set["count"] <= sizes[gang]
            fresh = sum(
                one["spec"]["podSets"][0]["count"]
                for one in it.api.of("provisioningrequests")
                if not one.get("status")
            )
            assert fresh <= max(0, sum(sizes.values()) - len(present))
        seen = len(it.api.created)
        gangs = [
            one["metadata"]["annotations"][names.GANG_ID_ANNOTATION]
            for one in it.api.of("provisioningrequests")
        ]
        assert len(gangs) == len(set(gangs))
