"""The parts that drive the gangs, each built after the parts that it needs.

Each part is handed what it needs and knows no other. The one circle, events → instructions →
events, is closed by `GangLoop.connect`.
"""

from dataclasses import dataclass
from functools import partial

from bridge import slurm
from bridge.clock import Clock
from bridge.controller.active_gangs import ActiveGangs
from bridge.controller.cluster_changes import ClusterChanges
from bridge.controller.faults import Faults
from bridge.controller.gang_jobs import GangJobs
from bridge.controller.gang_loop import GangLoop
from bridge.controller.job_canceller import JobCanceller
from bridge.controller.job_claims import JobClaims
from bridge.controller.job_index import JobIndex, job_observed
from bridge.controller.job_proof import JobProof
from bridge.controller.job_shrinker import JobShrinker
from bridge.controller.job_submitter import JobSubmitter
from bridge.controller.job_updater import JobUpdater
from bridge.controller.placer import Placer
from bridge.controller.pod_events import PodEvents
from bridge.controller.pod_writer import KeptPods, PodWriter
from bridge.controller.pool import Pool
from bridge.controller.room_watch import RoomWatch
from bridge.controller.start_gate import StartGate
from bridge.controller.timers import Later, Timers, call_later
from bridge.controller.turns import Turns
from bridge.jobs import jobspec, tasks
from bridge.jobs.builder import JobBuilder
from bridge.jobs.full_nodes import FullNodes
from bridge.jobs.node_constraints import NodeConstraints
from bridge.jobs.workload_status import workload_status
from bridge.kube.api.client import KubeClient
from bridge.kube.api.events import EventRecorder
from bridge.lifecycle.tuning import Tuning
from bridge.model.ids import PodUid, SlurmJobId
from bridge.state.kube_state import KubeState
from bridge.state.slurm_state import SlurmState
from bridge.telemetry import Metrics, OutageLog

