"""The objects that tell the API server when to call us: for what matters, and nothing else.

A webhook that fails closed stops what it is called for while it is down. So the API server is
told exactly which requests are ours:

* creations in managed namespaces (`namespaceSelector`, made from the settings), except what the
  DaemonSet controller makes, static pods' mirrors and pods given to some third scheduler;
* creations anywhere that name our scheduler;
* updates of our pods that touch what `protected` guards. The finalizers that the Job controller
  takes off finished pods, and the bridge's own pinning, never wait for a webhook;
* pods and DaemonSets that may not use managed nodes (`managed_nodes`), and only those: the whole
  rule stands in the conditions, so we are called only to say why. Where `policy` is installed, the
  API server has refused them before it calls any webhook.

kube-system and our own namespace are never asked about: the bridge must be able to start.
"""

import base64
from dataclasses import dataclass
from typing import Any, Literal

from bridge import names
from bridge.admission import expressions, scope, selectors
from bridge.admission.selectors import Calls as Calls

WEBHOOK = "pods.slinky.slurm.net"
WEBHOOK_BY_NAME = "named.pods.slinky.slurm.net"
WEBHOOK_CHANGES = "changed.pods.slinky.slurm.net"
WEBHOOK_NODES = "nodes.pods.slinky.slurm.net"
WEBHOOK_DAEMON_SETS = "nodes.daemonsets.slinky.slurm.net"

Manifest = dict[str, Any]


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
        _webhook(webhook, target.client_config(path), timeout_s)
        for path, some in (
            (names.VALIDATE_PATH, (*_creations(calls), _changes(calls))),
            (names.MANAGED_NODES_PATH, _uses_of_nodes(calls)),
        )
        for webhook in some
    ]
    return _configuration("ValidatingWebhookConfiguration", name, target, webhooks)


@dataclass(frozen=True, slots=True)
class _Webhook:
    name: str
    operations: tuple[Literal["CREATE", "UPDATE"], ...]
    resources: tuple[str, ...]
    namespaces: Manifest
    conditions: tuple[tuple[str, str], ...]
    """(name, CEL): all must hold."""
    group: str = ""


def _creations(calls: Calls) -> list[_Webhook]:
    excluded = selectors.not_excluded(calls)
    by_name = _Webhook(
        name=WEBHOOK_BY_NAME,
        operations=("CREATE",),
        resources=("pods",),
        namespaces={"matchExpressions": [*selectors.elsewhere(calls), *excluded]},
        conditions=(_names_us(calls),),
    )
    if not selectors.has_managed(calls):
        return [by_name]
    managed = _Webhook(
        name=WEBHOOK,
        operations=("CREATE",),
        resources=("pods",),
        namespaces=selectors.managed(calls, without=excluded),
        conditions=(_not_of_its_node(calls), _not_given_away(calls)),
    )
    return [managed, by_name]


def _changes(calls: Calls) -> _Webhook:
    return _Webhook(
        name=WEBHOOK_CHANGES,
        operations=("UPDATE",),
        resources=("pods", "pods/resize"),
        namespaces={"matchExpressions": selectors.not_excluded(calls)},
        conditions=(
            _names_us(calls),
            *_not_by_bridge(calls),
            _touches(),
        ),
    )


def _uses_of_nodes(calls: Calls) -> list[_Webhook]:
    name, not_exempt = calls.scheduler_name, selectors.not_exempt(calls)
    pods = _Webhook(
        name=WEBHOOK_NODES,
        operations=("CREATE", "UPDATE"),
        resources=("pods",),
        namespaces={"matchExpressions": not_exempt},
        conditions=(
            *expressions.newly_tolerates("spec", name),
            ("not-of-its-node", f"!({expressions.belongs_to_its_node()})"),
            (
                "does-not-wait-in-slurm",
                f"!({expressions.names_us(name)} &&\n  ({expressions.has_no_node()}))",
            ),
        ),
    )
    if not selectors.has_managed(calls):
        return [pods]
    daemon_sets = _Webhook(
        name=WEBHOOK_DAEMON_SETS,
        operations=("CREATE", "UPDATE"),
        group="apps",
        resources=("daemonsets",),
        namespaces=selectors.managed(calls, without=not_exempt),
        conditions=expressions.newly_tolerates("spec.template.spec", name),
    )
    return [pods, daemon_sets]


def _not_of_its_node(calls: Calls) -> tuple[str, str]:
    """`scope.Scope.should_manage`, in CEL."""
    return (
        "not-of-its-node",
        f"{_names_us(calls)[1]} ||\n!({expressions.belongs_to_its_node()})",
    )


def _names_us(calls: Calls) -> tuple[str, str]:
    return "names-slurm-bridge", expressions.names_us(calls.scheduler_name)


def _not_given_away(calls: Calls) -> tuple[str, str]:
    ours = expressions.literals(("", scope.DEFAULT_SCHEDULER, calls.scheduler_name))
    return (
        "not-given-to-another-scheduler",
        f"!has(object.spec.schedulerName) ||\nobject.spec.schedulerName in {ours}",
    )


def _not_by_bridge(calls: Calls) -> tuple[tuple[str, str], ...]:
    if not calls.bridge_users:
        return ()
    users = expressions.literals(tuple(calls.bridge_users))
    return (("not-by-slurm-bridge", f"!(request.userInfo.username in {users})"),)


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


def _webhook(webhook: _Webhook, client_config: Manifest, timeout_s: int) -> Manifest:
    return {
        "name": webhook.name,
        "clientConfig": client_config,
        "rules": [
            {
                "apiGroups": [webhook.group],
                "apiVersions": ["v1"],
                "operations": list(webhook.operations),
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
