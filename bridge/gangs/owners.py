"""The owners of pods by uid, groups by name, and which kinds can be read.

A reference is a text that whoever makes a pod may write. It leads to an owner only where the API
server has told of an object of that kind and uid in the pod's own namespace.

A kind is asked for when the first pod names it (`want`); until it is settled, and until the owner
itself has been seen (the watches of pods and of owners are not in step), the pod's gang is not
known. A kind that may not be read, or that the API server does not serve, ends the chain: what the
reference says (kind and name) is then all that is known of that owner.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from bridge.gangs import membership
from bridge.gangs.indexed import Indexed
from bridge.gangs.lineage import Lineage
from bridge.model.ids import PodUid
from bridge.model.owner import BatchJob, Owner, OwnerKey, PodGroup, Settled, key_of
from bridge.model.pod import OwnerReference, Pod

GROUP = ("scheduling.k8s.io/v1alpha2", "PodGroup")
"""Kubernetes' own PodGroup, which spec.schedulingGroup names, and its Workload."""
WORKLOAD = ("scheduling.k8s.io/v1alpha2", "Workload")
PLUGIN_GROUP = ("scheduling.x-k8s.io/v1alpha1", "PodGroup")
"""The PodGroup of scheduler-plugins, which a label names."""
_HIGHEST = 32
"""The most owners above each other; more must be a loop."""

Want = Callable[[str, str], None]
"""(apiVersion, kind): asks for a watch of the kind's objects from now on."""


@dataclass(frozen=True, slots=True)
class Missing:
    """The object that has to be known first: a kind, an owner, or a group."""

    what: str


