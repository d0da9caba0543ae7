"""The manifest that is shipped."""

from collections.abc import Callable
from pathlib import Path
from string import Template

import pytest
import yaml

from bridge.admission import shipped

DEPLOY = Path(__file__).parents[3] / "deploy"


@pytest.mark.parametrize(
    ("name", "text"), [("webhook", shipped.webhook), ("managed-nodes", shipped.managed_nodes)]
)
def test_the_files_are_what_the_code_says(name: str, text: Callable[[], str]) -> None:
    """What is shipped is the configuration that the tests know."""
    assert (DEPLOY / f"{name}.yaml").read_text(encoding="utf-8") == text(), (
        f"write it anew: python -m bridge.admission.shipped {name} >deploy/{name}.yaml"
    )


def test_filled_in() -> None:
    """The placeholders are all that is missing, and they reach every place that needs them."""
    filled = Template(shipped.webhook()).substitute(
        NAMESPACE="slurm-bridge",
        MANAGED_NAMESPACE="research",
        BRIDGE_USER="the-bridge",
        EXEMPT_NAMESPACE="monitoring",
    )
    documents = list(yaml.safe_load_all(filled))
    assert [document["kind"] for document in documents] == [
        "Issuer",
        "Certificate",
        "Service",
        "MutatingWebhookConfiguration",
        "ValidatingWebhookConfiguration",
    ]
    _, certificate, service, *configurations = documents
    for configuration in configurations:
        assert configuration["metadata"]["annotations"] == {
            "cert-manager.io/inject-ca-from": "slurm-bridge/slurm-bridge-webhook"
        }
        for webhook in configuration["webhooks"]:
            asked = webhook["clientConfig"]["service"]
            assert (asked["name"], asked["namespace"]) == (
                service["metadata"]["name"],
                service["metadata"]["namespace"],
            )
            assert f"{asked['name']}.{asked['namespace']}.svc" in certificate["spec"]["dnsNames"]
            assert asked["port"] == service["spec"]["ports"][0]["port"]
    assert "'the-bridge'" in filled
    assert "$" not in filled.split("---", 1)[1]


def test_the_policies_filled_in() -> None:
    """Each policy has its binding, and needs no further word."""
    filled = Template(shipped.managed_nodes()).substitute(
        NAMESPACE="slurm-bridge", MANAGED_NAMESPACE="research", EXEMPT_NAMESPACE="monitoring"
    )
    documents = list(yaml.safe_load_all(filled))
    assert [document["kind"] for document in documents] == [
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    ] * 2
    for one, binding in zip(documents[::2], documents[1::2], strict=True):
        assert binding["spec"] == {
            "policyName": one["metadata"]["name"],
            "validationActions": ["Deny"],
        }
    assert "$" not in filled.split("---", 1)[1]
