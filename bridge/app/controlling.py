"""The controller of gangs and nodes: built, begun, and only acting while it leads."""

import gc
import socket
from collections.abc import Callable
from functools import partial

from bridge import config, slurm
from bridge.admission.namespaces import NamespaceKeeper
from bridge.app import capacity_writers, rules
from bridge.app.connections import Connections
from bridge.app.parts import Begin, Checks, Tools
from bridge.app.readiness import Age
from bridge.app.watches import Watches
from bridge.capacity.controller import CapacityController
from bridge.controller import GangController, GangRules, Outages, Surroundings
from bridge.kube.api.events import EventRecorder
from bridge.lifecycle.events import NewNodes
from bridge.model.ids import GangId
from bridge.nodes.controller import NodeController
from bridge.nodes.performer import NodePerformer
from bridge.state.kube_state import KubeState
from bridge.state.slurm_state import SlurmState

_GANGS_S = 30.0
"""The loop that drives the gangs goes round every second."""
_SLURM_AWAY_S = 15.0
"""A Slurm that is away for a moment, as for a restart, is no reason to be not ready."""


class Controlling:
    """Both sides' state, and what acts on it. `identities_changed` hears which namespaces say
    something else of their Slurm user."""

    def __init__(
        self,
        settings: config.Settings,
        connections: Connections,
        tools: Tools,
        *,
        identities_changed: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._connections = connections
        self._tools = tools
        self._tell_identities_changed = identities_changed
        self._drives = False
        self.cluster = KubeState(
            scheduler_name=settings.scheduler_name,
            class_ignore_keys=settings.nodes.class_ignore_keys,
            block_sizes=settings.placement.block_sizes,
            most_gang_pods=settings.gangs.max_pods,
            want=lambda api_version, kind: self._watches.want(api_version, kind),
        )
        self.slurm_state = SlurmState()
        self._recorder = EventRecorder(
            connections.kube, clock=tools.clock, instance=socket.gethostname()
        )
        self.watcher = self._build_watcher()
        self.controller = self._build_controller()
        self.nodes = self._build_nodes()
        self._capacity = self._build_capacity()
        self._watches = Watches(
            settings,
            kube=connections.kube,
            cluster=self.cluster,
            changes=self.controller.changes,
            nodes=self.nodes,
            namespaces=NamespaceKeeper(
                self.cluster.namespaces, recorder=self._recorder, changed=self._identities_changed
            ),
            recorder=self._recorder,
            outage=tools.kubernetes_outage,
            clock=tools.clock,
        )
        self._show_ages()

    # -- the parts -----------------------------------------------------------------------------

    def _build_watcher(self) -> slurm.JobWatcher:
        said = self._settings.slurm
        return slurm.JobWatcher(
            self._connections.client,
            clock=self._tools.clock,
            poll_quick_s=said.poll_quick_s,
            poll_interval_s=said.poll_interval_s,
            detail_gets_per_s=said.detail_gets_per_s,
        )

    def _preemption_watch(self) -> slurm.PreemptionWatch:
        return slurm.PreemptionWatch(
            self._connections.client,
            self.watcher,
            grace_s=lambda job: self.slurm_state.partitions.grace_s.get(job.partition, 0),
            asks_per_s=self._settings.slurm.detail_gets_per_s,
            clock=self._tools.clock,
        )

    def _build_controller(self) -> GangController:
        tools = self._tools
        return GangController(
            Surroundings(
                cluster=self.cluster,
                slurm_state=self.slurm_state,
                client=self._connections.client,
                watcher=self.watcher,
                kube=self._connections.kube,
                recorder=self._recorder,
                cluster_uid=self._connections.cluster_uid,
                scheduler_name=self._settings.scheduler_name,
                outages=Outages(slurm=tools.slurm_outage, kubernetes=tools.kubernetes_outage),
                metrics=tools.metrics,
                clock=tools.clock,
            ),
            GangRules(
                translation=rules.translation(self._settings),
                limits=rules.shared_tasks(self._settings),
                tuning=rules.tuning(self._settings),
                kept_pods=self._settings.gangs.do_not_disrupt,
            ),
        )

    def _build_nodes(self) -> NodeController:
        performer = NodePerformer(
            cluster=self.cluster,
            client=self._connections.client,
            kube=self._connections.kube,
            recorder=self._recorder,
            scheduler_name=self._settings.scheduler_name,
            metrics=self._tools.metrics,
            clock=self._tools.clock,
        )
        return NodeController(
            cluster=self.cluster,
            slurm_state=self.slurm_state,
            client=self._connections.client,
            performer=performer,
            rules=rules.registration(self._settings, self._connections.cluster_uid),
            scheduler_name=self._settings.scheduler_name,
            interval_s=self._settings.nodes.interval_s,
            outage=self._tools.slurm_outage,
            changed=self.controller.changes.nodes_changed,
            slurm_room_changed=self.controller.changes.slurm_room_changed,
            classes_in_use=self.controller.gangs.classes_in_use,
            clock=self._tools.clock,
        )

    def _build_capacity(self) -> CapacityController:
        def tell(gang_id: GangId, note: str, *, event: str, here: bool) -> None:
            self.controller.loop.handle(gang_id, NewNodes(note, event, here))

        def tell_of_start(gang_id: GangId) -> None:
            if not self.controller.gangs.waits(gang_id):
                capacity.waits_no_longer(gang_id)

        writer, others = capacity_writers.build(
            self._settings, self._connections.kube, self.cluster
        )
        capacity = CapacityController(
            rules.capacity(self._settings),
            writer=writer,
            others=others,
            cluster=self.cluster,
            slurm_state=self.slurm_state,
            kube=self._connections.kube,
            needs=self.controller.lacking_nodes,
            tell=tell,
            clock=self._tools.clock,
        )
        self.controller.gangs.listen(tell_of_start)
        return capacity

    # -- readiness -------------------------------------------------------------------------------

    @property
    def checks(self) -> Checks:
        """Readiness, beside Slurm. Who does not lead has nothing to drive."""
        gangs_age = Age(
            what="the last round of the gangs",
            of=lambda: self.controller.alive_s if self._drives else 0.0,
            most_s=_GANGS_S,
            look_at="the log",
        )
        return {"kubernetes": self._watches.missing, "gangs": gangs_age.check}

    @property
    def slurm_checks(self) -> Checks:
        """What only is well while Slurm answers."""
        watcher, clock = self.watcher, self._tools.clock
        request_s = 2 * self._settings.slurm.request_timeout_s  # as slurm.http bounds one
        slurm_age = Age(
            what="the list of Slurm's jobs",
            of=lambda: clock.monotonic() - watcher.seen_s,
            most_s=max(_SLURM_AWAY_S, watcher.longest_pause_s + request_s),
            why=lambda: watcher.problem,
            look_at="slurmrestd, the token file and the log (outage.began)",
        )
        return {"slurm": slurm_age.check, "recovery": self._recovering}

    def _recovering(self) -> str:
        is_well = self.controller.recovered or not self._drives
        return "" if is_well else "gangs and jobs are being matched"

    def _show_ages(self) -> None:
        metrics, watcher, clock = self._tools.metrics, self.watcher, self._tools.clock
        metrics.age(metrics.poll_age, of=lambda: clock.monotonic() - watcher.seen_s)
        metrics.age(metrics.details_age, of=lambda: watcher.details_age_s)
        metrics.age(metrics.token_age, of=partial(self._connections.token.age_s, clock))
        for one in self._watches.reflectors:
            metrics.age(metrics.watch_age, one.name, of=partial(getattr, one, "last_contact_s"))

    def _identities_changed(self, namespaces: frozenset[str]) -> None:
        """Jobs that wait are told, those that were refused for it are tried again."""
        self._tell_identities_changed()
        if any(pod.namespace in namespaces for pod in self.cluster.pods.values()):
            self.controller.changes.nodes_changed()

    # -- life ------------------------------------------------------------------------------------

    def watch(self, begin: Begin) -> None:
        """Follow both sides; changes neither."""
        begin("feeds", self._watches.run)
        begin("events", self._recorder.run)
        begin("watcher", self.watcher.run)

    async def wait_for_kubernetes(self) -> None:
        """Until everything of Kubernetes has been listed once."""
        await self._watches.wait_for_sync()

    async def drive(self, begin: Begin) -> None:
        """Act: nodes first, gangs when all is known of both sides."""
        self._drives = True
        begin("runner", self.controller.run)
        await self.wait_for_kubernetes()
        gc.collect()
        gc.freeze()  # what was listed lives long: no collection needs to walk it again
        begin("nodes", self.nodes.run)
        # What the last leader submitted a moment ago must be known before gangs are recovered.
        await self.watcher.wait_for_look()
        begin("preemption", self._preemption_watch().run)
        begin("recovery", self.controller.recovery.run)
        begin("capacity", self._capacity.run)

    async def drain(self) -> None:
        """Start no more requests; return when those in flight are answered."""
        await self.controller.drain()
