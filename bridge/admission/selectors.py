"""Which namespaces the API server asks us about, or applies our rules in, from the settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge import names

NAMESPACE_NAME_LABEL = "kubernetes.io/metadata.name"
"""The API server puts it on every namespace."""

_SYSTEM = "kube-system"

Selector = dict[str, Any]
Expression = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Calls:
    """Which requests concern us: see the heads of `webhook_config` and `managed_nodes`.

    `selector` is `managedNamespaceSelector` as it stands in the settings; with it the names are
    ignored. `excluded` are namespaces that are never asked about beside kube-system: our own.
    `exempt` are further namespaces whose pods may use managed nodes without Slurm.
    """

    scheduler_name: str = names.SCHEDULER_NAME
    managed_namespaces: Sequence[str] = ()
    selector: Mapping[str, Any] | None = None
    excluded: Sequence[str] = ()
    exempt: Sequence[str] = ()
    bridge_users: Sequence[str] = ()


def has_managed(calls: Calls) -> bool:
    """Whether any namespace is managed."""
    return calls.selector is not None or bool(calls.managed_namespaces)


def managed(calls: Calls, *, without: Sequence[Expression]) -> Selector:
    """The managed namespaces for which these expressions hold too."""
    if calls.selector is None:
        return {"matchExpressions": [_named("In", calls.managed_namespaces), *without]}
    expressions = [*(calls.selector.get("matchExpressions") or ()), *without]
    return {**calls.selector, "matchExpressions": expressions}


def elsewhere(calls: Calls) -> list[Expression]:
    """Outside the managed namespaces, where that can be said: a selector has no opposite, there
    a pod that names us is asked about twice, which changes nothing."""
    if calls.selector is not None or not calls.managed_namespaces:
        return []
    return [_named("NotIn", calls.managed_namespaces)]


def not_excluded(calls: Calls) -> list[Expression]:
    """Neither kube-system nor our own: the bridge must be able to start."""
    return [_named("NotIn", (_SYSTEM, *calls.excluded))]


def not_exempt(calls: Calls) -> list[Expression]:
    """Where only pods that wait in Slurm's queue may use managed nodes. The bridge's placeholder
    pods ask for new ones, and never run."""
    return [_named("NotIn", (_SYSTEM, names.CAPACITY_NAMESPACE, *calls.excluded, *calls.exempt))]


def _named(operator: str, namespaces: Sequence[str]) -> Expression:
    return {
        "key": NAMESPACE_NAME_LABEL,
        "operator": operator,
        "values": sorted(set(namespaces)),
    }
