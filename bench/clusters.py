"""A seeded GPU cluster as benches need it: nodes with the labels of a real one, pods on some."""

import random
from dataclasses import dataclass
from functools import cache

from bridge import names
from bridge.model.ids import NodeName, PodUid
from bridge.model.node import Node
from bridge.model.resources import Resources
from bridge.model.scheduling import PodShape, Taint, Toleration
from bridge.placement.table import NodeTable

SCHEDULER = names.SCHEDULER_NAME
GPU, EFA = "nvidia.com/gpu", "vpc.amazonaws.com/efa"
MANAGED = Taint.managed(SCHEDULER)
IGNORED = ("topology.k8s.aws/instance-id",)
PER_LEAF, PER_SPINE = 32, 512

SHAPE = PodShape(
    requests=Resources(cpu_milli=8000, memory_bytes=64 << 30, extended=((GPU, 2), (EFA, 8))),
    node_selector=(("nvidia.com/gpu.product", "NVIDIA-H100-80GB-HBM3"),),
    tolerations=(
        Toleration.managed(SCHEDULER),
        Toleration("nvidia.com/gpu", "Exists"),
    ),
)
"""A quarter of an eight-GPU node; four fit."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Plain objects: the nodes, and which pod holds what where."""

    nodes: list[Node]
    pods: dict[PodUid, tuple[NodeName, PodShape]]

    def table(self) -> NodeTable:
        """The same, as the placement core keeps it."""
        table = NodeTable(scheduler_name=SCHEDULER, class_ignore_keys=IGNORED)
        for node in self.nodes:
            table.upsert(node)
        for pod, (node_name, shape) in self.pods.items():
            table.occupy(pod, node_name, shape)
        return table


@cache
def a_cluster(size: int, *, seed: int, busy: float = 0.5) -> Cluster:
    """`size` nodes in leaves of 32 and spines of 512; on a share of them one to four pods.

    The same object for the same arguments: nobody changes it.
    """
    dice = random.Random(seed)
    nodes = [_node(number, dice) for number in range(size)]
    dice.shuffle(nodes)
    pods: dict[PodUid, tuple[NodeName, PodShape]] = {}
    for node in nodes:
        if dice.random() < busy:
            for _ in range(dice.randint(1, 4)):
                pods[PodUid(f"pod-{len(pods)}")] = (node.name, SHAPE)
    return Cluster(nodes, pods)


def _node(number: int, dice: random.Random) -> Node:
    name = f"ip-10-{number >> 16}-{number >> 8 & 255}-{number & 255}.us-west-2.compute.internal"
    gpu = dice.random() < 0.9
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "topology.kubernetes.io/region": "us-west-2",
        "topology.kubernetes.io/zone": f"us-west-2{dice.choice('abc')}",
        "node.kubernetes.io/instance-type": "p5.48xlarge" if gpu else "m7i.24xlarge",
        "eks.amazonaws.com/nodegroup": f"group-{dice.randrange(4)}",
        "topology.k8s.aws/instance-id": f"i-{number:017x}",
        f"{names.AWS_NETWORK_LAYER_PREFIX}1": "nn-0",
        f"{names.AWS_NETWORK_LAYER_PREFIX}2": f"nn-spine-{number // PER_SPINE}",
        f"{names.AWS_NETWORK_LAYER_PREFIX}3": f"nn-leaf-{number // PER_LEAF}",
        names.EXTERNAL_NODE_LABEL: "",
    }
    if gpu:
        labels["nvidia.com/gpu.product"] = "NVIDIA-H100-80GB-HBM3"
    taints = [MANAGED]
    if gpu:
        taints.append(Taint("nvidia.com/gpu", "present", "NoSchedule"))
    if dice.random() < 0.02:
        taints.append(Taint("node.kubernetes.io/not-ready", "", "NoSchedule"))
    return Node(
        name=NodeName(name),
        uid=f"uid-{number}",
        resource_version="1",
        labels=labels,
        taints=tuple(taints),
        unschedulable=dice.random() < 0.01,
        allocatable=Resources(
            cpu_milli=190_000 if gpu else 95_000,
            memory_bytes=(2000 if gpu else 380) << 30,
            ephemeral_bytes=500 << 30,
            extended=((GPU, 8), (EFA, 32)) if gpu else (),
        ),
        internal_ip=f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}",
    )
