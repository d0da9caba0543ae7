"""The Slurm job that a gang should have by now, and the nodes that its owner's jobs leave out."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial

import structlog

from bridge.clock import Clock
from bridge.controller.room_watch import RoomWatch
from bridge.controller.timers import Later
from bridge.errors import BadInput
from bridge.jobs import identity
from bridge.jobs.builder import JobBuilder
from bridge.lifecycle import events as ev
from bridge.lifecycle import instructions as do
from bridge.lifecycle.avoidance import Avoidance, Avoided
from bridge.model import texts
from bridge.model.capacity import GangNeed
from bridge.model.gang import Gang
from bridge.model.ids import GangId, NodeName
from bridge.model.job import JobSpec
from bridge.model.pod import Pod
from bridge.state.kube_state import KubeState

log = structlog.get_logger(__name__)

_NAMED = 3
"""The most nodes that one sentence names."""


class GangJobs:
    """Builds jobs by what is known of the gang's namespace and its owner's nodes. `handle` takes
    events for gangs."""

    def __init__(
        self,
        *,
        builder: JobBuilder,
        room_watch: RoomWatch,
        cluster: KubeState,
        rules: identity.Rules,
        avoid_s: float,
        handle: Callable[[GangId, ev.Event], None],
        later: Later,
        clock: Clock,
    ) -> None:
        self._builder = builder
        self._room_watch = room_watch
        self._cluster = cluster
        self._rules = rules
        self._avoid_s = avoid_s
        self._avoidance = Avoidance(for_s=avoid_s)
        self._handle = handle
        self._later = later
        self._clock = clock

    def build(self, gang: Gang, generation: int) -> JobSpec:
        """The gang's job. Raises BadInput if it can't have one, or not yet."""
        avoided = tuple(self._avoided(gang.id))
        asking = self._as_in_slurm(gang)
        self._room_watch.forget(gang.id)
        return self._builder.build(
            asking, generation, avoided, asked=partial(self._room_watch.follow, gang.id)
        )

    def need(self, gang: Gang, pods: Collection[Pod]) -> GangNeed | None:
        """What the gang, of these waiting pods, needs of new nodes; None if nobody can be asked
        for it, or if it can't have a job whatever nodes there are."""
        try:
            return self._builder.need(self._as_in_slurm(gang), pods)
        except BadInput:
            return None

    def _as_in_slurm(self, gang: Gang) -> Gang:
        """The gang with what its namespace decides. Raises BadInput for what is not allowed."""
        namespace = self._cluster.namespaces.get(gang.namespace)
        return replace(gang, parameters=identity.apply(gang.parameters, namespace, self._rules))

    def rebuild(self, gang_id: GangId, instruction: do.RebuildJob) -> None:
        """Answers with the waiting job as it should be now, or not at all."""
        try:
            spec = self.build(instruction.gang, instruction.generation)
        except BadInput:
            return  # nothing better to say to Slurm: the job keeps what it has
        shortage = self._builder.shortage(spec, now=False) if instruction.explain else ""
        self._handle(gang_id, ev.JobRebuilt(spec, shortage))

    def shortage(self, spec: JobSpec) -> str:
        """Why no nodes of Slurm can ever take the job, with their present state; "" if that is
        not certain."""
        return self._builder.shortage(spec, now=True)

    def avoid(self, gang_id: GangId, instruction: do.AvoidNode) -> None:
        """Leaves the node out of the jobs of the gang's owner for a while; one that takes no pods
        now, at most until it does."""
        node = self._cluster.nodes.get(instruction.node)
        is_closed = node is not None and not node.takes_pods
        until_s = self._avoidance.add(
            self._owner_of(gang_id), instruction.node, self._clock.monotonic(),
            why=instruction.why, until_usable=instruction.until_usable or is_closed,
        )  # fmt: skip
        log.warning(
            "node.avoided", gang=gang_id, node=instruction.node, why=instruction.why,
            for_s=self._avoid_s,
        )  # fmt: skip
        delay_s = until_s - self._clock.monotonic()
        self._later(delay_s, partial(self._handle, gang_id, ev.NodesChanged()))

    def freed(self, nodes: Collection[NodeName]) -> Collection[GangId]:
        """Uses these nodes again, which have more room; returns the gangs that no longer leave out
        some of them. Room on a node that takes no pods does not count."""
        known = self._cluster.nodes
        return self._avoidance.freed(
            [name for name in nodes if name in known and known[name].takes_pods]
        )

    def left_out(self, gang_id: GangId) -> str:
        """The nodes that the gang's job leaves out for a while, and why; "" for none."""
        avoided = self._avoided(gang_id).items()
        return texts.some_of([f"{node} ({one.why})" for node, one in avoided], _NAMED)

    def _avoided(self, gang_id: GangId) -> Mapping[NodeName, Avoided]:
        return self._avoidance.nodes(self._owner_of(gang_id), gang_id, self._clock.monotonic())

    def _owner_of(self, gang_id: GangId) -> str:
        """Who makes the gang's pods, also those to come; the gang itself where nobody does. A
        reference says so within its namespace only."""
        for pod in self._cluster.pods_of(gang_id):
            if pod.owner is not None:
                return f"{pod.namespace}/{pod.owner.uid}"
        return gang_id
