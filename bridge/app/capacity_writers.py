"""The ways to ask for new nodes, by the settings."""

from dataclasses import replace

from bridge import config
from bridge.app import rules
from bridge.capacity.placeholder_pods import PlaceholderPods
from bridge.capacity.provisioning import ProvisioningForm, ProvisioningRequests
from bridge.capacity.writer import RequestWriter
from bridge.kube.api.client import KubeClient


def build(
    settings: config.Settings, kube: KubeClient
) -> tuple[RequestWriter | None, list[RequestWriter]]:
    """(the way that is used, if any; the others)."""
    wished, form = settings.capacity, rules.placeholders(settings)
    ways: dict[str, RequestWriter] = {
        "placeholderPods": PlaceholderPods(form, kube=kube),
        "provisioningRequest": ProvisioningRequests(
            ProvisioningForm(
                replace(form, by_hostname=True),
                wished.provisioning_class_name,
                wished.provisioning_parameters,
            ),
            kube=kube,
        ),
    }
    used = ways.pop(wished.mode, None)
    return used, list(ways.values())
