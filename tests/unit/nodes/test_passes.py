"""What a pass over the nodes does to Slurm and to Kubernetes, and what it learns."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import structlog

from bridge import names, slurm
from bridge.kube.api.client import KubeClient
from bridge.kube.objects import nodes as kube_nodes
from bridge.model.ids import NodeName, SlurmNodeName
from bridge.model.job import Gres
from bridge.model.node import Node
from bridge.model.scheduling import Taint
from bridge.nodes import definition, drains
from bridge.nodes.controller import NodeController
from bridge.nodes.performer import NodePerformer
from bridge.state.kube_state import KubeState
from bridge.state.slurm_facts import NodeKind
from bridge.state.slurm_state import SlurmState
from bridge.telemetry import Metrics, OutageLog
from tests.builders import SCHEDULER, a_node, a_pod
from tests.unit.kube.apiserver import ApiServer, connected, ok
from tests.unit.slurm.clocks import ManualClock

RULES = definition.Rules(cluster="0123456789abcdef")
PATH = "/api/v1/nodes/n1"
TAINT = Taint(names.MANAGED_NODE_TAINT, SCHEDULER, "NoExecute")


class Slurm:
    """Nodes and partitions; does what it is asked, unless that is to fail."""

    def __init__(self) -> None:
        self.nodes: dict[str, slurm.SlurmNode] = {}
        self.partitions: tuple[slurm.Partition, ...] = ()
        self.gres_types: list[str] | slurm.ServerTooOld = []
        self.asked: list[str] = []
        self.at_s = 0
        """When nodes changed last, if it tells."""
        self.listed: list[int] = []
        """What changes the listings asked for were after."""
        self.others_read = 0
        self.moves = True
        """Whether nodes show the place that they were told."""
        self.errors: dict[str, slurm.SlurmError] = {}
        self.meanwhile: Callable[[slurm.SlurmNode], slurm.SlurmNode] | None = None
        """What somebody else does to a node after a pass has read all nodes."""
        self.reservations: dict[str, slurm.Reservation] = {}
        self.bad_places: set[str] = set()

    async def list_nodes_since(self, at_s: int) -> slurm.NodeListing | None:
        self.listed.append(at_s)
        return (
            None
            if at_s and at_s == self.at_s
            else slurm.NodeListing(tuple(self.nodes.values()), self.at_s)
        )

    async def list_partitions(self) -> tuple[slurm.Partition, ...]:
        self.others_read += 1
        return self.partitions

    async def list_reservations(self) -> tuple[slurm.Reservation, ...]:
        return tuple(self.reservations.values())

    async def create_reservation(self, name: str, fields: slurm.ReservationFields) -> None:
        self._ask("reserve", name)
        self.reservations[name] = slurm.Reservation(
            name, fields.start_s, fields.end_s, ",".join(fields.nodes or ()),
            users=fields.users or (), flags=frozenset(fields.flags or ()),
        )  # fmt: skip

    async def update_reservation(self, name: str, fields: slurm.ReservationFields) -> None:
        self._ask("update", name, f" {','.join(fields.nodes or ())}")
        changed = replace(self.reservations[name], nodes=",".join(fields.nodes or ()))
        self.reservations[name] = changed

    async def delete_reservation(self, name: str) -> None:
        self._ask("unreserve", name)
        del self.reservations[name]

    async def configuration(self) -> dict[str, object]:
        if isinstance(self.gres_types, slurm.ServerTooOld):
            raise self.gres_types
        return {"GresTypes": self.gres_types}

    def _ask(self, call: str, name: str, what: str = "") -> None:
        self.asked.append(f"{call} {name}{what}")
        if name in self.errors:
            raise self.errors[name]

    async def create_node(self, node: slurm.NodeDefinition) -> None:
        self._ask("create", node.name)
        if node.topology in self.bad_places:
            raise slurm.InvalidRequest("no such topology", number=2178)
        self.nodes[node.name] = slurm.SlurmNode(
            SlurmNodeName(node.name), frozenset({"IDLE", "EXTERNAL"}), cpus=node.cpus,
            memory_mib=node.memory_mib, gres=node.gres, features=node.features,
            topology=node.topology, address=node.address,
        )  # fmt: skip

    async def delete_node(self, name: str) -> None:
        self._ask("delete", name)
        del self.nodes[name]

    async def get_node(self, name: str) -> slurm.SlurmNode:
        if self.meanwhile is not None:
            self.nodes[name] = self.meanwhile(self.nodes[name])
        return self.nodes[name]

    async def update_node(
        self,
        name: str,
        *,
        state: str = "",
        reason: str = "",
        features: tuple[str, ...] = (),
        active_features: tuple[str, ...] | None = None,
        topology: str = "",
        address: str = "",
    ) -> None:
        self._ask("update", name, f" {state or topology or address or '&'.join(features)}")
        node = self.nodes[name]
        if self.moves:
            node = replace(node, address=address or node.address)
        if topology and self.moves:
            node = replace(node, topology=topology)
        if state:
            drained = {"DRAIN"} if state == "DRAIN" else set()
            node = replace(node, states=node.states - {"DRAIN"} | drained, reason=reason)
        self.nodes[name] = replace(node, features=features or node.features)


class Passing:
    """A controller over the nodes that Kubernetes has."""

    def __init__(self, kube: KubeClient, rules: definition.Rules = RULES) -> None:
        self.clock, self.slurm, self.slurm_state = ManualClock(), Slurm(), SlurmState()
        self.cluster = KubeState(scheduler_name=SCHEDULER)
        self.told: list[tuple[str, str]] = []
        self.changes = 0
        self.in_use: frozenset[str] = frozenset()
        self.metrics = Metrics()
        outage = OutageLog(
            "slurm", logger=structlog.get_logger(), clock=self.clock, metrics=self.metrics
        )
        performer = NodePerformer(
            cluster=self.cluster, client=cast("Any", self.slurm), kube=kube,
            recorder=cast("Any", self), scheduler_name=SCHEDULER, metrics=self.metrics,
            clock=self.clock,
        )  # fmt: skip
        self.nodes = NodeController(
            cluster=self.cluster, slurm_state=self.slurm_state, performer=performer,
            client=cast("Any", self.slurm),
            rules=rules, scheduler_name=SCHEDULER, interval_s=5.0,
            outage=outage, changed=self._changed,
            slurm_room_changed=lambda: self.told.append(("drains", "")),
            classes_in_use=lambda: self.in_use, clock=self.clock,
        )  # fmt: skip

    def _changed(self) -> None:
        self.changes += 1

    def emit(self, *, reason: str, note: str, **_: object) -> None:
        """As EventRecorder."""
        self.told.append((reason, note))

    async def asked(self) -> list[str]:
        """What one pass asks of Slurm."""
        self.slurm.asked.clear()
        await self.nodes.reconcile()
        return self.slurm.asked

    def learned_news(self) -> bool:
        """Whether waiting gangs were told since the last time."""
        changes, self.changes = self.changes, 0
        return changes > 0


@asynccontextmanager
async def passing(
    folder: Path, *nodes: str, rules: definition.Rules = RULES
) -> AsyncIterator[Passing]:
    """`nodes` are registered and tainted, and two passes have found nothing more to do."""
    async with ApiServer() as server, connected(server, folder) as kube:
        it = Passing(kube, rules)
        for name in nodes:
            it.cluster.upsert_node(replace(a_node(name), taints=(TAINT,)))
        await it.nodes.reconcile()
        await it.nodes.reconcile()
        assert await it.asked() == []
        it.learned_news()
        yield it


async def test_the_taint_follows_the_registration(tmp_path: Path) -> None:
    """Before it, Slurm would not give the node to anybody. Others' taints stay."""
    async with ApiServer() as server, connected(server, tmp_path) as kube:
        raw = {
            "metadata": {"name": "n1", "uid": "u", "resourceVersion": "4"},
            "spec": {"taints": [{"key": "others.io/taint", "effect": "NoSchedule"}]},
        }
        server.on("GET", PATH, ok(raw)).on("PATCH", PATH, ok(raw))
        it = Passing(kube)
        it.cluster.upsert_node(a_node("n1"))
        assert await it.asked() == ["create n1"]
        assert not server.requests
        assert await it.asked() == []
        (patch,) = server.seen("PATCH")
        assert [one["key"] for one in patch.body["spec"]["taints"]] == [
            "others.io/taint", names.MANAGED_NODE_TAINT,
        ]  # fmt: skip


