"""Which pods are in which gang: each pod joins once all that stands above it is known."""

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from bridge import names
from bridge.errors import BadInput, InternalError
from bridge.gangs import demand, membership, progress
from bridge.gangs.indexed import Indexed
from bridge.gangs.lineage import Lineage
from bridge.gangs.membership import Membership
from bridge.gangs.owners import Missing, Owners
from bridge.model import pod_identity
from bridge.model.gang import Gang, Rank
from bridge.model.ids import GangId, PodUid
from bridge.model.owner import BatchJob, Owner
from bridge.model.pod import Pod
from bridge.model.pod_identity import PodIdentity
from bridge.model.scheduling import PodShape, Toleration


@dataclass(slots=True)
class GangRecord:
    """The pods of one gang, and the membership that holds them together."""

    membership: Membership
    line: Lineage
    """The lineage of the member that joined last, with its owners as they were then."""
    ranks: dict[PodUid, Rank] = field(default_factory=dict)
    """The rank of each pod of the gang."""
    live: set[PodUid] = field(default_factory=set)
    """The pods that have not ended and are not being deleted; a pod never comes back into it."""
    shapes: dict[int, PodShape] = field(default_factory=dict)
    """The shape of each role's pods before they were pinned (a pin changes their affinity)."""
    identities: dict[int, PodIdentity] = field(default_factory=dict)
    """The identity of each role's pods."""
    singletons: int = 0
    """How many pods below the gang's owner are gangs of their own, without those that the last call
    of `gang` left out of the size."""
    over: bool = False
    """Whether the gang's owner is gone from the API server."""
    split_off: bool = False
    """Whether this is the gang of one pod for which its owner's gang had no place."""
    problem: BadInput | InternalError | None = None