_TO_KUBERNETES, _TO_SLURM = 24, 8
"""The most requests at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outages:
    """The logs of each side's outages."""

    slurm: OutageLog
    kubernetes: OutageLog


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all parts need: the two clients, and what is known of both sides."""

    cluster: KubeState
    slurm_state: SlurmState
    client: slurm.SlurmClient
    watcher: slurm.JobWatcher
    kube: KubeClient
    recorder: EventRecorder
    cluster_uid: str
    scheduler_name: str
    outages: Outages
    metrics: Metrics
    clock: Clock
    later: Later = call_later


@dataclass(frozen=True, slots=True, kw_only=True)
class GangRules:
    """The settings for gangs."""

    translation: jobspec.Rules
    limits: tasks.Limits
    tuning: Tuning
    kept_pods: KeptPods = "none"
    """The pods whose nodes autoscalers are asked not to remove."""


class GangParts:
    """The gangs, and the loop that hands them their events."""

    def __init__(self, around: Surroundings) -> None:
        self.faults = Faults()
        self.claims = JobClaims()
        self.timers = Timers(later=around.later, clock=around.clock)
        self.turns = Turns(clock=around.clock)
        self.gangs = ActiveGangs(
            faults=self.faults, claims=self.claims, timers=self.timers, metrics=around.metrics
        )
        self.proof = JobProof(
            cluster_uid=around.cluster_uid, cluster=around.cluster, gangs=self.gangs
        )
        self.loop = GangLoop(self.gangs, metrics=around.metrics, clock=around.clock)
        self.changes = ClusterChanges(
            cluster=around.cluster,
            slurm_state=around.slurm_state,
            gangs=self.gangs,
            turns=self.turns,
        )


class PodParts:
    """The parts for pods: their places, and what is written to them."""

    def __init__(self, around: Surroundings, rules: GangRules, of_gangs: GangParts) -> None:
        self.pool = Pool(workers=_TO_KUBERNETES)
        self.events = PodEvents(around.recorder)
        self.writer = PodWriter(
            cluster=around.cluster,
            kube=around.kube,
            pool=self.pool,
            events=self.events,
            scheduler_name=around.scheduler_name,
            kept=rules.kept_pods,
            handle=of_gangs.loop.handle,
            failed=of_gangs.loop.failed,
            mark_dirty=of_gangs.changes.mark_dirty,
            outage=around.outages.kubernetes,
            metrics=around.metrics,
            clock=around.clock,
        )
        self.placer = Placer(
            cluster=around.cluster,
            slurm_state=around.slurm_state,
            rules=rules.translation,
            metrics=around.metrics,
            clock=around.clock,
        )


class JobParts:
    """The parts for jobs: which gang's they are, what each asks for, and what is done in Slurm."""

    def __init__(
        self, around: Surroundings, rules: GangRules, of_gangs: GangParts, of_pods: PodParts
    ) -> None:
        self.pool = Pool(workers=_TO_SLURM)
        self.gate = StartGate(
            gangs=of_gangs.gangs,
            claims=of_gangs.claims,
            pin_again=of_pods.placer.pin_again,
            handle=of_gangs.loop.handle,
            failed=of_gangs.loop.failed,
        )
        self.canceller = JobCanceller(
            client=around.client,
            pool=self.pool,
            done=around.watcher.trigger,
            outage=around.outages.slurm,
            later=around.later,
        )
        self.index = _index(around, of_gangs, self.canceller, self.gate)
        node_constraints = NodeConstraints(
            cluster=around.cluster,
            slurm_state=around.slurm_state,
            resource_map=rules.translation.resource_map,
        )
        full_nodes = FullNodes(
            cluster=around.cluster,
            slurm_state=around.slurm_state,
            resource_map=rules.translation.resource_map,
        )
        self.room_watch = RoomWatch(
            full_nodes=full_nodes,
            waits=of_gangs.gangs.waits,
            tell=of_gangs.changes.job_changed,
            later=around.later,
        )
        builder = _builder(around, rules, of_gangs, node_constraints, full_nodes)
        self.of_gangs = _gang_jobs(around, rules, of_gangs, builder, self.room_watch)
        self.submitter = JobSubmitter(
            client=around.client,
            pool=self.pool,
            build=self.of_gangs.build,
            shortage=self.of_gangs.shortage,
            left_out=self.of_gangs.left_out,
            has_room=lambda gang: node_constraints.has_room(gang.shape, gang.size),
            submitted=self.index.submitted,
            handle=of_gangs.loop.handle,
            failed=of_gangs.loop.failed,
            outage=around.outages.slurm,
            metrics=around.metrics,
            clock=around.clock,
        )
        self.updater = JobUpdater(
            client=around.client,
            pool=self.pool,
            handle=of_gangs.loop.handle,
            failed=of_gangs.loop.failed,
        )
        self.shrinker = JobShrinker(
            client=around.client,
            pool=self.pool,
            cluster=around.cluster,
            slurm_state=around.slurm_state,
            reread=around.watcher.reread,
            handle=of_gangs.loop.handle,
            failed=of_gangs.loop.failed,
        )


def _index(
    around: Surroundings, of_gangs: GangParts, canceller: JobCanceller, gate: StartGate
) -> JobIndex:
    return JobIndex(
        proof=of_gangs.proof,
        watcher=around.watcher,
        gangs=of_gangs.gangs,
        claims=of_gangs.claims,
        canceller=canceller,
        handle=of_gangs.loop.handle,
        failed=of_gangs.loop.failed,
        settled=gate.release,
        observed=partial(job_observed, cluster=around.cluster, clock=around.clock),
        outage=around.outages.slurm,
    )


def _builder(
    around: Surroundings,
    rules: GangRules,
    of_gangs: GangParts,
    node_constraints: NodeConstraints,
    full_nodes: FullNodes,
) -> JobBuilder:
    cluster, gangs = around.cluster, of_gangs.gangs

    def job_of(pod: PodUid) -> SlurmJobId | None:
        return gangs.job_of(cluster.gang_of(pod))

    return JobBuilder(
        cluster_uid=around.cluster_uid,
        node_constraints=node_constraints,
        full_nodes=full_nodes,
        slurm_state=around.slurm_state,
        rules=rules.translation,
        limits=rules.limits,
        resolve=partial(workload_status, cluster=cluster, job_of=job_of),
    )


def _gang_jobs(
    around: Surroundings,
    rules: GangRules,
    of_gangs: GangParts,
    builder: JobBuilder,
    room_watch: RoomWatch,
) -> GangJobs:
    return GangJobs(
        builder=builder,
        room_watch=room_watch,
        cluster=around.cluster,
        rules=rules.translation.identity,
        avoid_s=rules.tuning.patience.avoid_s,
        handle=of_gangs.loop.handle,
        later=around.later,
        clock=around.clock,
    )
