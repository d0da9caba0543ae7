"""Performs what is planned for the nodes, and tells of what was refused."""

from collections.abc import Iterable, Mapping
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
from bridge.nodes import actions, drains, reservations
from bridge.nodes.marker import NodeMarker
from bridge.retry import Backoff
from bridge.slurm import errno
from bridge.state.kube_state import KubeState
from bridge.telemetry import Metrics

log = structlog.get_logger(__name__)

_REFUSED_FIRST_S, _REFUSED_MOST_S = 1.0, 300.0
"""The first and the longest pause after something that was refused."""
_NOT_REGISTERED = "NotRegisteredInSlurm"
_UNREADABLE = "UnreadableEnd"


class NodePerformer:
    """Performs actions; remembers what Slurm was told and does not show yet, and what failed."""

    def __init__(
        self,
        *,
        cluster: KubeState,
        client: slurm.SlurmClient,
        kube: KubeClient,
        recorder: kube_events.EventRecorder,
        scheduler_name: str,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._cluster = cluster
        self._client = client
        self._kube = kube
        self._recorder = recorder
        self._taint = Taint.managed(scheduler_name)
        self._metrics = metrics
        self._clock = clock
        self._told: dict[actions.Key, str] = {}
        """The last thing of which a node's admin was told, while it is still to be done."""
        self._failed: dict[actions.Key, _Failed] = {}
        self._marker = NodeMarker(kube, clock=clock)
        self.told_topology: dict[SlurmNodeName, str] = {}
        """The places of nodes that Slurm was told of and does not show yet."""
        self.told_address: dict[SlurmNodeName, str] = {}
        """The same of addresses."""
        self.told_gres: dict[SlurmNodeName, tuple[Gres, ...]] = {}
        """The devices with which nodes were registered: what Slurm then shows is all that it
        takes."""

    def forget_done(
        self,
        planned: Iterable[actions.Action],
        slurm_nodes: Mapping[SlurmNodeName, slurm.SlurmNode],
    ) -> None:
        """Drops what Slurm shows by now, and what was refused or told of what is not planned any
        more: the same refusal is told again when it comes again."""
        self.told_topology = {
            name: told
            for name, told in self.told_topology.items()
            if name in slurm_nodes and slurm_nodes[name].topology != told
        }
        self.told_address = {
            name: told
            for name, told in self.told_address.items()
            if name in slurm_nodes and slurm_nodes[name].address != told
        }
        self._marker.forget(frozenset(self._cluster.nodes))
        if self._failed or self._told:
            keys = set(map(actions.key_of, planned))
            self._failed = {key: failed for key, failed in self._failed.items() if key in keys}
            self._told = {key: told for key, told in self._told.items() if key in keys}

    async def perform(self, action: actions.Action) -> bool:
        """Whether it was done, or is to be tried again soon."""
        try:
            if isinstance(action, actions.Drain | actions.Undrain) and await self._is_taken(action):
                return True
            if isinstance(action, actions.Mark):
                await self._marker.write(action)
            elif isinstance(action, actions.Reserve):
                await self._reserve(action)
            match action:
                case actions.Register(node, wanted):
                    await self._register(wanted)
                    log.info("node.registered", node=node, slurm_node=wanted.name)
                    self.told_gres[SlurmNodeName(wanted.name)] = wanted.gres
                case actions.Delete(name, why, healing):
                    await self._client.delete_node(name)
                    self.told_gres.pop(name, None)
                    self._metrics.nodes_healed.inc(int(healing))
                    log.info("node.deleted", slurm_node=name, why=why)
                case actions.Drain(name, reason):
                    await self._client.update_node(name, state="DRAIN", reason=reason)
                    log.info("node.drained", slurm_node=name, why=reason)
                case actions.Undrain(name):
                    await self._client.update_node(name, state="UNDRAIN")
                    log.info("node.undrained", slurm_node=name)
                case actions.SetFeatures(name, features, active):
                    await self._client.update_node(name, features=features, active_features=active)
                case actions.SetTopology(name, topology):
                    await self._client.update_node(name, topology=topology)
                    self.told_topology[name] = topology
                    log.info("node.moved", slurm_node=name, topology=topology)
                case actions.SetAddress(name, address):
                    await self._client.update_node(name, address=address)
                    self.told_address[name] = address
                    log.info("node.readdressed", slurm_node=name, address=address)
                case actions.AddTaint(node):
                    await kube_nodes.add_taint(self._kube, node, self._taint)
                case actions.RemoveTaint(node):
                    await kube_nodes.remove_taint(self._kube, node, self._taint)
                case actions.Refuse(node, message):
                    if self._tell(action, node, message, _NOT_REGISTERED):
                        log.warning("node.refused", node=node, error=message)
                    return True
                case actions.Complain(node, message):
                    if self._tell(action, node, message, _UNREADABLE):
                        log.warning("node.unreadable", node=node, error=message)
                    return True
                case actions.TellUnplaced(node, message):
                    if self._tell(action, node, message, "NoPlaceInSlurmsTopology"):
                        log.warning("node.unplaced", node=node, why=message)
                    return True
        except BridgeError as error:
            if isinstance(error, Unreachable):
                log.warning("node.action_failed", action=type(action).__name__, error=str(error))
                return True
            self._note_failure(action, error)
            return False
        self._failed.pop(actions.key_of(action), None)
        self._told.pop(actions.key_of(action), None)
        if isinstance(action, actions.Register) and action.closed:
            drain = actions.Drain(SlurmNodeName(action.definition.name), action.closed)
            await self.perform(drain)  # in the same breath: a waiting job would take it
        return True

    async def _is_taken(self, action: actions.Drain | actions.Undrain) -> bool:
        """Whether an admin has taken the node out of use since the pass read Slurm's nodes."""
        return drains.is_admins(await self._client.get_node(action.slurm_node))

    async def _reserve(self, action: actions.Reserve) -> None:
        match action:
            case actions.CreateReservation(name, start_s, nodes):
                fields = slurm.ReservationFields(
                    start_s=start_s,
                    end_s=start_s + reservations.LENGTH_S,
                    nodes=nodes,
                    users=reservations.USERS,
                    flags=reservations.FLAGS,
                )
                await self._client.create_reservation(name, fields)
            case actions.ChangeReservation(name, nodes):
                await self._client.update_reservation(name, slurm.ReservationFields(nodes=nodes))
            case actions.DeleteReservation(name):
                await self._client.delete_reservation(name)
        log.info("reservation.changed", reservation=action.name, what=type(action).__name__)

    async def _register(self, wanted: slurm.NodeDefinition) -> None:
        """A node whose place Slurm refuses is of more use without one than not at all. That it has
        none is told like other refusals, and tried again."""
        try:
            await self._client.create_node(wanted)
        except slurm.InvalidRequest as error:
            if error.number != errno.TOPOLOGY_UNAVAILABLE or not wanted.topology:
                raise
            await self._client.create_node(replace(wanted, topology=""))
            place = actions.SetTopology(SlurmNodeName(wanted.name), wanted.topology)
            self._note_failure(place, error)

    @property
    def has_refused(self) -> bool:
        """Whether something that was refused waits to be tried again."""
        return bool(self._failed)

    def is_due(self, action: actions.Action) -> bool:
        """Whether it may be tried now: it did not fail, or is another one by now, or waited long
        enough."""
        if isinstance(action, actions.Mark) and not self._marker.is_due(action):
            return False
        failed = self._failed.get(actions.key_of(action))
        if failed is None or failed.action != action:
            return True
        return self._clock.monotonic() >= failed.backoff.due_s

    def _note_failure(self, action: actions.Action, error: BridgeError) -> None:
        """Tells of it once, in the log and on the node, and lets the next try wait longer each time
        until something else is to be done."""
        key, message = actions.key_of(action), str(error)
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
            if isinstance(action, actions.OnNodes):
                node, reason = NodeName(name), _NOT_REGISTERED
                if isinstance(action, actions.OfSlurmNode):
                    node = self._cluster.by_slurm_name.get(action.slurm_node, node)
                    reason = "NotChangedInSlurm"
                self._tell(action, node, f"Slurm refused node {node}: {message}", reason)

    def _tell(self, action: actions.Action, name: NodeName, message: str, reason: str) -> bool:
        """Tells the node's admin by an event; False if that was the last thing to be told of it."""
        key, node = actions.key_of(action), self._cluster.nodes.get(name)
        if node is None or self._told.get(key) == message:
            return False
        self._told[key] = message
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


@dataclass(slots=True)
class _Failed:
    """What was refused, with which words, and when it is tried again."""

    action: actions.Action
    backoff: Backoff
    message: str = ""