class GangIndex:
    """Keeps which pod is in which gang; others keep the rows of pods and owners."""

    def __init__(
        self,
        pods: Mapping[PodUid, Pod],
        owners: Owners,
        *,
        scheduler_name: str,
        most_pods: int = demand.MOST_PODS,
    ) -> None:
        self.members: dict[GangId, GangRecord] = {}
        self._most_pods = most_pods
        self._pods = pods
        self._owners = owners
        self._tolerations = Toleration.ours(scheduler_name)
        self._gang_of: dict[PodUid, GangId] = {}
        self._missing: dict[PodUid, str] = {}
        """What each pod waits for: a pod whose gang is not known before, and a pod that names a
        PodGroup which does not exist (and says so meanwhile). `_missed_by` is the reverse."""
        self._missed_by: Indexed[str, PodUid] = Indexed()
        self._missing_since_before: set[str] = set()
        self._above: dict[PodUid, tuple[str, ...]] = {}
        """The uids of a pod's owners and group; `_below` is the reverse."""
        self._below: Indexed[str, PodUid] = Indexed()
        self._to_rejoin: set[GangId] = set()
        self._of_owner: Indexed[str, GangId] = Indexed()
        """Gangs by the uid of their gang owner, also gangs that have no pods just now."""

    @property
    def unresolved(self) -> frozenset[PodUid]:
        """The pods whose gang is not known yet."""
        return frozenset(self._missing.keys() - self._gang_of.keys())

    def gang_of(self, pod: PodUid) -> GangId | None:
        """The gang of a pod; None if it is not known."""
        return self._gang_of.get(pod)

    def below(self, uid: str) -> set[GangId]:
        """The gangs of the pods below an owner or in a group, and the gangs that it owns."""
        found = (self._gang_of.get(pod) for pod in self._below.of(uid))
        return {gang for gang in found if gang is not None} | self._of_owner.of(uid)

    def pods_below(self, uid: str) -> tuple[Pod, ...]:
        """The pods below an owner, or in a group, whose gang is known."""
        return tuple(self._pods[pod] for pod in self._below.of(uid))

    def _alone(self, gang_owner: Owner) -> list[Pod]:
        """The pods below an owner or in a group that are gangs of their own."""
        below = self._below.of(gang_owner.uid)
        return [self._pods[pod] for pod in below if self._gang_of.get(pod) == GangId(pod)]

    def _elsewhere(self, gang_id: GangId, alone: list[Pod]) -> list[Rank]:
        """Where in the gang those of the pods `alone` belong that are not about to be replaced.

        Of a PodGroup those that run count, but for as many as are beyond what it starts with.
        """
        members, ranks = self.members[gang_id], []
        staying = [pod for pod in alone if not pod.deleting and pod.phase != "Failed"]
        most = members.membership.most
        if most is not None:
            live = sum(not pod.ended for pod in staying)
            running = sum(not pod.ended and bool(pod.node_name) for pod in staying)
            beyond = max(0, len(members.live) + live - most)
            return [Rank()] * max(0, running - beyond)
        for pod in staying:
            line = self._owners.lineage(pod, self._pods)
            if not isinstance(line, Missing):
                with contextlib.suppress(BadInput):
                    wished = membership.of(line)
                    ranks += [wished.rank] if wished.gang == gang_id else []
        return ranks

    # -- who is where --------------------------------------------------------------------------

    def join(self, pod: Pod) -> set[GangId]:
        """Takes in a new or changed pod; returns the gangs that this touches."""
        try:
            return self._join(pod)
        except Exception as error:
            return self.fail(pod, error)

    def fail(self, pod: Pod, error: Exception) -> set[GangId]:
        """Makes a pod that the bridge failed at a gang of one, with that problem, until it joins
        again."""
        left = self.leave(pod.uid)
        problem = InternalError(f"pod {pod.key}: {error!r}")
        problem.__cause__ = error
        line = Lineage(pod)
        self._enter(line, membership.alone(line), problem)
        return left | {GangId(pod.uid)}

    def has_failed(self, gang_id: GangId) -> bool:
        """Whether the bridge failed at the gang's pods."""
        members = self.members.get(gang_id)
        return members is not None and isinstance(members.problem, InternalError)

    def _join(self, pod: Pod) -> set[GangId]:
        known = self._gang_of.get(pod.uid)
        if known is not None and (pod.ended or pod.deleting):
            self.members[known].live.discard(pod.uid)
        if known is not None and self.members[known].problem is None:
            return {known}
        left = self.leave(pod.uid)
        line = self._owners.lineage(pod, self._pods)
        if isinstance(line, Missing):
            self._misses(pod.uid, line.what)
            return left
        problem: BadInput | None = None
        try:
            member = self._within(membership.of(line), line, pod)
        except BadInput as error:
            member, problem = membership.alone(line), error
        absent = self._owners.absent_group(pod)
        if absent:
            self._misses(pod.uid, absent)
            problem = BadInput(
                f"PodGroup {pod.pod_group}, which the pod names in spec.schedulingGroup, does not "
                f"exist in namespace {pod.namespace}; create it"
            )
        self._enter(line, member, problem)
        return left | {member.gang}

    def _misses(self, uid: PodUid, what: str) -> None:
        self._missing[uid] = what
        self._missed_by.add(what, uid)

    def _within(self, member: Membership, line: Lineage, pod: Pod) -> Membership:
        """What it was pinned under holds, if what is above it proves that; a pod that was split off
        stays so; and a full group takes nobody more."""
        if pod.job_id is not None:
            pinned = GangId(pod.annotations.get(names.GANG_ID_ANNOTATION, ""))
            if membership.proves(line, pinned):
                return replace(member, gang=pinned)
            return membership.alone(line)
        own = self.members.get(GangId(pod.uid))
        if own is not None and own.split_off:
            return membership.alone(line)
        members = self.members.get(member.gang)
        if member.most is None or members is None:
            return member
        return member if len(members.live) < member.most else Membership(GangId(pod.uid))

    def _enter(
        self, line: Lineage, member: Membership, problem: BadInput | InternalError | None
    ) -> None:
        uid = line.pod.uid
        members = self.members.get(member.gang)
        if members is None:
            members = self.members[member.gang] = GangRecord(member, line)
            if member.gang_owner is not None:
                self._of_owner.add(member.gang_owner.uid, member.gang)
        members.line, members.problem, members.over = line, problem, False
        members.ranks[uid] = member.rank
        if not (line.pod.ended or line.pod.deleting):
            members.live.add(uid)
        self._gang_of[uid] = member.gang
        above = [*line.owners, *filter(None, (line.group, line.workload))]
        self._above[uid] = tuple(owner.uid for owner in above)
        for owner in above:
            self._below.add(owner.uid, uid)

    def leave(self, uid: PodUid) -> set[GangId]:
        """Takes the pod out of its gang: it is gone, or joins again."""
        for above in self._above.pop(uid, ()):
            self._below.discard(above, uid)
        what = self._missing.pop(uid, None)
        if what is not None:
            self._missed_by.discard(what, uid)
        gang_id = self._gang_of.pop(uid, None)
        if gang_id is None:
            return set()
        self.members[gang_id].ranks.pop(uid, None)
        self.members[gang_id].live.discard(uid)
        return {gang_id}

    def split_off(self, uid: PodUid) -> set[GangId]:
        """Makes the pod a gang of its own from now on, whatever its owner says."""
        gang_id = self._gang_of.get(uid)
        if gang_id is None or gang_id == GangId(uid):
            return set()
        line = replace(self.members[gang_id].line, pod=self._pods[uid])
        left = self.leave(uid)
        member = membership.alone(line)
        self._enter(line, member, None)
        self.members[member.gang].split_off = True
        return left | {member.gang}

    def forget(self, gang_id: GangId) -> None:
        """Drops what is kept of a gang that has no pods any more."""
        members = self.members.get(gang_id)
        if members is not None and not members.ranks:
            del self.members[gang_id]
            self._to_rejoin.discard(gang_id)
            if members.membership.gang_owner is not None:
                self._of_owner.discard(members.membership.gang_owner.uid, gang_id)

    # -- what stands above them ----------------------------------------------------------------

    def found(self, whats: Iterable[str]) -> set[GangId]:
        """Joins the pods again that waited for these objects, which are known now."""
        touched: set[GangId] = set()
        for what in whats:
            for uid in sorted(self._missed_by.of(what)):
                touched |= self.join(self._pods[uid])
        return touched

    def owner_changed(self, uid: str) -> set[GangId]:
        """The gangs whose demand a changed owner may change; call `join_again` for each of them.

        Any number of gangs may be below an owner, so nothing more is done for them at once.
        """
        touched = self.below(uid)
        self._to_rejoin |= touched
        return touched

    def join_again(self, gang_id: GangId) -> set[GangId]:
        """Joins the gang's pods again if they had a problem with owners that may have changed;
        returns the gangs that this touches."""
        if gang_id not in self._to_rejoin:
            return set()
        self._to_rejoin.discard(gang_id)
        members = self.members.get(gang_id)
        pods = tuple(members.ranks) if members is not None and members.problem is not None else ()
        return {touched for pod in pods for touched in self.join(self._pods[pod])}

    def owner_gone(self, uid: str) -> set[GangId]:
        """Notes that an owner is gone: it and the objects below it will make no more pods."""
        touched = self.below(uid)
        for gang_id in touched:
            members = self.members[gang_id]
            gang_owner = members.membership.gang_owner
            members.over = members.over or (gang_owner is not None and gang_owner.uid == uid)
        return touched

    def long_missing(self) -> tuple[str, ...]:
        """The objects that were missing at the last call already: they will not come. Kinds are not
        among them: a kind always settles."""
        now = {what for uid, what in self._missing.items() if uid not in self._gang_of}
        found = tuple(sorted(now & self._missing_since_before))
        self._missing_since_before = now
        return found

    # -- gangs ---------------------------------------------------------------------------------

    def pods_of(self, gang_id: GangId) -> tuple[Pod, ...]:
        """The gang's pods that exist."""
        members = self.members.get(gang_id)
        return () if members is None else tuple(self._pods[uid] for uid in sorted(members.ranks))

    def gang_owner_of(self, gang_id: GangId) -> Owner | None:
        """The gang owner as it is now; None for a gang of one."""
        members = self.members.get(gang_id)
        if members is None or members.membership.gang_owner is None:
            return None
        gang_owner = members.membership.gang_owner
        return self._owners.get(gang_owner.uid) or gang_owner

    def gang(self, gang_id: GangId, pods: tuple[Pod, ...], reach: demand.Reach) -> Gang:
        """What the gang of `pods` (all it has, at least one) asks for now.

        Raises BadInput, and InternalError where the bridge failed at its pods.
        """
        members = self.members[gang_id]
        if members.problem is not None:
            raise members.problem
        first = min(pods, key=lambda pod: _rank(members.ranks[pod.uid], pod))
        waiting = [pod for pod in pods if pod.job_id is None and not pod.ended]
        member = replace(members.membership, gang_owner=self.gang_owner_of(gang_id))
        self._look_at_shapes(members, pods)
        jobs, elsewhere = self._beside(gang_id, member.gang_owner)
        return demand.gang_of(
            self._line_of(first, members),
            member,
            members.shapes,
            members.identities,
            tolerations=self._tolerations,
            reach=reach,
            said=[pod.annotations for pod in waiting],
            lines=lambda: [self._line_of(pod, members) for pod in waiting],
            most_pods=self._most_pods,
            done=progress.of(jobs, pods, members.ranks, elsewhere),
        )

    def _beside(
        self, gang_id: GangId, gang_owner: Owner | None
    ) -> tuple[tuple[BatchJob, ...], list[Rank]]:
        """The Jobs that make the gang's pods, and where its pods belong that are not in it."""
        if gang_owner is None:
            return (), []
        alone = self._alone(gang_owner)
        elsewhere = self._elsewhere(gang_id, alone)
        self.members[gang_id].singletons = len(alone) - len(elsewhere)
        return self._owners.jobs_of(gang_owner), elsewhere

    def _line_of(self, pod: Pod, members: GangRecord) -> Lineage:
        line = self._owners.lineage(pod, self._pods)
        if isinstance(line, Missing):  # an owner went before its pods
            line = replace(members.line, pod=pod)
        return line

    @staticmethod
    def _look_at_shapes(members: GangRecord, pods: tuple[Pod, ...]) -> None:
        roles: dict[int, list[Pod]] = {}
        for pod in pods:
            roles.setdefault(members.ranks[pod.uid].role, []).append(pod)
        for role, all_of_it in roles.items():
            unpinned = [pod for pod in all_of_it if pod.job_id is None and not pod.ended]
            if unpinned or role not in members.shapes:
                members.shapes[role] = demand.largest(unpinned or all_of_it)
                known = [pod.identity for pod in unpinned or all_of_it if pod.identity is not None]
                identity = pod_identity.common(known)
                if identity is not None:
                    members.identities[role] = identity


def _rank(rank: Rank, pod: Pod) -> tuple[object, ...]:
    """In the order of the gang's roles and indices; then of their creation."""
    return (rank.role, rank.index is None, rank.index or 0, pod.created_s, pod.name)