async def test_an_api_server_that_refuses_the_taint_keeps_no_other_node_from_slurm(
    tmp_path: Path,
) -> None:
    """It is tried again with each pass, at its time: the refusal calls for none of its own."""
    async with passing(tmp_path) as it:
        it.cluster.upsert_node(a_node("n1"))
        assert await it.asked() == ["create n1"]
        it.cluster.upsert_node(a_node("m"))
        assert await it.asked() == ["create m"], "n's taint is answered with 404"
        assert not await it.nodes.reconcile()


async def test_a_cordoned_node_is_drained_until_it_is_uncordoned(tmp_path: Path) -> None:
    """Not one that an admin of Slurm has drained meanwhile."""
    async with passing(tmp_path, "n1") as it:
        node = it.cluster.nodes[NodeName("n1")]
        it.cluster.upsert_node(replace(node, unschedulable=True))
        assert await it.asked() == ["update n1 DRAIN"]
        assert it.slurm.nodes["n1"].reason == drains.CORDONED
        assert await it.asked() == []
        it.cluster.upsert_node(node)
        assert await it.asked() == ["update n1 UNDRAIN"]
        it.slurm.nodes["n1"] = replace(
            it.slurm.nodes["n1"], states=frozenset({"IDLE", "EXTERNAL", "DRAIN"}), reason="disk"
        )
        assert await it.asked() == []


