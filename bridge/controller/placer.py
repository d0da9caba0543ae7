"""Places a gang's pods on the nodes that Slurm granted, by the room that is there now."""

from dataclasses import replace

import numpy as np

from bridge.clock import Clock
from bridge.jobs import jobspec
from bridge.lifecycle import events as ev
from bridge.lifecycle import instructions as do
from bridge.lifecycle import messages
from bridge.lifecycle.machine import GangMachine
from bridge.model.gang import Shortfall
from bridge.model.ids import NodeName
from bridge.model.job import Allocation
from bridge.placement import filters
from bridge.placement.filters import pod_term_reasons, pod_terms
from bridge.placement.fit.assign import assign
from bridge.placement.table.snapshot import NO_ROW
from bridge.state.kube_state import KubeState
from bridge.state.slurm_state import SlurmState
from bridge.telemetry import Metrics


class Placer:
    """Asks the placement core, and reserves the room of pods that are not bound yet."""

    def __init__(
        self,
        *,
        cluster: KubeState,
        slurm_state: SlurmState,
        rules: jobspec.Rules,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._cluster = cluster
        self._slurm_state = slurm_state
        self._rules = rules
        self._metrics = metrics
        self._clock = clock

    def place(self, machine: GangMachine, instruction: do.PlaceGang) -> ev.Placed | ev.NotPlaced:
        """Finds a node for each slot, or says why there is none."""
        began_s = self._clock.monotonic()
        known = machine.known
        facts = known.run.facts if known.run is not None else None
        partition = facts.partition if facts is not None else ""
        pods = known.demand.pods
        result = assign(
            self._cluster.table.snapshot(),
            self._usable(instruction),
            instruction.gang,
            by_slurm_name=self._cluster.by_slurm_name,
            resource_map=self._rules.resource_map.within(self._slurm_state.nodes.gres_names),
            taken=instruction.taken,
            shapes=instruction.gang.shapes if instruction.gang.is_mixed else None,
            topology=self._slurm_state.partitions.topologies.get(partition, ""),
            one_per_node=self._rules.alone(instruction.gang),
            holding=frozenset(pod.uid for pod in pods if pod.job_id == known.job_id),
        )
        self._metrics.placement_seconds.observe(self._clock.monotonic() - began_s)
        job_id = instruction.allocation.job_id
        if isinstance(result, Shortfall):
            if not result.for_now:
                self._metrics.grants_returned.inc()
            return ev.NotPlaced(job_id, result)
        first_s = min(pod.created_s for pod in pods)
        self._metrics.queue_seconds.observe(max(0.0, self._clock.time() - first_s))
        return ev.Placed(job_id, result)

    def _usable(self, instruction: do.PlaceGang) -> Allocation:
        """What the job holds, without the nodes that are nobody's place for now."""
        names = self._cluster.by_slurm_name
        nodes = instruction.allocation.nodes
        if instruction.without:
            nodes = tuple(one for one in nodes if names.get(one.node) not in instruction.without)
        return replace(instruction.allocation, nodes=nodes)

    def pin(self, instruction: do.PinPod) -> ev.Misfit | None:
        """Reserves the pod's room from now on; returns an event if the pod can't use its slot."""
        if self._cluster.is_lost(instruction.node):
            node = instruction.node
            return ev.Misfit(instruction.pod.uid, messages.lost_node(node), lost_node=node)
        why = self._misfit(instruction) or self._kept_away(instruction)
        if why:
            return ev.Misfit(instruction.pod.uid, why)
        self._cluster.pin(instruction.pod, instruction.node)
        return None

    def _misfit(self, instruction: do.PinPod) -> str | None:
        """Why the pod can't use its slot, which was placed before it was there.

        Only what lasts: a pod that still holds room on the node is about to go.
        """
        shape, slot = instruction.pod.shape, instruction.slot
        if shape == slot:
            return None
        more = shape.requests.beyond(slot.requests) if slot is not None else ()
        if more:
            return f"it asks for more {' and '.join(more)} than Slurm gave its slot"
        snapshot = self._cluster.table.snapshot()
        return filters.check_node(snapshot, shape, instruction.node, now=False)

    def _kept_away(self, instruction: do.PinPod) -> str | None:
        """Whose anti-affinity keeps the pod off the node, if it came late: others may have come
        before it. All other pods were looked at when they were placed."""
        pod = instruction.pod
        if not instruction.late or pod.identity is None:
            return None
        snapshot = self._cluster.table.snapshot()
        row = snapshot.row(instruction.node)
        away = pod_terms.kept_away(snapshot, pod.shape, pod.identity, ending=False)
        if row == NO_ROW or not away[row]:
            return None
        rows = np.array([row])
        reasons = pod_term_reasons.of_anti_affinity(snapshot, pod.shape, pod.identity, rows)
        return f"node {instruction.node}: {next(reasons)[1]}"

    def holds(self, machine: GangMachine, node: NodeName) -> bool:
        """Whether the gang's job holds the node: after a start a slot's node is what its pod says
        in an annotation."""
        known = self._cluster.nodes.get(node)
        run = machine.known.run
        allocation = None if run is None else run.allocation
        if known is None or allocation is None:
            return False
        return any(grant.node == known.slurm_name for grant in allocation.nodes)

    def pin_again(self, machine: GangMachine) -> None:
        """Reserves the room of pods that were pinned before a start, if the gang's job holds it."""
        known = machine.known
        for pod in known.demand.pods.under(known.job_id):
            if self.holds(machine, pod.pinned_node):
                self._cluster.pin(pod, pod.pinned_node)
