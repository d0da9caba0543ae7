"""The manifest that is shipped."""

from pathlib import Path
from string import Template

import yaml

from bridge.admission import shipped

FILE = Path(__file__).parents[3] / "deploy" / "webhook.yaml"


def test_the_file_is_what_the_code_says() -> None:
    """deploy/webhook.yaml is the configuration that the tests know."""
    assert FILE.read_text(encoding="utf-8") == shipped.text(), (
        "write it anew: python -m bridge.admission.shipped > deploy/webhook.yaml"
    )


def test_filled_in() -> None:
    """The placeholders are all that is missing, and they reach every place that needs them."""
    filled = Template(shipped.text()).substitute(
        NAMESPACE="slurm-bridge", MANAGED_NAMESPACE="research", BRIDGE_USER="the-bridge"
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