async def test_an_admin_who_drains_a_node_at_the_same_moment_is_not_overridden(
    tmp_path: Path,
) -> None:
    """The pass has read the nodes before: neither its drain nor its undrain is sent."""
    async with passing(tmp_path, "n1") as it:
        it.cluster.upsert_node(replace(a_node("n1"), unschedulable=True, taints=(TAINT,)))
        it.slurm.meanwhile = lambda node: replace(
            node, states=node.states | {"DRAIN"}, reason="fan"
        )
        assert await it.asked() == []
        it.slurm.nodes["n1"] = replace(it.slurm.nodes["n1"], reason=drains.CORDONED)
        it.cluster.upsert_node(replace(a_node("n1"), taints=(TAINT,)))
        assert await it.asked() == []
        assert it.slurm.nodes["n1"].reason == "fan"


async def test_a_silent_node_is_drained_until_it_answers(tmp_path: Path) -> None:
    """When it is another cause that keeps it closed, only the reason changes."""
    async with passing(tmp_path, "n1") as it:
        node = it.cluster.nodes[NodeName("n1")]
        silent = replace(node, ready=False, unready="NodeStatusUnknown")
        it.cluster.upsert_node(silent)
        assert await it.asked() == ["update n1 DRAIN"]
        assert it.slurm.nodes["n1"].reason.endswith("not ready in Kubernetes: NodeStatusUnknown")
        it.cluster.upsert_node(replace(silent, unschedulable=True))
        assert await it.asked() == ["update n1 DRAIN"]
        assert it.slurm.nodes["n1"].reason == drains.CORDONED
        assert await it.asked() == []
        it.cluster.upsert_node(node)
        assert await it.asked() == ["update n1 UNDRAIN"]


async def test_a_silent_node_that_slurm_has_lost_is_made_anew_once(tmp_path: Path) -> None:
    """Registered and drained in one step, so that no job that waits gets it in between."""
    async with passing(tmp_path, "n1") as it:
        it.cluster.upsert_node(replace(it.cluster.nodes[NodeName("n1")], ready=False))
        assert await it.asked() == ["update n1 DRAIN"]
        it.slurm.nodes["n1"] = replace(
            it.slurm.nodes["n1"], states=it.slurm.nodes["n1"].states | {"NOT_RESPONDING"}
        )
        assert await it.asked() == ["delete n1"]
        assert await it.asked() == ["create n1", "update n1 DRAIN"]
        assert it.slurm.nodes["n1"].reason == drains.NOT_READY
        assert await it.asked() == []


async def test_a_slurm_that_shows_fewer_devices_than_it_was_told_is_not_told_again(
    tmp_path: Path,
) -> None:
    """Else such a node would be taken out and registered for ever. Devices that come later are
    told."""
    rules = replace(RULES, resource_map={"nvidia.com/gpu": "gpu"})
    async with passing(tmp_path, "n1", rules=rules) as it:
        it.slurm.gres_types = ["gpu"]
        assert [item.count for item in it.slurm.nodes["n1"].gres] == [8]
        it.slurm.nodes["n1"] = replace(it.slurm.nodes["n1"], gres=())
        assert await it.asked() == []
        it.cluster.upsert_node(replace(a_node("n1", gpu=9), taints=(TAINT,)))
        assert await it.asked() == ["delete n1"]


async def test_a_node_that_is_gone_is_deleted_when_it_runs_nothing(tmp_path: Path) -> None:
    """While it is busy it only gets nothing new."""
    async with passing(tmp_path, "n1") as it:
        it.cluster.remove_node(NodeName("n1"))
        it.slurm.nodes["n1"] = replace(
            it.slurm.nodes["n1"], states=frozenset({"ALLOCATED", "EXTERNAL"})
        )
        assert await it.asked() == ["update n1 DRAIN"]
        it.slurm.nodes["n1"] = replace(
            it.slurm.nodes["n1"], states=frozenset({"IDLE", "EXTERNAL", "DRAIN"})
        )
        assert await it.asked() == ["delete n1"]


