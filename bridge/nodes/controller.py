"""Performs the plan for the nodes: one pass after each change, and one now and then.

A pass reads Slurm's nodes and partitions once, so it also refreshes what the builders of jobs
need to know (features, partitions with a memory default).
"""

import asyncio
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace

import structlog

from bridge import slurm
from bridge.clock import Clock
from bridge.errors import BridgeError, Unreachable
from bridge.kube.api import events as kube_events
from bridge.kube.api.client import KubeClient
from bridge.kube.objects import nodes as kube_nodes
from bridge.model.ids import NodeName, SlurmNodeName
from bridge.model.job import Gres
from bridge.model.scheduling import Taint
from bridge.nodes import capacities, definition, sinks
from bridge.nodes import plan as planning
from bridge.placement.filters.classes import class_by_node
from bridge.retry import Backoff
from bridge.slurm.trigger import sleep_until_triggered
from bridge.state.kube_state import KubeState
from bridge.state.slurm_facts import NodeFacts, NodeKind, PartitionFacts
from bridge.state.slurm_state import SlurmState
from bridge.telemetry import Metrics, OutageLog

log = structlog.get_logger(__name__)

_AT_ONCE = 8
_AGAIN_S = 0.05
"""To the pass that looks at what the last one did."""
_AWAY_S = 30.0
"""The longest pause while Slurm does not answer, unless the interval itself is longer."""
_REFUSED_FIRST_S, _REFUSED_MOST_S = 1.0, 300.0
"""The first and the longest pause after something that was refused."""
_NOT_REGISTERED = "NotRegisteredInSlurm"
_BURST_S = 0.1
"""Nodes come in bursts: one pass for many."""


