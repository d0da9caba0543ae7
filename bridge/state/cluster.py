"""Kubernetes' side of the truth, kept by the reflectors' changes.

Every write returns the gangs it touched, so that whoever drives the gangs looks at those only.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from bridge import names
from bridge.errors import BadInput
from bridge.model.gang import Gang
from bridge.model.ids import GangId, NodeName, PodUid, SlurmNodeName
from bridge.model.namespace import Namespace
from bridge.model.node import Node
from bridge.model.owner import BatchJob
from bridge.model.pod import Pod
from bridge.model.scheduling import PodShape
from bridge.placement.table import NodeTable
from bridge.workloads import gangs


@dataclass(slots=True)
class Members:
    """The pods of one gang and what holds them together."""

    pods: set[PodUid] = field(default_factory=set)
    job_uid: str = ""
    """uid of the Job that owns them, "" for none."""
    shape: PodShape | None = None
    """What the pods asked for before they were pinned (a pin is written into their affinity)."""


class Cluster:
    """Pods that name our scheduler, the Jobs that own them, nodes and what holds their room."""

    def __init__(
        self,
        *,
        scheduler_name: str,
        class_ignore_keys: Collection[str] = (),
        block_sizes: Mapping[str, Sequence[int]] = MappingProxyType({}),
    ) -> None:
        self.table = NodeTable(
            class_ignore_keys=class_ignore_keys,
            scheduler_name=scheduler_name,
            block_sizes=block_sizes,
        )
        self.pods: dict[PodUid, Pod] = {}
        self.jobs: dict[str, BatchJob] = {}
        self.nodes: dict[NodeName, Node] = {}
        self.namespaces: dict[str, Namespace] = {}
        self.by_slurm_name: dict[SlurmNodeName, NodeName] = {}
        self.members: dict[GangId, Members] = {}
        self._gang_of: dict[PodUid, GangId] = {}
        self._orphans: dict[str, set[PodUid]] = {}
        """Pods whose owning Job is not known yet, by its uid."""
        self._others: dict[PodUid, tuple[NodeName, PodShape]] = {}

    # -- pods ----------------------------------------------------------------------------------

    def gang_of(self, pod: PodUid) -> GangId | None:
        """The gang of a pod that we know."""
        return self._gang_of.get(pod)

    def upsert_pod(self, pod: Pod) -> set[GangId]:
        """Take in a pod's newest row; an older one than we have is ignored."""
        known = self.pods.get(pod.uid)
        if known is not None and _older(pod.resource_version, known.resource_version):
            return set()
        self.pods[pod.uid] = pod
        self._hold_room(pod)
        gang_id = self._gang_of.get(pod.uid) or self._join(pod)
        return set() if gang_id is None else {gang_id}

    def answered(self, pod: Pod) -> set[GangId]:
        """Take in what a write of ours came back with; a pod that has gone meanwhile stays gone."""
        return self.upsert_pod(pod) if pod.uid in self.pods else set()

    def remove_pod(self, uid: PodUid) -> set[GangId]:
        """The pod is gone from the API server."""
        pod = self.pods.pop(uid, None)
        self.table.vacate(uid)
        if pod is not None and pod.owner is not None:
            self._orphans.get(pod.owner.uid, set()).discard(uid)
        gang_id = self._gang_of.pop(uid, None)
        if gang_id is None:
            return set()
        self.members[gang_id].pods.discard(uid)
        return {gang_id}

    def replace_pods(self, rows: Iterable[Pod]) -> set[GangId]:
        """A whole list: what is not in it is gone."""
        touched: set[GangId] = set()
        listed = {pod.uid: pod for pod in rows}
        for uid in self.pods.keys() - listed.keys():
            touched |= self.remove_pod(uid)
        for pod in listed.values():
            touched |= self.upsert_pod(pod)
        return touched

    def forget(self, gang_id: GangId) -> None:
        """Drop what is kept of a gang that has no pods any more."""
        members = self.members.get(gang_id)
        if members is not None and not members.pods:
            del self.members[gang_id]

    def _join(self, pod: Pod) -> GangId | None:
        job = None
        if pod.owner is not None and pod.owner.kind == "Job":
            job = self.jobs.get(pod.owner.uid)
            if job is None:
                self._orphans.setdefault(pod.owner.uid, set()).add(pod.uid)
                return None
        try:
            gang_id = gangs.id_of(pod, job)
        except BadInput:
            gang_id = GangId(pod.uid)
        members = self.members.setdefault(gang_id, Members())
        members.pods.add(pod.uid)
        members.job_uid = job.uid if job is not None else ""
        self._gang_of[pod.uid] = gang_id
        return gang_id

    def _hold_room(self, pod: Pod) -> None:
        node = pod.node_name or NodeName(pod.annotations.get(names.NODE_ANNOTATION, ""))
        pinned = pod.node_name or (pod.job_id is not None and not pod.deleting)
        if node and pinned and not pod.ended:
            self.table.occupy(pod.uid, node, pod.shape)
        else:
            self.table.vacate(pod.uid)

    # -- pods of others: they only take room ---------------------------------------------------

    def upsert_other(self, pod: Pod) -> None:
        """A bound pod of another scheduler."""
        if pod.node_name and not pod.ended:
            self._others[pod.uid] = (pod.node_name, pod.shape)
            self.table.occupy(pod.uid, pod.node_name, pod.shape)
        else:
            self.remove_other(pod.uid)

    def remove_other(self, uid: PodUid) -> None:
        """It holds nothing any more."""
        if self._others.pop(uid, None) is not None:
            self.table.vacate(uid)

    def replace_others(self, rows: Iterable[Pod]) -> None:
        """A whole list of them."""
        listed = {pod.uid: pod for pod in rows}
        for uid in self._others.keys() - listed.keys():
            self.remove_other(uid)
        for pod in listed.values():
            self.upsert_other(pod)

    def others(self) -> Iterable[tuple[NodeName, PodShape]]:
        """(node, shape) of each of them."""
        return self._others.values()

    # -- owners --------------------------------------------------------------------------------

    def upsert_job(self, job: BatchJob) -> set[GangId]:
        """A batch Job; pods that waited for it find their gang."""
        self.jobs[job.uid] = job
        touched = {GangId(job.uid)} & self.members.keys()
        for uid in self._orphans.pop(job.uid, set()):
            if uid in self.pods:
                joined = self._join(self.pods[uid])
                if joined is not None:
                    touched.add(joined)
        return touched

    def remove_job(self, uid: str) -> set[GangId]:
        """The Job is gone; its pods follow by garbage collection."""
        self.jobs.pop(uid, None)
        return {GangId(uid)} & self.members.keys()

    def replace_jobs(self, rows: Iterable[BatchJob]) -> set[GangId]:
        """A whole list of Jobs."""
        touched: set[GangId] = set()
        listed = {job.uid: job for job in rows}
        for uid in self.jobs.keys() - listed.keys():
            touched |= self.remove_job(uid)
        for job in listed.values():
            touched |= self.upsert_job(job)
        return touched

    # -- nodes ---------------------------------------------------------------------------------

    def upsert_node(self, node: Node) -> bool:
        """A node's newest row; False when it says nothing new (heartbeats)."""
        known = self.nodes.get(node.name)
        if known is not None and replace(known, resource_version=node.resource_version) == node:
            return False
        if known is not None and known.slurm_name != node.slurm_name:
            self.by_slurm_name.pop(known.slurm_name, None)
        self.nodes[node.name] = node
        self.by_slurm_name[node.slurm_name] = node.name
        self.table.upsert(node)
        return True

    def remove_node(self, name: NodeName) -> None:
        """The node is gone from the API server."""
        node = self.nodes.pop(name, None)
        if node is not None:
            self.by_slurm_name.pop(node.slurm_name, None)
            self.table.remove(name)

    def replace_nodes(self, rows: Iterable[Node]) -> None:
        """A whole list of nodes."""
        listed = {node.name: node for node in rows}
        for name in self.nodes.keys() - listed.keys():
            self.remove_node(name)
        for node in listed.values():
            self.upsert_node(node)

    # -- gangs ---------------------------------------------------------------------------------

    def pods_of(self, gang_id: GangId) -> tuple[Pod, ...]:
        """The gang's pods that exist."""
        members = self.members.get(gang_id)
        return () if members is None else tuple(self.pods[uid] for uid in sorted(members.pods))

    def job_of(self, gang_id: GangId) -> BatchJob | None:
        """The Job that owns the gang's pods."""
        members = self.members.get(gang_id)
        return None if members is None else self.jobs.get(members.job_uid)

    def gang(self, gang_id: GangId) -> Gang | None:
        """What the gang asks for now; None while it has no pods. Raises BadInput."""
        pods = self.pods_of(gang_id)
        if not pods:
            return None
        members = self.members[gang_id]
        unpinned = [pod for pod in pods if pod.job_id is None and not pod.ended]
        if unpinned:
            members.shape = gangs.largest(unpinned)
        return gangs.gang_of(pods, self.job_of(gang_id), shape=members.shape)

    def is_single(self, gang_id: GangId) -> bool:
        """Whether the gang is one pod whose uid is the gang's id."""
        members = self.members.get(gang_id)
        return members is None or gang_id != members.job_uid


def _older(version: str, than: str) -> bool:
    """resourceVersions are comparable numbers (KEP-5504); anything else is taken as newer."""
    if version.isdigit() and than.isdigit():
        return int(version) < int(than)
    return False