async def test_a_deleted_node_is_made_anew_though_slurm_does_not_tell_that_it_is_gone(
    tmp_path: Path,
) -> None:
    """To the question whether nodes have changed it answers no."""
    async with passing(tmp_path, "n1") as it:
        lost = it.slurm.nodes["n1"].states | {"NOT_RESPONDING"}
        it.slurm.nodes["n1"] = replace(it.slurm.nodes["n1"], states=lost)
        it.slurm.at_s = 7
        assert await it.asked() == ["delete n1"]
        assert await it.asked() == ["create n1"]


async def test_a_node_that_slurm_has_lost_is_made_anew_and_counted(tmp_path: Path) -> None:
    """An external node that does not respond never comes back by itself."""
    async with passing(tmp_path, "n1") as it:
        it.slurm.nodes["n1"] = replace(
            it.slurm.nodes["n1"], states=frozenset({"IDLE", "EXTERNAL", "NOT_RESPONDING"})
        )
        assert await it.asked() == ["delete n1"]
        assert await it.asked() == ["create n1"]
        assert it.metrics.nodes_healed._value.get() == 1


async def test_a_class_that_waiting_jobs_name_stays_until_they_do_not(tmp_path: Path) -> None:
    """Slurm would never start them on a node that has lost it."""
    async with passing(tmp_path, "n1") as it:
        (old,) = it.slurm_state.features - {f"k8s-{RULES.cluster[:8]}", "slurm-bridge"}
        it.in_use = frozenset({old})
        node = it.cluster.nodes[NodeName("n1")]
        it.cluster.upsert_node(replace(node, labels={**node.labels, "pool": "new"}))
        (update,) = await it.asked()
        assert old in update
        it.in_use = frozenset()
        (update,) = await it.asked()
        assert old not in update


async def test_what_pods_of_other_schedulers_hold_is_not_slurms_to_give(tmp_path: Path) -> None:
    """A node is registered with what they leave."""
    async with passing(tmp_path) as it:
        it.cluster.upsert_node(a_node("n1", cpu=64))
        it.cluster.upsert_other(a_pod("daemon").asking(cpu=4).bound("n1").build())
        await it.asked()
        assert it.slurm.nodes["n1"].cpus == 60


async def test_waiting_gangs_are_told_when_something_is_new_in_slurm(tmp_path: Path) -> None:
    """Not with each pass: all of them would have their jobs built anew."""
    async with passing(tmp_path, "n1") as it:
        await it.asked()
        assert not it.learned_news()
        it.slurm.partitions = (slurm.Partition("p", def_mem_per_cpu_mib=100, max_time_min=60),)
        await it.asked()
        assert it.learned_news()
        assert it.slurm_state.partitions.with_memory_default == {"p"}
        assert it.slurm_state.partitions.max_time_min == {"p": 60}
        it.cluster.upsert_node(replace(a_node("m"), taints=(TAINT,)))
        await it.asked()
        assert not it.learned_news(), "it is only just being registered"
        await it.asked()
        assert it.learned_news(), "a node that joins may be larger than those of its class"


async def test_the_kinds_of_nodes_are_learned_as_jobs_can_tell_them_apart(tmp_path: Path) -> None:
    """By features and devices; what has none of a device has not its type either."""
    async with passing(tmp_path) as it:
        gpus = (Gres("gpu", "h100", 8), Gres("efa", "", 0))
        for name in ("a", "b"):
            it.slurm.nodes[name] = slurm.SlurmNode(
                SlurmNodeName(name), frozenset({"IDLE"}), gres=gpus, features=("ib",), weight=3
            )
        await it.asked()
        assert it.slurm_state.nodes.kinds == (
            NodeKind(frozenset({"ib"}), frozenset({("gpu", "h100")})),
        )
        assert it.slurm_state.node_weights == {"a": 3, "b": 3}


