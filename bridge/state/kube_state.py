"""Kubernetes' side of the truth, updated by the reflectors' changes.

Every write returns the gangs it touched, so that whoever drives the gangs looks at those only.
"""

from collections.abc import Collection, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from bridge.gangs import demand, membership, reach
from bridge.gangs.index import GangIndex, GangRecord
from bridge.gangs.indexed import Indexed
from bridge.gangs.mounts import Mounts
from bridge.gangs.owners import Owners, Want
from bridge.gangs.volumes import Volumes
from bridge.model.gang import Gang
from bridge.model.ids import GangId, NodeName, PodUid
from bridge.model.job import Allocation
from bridge.model.namespace import Namespace
from bridge.model.node import Node
from bridge.model.owner import Owner, OwnerKey, Settled
from bridge.model.pod import Pod
from bridge.model.scheduling import PodShape, Taint
from bridge.model.volume import ClaimKey
from bridge.placement.table import NodeTable
from bridge.state import slurm_names
from bridge.state.namespace_rows import NamespaceRows


class KubeState:
    """Pods that name our scheduler, their owners, nodes, and what uses the nodes' resources.

    `want` is called with (apiVersion, kind) of owners that are to be watched from now on.
    """

    def __init__(
        self,
        *,
        scheduler_name: str,
        class_ignore_keys: Collection[str] = (),
        block_sizes: Mapping[str, Sequence[int]] = MappingProxyType({}),
        most_gang_pods: int = demand.MOST_PODS,
        want: Want = lambda api_version, kind: None,
    ) -> None:
        self.table = NodeTable(
            class_ignore_keys=class_ignore_keys,
            scheduler_name=scheduler_name,
            block_sizes=block_sizes,
        )
        self.pods: dict[PodUid, Pod] = {}
        self._named: Indexed[tuple[str, str], PodUid] = Indexed()
        """Pods by (namespace, name): a new pod may come under a name while the old one goes."""
        self.nodes: dict[NodeName, Node] = {}
        self.namespaces: MutableMapping[str, Namespace] = NamespaceRows(self.table)
        self.by_slurm_name = slurm_names.SlurmNames()
        self.volumes = Volumes()
        """Storage objects; whoever changes them passes the returned claims to `volumes_changed`."""
        self._unlooked: set[PodUid] = set()
        """Pods whose claims may have changed."""
        self._to_come: set[GangId] = set()
        """Gangs whose future pods will mount claims that may have changed."""
        self._mounts = Mounts(self.volumes)
        self._owners = Owners(want)
        self._index = GangIndex(
            self.pods, self._owners, scheduler_name=scheduler_name, most_pods=most_gang_pods
        )
        self._managed = Taint.managed(scheduler_name)
        self._others: dict[PodUid, tuple[NodeName, PodShape, str] | None] = {}

    # -- pods ----------------------------------------------------------------------------------

    def gang_of(self, pod: PodUid) -> GangId | None:
        """The gang of a pod; None if it is not known."""
        return self._index.gang_of(pod)

    def upsert_pod(self, pod: Pod) -> set[GangId]:
        """Take in a pod's newest row; an older one than we have is ignored."""
        known = self.pods.get(pod.uid)
        if known is not None and _older(pod.resource_version, known.resource_version):
            return set()
        return self._take_in(pod)

    def pod_named(self, namespace: str, name: str) -> Pod | None:
        """The newest pod of that name."""
        found = [self.pods[uid] for uid in self._named.of((namespace, name))]
        return max(found, key=lambda pod: pod.created_s, default=None)

    def _take_in(self, pod: Pod) -> set[GangId]:
        self._named.add((pod.namespace, pod.name), pod.uid)
        try:
            pod = self._mounts.add(pod)
            self._unlooked.discard(pod.uid)
            self.pods[pod.uid] = pod
            self._hold_room(pod)
        except Exception as error:
            self.pods[pod.uid] = pod
            return self._index.fail(pod, error)
        return self._index.join(pod)

    def take_in_again(self, gang_id: GangId) -> set[GangId]:
        """Takes in the gang's pods again if the bridge failed at them; returns touched gangs."""
        pods = self.pods_of(gang_id) if self._index.has_failed(gang_id) else ()
        return {touched for pod in pods for touched in self._take_in(pod)}

    def answered(self, pod: Pod) -> set[GangId]:
        """Takes in the answer to a write of ours; a pod that is gone meanwhile stays gone."""
        return self.upsert_pod(pod) if pod.uid in self.pods else set()

    def remove_pod(self, uid: PodUid) -> set[GangId]:
        """Drops a pod that is gone from the API server."""
        pod = self.pods.pop(uid, None)
        if pod is not None:
            self._named.discard((pod.namespace, pod.name), uid)
            self._unlooked.discard(uid)
            self._mounts.drop(pod)
        self.table.vacate(uid)
        return self._index.leave(uid)

    def replace_pods(self, rows: Iterable[Pod]) -> set[GangId]:
        """Takes in a complete list of pods: pods that are not in it are gone."""
        touched: set[GangId] = set()
        listed = {pod.uid: pod for pod in sorted(rows, key=lambda pod: (pod.created_s, pod.name))}
        for uid in self.pods.keys() - listed.keys():
            touched |= self.remove_pod(uid)
        for pod in listed.values():
            touched |= self.upsert_pod(pod)
        return touched

    def forget(self, gang_id: GangId) -> None:
        """Drop what is kept of a gang that has no pods any more."""
        self._index.forget(gang_id)
        self._mounts.forget(gang_id)
        self._to_come.discard(gang_id)

    def _hold_room(self, pod: Pod) -> None:
        """Of a pod that is bound. One that is pinned holds what its gang gave it (`pin`), not what
        it says itself; one that will never be bound holds nothing."""
        if pod.node_name and not pod.ended:
            self.table.occupy(
                pod.uid, pod.node_name, pod.shape, ending=pod.deleting, identity=pod.identity
            )
        elif pod.ended or pod.deleting:
            self.table.vacate(pod.uid)

    def pin(self, pod: Pod, node: NodeName) -> None:
        """Reserves the node's room for the pod, which its gang has placed there."""
        if not pod.node_name:
            self.table.occupy(pod.uid, node, pod.shape, identity=pod.identity)

    def unpin(self, pod: Pod) -> None:
        """Gives the room back: the pod was not pinned there after all."""
        if not pod.node_name:
            self.table.vacate(pod.uid)

    def lost_pods(self, gang_id: GangId) -> frozenset[PodUid]:
        """The gang's deleted pods that can't end: their node is gone or does not answer."""
        return frozenset(
            pod.uid
            for pod in self.pods_of(gang_id)
            if pod.deleting and not pod.ended and self.is_lost(pod.node_name)
        )

    def is_lost(self, name: NodeName) -> bool:
        """Whether the node ("" for none) is gone or does not answer."""
        node = self.nodes.get(name)
        return bool(name) and (node is None or not node.ready)

    def split_off(self, uid: PodUid) -> set[GangId]:
        """The pod is a gang of its own from now on."""
        return self._index.split_off(uid)

    # -- volumes -------------------------------------------------------------------------------

    def volumes_changed(self, claims: Collection[ClaimKey]) -> set[GangId]:
        """Notes that these claims, or what they are bound to, may have changed: the gangs for which
        `look_at_volumes` is to be called.

        Any number of pods may mount a claim, so nothing more is done for them at once.
        """
        to_come, uids = self._mounts.gangs_of(claims), self._mounts.of(claims)
        self._to_come |= to_come
        self._unlooked |= uids
        gangs = (self._index.gang_of(uid) for uid in uids)
        return to_come | {gang_id for gang_id in gangs if gang_id is not None}

    def look_at_volumes(self, gang_id: GangId) -> set[GangId]:
        """Takes changed claims into the gang's pods; returns the gangs that this touches."""
        touched = {gang_id} & self._to_come
        self._to_come -= touched
        for known in self.pods_of(gang_id) if self._unlooked else ():
            uid = known.uid
            if uid not in self._unlooked:
                continue
            waited_for = self._mounts.waits_for(uid)
            pod = self._mounts.add(known)
            self._unlooked.discard(uid)
            if pod.shape != known.shape or self._mounts.waits_for(uid) != waited_for:
                self.pods[uid] = pod
                touched |= self._index.join(pod)
        return touched

    def waits_for(self, gang_id: GangId) -> str:
        """Why volumes keep pods of the gang from being placed; "" if none does."""
        if self._mounts.all_ready:
            return ""
        for pod in self.pods_of(gang_id):
            if pod.waits_for_place:
                sentence = self._mounts.waits_for(pod.uid)
                if sentence:
                    return sentence
        return ""

    def freed_nodes(self) -> frozenset[NodeName]:
        """The nodes that have more room since the last call: a pod has given it back, or they take
        pods again or have other amounts. Most changes of pods say nothing of that, and their
        authors can make as many as they like."""
        freed = frozenset(self.table.freed)
        self.table.freed.clear()
        return freed

    # -- pods of others: they only take room ---------------------------------------------------

    def upsert_other(self, pod: Pod) -> None:
        """Takes in a bound pod of another scheduler."""
        if pod.node_name and not pod.ended:
            told = (pod.node_name, pod.shape, pod.daemon_set)
            self._others[pod.uid] = told if pod.tolerates(self._managed) else None
            self.table.occupy(
                pod.uid, pod.node_name, pod.shape, identity=pod.identity,
                daemon=pod.belongs_to_node, stays=not pod.deleting, ending=pod.deleting,
            )  # fmt: skip
        else:
            self.remove_other(pod.uid)

    def remove_other(self, uid: PodUid) -> None:
        """Drops a pod of another scheduler: it holds nothing any more."""
        if uid in self._others:
            del self._others[uid]
            self.table.vacate(uid)

    def replace_others(self, rows: Iterable[Pod]) -> None:
        """A whole list of them."""
        listed = {pod.uid: pod for pod in rows}
        for uid in self._others.keys() - listed.keys():
            self.remove_other(uid)
        for pod in listed.values():
            self.upsert_other(pod)

    def others(self) -> Iterable[tuple[NodeName, PodShape, str]]:
        """(node, shape, DaemonSet or "") of each bound pod of another scheduler; not of those that
        don't tolerate the taint of managed nodes, which Kubernetes ends there."""
        return filter(None, self._others.values())

    # -- owners --------------------------------------------------------------------------------

    def owner_named(self, namespace: str, kind: str, name: str) -> Owner | None:
        """The owner of that kind (in lower case) and name."""
        return self._owners.named(namespace, kind, name)

    def owner_of(self, pod: Pod) -> Owner | None:
        """What made the pod; None where that is not known."""
        return None if pod.owner is None else self._owners.get(pod.owner.uid)

    def pods_below(self, uid: str) -> tuple[Pod, ...]:
        """The pods below an owner, at any level."""
        return self._index.pods_below(uid)

    def upsert_owner(self, owner: Owner) -> set[GangId]:
        """An owner's newest row; pods that waited for it find their gang, those that had a problem
        with it in `join_again`."""
        found = self._owners.upsert(owner)
        if not found:
            return set()
        return self._index.owner_changed(owner.uid) | self._index.found(found)

    def join_again(self, gang_id: GangId) -> set[GangId]:
        """Pods of the gang that had a problem with what stands above them look at it anew, if it
        has changed; the gangs that this touches."""
        return self._index.join_again(gang_id)

    def remove_owner(self, uid: str) -> set[GangId]:
        """Drops an owner that is gone; garbage collection ends its pods."""
        return self._index.owner_gone(uid) if self._owners.remove(uid) else set()

    def replace_owners(self, key: OwnerKey, rows: Iterable[Owner]) -> set[GangId]:
        """Takes in a complete list of the owners of a kind."""
        touched: set[GangId] = set()
        listed = {owner.uid: owner for owner in rows}
        for uid in self._owners.of_kind(key):
            if uid not in listed:
                touched |= self.remove_owner(uid)
        for owner in listed.values():
            touched |= self.upsert_owner(owner)
        return touched

    def settle_kind(self, key: OwnerKey, how: Settled) -> set[GangId]:
        """Notes that all existing owners of the kind are known now, or never will be."""
        return self._index.found([self._owners.settle(key, how)])

    def settle_missing(self) -> set[GangId]:
        """Give up on owners that were missing at the last call already: called every few seconds,
        for a reference to what does not exist (any more) must not keep its pod for ever."""
        gone = self._index.long_missing()
        self._owners.give_up(gone)
        return self._index.found(gone)

    @property
    def unresolved(self) -> list[Pod]:
        """The pods whose gang is not known yet."""
        return [self.pods[uid] for uid in self._index.unresolved]

    def may_be_of(self, gang_id: GangId, pods: Iterable[Pod]) -> bool:
        """Whether some of these pods, whose gang is not known yet, may belong to this gang."""
        namespace = membership.namespace_of(gang_id)
        return any(gang_id == GangId(pod.uid) or namespace == pod.namespace for pod in pods)

    # -- nodes ---------------------------------------------------------------------------------

    def upsert_node(self, node: Node) -> bool:
        """Takes in a node's newest row; returns False if nothing is new (heartbeats)."""
        known = self.nodes.get(node.name)
        if known is not None and replace(known, resource_version=node.resource_version) == node:
            return False
        if node.takes_pods and not (
            known is not None and known.takes_pods and known.allocatable == node.allocatable
        ):
            self.table.freed.add(node.name)
        self.nodes[node.name] = node
        self._show_nodes(self.by_slurm_name.add(node))
        return True

    def nodes_of(self, allocation: Allocation) -> frozenset[NodeName] | None:
        """The allocation's nodes by their names in Kubernetes; None if one is unknown there."""
        found = [self.by_slurm_name.get(grant.node) for grant in allocation.nodes]
        return frozenset(name for name in found if name) if all(found) else None

    def remove_node(self, name: NodeName) -> None:
        """Drops a node that is gone from the API server."""
        if self.nodes.pop(name, None) is not None:
            self.table.remove(name)
            self._show_nodes(self.by_slurm_name.remove(name))

    def _show_nodes(self, touched: Iterable[NodeName]) -> None:
        slurm_names.show((self.nodes[name] for name in touched), self.by_slurm_name, self.table)

    def replace_nodes(self, rows: Iterable[Node]) -> None:
        """Takes in a complete list of nodes."""
        listed = {node.name: node for node in rows}
        for name in self.nodes.keys() - listed.keys():
            self.remove_node(name)
        for node in listed.values():
            self.upsert_node(node)

    # -- gangs ---------------------------------------------------------------------------------

    @property
    def gangs(self) -> Collection[GangId]:
        """Every gang that has or had pods and is not forgotten."""
        return self._index.members.keys()

    def pods_of(self, gang_id: GangId) -> tuple[Pod, ...]:
        """The gang's pods that exist."""
        return self._index.pods_of(gang_id)

    def members(self, gang_id: GangId) -> GangRecord | None:
        """The gang's pods, and the membership that holds them together."""
        return self._index.members.get(gang_id)

    def gang_owner_of(self, gang_id: GangId) -> Owner | None:
        """The gang owner as it is now; None for a gang of one."""
        return self._index.gang_owner_of(gang_id)

    def gang(self, gang_id: GangId) -> Gang | None:
        """The gang's present demand; None while it has no pods.

        Raises BadInput, and InternalError where the bridge failed at its pods.
        """
        pods, members = self.pods_of(gang_id), self.members(gang_id)
        if not pods or members is None:
            return None
        namespace = pods[0].namespace
        gang = self._index.gang(
            gang_id,
            pods,
            lambda claims: self._mounts.follow(gang_id, ((namespace, one) for one in claims)),
        )
        return reach.by_slot(gang, members.ranks, pods)

    def is_single(self, gang_id: GangId) -> bool:
        """Whether the gang is one pod whose uid is the gang's id."""
        return self._index.gang_owner_of(gang_id) is None


def _older(version: str, than: str) -> bool:
    """resourceVersions are comparable numbers (KEP-5504); anything else is taken as newer."""
    if version.isdigit() and than.isdigit():
        return int(version) < int(than)
    return False