class NodeController:
    """Keeps Slurm's nodes equal to Kubernetes'."""

    def __init__(
        self,
        *,
        cluster: KubeState,
        slurm_state: SlurmState,
        client: slurm.SlurmClient,
        kube: KubeClient,
        recorder: kube_events.EventRecorder,
        rules: definition.Rules,
        scheduler_name: str,
        interval_s: float,
        outage: OutageLog,
        metrics: Metrics,
        changed: Callable[[], None],
        slurm_room_changed: Callable[[], None],
        classes_in_use: Callable[[], frozenset[str]],
        clock: Clock,
    ) -> None:
        self._cluster = cluster
        self._slurm_state = slurm_state
        self._client = client
        self._kube = kube
        self._recorder = recorder
        self._rules = rules
        self._scheduler_name = scheduler_name
        self._interval_s = interval_s
        self._outage = outage
        self._metrics = metrics
        self._changed = changed
        self._slurm_room_changed = slurm_room_changed
        self._classes_in_use = classes_in_use
        self._clock = clock
        self._taint = Taint.managed(scheduler_name)
        self._dirty = asyncio.Event()
        self._refused: dict[NodeName, str] = {}
        self._failed: dict[_Key, _Failed] = {}
        self._told_topology: dict[SlurmNodeName, str] = {}
        """The places of nodes that Slurm was told of and does not show yet."""
        self._told_gres: dict[SlurmNodeName, tuple[Gres, ...]] = {}
        """The devices with which nodes were registered: what Slurm then shows is all that it
        takes."""

    def mark_dirty(self) -> None:
        """Some node changed: look soon."""
        self._dirty.set()

    async def run(self) -> None:
        """Pass after pass until cancelled; a failing Slurm only delays the next one."""
        backoff = Backoff(first_s=self._interval_s, most_s=max(_AWAY_S, self._interval_s))
        while True:
            self._dirty.clear()
            try:
                pause_s = _AGAIN_S if await self.reconcile() else self._interval_s
                backoff.reset()
            except BridgeError as error:
                pause_s = backoff.next_s()
                self._outage.failed(error)
            await sleep_until_triggered(self._clock, pause_s, self._dirty)
            if self._dirty.is_set():
                await self._clock.sleep(_BURST_S)

    async def reconcile(self) -> bool:
        """One pass. True when something was done that a further pass must look at: what Slurm has
        refused is tried again no sooner than the next pass comes anyway.
        """
        slurm_nodes = {node.name: node for node in await self._client.list_nodes()}
        self._learn(
            slurm_nodes.values(),
            await self._client.list_partitions(),
            await gres_names(self._client),
        )
        actions = planning.plan(
            nodes=self._cluster.nodes,
            slurm_nodes=slurm_nodes,
            classes=class_by_node(self._cluster.table.snapshot()),
            others=planning.held_by_others(self._cluster.others()),
            rules=self._rules,
            scheduler_name=self._scheduler_name,
            classes_in_use=self._classes_in_use(),
            gres_names=self._slurm_state.nodes.gres_names,
            told_gres=self._told_gres,
            told_topology=self._told_topology,
        )
        self._told_topology = {
            name: told
            for name, told in self._told_topology.items()
            if name in slurm_nodes and slurm_nodes[name].topology != told
        }
        self._failed = {
            key: self._failed[key] for action in actions if (key := _key(action)) in self._failed
        }
        actions = [action for action in actions if self._is_due(action)]
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(action: planning.Action) -> bool:
            async with gate:
                return await self._perform(action)

        async with asyncio.TaskGroup() as group:
            done = [(action, group.create_task(one(action))) for action in actions]
        return any(task.result() for action, task in done if isinstance(action, planning.InSlurm))

    def _learn(
        self,
        nodes: Collection[slurm.SlurmNode],
        partitions: Iterable[slurm.Partition],
        gres_names: frozenset[str] | None,
    ) -> None:
        """What waiting gangs depend on; they are told of changes.

        A node that joins is news also where its class is known: it may be larger. One that is
        drained or comes back, or gives other jobs more or less, is news only for jobs that name
        their nodes: else Slurm itself waits.
        """
        partitions = tuple(partitions)
        features = frozenset(
            feature for node in nodes for feature in (*node.features, *node.active_features)
        )
        facts = PartitionFacts(
            with_memory_default=frozenset(
                part.name
                for part in partitions
                if part.def_mem_per_cpu_mib or part.def_mem_per_node_mib
            ),
            known=frozenset(part.name for part in partitions),
            max_time_min={part.name: part.max_time_min for part in partitions if part.max_time_min},
            max_nodes={part.name: part.max_nodes for part in partitions if part.max_nodes},
            grace_s={part.name: part.grace_s for part in partitions if part.grace_s},
            topologies={part.name: part.topology for part in partitions if part.topology},
        )
        kinds, sizes = NodeFacts(_kinds(nodes), gres_names), capacities.of(nodes)
        state = self._slurm_state
        known = state.capacities
        before = (state.features, state.partitions, state.nodes, known.groups, known.group_of)
        news = (features, facts, kinds, sizes.groups, sizes.group_of) != before
        answered = sinks.answered(nodes)
        if bool(answered) != bool(state.answered):
            news = True
            log.info("node.sink_found" if answered else "node.sink_gone", nodes=len(answered))
        state.features, state.partitions, state.nodes = features, facts, kinds
        state.answered = answered
        if sizes.without_jobs == known.without_jobs:
            # As the same objects: what is known of them stays true, and is found so at a glance.
            sizes = replace(known, busy_cpus=sizes.busy_cpus)
        if sizes != known:
            state.capacities = sizes
        tier_of = {part.name: part.tier for part in partitions}
        state.node_weights = {node.name: node.weight for node in nodes}
        state.tiers = {
            node.name: max((tier_of.get(part, 1) for part in node.partitions), default=1)
            for node in nodes
        }
        if news:
            self._changed()
        elif sizes != known:
            self._slurm_room_changed()

    async def _perform(self, action: planning.Action) -> bool:
        """Whether it was done, or is to be tried again soon."""
        try:
            match action:
                case planning.Register(node, wanted):
                    await self._client.create_node(wanted)
                    log.info("node.registered", node=node, slurm_node=wanted.name)
                    self._refused.pop(node, None)
                    self._told_gres[SlurmNodeName(wanted.name)] = wanted.gres
                case planning.Delete(name, why, healing):
                    await self._client.delete_node(name)
                    self._told_gres.pop(name, None)
                    self._metrics.nodes_healed.inc(int(healing))
                    log.info("node.deleted", slurm_node=name, why=why)
                case planning.Drain(name, reason):
                    await self._client.update_node(name, state="DRAIN", reason=reason)
                    log.info("node.drained", slurm_node=name, why=reason)
                case planning.Undrain(name):
                    await self._client.update_node(name, state="UNDRAIN")
                    log.info("node.undrained", slurm_node=name)
                case planning.SetFeatures(name, features):
                    await self._client.update_node(name, features=features)
                case planning.SetTopology(name, topology):
                    await self._client.update_node(name, topology=topology)
                    self._told_topology[name] = topology
                    log.info("node.moved", slurm_node=name, topology=topology)
                case planning.AddTaint(node):
                    await kube_nodes.add_taint(self._kube, node, self._taint)
                case planning.RemoveTaint(node):
                    await kube_nodes.remove_taint(self._kube, node, self._taint)
                case planning.Refuse(node, message):
                    if self._tell(node, message, _NOT_REGISTERED):
                        log.warning("node.refused", node=node, error=message)
        except BridgeError as error:
            if isinstance(error, Unreachable):
                log.warning("node.action_failed", action=type(action).__name__, error=str(error))
                return True
            self._note_failure(action, error)
            return False
        self._failed.pop(_key(action), None)
        if isinstance(action, planning.Register) and action.closed:
            drain = planning.Drain(SlurmNodeName(action.definition.name), action.closed)
            await self._perform(drain)  # in the same breath: a waiting job would take it
        return True

    def _is_due(self, action: planning.Action) -> bool:
        """Whether it may be tried now: it did not fail, or is another one by now, or waited long
        enough."""
        failed = self._failed.get(_key(action))
        if failed is None or failed.action != action:
            return True
        return self._clock.monotonic() >= failed.backoff.due_s

    def _note_failure(self, action: planning.Action, error: BridgeError) -> None:
        """Tells of it once, in the log and on the node, and lets the next try wait longer each time
        until something else is to be done."""
        key, message = _key(action), str(error)
        failed = self._failed.get(key)
        is_new = failed is None or failed.action != action
        if failed is None or failed.action != action:
            backoff = Backoff(first_s=_REFUSED_FIRST_S, most_s=_REFUSED_MOST_S)
            failed = self._failed[key] = _Failed(action, backoff)
        failed.backoff.failed(self._clock.monotonic())
        if is_new or failed.message != message:
            failed.message = message
            what, name = key
            log.warning("node.action_failed", action=what, node=name, error=message)
            if isinstance(action, planning.InSlurm):
                node = self._cluster.by_slurm_name.get(SlurmNodeName(name), NodeName(name))
                is_new_node = isinstance(action, planning.Register)
                reason = _NOT_REGISTERED if is_new_node else "NotChangedInSlurm"
                self._tell(node, f"Slurm refused node {node}: {message}", reason)

    def _tell(self, name: NodeName, message: str, reason: str) -> bool:
        """Tells the node's admin by an event; False if that was the last thing to be told there."""
        node = self._cluster.nodes.get(name)
        if node is None or self._refused.get(name) == message:
            return False
        self._refused[name] = message
        self._recorder.emit(
            regarding=kube_events.ObjectRef(
                kind="Node", api_version="v1", namespace="", name=name, uid=node.uid
            ),
            type="Warning",
            reason=reason,
            note=message,
            action="Register",
        )
        return True


