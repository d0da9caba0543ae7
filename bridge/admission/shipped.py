"""`deploy/webhook.yaml` and `deploy/managed-nodes.yaml`, made from `webhook_config` and `policy`.

So what is shipped is what is tested.

    python -m bridge.admission.shipped webhook >deploy/webhook.yaml
    python -m bridge.admission.shipped managed-nodes >deploy/managed-nodes.yaml

write them anew. They are templates for `envsubst`: the site chooses which namespaces are managed.
"""

import sys
from collections.abc import Sequence
from typing import Any

import yaml

from bridge.admission import policy, webhook_config

_HEAD = """\
# The admission webhook's Service, certificate and configuration. Written by
#   python -m bridge.admission.shipped webhook >deploy/webhook.yaml
# which is what the tests compare it with: change bridge/admission/webhook_config.py instead.
#
# A template; fill it in with
#   NAMESPACE=slurm-bridge MANAGED_NAMESPACE=research \\
#   BRIDGE_USER=system:serviceaccount:slurm-bridge:slurm-bridge EXEMPT_NAMESPACE=monitoring \\
#     envsubst <deploy/webhook.yaml | kubectl apply -f -
# NAMESPACE          where the bridge runs; it is never asked about its own pods
# MANAGED_NAMESPACE  as managedNamespaces in the settings; more of them: more list entries. With
#                    managedNamespaceSelector, put that in the place of the In expression, and
#                    take the NotIn expression on MANAGED_NAMESPACE out
# BRIDGE_USER        the name that the controller has at the API server
# EXEMPT_NAMESPACE   its pods may use managed nodes without Slurm, as those of kube-system and of
#                    NAMESPACE may; more of them: more list entries. Without any, take them out
# Needs cert-manager. Without it: put the base64 of the CA's PEM (ca.crt in the bridge's
# certificate folder) into each clientConfig as caBundle and leave Issuer and Certificate out.
"""
_POLICY_HEAD = """\
# Keeps pods off managed nodes that Slurm has not placed there, for Kubernetes 1.30 and newer. The
# API server applies it without a call of the bridge. Written by
#   python -m bridge.admission.shipped managed-nodes >deploy/managed-nodes.yaml
# which is what the tests compare it with: change bridge/admission/policy.py instead.
#
# A template; fill it in with
#   NAMESPACE=slurm-bridge MANAGED_NAMESPACE=research EXEMPT_NAMESPACE=monitoring \\
#     envsubst <deploy/managed-nodes.yaml | kubectl apply -f -
# as deploy/webhook.yaml, which explains the names. Read first what docs/security.md says about who
# may use managed nodes: with Warn and Audit in the place of Deny nothing is refused yet.
"""
_NAMESPACE = "${NAMESPACE}"
_SERVICE = "slurm-bridge-webhook"
_CALLS = webhook_config.Calls(
    managed_namespaces=("${MANAGED_NAMESPACE}",),
    excluded=(_NAMESPACE,),
    exempt=("${EXEMPT_NAMESPACE}",),
    bridge_users=("${BRIDGE_USER}",),
)
_LABELS = {"app.kubernetes.io/name": "slurm-bridge"}


def webhook() -> str:
    """The whole content of deploy/webhook.yaml."""
    return _text(_HEAD, [_issuer(), _certificate(), _service(), *_configurations()])


def managed_nodes() -> str:
    """The whole content of deploy/managed-nodes.yaml."""
    return _text(_POLICY_HEAD, policy.documents(_CALLS))


def _text(head: str, documents: Sequence[dict[str, Any]]) -> str:
    return head + "".join(
        "---\n" + yaml.dump(document, Dumper=_Readable, sort_keys=False, width=100)
        for document in documents
    )


class _Readable(yaml.SafeDumper):
    """Expressions keep their lines; what is said twice is written twice."""

    def ignore_aliases(self, data: object) -> bool:
        return True

    def represent_text(self, text: str) -> yaml.ScalarNode:
        style = "|" if "\n" in text else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Readable.add_representer(str, _Readable.represent_text)


def _configurations() -> list[dict[str, Any]]:
    target = webhook_config.Target(
        service=_SERVICE, namespace=_NAMESPACE, inject_ca_from=f"{_NAMESPACE}/{_SERVICE}"
    )
    return [webhook_config.mutating(_CALLS, target), webhook_config.validating(_CALLS, target)]


def _service() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(_SERVICE),
        "spec": {
            "selector": _LABELS,
            "ports": [{"name": "https", "port": 443, "targetPort": 9443, "protocol": "TCP"}],
        },
    }


def _issuer() -> dict[str, Any]:
    return {
        "apiVersion": "cert-manager.io/v1",
        "kind": "Issuer",
        "metadata": _metadata(_SERVICE),
        "spec": {"selfSigned": {}},
    }


def _certificate() -> dict[str, Any]:
    host = f"{_SERVICE}.{_NAMESPACE}.svc"
    return {
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "metadata": _metadata(_SERVICE),
        "spec": {
            "secretName": f"{_SERVICE}-tls",
            "dnsNames": [host, f"{host}.cluster.local"],
            "usages": ["digital signature", "key encipherment", "server auth"],
            "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
            "issuerRef": {"kind": "Issuer", "name": _SERVICE},
        },
    }


def _metadata(name: str) -> dict[str, Any]:
    return {"name": name, "namespace": _NAMESPACE, "labels": dict(_LABELS)}


if __name__ == "__main__":
    sys.stdout.write(webhook() if sys.argv[1] == "webhook" else managed_nodes())
