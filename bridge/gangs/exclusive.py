"""Exclusive topology of a LeaderWorkerSet: each group has a domain to itself.

Its controller writes an affinity of the group to itself, and an anti-affinity to other groups, into
the leader; into the workers, once the leader is bound, a selector of the leader's domain. For the
gang this is one condition, known from the start: all of its pods are in one domain. The leader's
anti-affinity keeps other groups away.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from bridge.gangs import membership
from bridge.gangs.membership import Membership
from bridge.label_selectors import Requirement
from bridge.model.gang import Role
from bridge.model.owner import LeaderWorkerSet
from bridge.model.pod_identity import PodIdentity
from bridge.model.scheduling import PodSelector, PodTerm

_ANNOTATION: Final = "leaderworkerset.sigs.k8s.io/exclusive-topology"
_NAME: Final = "leaderworkerset.sigs.k8s.io/name"
_GROUP_INDEX: Final = "leaderworkerset.sigs.k8s.io/group-index"
_GROUP_KEY: Final = "leaderworkerset.sigs.k8s.io/group-key"
"""Labels that the controller gives all pods of a group."""


def in_one_domain(roles: Sequence[Role], member: Membership, namespace: str) -> tuple[Role, ...]:
    """The gang's roles, in one domain together if their owner has exclusive topology."""
    group = member.gang_owner
    key = group.annotations.get(_ANNOTATION) if isinstance(group, LeaderWorkerSet) else None
    if group is None or key is None:
        return tuple(roles)
    labels = {_NAME: group.name, _GROUP_INDEX: membership.which(member.gang)}
    ours = tuple(Requirement(name, "In", (value,)) for name, value in sorted(labels.items()))
    term = PodTerm(key, PodSelector((namespace,), ours))
    for role in roles:
        known = dict(role.identity.labels) if role.identity is not None else {}
        labels.update((name, known[name]) for name in (_GROUP_KEY,) if name in known)
    return tuple(
        replace(
            role,
            shape=replace(
                role.shape,
                pod_affinity=tuple(dict.fromkeys((*role.shape.pod_affinity, term))),
                node_selector=tuple(item for item in role.shape.node_selector if item[0] != key),
            ),
            identity=(role.identity or PodIdentity(namespace)).with_labels(labels),
        )
        for role in roles
    )