class Owners:
    """Every owner that was read from the API server."""

    def __init__(self, want: Want) -> None:
        self._want = want
        self._rows: dict[str, Owner] = {}
        self._named: dict[tuple[OwnerKey, str, str], str] = {}
        """(kind, namespace, name) → uid, for kinds that are looked up by name."""
        self._all_named: Indexed[tuple[str, str, str], str] = Indexed()
        """uids by (namespace, kind in lower case, name), whatever the kind's group."""
        self._below: Indexed[str, str] = Indexed()
        """uids of owners by the uid of their own owner."""
        self._settled: dict[OwnerKey, Settled] = {}
        self._absent: set[str] = set()

    def get(self, uid: str) -> Owner | None:
        """The owner's newest row."""
        return self._rows.get(uid)

    def named(self, namespace: str, kind: str, name: str) -> Owner | None:
        """The owner of that kind (in lower case) and name; of several groups, the first by uid."""
        uids = self._all_named.of((namespace, kind, name))
        return self._rows[min(uids)] if uids else None

    def jobs_of(self, gang_owner: Owner) -> tuple[BatchJob, ...]:
        """The Job itself, or the Jobs that the object has created."""
        if isinstance(gang_owner, BatchJob):
            return (gang_owner,)
        rows = (self._rows[uid] for uid in sorted(self._below.of(gang_owner.uid)))
        return tuple(
            row
            for row in rows
            if isinstance(row, BatchJob) and row.namespace == gang_owner.namespace
        )

    def upsert(self, owner: Owner) -> tuple[str, ...]:
        """Takes in a row; returns what was missing until now (`Missing`), () if nothing is new."""
        known = self._rows.get(owner.uid)
        self._rows[owner.uid] = owner
        if known is not None and known.owner is not None:
            self._below.discard(known.owner.uid, owner.uid)
        if owner.owner is not None:
            self._below.add(owner.owner.uid, owner.uid)
        if known is not None:
            return () if _says_the_same(known, owner) else (owner.uid,)
        self._all_named.add(_as_people_say(owner), owner.uid)
        named = self._by_name(owner)
        if named is not None:
            self._named[named] = owner.uid
        self._absent -= {owner.uid, str(named)}
        return (owner.uid, str(named))

    def remove(self, uid: str) -> bool:
        """Drops an owner that is gone from the API server; returns whether it was known."""
        owner = self._rows.pop(uid, None)
        if owner is None:
            return False
        self._all_named.discard(_as_people_say(owner), uid)
        if owner.owner is not None:
            self._below.discard(owner.owner.uid, uid)
        named = self._by_name(owner)
        if named is not None and self._named.get(named) == uid:
            del self._named[named]
        return True

    def of_kind(self, key: OwnerKey) -> tuple[str, ...]:
        """uids of the known owners of a kind."""
        return tuple(
            uid for uid, row in self._rows.items() if key_of(row.api_version, row.kind) == key
        )

    def settle(self, key: OwnerKey, how: Settled) -> str:
        """Notes that the kind is completely known, or never will be; returns what was missing."""
        self._settled[key] = how
        return str(key)

    def give_up(self, whats: Iterable[str]) -> None:
        """Gives up on owners that never came: references to them lead nowhere."""
        self._absent.update(whats)

    def lineage(self, pod: Pod, pods: Mapping[PodUid, Pod]) -> Lineage | Missing:
        """The pod with its owners, or what has to be known first."""
        owners: list[Owner] = []
        reference = pod.owner
        while reference is not None and len(owners) < _HIGHEST:
            found = self._find(reference, pod.namespace, pods)
            if isinstance(found, Missing):
                return found
            owners.append(found)
            reference = found.owner
        group = self._group_of(pod)
        if isinstance(group, Missing):
            return group
        workload = self._workload_of(group) if group is not None else None
        if isinstance(workload, Missing):
            return workload
        return Lineage(pod, tuple(owners), group, workload)

    def absent_group(self, pod: Pod) -> str:
        """The PodGroup of Kubernetes that the pod names (as `Missing.what`), if there is none."""
        name = str((key_of(*GROUP), pod.namespace, pod.pod_group))
        return name if pod.pod_group and name in self._absent else ""

    def _find(
        self, reference: OwnerReference, namespace: str, pods: Mapping[PodUid, Pod]
    ) -> Owner | Missing:
        known = self._rows.get(reference.uid)
        key = key_of(reference.api_version, reference.kind)
        if known is not None and _is_meant(known, key, namespace):
            return known
        stub = Owner(
            uid=_unproven(reference, namespace),
            namespace=namespace,
            name=reference.name,
            resource_version="",
            api_version=reference.api_version,
            kind=reference.kind,
            known=False,
        )
        if key == ("", "Pod"):  # a LeaderWorkerSet's leader owns the set of its workers
            above = pods.get(PodUid(reference.uid))
            if above is None or above.namespace != namespace:
                return stub
            return replace(stub, owner=above.owner)
        if known is not None:
            return stub
        settled = self._settled.get(key)
        if settled is None:
            self._want(reference.api_version, reference.kind)
            return Missing(str(key))
        if settled == "unreadable" or reference.uid in self._absent:
            return stub
        return Missing(reference.uid)

    def _group_of(self, pod: Pod) -> PodGroup | Missing | None:
        for kind, name in (
            (GROUP, pod.pod_group),
            (PLUGIN_GROUP, pod.labels.get(membership.PLUGIN_GROUP_LABEL, "")),
        ):
            found = self._by_reference(kind, pod.namespace, name) if name else None
            if isinstance(found, PodGroup | Missing):
                return found
        return None

    def _workload_of(self, group: PodGroup) -> Owner | Missing | None:
        if not group.workload:
            return None
        return self._by_reference(WORKLOAD, group.namespace, group.workload)

    def _by_reference(
        self, kind: tuple[str, str], namespace: str, name: str
    ) -> Owner | Missing | None:
        key = key_of(*kind)
        settled = self._settled.get(key)
        if settled is None:
            self._want(*kind)
            return Missing(str(key))
        named = (key, namespace, name)
        uid = self._named.get(named)
        if uid is not None:
            return self._rows[uid]
        if settled == "unreadable" or str(named) in self._absent:
            return None
        return Missing(str(named))

    @staticmethod
    def _by_name(owner: Owner) -> tuple[OwnerKey, str, str] | None:
        key = key_of(owner.api_version, owner.kind)
        if key not in (key_of(*GROUP), key_of(*WORKLOAD), key_of(*PLUGIN_GROUP)):
            return None
        return (key, owner.namespace, owner.name)


def _says_the_same(known: Owner, newest: Owner) -> bool:
    """Whether nothing has changed that concerns pods which exist. How many pods of a Job have
    succeeded is told by these pods themselves, each of which touches its gang."""
    known = replace(known, resource_version=newest.resource_version)
    if isinstance(known, BatchJob) and isinstance(newest, BatchJob):
        known = replace(
            known,
            succeeded_pods=newest.succeeded_pods,
            completed_indexes=newest.completed_indexes,
        )
    return known == newest


def _as_people_say(owner: Owner) -> tuple[str, str, str]:
    return owner.namespace, owner.kind.lower(), owner.name


def _is_meant(row: Owner, key: OwnerKey, namespace: str) -> bool:
    return key_of(row.api_version, row.kind) == key and row.namespace in ("", namespace)


def _unproven(reference: OwnerReference, namespace: str) -> str:
    """What stands for the uid of an owner that is not known: the same for all pods of a namespace
    that refer to it alike, and no uid of anybody's, since the reference is all that says so.
    """
    said = (namespace, *key_of(reference.api_version, reference.kind), reference.uid)
    return f"unproven-{hashlib.sha256(repr(said).encode()).hexdigest()[:32]}"
