"""One Kubernetes node as Slurm shall know it.

- `Sockets=1 CoresPerSocket=N ThreadsPerCore=1`, N the whole CPUs that pods may use: with real
  threads Slurm rounds every job up to a core, and silently registers more CPUs than told.
- NodeAddr is always given: without it each allocation waits for DNS.
- What pods of others use (DaemonSets above all) is not Slurm's to give, nor is the headroom, which
  they may use later.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from bridge import names
from bridge.errors import BadInput
from bridge.model import devices
from bridge.model.job import Gres
from bridge.model.node import Node
from bridge.model.resources import Resources
from bridge.nodes import places
from bridge.slurm import NodeDefinition

_MIB = 1 << 20
_SAID_BY: Final = {
    "name": (
        f"; give it a name of its own there by label {names.SLURM_NODE_NAME_LABEL}",
        f"metadata.labels[{names.SLURM_NODE_NAME_LABEL}]",
    ),
    "features": (
        f"; look at annotation {names.EXTERNAL_NODE_PARTITIONS_ANNOTATION}: names of partitions "
        "with commas between them",
        f"metadata.annotations[{names.EXTERNAL_NODE_PARTITIONS_ANNOTATION}]",
    ),
    "topology": (
        f"; look at annotation {names.TOPOLOGY_ANNOTATION}: name:root:…:leaf",
        f"metadata.annotations[{names.TOPOLOGY_ANNOTATION}]",
    ),
    "gres": ("; look at the settings resourceMap and nodes.gpuTypeLabel", ""),
}
"""Field of a NodeDefinition → the advice, and where on the node it comes from."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The part of the settings that makes a node's definition."""

    cluster: str
    """uid of the Kubernetes cluster."""
    address: str = ""
    topology: str = ""
    """The root below which nodes are joined, `name:root`."""
    topology_labels: tuple[str, ...] = ()
    """Keys of labels that name a node's switches, from the top to the leaf."""
    partition: str = ""
    """Where jobs go that name none."""
    cpu_headroom_milli: int = 0
    memory_headroom_mib: int = 0
    gpu_type_label: str = ""
    resource_map: Mapping[str, str] = field(default_factory=dict)
    drained_in_slurm: Literal["taint", "cordon", "none"] = "taint"
    """How a node shows that an admin has drained it in Slurm, beside a condition."""

    @property
    def without_headroom(self) -> "Rules":
        """The rules for a node that is registered already."""
        return replace(self, cpu_headroom_milli=0, memory_headroom_mib=0)


def cluster_feature(cluster: str) -> str:
    """The Slurm feature that marks nodes registered by this Kubernetes cluster."""
    return f"k8s-{cluster[:8]}"


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a node has for Slurm to give; maybe nothing."""

    cpus: int
    memory_mib: int
    gres: tuple[Gres, ...]


def capacity(node: Node, *, others: Resources, rules: Rules) -> Capacity:
    """What pods may use on the node, without what pods of `others` ask for."""
    free = node.allocatable - others
    return Capacity(
        cpus=max(0, (free.cpu_milli - rules.cpu_headroom_milli) // 1000),
        memory_mib=max(0, free.memory_bytes // _MIB - rules.memory_headroom_mib),
        gres=gres_of(node, free, rules),
    )


def define(node: Node, *, node_class: str, others: Resources, rules: Rules) -> NodeDefinition:
    """How `node` is to be registered.

    Raises BadInput when it has nothing to give, and when its labels, its annotations or the
    settings say what Slurm can't be told.
    """
    has = capacity(node, others=others, rules=rules)
    if not has.cpus or not has.memory_mib:
        raise BadInput(
            f"node {node.name} can't be registered in Slurm: it has {has.cpus} whole CPUs and "
            f"{has.memory_mib} MiB of memory left for pods; look at status.allocatable, at what "
            "other pods use there, and at nodes.cpuHeadroomMilli and nodes.memoryHeadroomMib",
            field="status.allocatable",
        )
    address = rules.address or node.internal_ip
    if not address:
        raise BadInput(
            f"node {node.name} can't be registered in Slurm: it has no InternalIP in "
            "status.addresses; set nodes.address if all nodes shall share one",
            field="status.addresses",
        )
    wanted = NodeDefinition(
        name=node.slurm_name,
        address=address,
        sockets=1,
        cores_per_socket=has.cpus,
        threads_per_core=1,
        cpus=has.cpus,
        memory_mib=has.memory_mib,
        features=(node_class, cluster_feature(rules.cluster), *node.external_partitions),
        topology=places.place_of(node, rules.topology, rules.topology_labels),
        gres=has.gres,
    )
    try:
        wanted.check()
    except BadInput as error:
        where, field_path = _SAID_BY.get(error.field, ("", ""))
        raise BadInput(
            f"node {node.name} can't be registered in Slurm: {error}{where}", field=field_path
        ) from None
    return wanted


def gres_of(node: Node, free: Resources, rules: Rules) -> tuple[Gres, ...]:
    """The node's devices that are `free` for Slurm to give, under Slurm's names; GPUs of no type of
    their own get that of the node's label."""
    found: Counter[tuple[str, str]] = Counter()
    for resource, count in free.extended:
        name, kind = devices.split(rules.resource_map.get(resource, ""))
        if name == "gpu" and not kind:
            kind = devices.gpu_type(node.labels.get(rules.gpu_type_label, ""))
        if name and count > 0:
            found[name, kind] += count
    return tuple(Gres(name, kind, count) for (name, kind), count in found.items())