async def gres_names(client: slurm.SlurmClient) -> frozenset[str] | None:
    """Slurm's GresTypes; None where it doesn't tell."""
    try:
        configuration = await client.configuration()
    except slurm.ServerTooOld:
        return None
    return frozenset(configuration.get("GresTypes") or ())


_Key = tuple[str, str]
"""What is done, and to which node, by the name that the action has for it."""


@dataclass(slots=True)
class _Failed:
    """What was refused, with which words, and when it is tried again."""

    action: planning.Action
    backoff: Backoff
    message: str = ""


def _key(action: planning.Action) -> _Key:
    match action:
        case planning.Register(node) | planning.Refuse(node):
            name: str = node
        case planning.AddTaint(node) | planning.RemoveTaint(node):
            name = node
        case _:
            name = action.slurm_node
    return type(action).__name__, name


def _kinds(nodes: Iterable[slurm.SlurmNode]) -> tuple[NodeKind, ...]:
    """Nodes that jobs can't tell apart, in an order that stays the same."""
    found = {
        NodeKind(
            frozenset((*node.features, *node.active_features)),
            frozenset((item.name, item.type) for item in node.gres if item.count),
        )
        for node in nodes
    }
    return tuple(sorted(found, key=lambda kind: (sorted(kind.features), sorted(kind.devices))))