async def test_what_nodes_have_is_learned_and_news_where_it_changes(tmp_path: Path) -> None:
    """A node that is drained is no news: Slurm itself waits for it."""
    async with passing(tmp_path) as it:
        node = slurm.SlurmNode(SlurmNodeName("a"), frozenset({"IDLE"}), cpus=8, memory_mib=4096)
        it.slurm.nodes["a"] = node
        it.slurm.partitions = (slurm.Partition("p", max_nodes=4), slurm.Partition("q"))
        await it.asked()
        assert it.learned_news()
        (group,) = it.slurm_state.capacities.groups
        assert (group.cpus, group.memory_mib, group.count) == (8, 4096, 1)
        assert it.slurm_state.partitions.max_nodes == {"p": 4}
        it.slurm.nodes["a"] = replace(node, states=frozenset({"IDLE", "DRAIN"}))
        await it.asked()
        assert not it.learned_news()
        assert it.slurm_state.capacities.out_of_service == {"a"}
        it.slurm.nodes["a"] = replace(node, memory_mib=8192)
        await it.asked()
        assert it.learned_news()


@pytest.mark.parametrize(
    ("says", "learned"),
    [
        (["gpu", "efa"], {"gpu", "efa"}),
        ([], set()),
        (slurm.ServerTooOld("GresTypes: needs v0.0.45"), None),
    ],
)
async def test_slurms_devices_are_those_that_it_tells(
    tmp_path: Path, says: Any, learned: set[str] | None
) -> None:
    """An older slurmrestd does not: then all are asked for, and Slurm judges."""
    async with passing(tmp_path) as it:
        it.slurm.gres_types = says
        await it.asked()
        assert it.slurm_state.nodes.gres_names == learned


async def test_a_node_that_cant_be_registered_is_told_once_on_the_node(tmp_path: Path) -> None:
    """And again when the reason is another one, or when it was registered in between."""
    async with passing(tmp_path) as it:
        it.slurm.errors["bad"] = slurm.InvalidRequest("registering a node: no such topology")
        it.cluster.upsert_node(replace(a_node("bad"), taints=(TAINT,)))
        for _ in range(3):
            await it.asked()
        assert len(it.told) == 1
        it.slurm.errors["bad"] = slurm.InvalidRequest("registering a node: no such partition")
        await it.clock.advance(1)
        await it.asked()
        assert [note.rpartition(" ")[2] for _, note in it.told] == ["topology", "partition"]
        del it.slurm.errors["bad"]
        await it.clock.advance(2)
        await it.asked()
        it.slurm.nodes.clear()
        it.slurm.errors["bad"] = slurm.InvalidRequest("registering a node: no such partition")
        await it.asked()
        assert len(it.told) == 3


async def test_what_slurm_refuses_is_tried_less_and_less_until_it_is_something_else(
    tmp_path: Path,
) -> None:
    """Passes come with every heartbeat of some node."""
    async with passing(tmp_path, "n1") as it:
        it.slurm.errors["n1"] = slurm.InvalidRequest("changing a node: no such topology")

        def placed(topology: str) -> None:
            node = replace(it.cluster.nodes[NodeName("n1")], resource_version=topology)
            annotations = {**node.annotations, names.TOPOLOGY_ANNOTATION: topology}
            it.cluster.upsert_node(replace(node, annotations=annotations))

        placed("x:root:a")
        tries = 0
        for _ in range(60):
            tries += len(await it.asked())
            await it.clock.advance(1)
        assert tries == 6
        assert it.told == [
            ("NotChangedInSlurm", "Slurm refused node n1: changing a node: no such topology")
        ]
        placed("y:root:a")
        assert await it.asked() == ["update n1 y:root:a"]
        del it.slurm.errors["n1"]
        placed("z:root:a")
        assert await it.asked() == ["update n1 z:root:a"]
        assert await it.asked() == []


async def test_a_node_follows_its_topology(tmp_path: Path) -> None:
    """Also where Slurm shows it in other words, or late: it is told once."""
    async with passing(tmp_path, "n1") as it:
        for moves in (True, False):
            it.slurm.moves = moves
            topology = f"fabric:root:leaf-{moves}"
            node = it.cluster.nodes[NodeName("n1")]
            annotations = {**node.annotations, names.TOPOLOGY_ANNOTATION: topology}
            it.cluster.upsert_node(
                replace(node, annotations=annotations, resource_version=topology)
            )
            assert await it.asked() == [f"update n1 {topology}"]
            for _ in range(3):
                assert await it.asked() == []
        it.slurm.nodes["n1"] = replace(it.slurm.nodes["n1"], topology=topology)
        assert await it.asked() == []
        it.slurm.moves = True
        it.slurm.nodes["n1"] = replace(it.slurm.nodes["n1"], topology="fabric:root:elsewhere")
        assert await it.asked() == [f"update n1 {topology}"]


