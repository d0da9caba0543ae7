"""What ordinary users may do: RoleBindings to the default roles view, edit and admin.

Only users that are `bound` are held to it (whom an administrator impersonates, and those whose
token says so); the others are the system, or administrators. Not there: roles of one's own,
ClusterRoleBindings, aggregation (so no rights on custom resources).
"""

from collections.abc import Iterator, Mapping
from typing import Final

from bridge.sim.kube.apiserver import failure, kinds
from bridge.sim.kube.apiserver.core import Target
from bridge.sim.kube.apiserver.kinds import Kind
from bridge.sim.kube.apiserver.objects import Object
from bridge.sim.kube.apiserver.store import Store

_ROLE: Final = ("rbac.authorization.k8s.io", "ClusterRole")
_READ: Final = frozenset({"get", "list", "watch"})
_WRITE: Final = frozenset({"create", "update", "patch", "delete", "deletecollection"})
_OWN: Final = (
    kinds.PODS, kinds.SERVICES, kinds.SERVICE_ACCOUNTS, kinds.CLAIMS, kinds.CONFIG_MAPS,
    kinds.EVENTS, kinds.NEW_EVENTS, kinds.JOBS, kinds.CRON_JOBS, kinds.REPLICA_SETS,
    kinds.DEPLOYMENTS, kinds.STATEFUL_SETS, kinds.DAEMON_SETS, kinds.WORKLOADS, kinds.POD_GROUPS,
)  # fmt: skip
"""What a user of a namespace works with."""


def _resource(kind: Kind, subresource: str = "") -> tuple[str, str]:
    return kind.group, f"{kind.plural}/{subresource}" if subresource else kind.plural


_Rules = Mapping[tuple[str, str], frozenset[str]]
_VIEW: Final[_Rules] = {
    **{_resource(kind): _READ for kind in (*_OWN, kinds.NAMESPACES)},
    **{_resource(kind, "status"): _READ for kind in (*_OWN, kinds.NAMESPACES) if kind.has_status},
    _resource(kinds.PODS, "log"): _READ,
}
_EDIT: Final[_Rules] = {
    **_VIEW,
    **{_resource(kind): _READ | _WRITE for kind in (*_OWN, kinds.SECRETS, kinds.LEASES)},
    _resource(kinds.PODS, "eviction"): frozenset({"create"}),
}
_ADMIN: Final[_Rules] = {**_EDIT, _resource(kinds.ROLE_BINDINGS): _READ | _WRITE}
_ROLES: Final = {"view": _VIEW, "edit": _EDIT, "admin": _ADMIN}
"""As kube-apiserver makes them (bootstrappolicy), for what is served here."""


def check(store: Store, verb: str, target: Target) -> None:
    """Raises a 403 for what the user of `target` may not do there.

    `verb` is Kubernetes': get, list, watch, create, update, patch, delete, deletecollection.
    """
    if not target.user.bound:
        return
    kind = target.kind
    namespace = target.name if kind is kinds.NAMESPACES else target.namespace
    resource = _resource(kind, target.subresource)
    if any(verb in rules.get(resource, ()) for rules in _granted(store, target, namespace)):
        return
    where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    why = (
        f'User "{target.user.name}" cannot {verb} resource "{resource[1]}" in API group '
        f'"{kind.group}" {where}'
    )
    raise failure.forbidden(kind.plural, kind.group, target.name, why)


def _granted(store: Store, target: Target, namespace: str) -> Iterator[_Rules]:
    if not namespace:
        return
    for stored in store.scan(kinds.ROLE_BINDINGS.table, namespace):
        reference = stored.object.get("roleRef") or {}
        known = (reference.get("apiGroup"), reference.get("kind")) == _ROLE
        subjects = stored.object.get("subjects") or ()
        if known and any(_means(subject, target) for subject in subjects):
            yield _ROLES.get(reference.get("name", ""), {})


def _means(subject: Object, target: Target) -> bool:
    kind, name = subject.get("kind"), subject.get("name")
    return (kind == "User" and name == target.user.name) or (
        kind == "Group" and name in target.user.groups
    )
