"""Nodes as a GPU cluster on AWS has them: labels, extended resources, the network's layers.

The same labels as on the real stack. Names are dealt to places by a seed, so that code which
takes the order of names for the order of the fabric is found out.
"""

import random
from collections.abc import Sequence
from typing import Final

from bridge import names
from bridge.sim.kube.apiserver.objects import Object

PARTITION: Final = "slurm-bridge"
_LAYERS: Final = "topology.k8s.aws/network-node-layer-"


def gpu_nodes(
    count: int,
    *,
    gpus: int = 8,
    cpus: int = 96,
    memory_gib: int = 1024,
    layers: Sequence[int] = (8, 4),
    efa: int = 32,
    pods: int = 110,
    product: str = "NVIDIA-H100-80GB-HBM3",
    instance_type: str = "p5.48xlarge",
    zone: str = "us-west-2a",
    partitions: str = PARTITION,
    external: bool = True,
    prefix: str = "gpu",
    first: int = 1,
    seed: int = 0,
) -> list[Object]:
    """`count` Node objects named `<prefix>-0001`…, ready to be created.

    `layers` are the fan-outs from the bottom: nodes under a closest switch (layer 3), closest
    switches under one of layer 2; all of it hangs under one spine (layer 1). More fan-outs make
    more layers; the highest number is always the closest switch.
    """
    places = list(range(count))
    random.Random(seed).shuffle(places)
    return [
        _node(
            f"{prefix}-{first + index:04d}",
            number=first + index,
            labels={
                "node.kubernetes.io/instance-type": instance_type,
                "topology.kubernetes.io/region": zone[:-1],
                "topology.kubernetes.io/zone": zone,
                **_switches(place, layers),
                **({names.EXTERNAL_NODE_LABEL: ""} if external else {}),
                **(
                    {"nvidia.com/gpu.product": product, "nvidia.com/gpu.count": str(gpus)}
                    if gpus
                    else {}
                ),
            },
            annotations={names.EXTERNAL_NODE_PARTITIONS_ANNOTATION: partitions},
            resources={
                "cpu": str(cpus),
                "memory": f"{memory_gib}Gi",
                "ephemeral-storage": "1Ti",
                "pods": str(pods),
                **({"nvidia.com/gpu": str(gpus)} if gpus else {}),
                **({"vpc.amazonaws.com/efa": str(efa)} if efa else {}),
            },
        )
        for index, place in enumerate(places)
    ]


def _switches(place: int, layers: Sequence[int]) -> dict[str, str]:
    """The labels of the switches above a place; the last layer is the closest."""
    above = []
    group = place
    for fan_out in layers:
        group //= fan_out
        above.append(group)
    numbered = [0, *reversed(above)]
    return {
        f"{_LAYERS}{layer}": f"nn-{layer}{number:016x}"
        for layer, number in enumerate(numbered, start=1)
    }


def _node(
    name: str,
    *,
    number: int,
    labels: dict[str, str],
    annotations: dict[str, str],
    resources: dict[str, str],
) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                **labels,
            },
            "annotations": annotations,
        },
        "spec": {"providerID": f"embedded:///{name}"},
        "status": {
            "capacity": resources,
            "allocatable": dict(resources),
            "addresses": [
                {"type": "InternalIP", "address": f"127.1.{number >> 8 & 255}.{number & 255}"},
                {"type": "Hostname", "address": name},
            ],
            "nodeInfo": {"kubeletVersion": "v1.36.3", "operatingSystem": "linux"},
        },
    }