async def test_jobs_that_name_their_nodes_are_told_of_drains(tmp_path: Path) -> None:
    """For all others Slurm waits itself."""
    async with passing(tmp_path, "n1") as it:
        it.told.clear()
        it.learned_news()
        for states in ({"IDLE", "EXTERNAL", "DRAIN"}, {"IDLE", "EXTERNAL"}):
            node = it.slurm.nodes["n1"]
            it.slurm.nodes["n1"] = replace(node, states=frozenset(states), reason="broken fan")
            for _ in range(2):
                await it.asked()
            assert it.told == [("drains", "")]
            it.told.clear()


async def test_jobs_that_name_their_nodes_are_told_when_jobs_hold_others(tmp_path: Path) -> None:
    """Nodes that are held are chosen last, and nobody else says when they are free."""
    async with passing(tmp_path, "n1") as it:
        it.learned_news()
        it.told.clear()
        for cpus in (8, 0):
            it.slurm.nodes["n1"] = replace(it.slurm.nodes["n1"], allocated_cpus=cpus)
            for _ in range(2):
                await it.asked()
            assert it.told == [("drains", "")]
            it.told.clear()
        assert not it.learned_news()


async def test_one_node_that_fails_keeps_no_other(tmp_path: Path) -> None:
    """All actions of a pass are tried."""
    async with passing(tmp_path) as it:
        it.slurm.errors["a"] = slurm.Unavailable("registering a node: no answer")
        for name in ("a", "b", "c"):
            it.cluster.upsert_node(replace(a_node(name), taints=(TAINT,)))
        await it.asked()
        assert set(it.slurm.nodes) == {"b", "c"}


async def test_a_slurm_that_does_not_list_its_nodes_changes_nothing_of_what_is_known(
    tmp_path: Path,
) -> None:
    """Waiting gangs go on with what was learned last."""
    async with passing(tmp_path, "n1") as it:
        known = it.slurm_state.features

        async def away() -> tuple[slurm.Partition, ...]:
            raise slurm.Unavailable("listing partitions: no answer")

        it.slurm.list_partitions = away  # type: ignore[method-assign]
        with pytest.raises(slurm.Unavailable):
            await it.nodes.reconcile()
        assert it.slurm_state.features == known
        assert not it.learned_news()


async def test_nothing_starts_on_a_node_with_an_end_before_its_reservation(tmp_path: Path) -> None:
    """It is registered drained, reserved, and then undrained; jobs that wait would take it."""
    async with passing(tmp_path) as it:
        end_s = it.clock.time() // 300 * 300 + 3600
        it.cluster.upsert_node(replace(a_node("n1"), taints=(TAINT,), end_s=end_s))
        assert await it.asked() == ["create n1", "update n1 DRAIN"]
        assert it.slurm.nodes["n1"].reason == drains.UNRESERVED
        (asked,) = await it.asked()
        assert asked.startswith("reserve slurm-bridge-01234567-")
        (made,) = it.slurm.reservations.values()
        assert (made.start_s, made.nodes, made.users) == (end_s, "n1", ("root",))
        assert made.flags == {"MAINT", "IGNORE_JOBS"}
        assert await it.asked() == ["update n1 UNDRAIN"]
        assert await it.asked() == []
        it.cluster.upsert_node(replace(it.cluster.nodes[NodeName("n1")], deleting=True))
        assert set(await it.asked()) == {"delete n1", f"unreserve {made.name}"}


async def test_an_end_that_can_not_be_read_is_told_once(tmp_path: Path) -> None:
    """On the node, with what can be written."""
    async with passing(tmp_path, "n1") as it:
        node = replace(it.cluster.nodes[NodeName("n1")], unreadable_end="example.com/end")
        it.cluster.upsert_node(node)
        for _ in range(2):
            assert await it.asked() == []
        ((reason, note),) = it.told
        assert reason == "UnreadableEnd"
        assert "example.com/end" in note


async def test_what_somebody_undoes_again_and_again_is_written_less_and_less(
    tmp_path: Path,
) -> None:
    """Nobody is fought with; a drain that is new is shown at once."""
    async with ApiServer() as server, connected(server, tmp_path) as kube:
        it = Passing(kube)
        raw = {"metadata": {"name": "n1", "uid": "u", "resourceVersion": "4"}}
        server.on("GET", PATH, ok(raw)).on("PATCH", PATH, ok(raw))
        server.on("PATCH", f"{PATH}/status", ok(raw))
        it.cluster.upsert_node(replace(a_node("n1"), taints=(TAINT,)))
        await it.asked()
        node = it.slurm.nodes["n1"]
        out = replace(node, states=node.states | {"DRAIN"}, reason="broken fan")
        it.slurm.nodes["n1"] = out
        written = [0]
        for _ in range(40):
            await it.asked()
            written.append(len(server.seen("PATCH", f"{PATH}/status")))
            await it.clock.advance(1)
        assert written[1:4] == [1, 2, 2], "at once, after a second, then after two"
        assert written[-1] == 6
        assert server.seen("PATCH", PATH)[0].body["spec"]["taints"] == [
            {"key": names.DRAINED_TAINT, "value": "", "effect": "NoSchedule"}
        ]
        it.slurm.nodes["n1"] = replace(out, reason="another")
        await it.asked()
        assert len(server.seen("PATCH", f"{PATH}/status")) == 7


