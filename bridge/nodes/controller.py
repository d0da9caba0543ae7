"""Performs the plan for the nodes: one pass after each change, and one now and then.

A pass reads Slurm's nodes and partitions once, so it also refreshes what the builders of jobs
need to know (features, partitions with a memory default).
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

import structlog

from bridge import slurm
from bridge.clock import Clock, sleep_until_triggered
from bridge.errors import BridgeError
from bridge.model.ids import NodeName, SlurmNodeName
from bridge.nodes import actions, definition, learning, places
from bridge.nodes import plan as planning
from bridge.nodes.performer import NodePerformer
from bridge.nodes.settled import Settled
from bridge.placement.filters.classes import class_by_node
from bridge.retry import Backoff
from bridge.slurm.node_reader import NodeReader
from bridge.state.kube_state import KubeState
from bridge.state.slurm_state import SlurmState
from bridge.telemetry import OutageLog

log = structlog.get_logger(__name__)

_AT_ONCE = 8
_AGAIN_S = 0.05
"""To the pass that looks at what the last one did."""
_SHARE = 0.1
"""Of the time that passes may take which no change in Kubernetes asks for."""
_WHOLE_S = 30.0
"""Between two passes that are made in any case, at most."""
_AWAY_S = 30.0
"""The longest pause while Slurm does not answer, unless the interval itself is longer."""
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
        performer: NodePerformer,
        rules: definition.Rules,
        scheduler_name: str,
        interval_s: float,
        outage: OutageLog,
        changed: Callable[[], None],
        slurm_room_changed: Callable[[], None],
        classes_in_use: Callable[[], frozenset[str]],
        clock: Clock,
    ) -> None:
        self._cluster = cluster
        self._slurm_state = slurm_state
        self._client = client
        self._performer = performer
        self._rules = rules
        self._scheduler_name = scheduler_name
        self._interval_s = interval_s
        self._outage = outage
        self._changed = changed
        self._slurm_room_changed = slurm_room_changed
        self._classes_in_use = classes_in_use
        self._clock = clock
        self._dirty = asyncio.Event()
        self._settled = Settled()
        self._reader = NodeReader(client, clock=clock)
        self._due_s = float("-inf")
        """When a pass is made in any case."""
        self._root: places.Root | None = None

    def mark_dirty(self) -> None:
        """Some node changed: look soon."""
        self._dirty.set()

    async def run(self) -> None:
        """Pass after pass until cancelled; a failing Slurm only delays the next one."""
        backoff = Backoff(first_s=self._interval_s, most_s=max(_AWAY_S, self._interval_s))
        is_again = True
        while True:
            is_dirty, started_s = self._dirty.is_set(), self._clock.monotonic()
            self._dirty.clear()
            try:
                is_again = await self.reconcile(is_dirty=is_dirty or is_again)
                took_s = self._clock.monotonic() - started_s
                pause_s = _AGAIN_S if is_again else max(self._interval_s, took_s / _SHARE)
                backoff.reset()
            except BridgeError as error:
                pause_s, is_again = backoff.next_s(), True
                self._outage.failed(error)
            await sleep_until_triggered(self._clock, pause_s, self._dirty)
            if self._dirty.is_set():
                await self._clock.sleep(_BURST_S)

    async def reconcile(self, *, is_dirty: bool = True) -> bool:
        """One pass. True when something was done that a further pass must look at: what Slurm has
        refused is tried again no sooner than the next pass comes anyway.

        Without `is_dirty` nothing was done or has changed in Kubernetes since the last pass: unless
        Slurm's nodes have changed, or something refused waits to be tried again, nothing is to do.
        """
        changed, performer = await self._reader.read(), self._performer
        now_s = self._clock.monotonic()
        if not (is_dirty or changed or performer.has_refused or now_s >= self._due_s):
            return False
        self._due_s = now_s + _WHOLE_S
        slurm_nodes = self._reader.nodes
        await self._learn(slurm_nodes.values())
        root = self._find_root(slurm_nodes.values())
        rules = replace(self._rules, topology=root.path)
        classes = class_by_node(self._cluster.table.snapshot())
        others = planning.held_by_others(self._cluster.others())
        classes_in_use = self._classes_in_use()
        gres_names = self._slurm_state.nodes.gres_names
        if gres_names is None:
            gres_names = planning.gres_of(slurm_nodes.values())

        def of_node(name: NodeName, slurm_name: SlurmNodeName) -> object:
            known = slurm_nodes.get(slurm_name)
            return (
                classes.get(name),
                others.get(name),
                performer.told_gres.get(slurm_name),
                performer.told_topology.get(slurm_name),
                performer.told_address.get(slurm_name),
                () if known is None else tuple(classes_in_use.intersection(known.features)),
            )

        nodes, known = self._settled.unsettled(
            self._cluster.nodes,
            slurm_nodes,
            common=(rules, root, gres_names),
            of_node=of_node,
            always={node.slurm_name for node in self._cluster.nodes.values() if node.end_s},
        )
        planned = planning.plan(
            nodes=nodes,
            slurm_nodes=known,
            classes=classes,
            others=others,
            rules=rules,
            scheduler_name=self._scheduler_name,
            classes_in_use=classes_in_use,
            gres_names=gres_names,
            told_gres=performer.told_gres,
            told_topology=performer.told_topology,
            reserved=await reservations(self._client),
            now_s=self._clock.time(),
            told_address=performer.told_address,
            root=root,
        )
        self._settled.note(planned, self._cluster.nodes)
        performer.forget_done(planned, slurm_nodes)
        due = [action for action in planned if performer.is_due(action)]
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(action: actions.Action) -> bool:
            async with gate:
                return await performer.perform(action)

        async with asyncio.TaskGroup() as group:
            done = [(action, group.create_task(one(action))) for action in due]
        if any(isinstance(action, actions.Delete) for action in due):
            self._reader.node_deleted()
        return any(task.result() for action, task in done if isinstance(action, actions.InSlurm))

    def _find_root(self, nodes: Collection[slurm.SlurmNode]) -> places.Root:
        """Where nodes are joined; told when it is another one than before."""
        root = places.root(
            self._rules.topology,
            nodes,
            topologies=self._slurm_state.partitions.topologies,
            partition=self._rules.partition,
        )
        if root != self._root:
            self._root = root
            if root.path:
                log.info("topology.chosen", root=root.path, why=root.why)
            else:
                log.info(
                    "topology.unknown", why=root.why, advice="set nodes.topology if it has one"
                )
        return root

    async def _learn(self, nodes: Collection[slurm.SlurmNode]) -> None:
        news = learning.learn(
            self._slurm_state,
            nodes=nodes,
            partitions=await self._client.list_partitions(),
            configuration=await configuration(self._client),
        )
        if news is learning.News.KINDS:
            self._changed()
        elif news is learning.News.ROOM:
            self._slurm_room_changed()


async def reservations(client: slurm.SlurmClient) -> tuple[slurm.Reservation, ...] | None:
    """Slurm's reservations; None where it doesn't show them to the bridge (PrivateData)."""
    try:
        return await client.list_reservations()
    except slurm.NotAuthorised:
        return None


async def gres_names(client: slurm.SlurmClient) -> frozenset[str] | None:
    """Slurm's GresTypes; None where it doesn't tell."""
    return learning.gres_types(await configuration(client))


async def configuration(client: slurm.SlurmClient) -> Mapping[str, Any] | None:
    """Slurm's slurm.conf; None where it doesn't tell."""
    try:
        return await client.configuration()
    except slurm.ServerTooOld:
        return None
