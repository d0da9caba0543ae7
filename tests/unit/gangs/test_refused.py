"""Owners whose templates make pods that are refused."""

from dataclasses import replace

import pytest

from bridge import names
from bridge.gangs import refused
from bridge.gangs.refused import TemplateRefused
from bridge.model.owner import PodTemplate, RoleSet, RoleSpec
from bridge.model.resources import Resources
from bridge.model.scheduling import PodShape
from tests.builders import a_job, a_pod, gang_for

DEVICE = "deviceclass.resource.kubernetes.io/"


def asking(cpu_milli: int = 0, **extended: int) -> PodTemplate:
    devices = tuple(sorted((DEVICE + name.replace("_", "."), n) for name, n in extended.items()))
    return PodTemplate(shape=PodShape(Resources(cpu_milli, extended=devices)))


@pytest.mark.parametrize(
    ("template", "field"),
    [
        (PodTemplate(has_resource_claims=True), "spec.resourceClaims"),
        (PodTemplate(node_name="n1"), "spec.nodeName"),
        (asking(odd_class=1), "spec.containers"),
        (asking(1000, dra_cpu=1), "spec.containers"),
        (
            replace(asking(gpu_nvidia_com=1), annotations={names.JOB_PREFIX + "gres": "gpu:1"}),
            f"metadata.annotations[{names.JOB_PREFIX}gres]",
        ),
    ],
)
def test_what_the_webhook_refuses_of_a_pod_is_seen_in_its_template(
    template: PodTemplate, field: str
) -> None:
    """With the field, and whose pods they are."""
    with pytest.raises(
        TemplateRefused, match=r"MPIJob mpi is not queued .* its worker pods"
    ) as told:
        refused.check(template, owner="MPIJob mpi", role="worker")
    assert told.value.field == field


def test_a_template_that_is_fine_says_nothing() -> None:
    """Devices of the classes that are known, CPUs, none."""
    for template in (PodTemplate(), asking(1000, gpu_nvidia_com=1), asking(dra_cpu=4)):
        refused.check(template, owner="Job train", role="")


def test_a_gang_is_not_asked_for_while_some_of_its_pods_would_be_refused() -> None:
    """The launcher is there. Roles without pods do not count, and pods that exist were taken."""
    launcher = replace(a_pod("l").build(), labels={"role": "launcher"})
    bad = PodTemplate(has_resource_claims=True)
    mpi = RoleSet(
        "uid-mpi", "team", "mpi", "1", "kubeflow.org/v2beta1", "MPIJob", role_label="role",
        roles=(RoleSpec("Launcher", 1, bad), RoleSpec("Worker", 2, bad)),
    )  # fmt: skip
    owners = (a_job("mpi-launcher"), mpi)
    with pytest.raises(TemplateRefused, match="its Worker pods will be refused"):
        gang_for([launcher], *owners)
    without = replace(mpi, roles=(mpi.roles[0], replace(mpi.roles[1], replicas=0)))
    assert gang_for([launcher], a_job("mpi-launcher"), without).size == 1
