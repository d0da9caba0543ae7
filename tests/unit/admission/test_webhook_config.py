"""When the API server calls us."""

import base64
import re
from typing import Any

import pytest

from bridge.admission import webhook_config
from bridge.admission.webhook_config import Calls, Target

TARGET = Target(service="webhook", namespace="slurm-bridge", ca=b"PEM")
OURS = ("slurm-bridge",)
NAME = "kubernetes.io/metadata.name"


def both(calls: Calls, target: Target = TARGET) -> list[dict[str, Any]]:
    mutating = webhook_config.mutating(calls, target)
    validating = webhook_config.validating(calls, target)
    return [*mutating["webhooks"], *validating["webhooks"]]


def by_name(configuration: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {webhook["name"]: webhook for webhook in configuration["webhooks"]}


def expressions(webhook: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["expression"] for one in webhook["matchConditions"]}


@pytest.mark.parametrize(
    "calls",
    [
        Calls(managed_namespaces=("team",)),
        Calls(selector={"matchLabels": {"slurm": "yes"}}),
        Calls(selector={}),
        Calls(),
    ],
)
def test_every_webhook_fails_closed_and_has_no_side_effects(calls: Calls) -> None:
    """No pod of ours gets past a webhook that is down, and dry runs are allowed."""
    for webhook in both(calls):
        assert webhook["failurePolicy"] == "Fail"
        assert webhook["sideEffects"] == "None"
        assert webhook["admissionReviewVersions"] == ["v1"]
        assert webhook["matchPolicy"] == "Equivalent"
        assert webhook["clientConfig"]["caBundle"] == base64.b64encode(b"PEM").decode()
        assert re.fullmatch(r"([a-z]+\.)+slinky\.slurm\.net", webhook["name"])


@pytest.mark.parametrize(
    "calls",
    [
        Calls(managed_namespaces=("team", "kube-system", "slurm-bridge"), excluded=OURS),
        Calls(selector={"matchLabels": {"slurm": "yes"}}, excluded=OURS),
        Calls(selector={}, excluded=OURS),
        Calls(excluded=OURS),
    ],
)
def test_a_dead_webhook_locks_nobody_out(calls: Calls) -> None:
    """Whatever is managed: kube-system and the bridge's own pods never wait for the bridge."""
    for webhook in both(calls):
        expressions = webhook["namespaceSelector"]["matchExpressions"]
        never = [set(one["values"]) for one in expressions if one["operator"] == "NotIn"]
        assert any({"kube-system", "slurm-bridge"} <= names for names in never)


def test_what_is_never_asked_about() -> None:
    """Ephemeral containers take no resources; deletion, status, binding and eviction are nobody's
    to refuse. (`*` and `pods/*` would name them all.)"""
    asked = {
        (operation, resource)
        for webhook in both(Calls(managed_namespaces=("team",)))
        for rule in webhook["rules"]
        for operation in rule["operations"]
        for resource in rule["resources"]
    }
    assert asked == {
        ("CREATE", "pods"),
        ("UPDATE", "pods"),
        ("UPDATE", "pods/resize"),
        ("CREATE", "daemonsets"),
        ("UPDATE", "daemonsets"),
    }


def test_paths_and_reinvocation() -> None:
    """Paths are those of the Go bridge; mutation is repeated when others change the pod later."""
    calls = Calls(managed_namespaces=("team",))
    mutating = by_name(webhook_config.mutating(calls, TARGET))
    validating = by_name(webhook_config.validating(calls, TARGET))
    assert set(mutating) == {"pods.slinky.slurm.net", "named.pods.slinky.slurm.net"}
    nodes = {"nodes.pods.slinky.slurm.net", "nodes.daemonsets.slinky.slurm.net"}
    assert set(validating) == {*mutating, "changed.pods.slinky.slurm.net", *nodes}
    for webhook in mutating.values():
        assert webhook["clientConfig"]["service"]["path"] == "/mutate--v1-pod"
        assert webhook["reinvocationPolicy"] == "IfNeeded"
    for name, webhook in validating.items():
        path = "/validate--managed-nodes" if name in nodes else "/validate--v1-pod"
        assert webhook["clientConfig"]["service"]["path"] == path
        assert "reinvocationPolicy" not in webhook


def test_managed_namespaces_by_name() -> None:
    """Listed namespaces are asked about once; the others only for pods that name us."""
    calls = Calls(managed_namespaces=("team", "lab"), excluded=("slurm-bridge",))
    webhooks = by_name(webhook_config.mutating(calls, TARGET))
    never = {"key": NAME, "operator": "NotIn", "values": ["kube-system", "slurm-bridge"]}
    assert webhooks["pods.slinky.slurm.net"]["namespaceSelector"] == {
        "matchExpressions": [{"key": NAME, "operator": "In", "values": ["lab", "team"]}, never]
    }
    assert webhooks["named.pods.slinky.slurm.net"]["namespaceSelector"] == {
        "matchExpressions": [{"key": NAME, "operator": "NotIn", "values": ["lab", "team"]}, never]
    }


def test_managed_namespaces_by_selector() -> None:
    """The settings' selector becomes the webhook's, with the excluded namespaces taken out."""
    exists = {"key": "gpu", "operator": "Exists"}
    calls = Calls(selector={"matchLabels": {"slurm": "yes"}, "matchExpressions": [exists]})
    webhooks = by_name(webhook_config.mutating(calls, TARGET))
    never = {"key": NAME, "operator": "NotIn", "values": ["kube-system"]}
    assert webhooks["pods.slinky.slurm.net"]["namespaceSelector"] == {
        "matchLabels": {"slurm": "yes"},
        "matchExpressions": [exists, never],
    }
    assert webhooks["named.pods.slinky.slurm.net"]["namespaceSelector"] == {
        "matchExpressions": [never]
    }


def test_without_managed_namespaces() -> None:
    """Where no namespace is managed, only pods that name us are asked about."""
    webhooks = by_name(webhook_config.mutating(Calls(), TARGET))
    assert set(webhooks) == {"named.pods.slinky.slurm.net"}


def test_creation_and_updates_are_separate() -> None:
    """Creation looks at pods; updates look at pods and their resize, and only at ours."""
    calls = Calls(managed_namespaces=("team",), bridge_users=("bridge", "o'hara"))
    webhooks = by_name(webhook_config.validating(calls, TARGET))
    creation = webhooks["pods.slinky.slurm.net"]["rules"][0]
    assert (creation["operations"], creation["resources"]) == (["CREATE"], ["pods"])
    changes = webhooks["changed.pods.slinky.slurm.net"]
    (rule,) = changes["rules"]
    assert (rule["operations"], rule["resources"]) == (["UPDATE"], ["pods", "pods/resize"])
    said = expressions(changes)
    assert "object.spec.schedulerName == 'slurm-bridge-scheduler'" in said["names-slurm-bridge"]
    assert r"['bridge', 'o\'hara']" in said["not-by-slurm-bridge"]
    assert "oldObject.spec.schedulingGates" in said["touches-what-is-guarded"]
    # An update must not get past us by what was patched before, a DaemonSet as owner.
    assert "not-of-its-node" not in said


def test_without_bridge_users_no_user_is_excepted() -> None:
    """No condition on the user where none is known."""
    webhooks = by_name(webhook_config.validating(Calls(), TARGET))
    assert "not-by-slurm-bridge" not in expressions(webhooks["changed.pods.slinky.slurm.net"])


def test_a_url_and_cert_manager() -> None:
    """A bridge outside the cluster is called by URL; cert-manager's CA is injected."""
    target = Target(url="https://10.0.0.1:9443/", inject_ca_from="slurm-bridge/webhook")
    configuration = webhook_config.mutating(Calls(), target, name="demo")
    assert configuration["metadata"]["name"] == "demo"
    assert configuration["metadata"]["annotations"] == {
        "cert-manager.io/inject-ca-from": "slurm-bridge/webhook"
    }
    (webhook,) = configuration["webhooks"]
    assert webhook["clientConfig"] == {"url": "https://10.0.0.1:9443/mutate--v1-pod"}


def test_who_uses_managed_nodes_is_asked_outside_the_exempt_namespaces() -> None:
    """Pods everywhere else, DaemonSets in managed namespaces; exempt namespaces are asked about
    all other things as before."""
    calls = Calls(managed_namespaces=("team",), excluded=OURS, exempt=("monitoring",))
    webhooks = by_name(webhook_config.validating(calls, TARGET))
    without = {
        "key": NAME,
        "operator": "NotIn",
        "values": ["kube-system", "monitoring", "slurm-bridge", "slurm-bridge-capacity"],
    }
    team = {"key": NAME, "operator": "In", "values": ["team"]}
    pods, daemon_sets = (
        webhooks[f"nodes.{kind}.slinky.slurm.net"] for kind in ("pods", "daemonsets")
    )
    assert pods["namespaceSelector"] == {"matchExpressions": [without]}
    assert daemon_sets["namespaceSelector"] == {"matchExpressions": [team, without]}
    assert daemon_sets["rules"][0]["apiGroups"] == ["apps"]
    for name, webhook in webhooks.items():
        if not name.startswith("nodes."):
            assert "monitoring" not in str(webhook["namespaceSelector"])
    none = by_name(webhook_config.validating(Calls(), TARGET))
    assert "nodes.daemonsets.slinky.slurm.net" not in none
