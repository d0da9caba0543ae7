"""The objects that tell the API server when to call us: for what matters, and nothing else.

A webhook that fails closed stops what it is called for while it is down. So the API server is
told exactly which requests are ours:

* creations in managed namespaces (`namespaceSelector`, made from the settings), except what the
  DaemonSet controller makes, static pods' mirrors and pods given to some third scheduler;
* creations anywhere that name our scheduler;
* updates of our pods that touch what `protected` guards. The finalizers that the Job controller
  takes off finished pods, and the bridge's own pinning, never wait for a webhook.

kube-system and our own namespace are never asked about: the bridge must be able to start.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bridge import names
from bridge.admission import scope

WEBHOOK = "pods.slinky.slurm.net"
WEBHOOK_BY_NAME = "named.pods.slinky.slurm.net"
WEBHOOK_CHANGES = "changed.pods.slinky.slurm.net"
NAMESPACE_NAME_LABEL = "kubernetes.io/metadata.name"
"""The API server puts it on every namespace."""

_SYSTEM = "kube-system"

Manifest = dict[str, Any]
Expression = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """Where the API server finds us: a Service, or a URL (`https://host:port`) for a bridge that
    runs outside the cluster. `ca` is the PEM that signed our certificate; empty when cert-manager
    injects it (`inject_ca_from`: namespace/name of its Certificate)."""

    service: str = ""
    namespace: str = ""
    port: int = 443
    url: str = ""
    ca: bytes = b""
    inject_ca_from: str = ""

    def client_config(self, path: str) -> Manifest:
        """The clientConfig of a webhook whose handler listens at `path`."""
        place: Manifest
        if self.url:
            place = {"url": self.url.rstrip("/") + path}
        else:
            place = {
                "service": {
                    "name": self.service,
                    "namespace": self.namespace,
                    "path": path,
                    "port": self.port,
                }
            }
        if self.ca:
            place["caBundle"] = base64.b64encode(self.ca).decode()
        return place


@dataclass(frozen=True, slots=True)
class Calls:
    """Which requests are ours, from the settings: see the head of this module.

    `selector` is `managedNamespaceSelector` as it stands in the settings; with it the names are
    ignored. `excluded` are namespaces that are never asked about beside kube-system: our own.
    """

    scheduler_name: str = names.SCHEDULER_NAME
    managed_namespaces: Sequence[str] = ()
    selector: Mapping[str, Any] | None = None
    excluded: Sequence[str] = ()
    bridge_users: Sequence[str] = ()


def mutating(
    calls: Calls, target: Target, *, name: str = "slurm-bridge", timeout_s: int = 10
) -> Manifest:
    """The MutatingWebhookConfiguration."""
    webhooks = [
        _webhook(webhook, target.client_config(names.MUTATE_PATH), timeout_s)
        | {"reinvocationPolicy": "IfNeeded"}
        for webhook in _creations(calls)
    ]
    return _configuration("MutatingWebhookConfiguration", name, target, webhooks)


def validating(
    calls: Calls, target: Target, *, name: str = "slurm-bridge", timeout_s: int = 10
) -> Manifest:
    """The ValidatingWebhookConfiguration."""
    webhooks = [
        _webhook(webhook, target.client_config(names.VALIDATE_PATH), timeout_s)
        for webhook in (*_creations(calls), _changes(calls))
    ]
    return _configuration("ValidatingWebhookConfiguration", name, target, webhooks)


@dataclass(frozen=True, slots=True)
class _Webhook:
    name: str
    operation: Literal["CREATE", "UPDATE"]
    resources: tuple[str, ...]
    namespaces: Manifest
    conditions: tuple[tuple[str, str], ...]
    """(name, CEL): all must hold."""


def _creations(calls: Calls) -> list[_Webhook]:
    by_name = _Webhook(
        name=WEBHOOK_BY_NAME,
        operation="CREATE",
        resources=("pods",),
        namespaces={"matchExpressions": [*_elsewhere(calls), *_excluded(calls)]},
        conditions=(_names_us(calls),),
    )
    if calls.selector is None and not calls.managed_namespaces:
        return [by_name]
    managed = _Webhook(
        name=WEBHOOK,
        operation="CREATE",
        resources=("pods",),
        namespaces=_managed(calls),
        conditions=(_not_of_its_node(calls), _not_given_away(calls)),
    )
    return [managed, by_name]


def _changes(calls: Calls) -> _Webhook:
    return _Webhook(
        name=WEBHOOK_CHANGES,
        operation="UPDATE",
        resources=("pods", "pods/resize"),
        namespaces={"matchExpressions": _excluded(calls)},
        conditions=(
            _names_us(calls),
            *_not_by_bridge(calls),
            _touches(),
        ),
    )


def _managed(calls: Calls) -> Manifest:
    if calls.selector is None:
        wanted = _named("In", calls.managed_namespaces)
        return {"matchExpressions": [wanted, *_excluded(calls)]}
    expressions = [*(calls.selector.get("matchExpressions") or ()), *_excluded(calls)]
    return {**calls.selector, "matchExpressions": expressions}


def _elsewhere(calls: Calls) -> list[Expression]:
    """Outside the managed namespaces, where that can be said: a selector has no opposite, there
    a pod that names us is asked about twice, which changes nothing."""
    if calls.selector is not None or not calls.managed_namespaces:
        return []
    return [_named("NotIn", calls.managed_namespaces)]


def _excluded(calls: Calls) -> list[Expression]:
    return [_named("NotIn", (_SYSTEM, *calls.excluded))]


def _named(operator: str, namespaces: Sequence[str]) -> Expression:
    return {
        "key": NAMESPACE_NAME_LABEL,
        "operator": operator,
        "values": sorted(set(namespaces)),
    }


def _not_of_its_node(calls: Calls) -> tuple[str, str]:
    """`scope.Scope.takes`, in CEL: what belongs to its node is told by who creates it."""
    controllers = ", ".join(map(_literal, scope.DAEMON_CONTROLLERS))
    return (
        "not-of-its-node",
        f"{_names_us(calls)[1]} ||\n"
        f"!((request.userInfo.username in [{controllers}] &&\n"
        "   has(object.metadata.ownerReferences) &&\n"
        "   object.metadata.ownerReferences.exists(owner,\n"
        "    owner.kind == 'DaemonSet' && has(owner.controller) && owner.controller)) ||\n"
        "  (has(request.userInfo.groups) &&\n"
        f"   {_literal(scope.NODES_GROUP)} in request.userInfo.groups &&\n"
        "   has(object.metadata.annotations) &&\n"
        f"   '{names.MIRROR_POD_ANNOTATION}' in object.metadata.annotations))",
    )


def _names_us(calls: Calls) -> tuple[str, str]:
    return (
        "names-slurm-bridge",
        "has(object.spec.schedulerName) &&\n"
        f"object.spec.schedulerName == {_literal(calls.scheduler_name)}",
    )


def _not_given_away(calls: Calls) -> tuple[str, str]:
    ours = ", ".join(map(_literal, ("", scope.DEFAULT_SCHEDULER, calls.scheduler_name)))
    return (
        "not-given-to-another-scheduler",
        f"!has(object.spec.schedulerName) ||\nobject.spec.schedulerName in [{ours}]",
    )


def _not_by_bridge(calls: Calls) -> tuple[tuple[str, str], ...]:
    if not calls.bridge_users:
        return ()
    users = ", ".join(map(_literal, calls.bridge_users))
    return (("not-by-slurm-bridge", f"!(request.userInfo.username in [{users}])"),)


def _touches() -> tuple[str, str]:
    """Only updates that change one of the guarded fields, and every resize."""
    return (
        "touches-what-is-guarded",
        "(has(request.subResource) && request.subResource == 'resize') ||\n"
        + " ||\n".join(
            f"(has(object.{path}) ? object.{path} : {none}) !=\n "
            f"(has(oldObject.{path}) ? oldObject.{path} : {none})"
            for path, none in (
                ("metadata.labels", "{}"),
                ("metadata.annotations", "{}"),
                ("spec.schedulingGates", "[]"),
                ("spec.affinity", "{}"),
            )
        ),
    )


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _webhook(webhook: _Webhook, client_config: Manifest, timeout_s: int) -> Manifest:
    return {
        "name": webhook.name,
        "clientConfig": client_config,
        "rules": [
            {
                "apiGroups": [""],
                "apiVersions": ["v1"],
                "operations": [webhook.operation],
                "resources": list(webhook.resources),
                "scope": "Namespaced",
            }
        ],
        "namespaceSelector": webhook.namespaces,
        "matchConditions": [
            {"name": name, "expression": expression} for name, expression in webhook.conditions
        ],
        "matchPolicy": "Equivalent",
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "timeoutSeconds": timeout_s,
        "admissionReviewVersions": ["v1"],
    }


def _configuration(kind: str, name: str, target: Target, webhooks: list[Manifest]) -> Manifest:
    metadata: Manifest = {"name": name, "labels": {"app.kubernetes.io/name": "slurm-bridge"}}
    if target.inject_ca_from:
        metadata["annotations"] = {"cert-manager.io/inject-ca-from": target.inject_ca_from}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": metadata,
        "webhooks": webhooks,
    }
