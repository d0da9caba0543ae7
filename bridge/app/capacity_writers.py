"""The ways to ask for new nodes, by the settings."""

from dataclasses import replace

from bridge import config
from bridge.app import rules
from bridge.capacity.machines import MachineGroup
from bridge.capacity.placeholder_pods import PlaceholderPods
from bridge.capacity.provisioning import ProvisioningForm, ProvisioningRequests
from bridge.capacity.scaling import ScaledObjects
from bridge.capacity.writer import RequestWriter
from bridge.config.capacity import ScaledObject
from bridge.kube.api.client import KubeClient
from bridge.kube.objects import requests
from bridge.model.scheduling import Taint
from bridge.state.kube_state import KubeState


def build(
    settings: config.Settings, kube: KubeClient, cluster: KubeState
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
        "scale": ScaledObjects(
            [_group(one) for one in wished.scaled_objects],
            kube=kube,
            cluster=cluster,
            scheduler_name=settings.scheduler_name,
        ),
    }
    used = ways.pop(wished.mode, None)
    return used, list(ways.values())


def _group(said: ScaledObject) -> MachineGroup:
    return MachineGroup(
        api_version=said.api_version,
        kind=said.kind,
        namespace=said.namespace,
        name=said.name,
        most=said.max,
        allocatable=requests.amounts(said.allocatable, "capacity.scaledObjects.allocatable"),
        labels=tuple(said.labels.items()),
        taints=tuple(Taint(one.key, one.value, one.effect) for one in said.taints),
        partitions=frozenset(said.partitions),
    )