@pytest.mark.parametrize(
    ("write", "note", "cordoned", "becomes"),
    [
        (kube_nodes.cordon, None, False, ("true", True)),
        (kube_nodes.cordon, None, True, ()),
        (kube_nodes.uncordon, None, True, ()),
        (kube_nodes.uncordon, "true", True, (None, None)),
        (kube_nodes.uncordon, "true", False, (None, None)),
        (kube_nodes.uncordon, "undone", True, (None,)),
        (kube_nodes.yield_cordon, None, False, ()),
        (kube_nodes.yield_cordon, "true", True, ()),
        (kube_nodes.yield_cordon, "true", False, ("undone",)),
    ],
)
async def test_a_cordon_is_ours_only_while_we_have_set_it(
    write: Callable[[KubeClient, NodeName], Awaitable[Node]],
    note: str | None,
    cordoned: bool,
    becomes: tuple[object, ...],
    tmp_path: Path,
) -> None:
    """Who has cordoned or uncordoned the node meanwhile is not overwritten."""
    annotations = {} if note is None else {names.CORDONED_ANNOTATION: note}
    raw = {
        "metadata": {"name": "n1", "uid": "u", "resourceVersion": "4", "annotations": annotations},
        "spec": {"unschedulable": cordoned},
    }
    async with ApiServer() as server, connected(server, tmp_path) as kube:
        server.on("GET", PATH, ok(raw)).on("PATCH", PATH, ok(raw))
        await write(kube, NodeName("n1"))
        patches = [one.body for one in server.seen("PATCH", PATH)]
    written = [
        (
            patch["metadata"]["annotations"][names.CORDONED_ANNOTATION],
            *(patch.get("spec") or {}).values(),
        )
        for patch in patches
    ]
    assert written == ([becomes] if becomes else [])
    assert all(patch["metadata"]["resourceVersion"] == "4" for patch in patches)


def _leaf(leaf: str) -> dict[str, str]:
    return {f"{names.AWS_NETWORK_LAYER_PREFIX}1": leaf}


async def test_a_refusal_that_comes_again_after_a_success_is_told_again(tmp_path: Path) -> None:
    """In the same words: what was told before was mended meanwhile."""
    async with passing(tmp_path, "n1") as it:
        node = it.cluster.nodes[NodeName("n1")]
        for version, name in enumerate(("x:root:a", "y:root:a")):
            it.slurm.errors["n1"] = slurm.InvalidRequest("no such topology")
            annotations = {**node.annotations, names.TOPOLOGY_ANNOTATION: name}
            it.cluster.upsert_node(
                replace(node, annotations=annotations, resource_version=f"{version}")
            )
            await it.asked()
            await it.asked()
            assert len(it.told) == version + 1
            del it.slurm.errors["n1"]
            await it.clock.advance(5)
            assert await it.asked() == [f"update n1 {name}"]
            assert await it.asked() == []


async def test_a_changed_address_is_told_at_once_and_once(tmp_path: Path) -> None:
    """Slurm takes it while jobs run there. A Slurm that does not show it is not told again."""
    async with passing(tmp_path, "n1") as it:
        node = it.cluster.nodes[NodeName("n1")]
        it.slurm.nodes["n1"] = replace(it.slurm.nodes["n1"], allocated_cpus=4)
        it.cluster.upsert_node(replace(node, internal_ip="10.0.0.2", resource_version="2"))
        assert await it.asked() == ["update n1 10.0.0.2"]
        assert await it.asked() == []
        it.slurm.moves = False
        it.cluster.upsert_node(replace(node, internal_ip="10.0.0.3", resource_version="3"))
        assert await it.asked() == ["update n1 10.0.0.3"]
        assert await it.asked() == []


