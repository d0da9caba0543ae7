"""A seeded GPU cluster as benches need it: nodes with the labels of a real one, pods on some."""

import random
from dataclasses import dataclass, replace
from functools import cache

from bridge import names
from bridge.model.ids import NodeName, PodUid
from bridge.model.node import Node
from bridge.model.pod_identity import PodIdentity
from bridge.model.resources import Resources
from bridge.model.scheduling import (
    PodSelector,
    PodShape,
    PodTerm,
    Requirement,
    SpreadConstraint,
    Taint,
    Toleration,
)
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
        *Toleration.ours(SCHEDULER),
        Toleration("nvidia.com/gpu", "Exists"),
    ),
)
"""A quarter of an eight-GPU node; four fit."""


APPS = 500


def an_app(number: int) -> PodIdentity:
    """A pod of one of the apps."""
    return an_app_named(f"app-{number}")


def an_app_named(name: str) -> PodIdentity:
    """A pod of this app."""
    return PodIdentity.of("team", {"app": name, "tier": "web"})


def apart_from(name: str) -> PodShape:
    """A pod that keeps away from the nodes of an app's pods."""
    return replace(SHAPE, pod_anti_affinity=(PodTerm(names.HOSTNAME_LABEL, _pods_of(name)),))


def kept_apart(name: str) -> dict[str, PodShape]:
    """Shapes of an app's pods that keep apart from each other, by how."""
    zones, nodes = (
        SpreadConstraint(key, 1, _pods_of(name)) for key in (ZONE, names.HOSTNAME_LABEL)
    )
    return {
        "one to a node": apart_from(name),
        "spread over zones": replace(SHAPE, spread=(zones,)),
        "spread over nodes": replace(SHAPE, spread=(nodes,)),
        "spread over zones and nodes": replace(SHAPE, spread=(zones, nodes)),
    }


def _pods_of(name: str) -> PodSelector:
    return PodSelector(("team",), (Requirement("app", "In", (name,)),))


ZONE = "topology.kubernetes.io/zone"
_EVERY_APP = PodSelector(("team",), (Requirement("app", "Exists"),))
APART = replace(SHAPE, pod_anti_affinity=(PodTerm(names.HOSTNAME_LABEL, _EVERY_APP),))
"""Alone on its node among the pods of all apps."""
SPREAD = replace(SHAPE, spread=(SpreadConstraint(ZONE, 1, _EVERY_APP),))
"""Spread over zones with the pods of all apps."""


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
        ZONE: f"us-west-2{dice.choice('abc')}",
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


def populated(cluster: Cluster, *, pods: int) -> NodeTable:
    """The cluster's table, with small pods of many apps on half of its nodes beside its own pods;
    each tenth keeps other pods of its app off its node, and each is numbered.
    """
    table = cluster.table()
    small = PodShape(requests=Resources(cpu_milli=100))
    keepers = [
        replace(apart_from(f"app-{number}"), requests=small.requests) for number in range(APPS)
    ]
    half = [node.name for node in cluster.nodes[::2]]
    for number in range(pods):
        app = number % APPS
        numbered = PodIdentity.of("team", {names.COMPLETION_INDEX: str(number // APPS)})
        table.occupy(
            PodUid(f"small-{number}"),
            half[number % len(half)],
            keepers[app] if number % 10 == 0 else small,
            identity=replace(an_app(app), own=numbered.own),
        )
    return table
