"""What Kubernetes tells, brought to where it is kept, and on to whoever waits for it."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import structlog

from bridge import config, telemetry
from bridge.admission.namespaces import NamespaceKeeper
from bridge.app import readiness, rules
from bridge.clock import Clock
from bridge.controller.cluster_changes import ClusterChanges
from bridge.errors import BadInput
from bridge.kube.api.client import KubeClient
from bridge.kube.api.events import EventRecorder, ObjectRef
from bridge.kube.api.reflector import Change, Deleted, Reflector, Replaced, Upserted
from bridge.kube.objects import namespaces as kube_namespaces
from bridge.kube.objects import nodes as kube_nodes
from bridge.kube.objects import pods as kube_pods
from bridge.kube.objects import volumes as kube_volumes
from bridge.kube.owner_watches import OwnerWatches
from bridge.model.namespace import Namespace
from bridge.model.node import Node
from bridge.model.owner import Owner, OwnerKey, Settled
from bridge.model.pod import Pod
from bridge.model.volume import ClaimKey
from bridge.nodes.controller import NodeController
from bridge.state.kube_state import KubeState

log = structlog.get_logger(__name__)

Row = TypeVar("Row")
_FREE_VOLUMES_S = 1.0


class Watches:
    """The watches of the API server. `want` is asked for kinds of owners."""

    def __init__(
        self,
        settings: config.Settings,
        *,
        kube: KubeClient,
        cluster: KubeState,
        changes: ClusterChanges,
        nodes: NodeController,
        namespaces: NamespaceKeeper,
        recorder: EventRecorder,
        outage: telemetry.OutageLog,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._kube = kube
        self._cluster = cluster
        self._changes = changes
        self._nodes = nodes
        self._namespaces = namespaces
        self._recorder = recorder
        self._outage = outage
        self._clock = clock
        self._owners = OwnerWatches(
            kube,
            clock=clock,
            sink=self._on_owner,
            settled=self._on_kind_settled,
            refused=self._on_refused_owner,
            kinds=settings.workloads.role_kinds,
            outage=outage,
        )
        self.reflectors = self._build_reflectors()

    def want(self, api_version: str, kind: str) -> None:
        """Owners of this kind are to be watched from now on."""
        self._owners.want(api_version, kind)

    def missing(self) -> str:
        """What has not been listed yet, or is out of step with the API server; "" for neither."""
        waiting = [one for one in self.reflectors if not one.synced]
        if waiting:
            problem = next((f": {one.problem}" for one in waiting if one.problem), "")
            return f"not listed yet: {', '.join(one.name for one in waiting)}{problem}"
        stale = [one for one in self.reflectors if one.in_step_s > one.in_step_within_s]
        if not stale:
            return ""
        oldest = max(stale, key=lambda one: one.in_step_s)
        return readiness.Age(
            what=f"what is known of {', '.join(one.name for one in stale)}",
            of=lambda: oldest.in_step_s,
            most_s=oldest.in_step_within_s,
            why=lambda: oldest.problem,
            look_at="the log (reflector.retrying) and the way to the API server",
        ).check()

    async def wait_for_sync(self) -> None:
        """Until everything has been listed once."""
        await asyncio.gather(*(one.wait_for_sync() for one in self.reflectors))

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._owners.run(), name="owners")
            for reflector in self.reflectors:
                group.create_task(reflector.run(), name=f"reflector {reflector.name}")
            group.create_task(self._follow_free_volumes(), name="free volumes")

    def _build_reflectors(self) -> list[Reflector[Any]]:
        ours = self._settings.scheduler_name
        told: Any = {"clock": self._clock, "outage": self._outage}
        volumes = self._cluster.volumes
        return [
            Reflector(
                self._kube, path="/api/v1/nodes", name="nodes",
                parse=kube_nodes.parser(rules.node_signs(self._settings)),
                key=lambda node: node.name, sink=self._on_node, **told,
            ),
            Reflector(
                self._kube, path="/api/v1/namespaces", parse=kube_namespaces.parse,
                name="namespaces", key=lambda row: row.name, sink=self._on_namespace, **told,
            ),
            Reflector(
                self._kube, path=kube_volumes.CLASSES_PATH, parse=kube_volumes.parse_class,
                name="storage-classes", key=lambda row: row.name, sink=self._volumes_sink(
                    volumes.replace_classes, volumes.upsert_class,
                    lambda row: volumes.remove_class(row.name),
                ), **told,
            ),
            Reflector(
                self._kube, path=kube_volumes.VOLUMES_PATH, parse=kube_volumes.parse_volume,
                name="volumes", key=lambda row: row.name, sink=self._volumes_sink(
                    volumes.replace_volumes, volumes.upsert_volume,
                    lambda row: volumes.remove_volume(row.name),
                ), **told,
            ),
            Reflector(
                self._kube, path=kube_volumes.CLAIMS_PATH, parse=kube_volumes.parse_claim,
                name="claims", key=lambda row: row.key, sink=self._volumes_sink(
                    volumes.replace_claims, volumes.upsert_claim,
                    lambda row: volumes.remove_claim(row.key),
                ), **told,
            ),
            Reflector(
                self._kube, path=kube_pods.PATH, name="pods",
                parse=kube_pods.parser(self._settings.workloads.pod_labels),
                key=lambda pod: pod.uid, sink=self._on_pod,
                params={"fieldSelector": f"spec.schedulerName={ours}"},
                refused=self._on_refused_pod, **told,
            ),
            Reflector(
                self._kube, path=kube_pods.PATH, parse=kube_pods.parse, name="other-pods",
                key=lambda pod: pod.uid, sink=self._on_other_pod,
                params=kube_pods.bound_by_others(ours), **told,
            ),
        ]  # fmt: skip

    def _on_namespace(self, change: Change[Namespace]) -> None:
        self._namespaces.take(change)
        self._changes.pods_changed()

    def _on_pod(self, change: Change[Pod]) -> None:
        match change:
            case Replaced(rows):
                self._changes.mark_dirty(self._cluster.replace_pods(rows))
            case Upserted(row):
                self._changes.mark_dirty(self._cluster.upsert_pod(row))
            case Deleted(row):
                self._changes.mark_dirty(self._cluster.remove_pod(row.uid))
        self._look_for_room()

    def _on_other_pod(self, change: Change[Pod]) -> None:
        match change:
            case Replaced(rows):
                self._cluster.replace_others(rows)
            case Upserted(row):
                self._cluster.upsert_other(row)
            case Deleted(row):
                self._cluster.remove_other(row.uid)
        self._look_for_room()

    def _look_for_room(self) -> None:
        freed = self._cluster.freed_nodes()
        if freed:
            self._changes.room_changed(freed)
        self._changes.pods_changed()

    def _on_refused_pod(self, raw: Mapping[str, object], error: BadInput) -> None:
        self._tell_unreadable("Pod", "v1", raw, f"{error}; it is not queued in Slurm")

    def _on_refused_owner(
        self, kind: str, api_version: str, raw: Mapping[str, object], error: BadInput
    ) -> None:
        note = f"{error}; its pods are queued as if they had no owner"
        self._tell_unreadable(kind, api_version, raw, note)

    def _tell_unreadable(
        self, kind: str, api_version: str, raw: Mapping[str, object], note: str
    ) -> None:
        """Where its author looks; the log has it from the reflector."""
        meta = raw.get("metadata")
        if not isinstance(meta, Mapping):
            return
        namespace, name, uid = (str(meta.get(key) or "") for key in ("namespace", "name", "uid"))
        self._recorder.emit(
            regarding=ObjectRef(kind, api_version, namespace, name, uid),
            type="Warning",
            reason="UnreadableForSlurm",
            note=note,
            action="Read",
        )

    def _on_owner(self, key: OwnerKey, change: Change[Owner]) -> None:
        match change:
            case Replaced(rows):
                self._changes.mark_dirty(self._cluster.replace_owners(key, rows))
            case Upserted(row):
                self._changes.mark_dirty(self._cluster.upsert_owner(row))
            case Deleted(row):
                self._changes.mark_dirty(self._cluster.remove_owner(row.uid))

    def _on_kind_settled(self, key: OwnerKey, how: Settled) -> None:
        self._changes.mark_dirty(self._cluster.settle_kind(key, how))

    def _volumes_sink(
        self,
        replace: Callable[[Iterable[Row]], set[ClaimKey]],
        upsert: Callable[[Row], set[ClaimKey]],
        remove: Callable[[Row], set[ClaimKey]],
    ) -> Callable[[Change[Row]], None]:
        def sink(change: Change[Row]) -> None:
            match change:
                case Replaced(rows):
                    claims = replace(rows)
                case Upserted(row):
                    claims = upsert(row)
                case Deleted(row):
                    claims = remove(row)
            self._changes.volumes_changed(self._cluster.volumes_changed(claims))

        return sink

    async def _follow_free_volumes(self) -> None:
        while True:
            await self._clock.sleep(_FREE_VOLUMES_S)
            claims = self._cluster.volumes.concerned_by_free()
            self._changes.volumes_changed(self._cluster.volumes_changed(claims))

    def _on_node(self, change: Change[Node]) -> None:
        match change:
            case Replaced(rows):
                self._cluster.replace_nodes(rows)
            case Upserted(row):
                if not self._cluster.upsert_node(row):
                    return
            case Deleted(row):
                self._cluster.remove_node(row.name)
        self._nodes.mark_dirty()
        self._changes.room_changed(self._cluster.freed_nodes())