async def test_nodes_join_the_tree_as_soon_as_some_node_shows_it(tmp_path: Path) -> None:
    """No setting names it. A node whose labels say nothing is told so, once."""
    async with passing(tmp_path, "n1") as it:
        bare = replace(a_node("bare"), taints=(TAINT,))
        it.cluster.upsert_node(bare)
        labelled = replace(a_node("n1", labels=_leaf("a")), taints=(TAINT,), resource_version="2")
        it.cluster.upsert_node(labelled)
        await it.asked()
        assert await it.asked() == []
        assert not it.told
        it.slurm.nodes["native"] = slurm.SlurmNode(
            SlurmNodeName("native"), frozenset({"IDLE"}), topology="fabric:root:s:b"
        )
        assert await it.asked() == ["update n1 fabric:root:a"]
        for _ in range(2):
            assert await it.asked() == []
        ((reason, note),) = it.told
        assert reason == "NoPlaceInSlurmsTopology"
        assert "node bare has no place" in note
        assert "below fabric:root" in note


async def test_a_node_whose_place_is_refused_is_registered_without_one(tmp_path: Path) -> None:
    """It is told, and the place is tried again later."""
    rules = replace(RULES, topology="fabric:root")
    async with passing(tmp_path, rules=rules) as it:
        it.slurm.bad_places = {"fabric:root:a"}
        it.cluster.upsert_node(replace(a_node("n1", labels=_leaf("a")), taints=(TAINT,)))
        assert await it.asked() == ["create n1", "create n1"]
        ((reason, note),) = it.told
        assert reason == "NotChangedInSlurm"
        assert "no such topology" in note
        assert await it.asked() == [], "not at once"
        await it.clock.advance(2)
        assert await it.asked() == ["update n1 fabric:root:a"]


async def test_a_node_with_only_its_zone_left_stays_where_its_labels_put_it(tmp_path: Path) -> None:
    """Labels may be away for a moment; without a place, the zone is one."""
    rules = replace(RULES, topology="fabric:root")
    async with passing(tmp_path, rules=rules) as it:
        zone = {names.ZONE_LABEL: "z"}
        for name, labels in (("n1", _leaf("a") | zone), ("n2", zone)):
            it.cluster.upsert_node(replace(a_node(name, labels=labels), taints=(TAINT,)))
        await it.asked()
        shown = {name: node.topology for name, node in it.slurm.nodes.items()}
        assert shown == {"n1": "fabric:root:a", "n2": "fabric:root:z"}
        zoned = replace(a_node("n1", labels=zone), taints=(TAINT,), resource_version="2")
        it.cluster.upsert_node(zoned)
        assert [one for one in await it.asked() if "fabric" in one] == []


async def test_at_rest_slurm_is_asked_one_small_question(tmp_path: Path) -> None:
    """Whether its nodes have changed: nothing else is read, and nothing is changed. When a node
    has, or half a minute later, all of it is looked at."""
    async with passing(tmp_path, "n1", "n2") as it:
        it.slurm.at_s = 100
        await it.asked()
        await it.clock.advance(40)
        assert not await it.nodes.reconcile(is_dirty=False)
        it.slurm.listed.clear()
        before, it.slurm.others_read = it.slurm.others_read, 0
        assert before
        for _ in range(5):
            await it.clock.advance(1)
            assert not await it.nodes.reconcile(is_dirty=False)
        assert it.slurm.listed == [100] * 5
        assert (it.slurm.asked, it.slurm.others_read) == ([], 0)
        drained = replace(it.slurm.nodes["n1"], states=frozenset({"IDLE", "EXTERNAL", "DRAIN"}),
                          reason="slurm-bridge: cordoned in Kubernetes")  # fmt: skip
        it.slurm.nodes["n1"], it.slurm.at_s = drained, 107
        assert await it.nodes.reconcile(is_dirty=False)
        assert it.slurm.asked == ["update n1 UNDRAIN"]
        it.slurm.others_read = 0
        await it.clock.advance(31)
        await it.nodes.reconcile(is_dirty=False)
        assert it.slurm.listed[-1] == 0
        assert it.slurm.others_read == 1


async def test_what_was_refused_is_tried_again_though_nothing_changes(tmp_path: Path) -> None:
    """At its time."""
    async with passing(tmp_path, "n1") as it:
        it.slurm.at_s = 100
        node = it.cluster.nodes[NodeName("n1")]
        it.slurm.errors["n1"] = slurm.InvalidRequest("busy with something")
        it.cluster.upsert_node(replace(node, unschedulable=True, resource_version="2"))
        await it.asked()
        del it.slurm.errors["n1"]
        it.slurm.asked.clear()
        await it.nodes.reconcile(is_dirty=False)
        assert it.slurm.asked == []
        await it.clock.advance(2)
        await it.nodes.reconcile(is_dirty=False)
        assert it.slurm.asked == ["update n1 DRAIN"]
