"""Karpenter with its kwok provider: the real decisions of an autoscaler, about nodes of kwok's."""

import http.client
import pathlib
import urllib.error
import urllib.request

from tests.e2e.stack import components, layout, programs

KINDS = ("pkg/apis/crds", "kwok/apis/crds")
"""Folders of its source with the definitions of its kinds."""


def component(where: layout.Layout, instance_types: pathlib.Path) -> components.Component:
    """Karpenter as cluster admin; `instance_types` is a file in its provider's form. It waits less
    than usual for more pods before it decides."""
    probes = f"http://127.0.0.1:{where.port(layout.Port.KARPENTER_PROBES)}/readyz"
    return components.Component(
        name=programs.KARPENTER,
        argv=(
            str(where.components / programs.KARPENTER),
            "--karpenter-service=karpenter",
            "--disable-leader-election=true",
            f"--metrics-port={where.port(layout.Port.KARPENTER)}",
            f"--health-probe-port={where.port(layout.Port.KARPENTER_PROBES)}",
            f"--instance-types-file-path={instance_types}",
            "--batch-idle-duration=300ms",
            "--batch-max-duration=2s",
        ),
        ready=lambda: _answers(probes),
        environment={"KUBECONFIG": str(where.kubeconfig), "SYSTEM_NAMESPACE": "kube-system"},
    )


def nodes_made(where: layout.Layout) -> int:
    """How many nodes it has asked its provider for since its start."""
    url = f"http://127.0.0.1:{where.port(layout.Port.KARPENTER)}/metrics"
    with urllib.request.urlopen(url, timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    counts = [line for line in lines if line.startswith("karpenter_nodeclaims_created_total{")]
    return sum(int(float(line.rpartition(" ")[2])) for line in counts)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError, http.client.HTTPException):
        return False
