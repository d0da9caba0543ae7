"""A pool of nodes, in Kubernetes and in Slurm, for tests of what is asked for."""

from collections.abc import Iterable
from typing import Any

from bridge.model.capacity import GangNeed, Part
from bridge.model.ids import GangId, NodeName, SlurmNodeName
from bridge.model.resources import Resources
from bridge.model.scheduling import PodShape
from bridge.state.kube_state import KubeState
from bridge.state.slurm_facts import Capacities, NodeGroup, PartitionFacts
from bridge.state.slurm_state import SlurmState
from tests.builders import SCHEDULER, TOLERATION, a_node

PARTITION = "p"


class NodePool:
    """Nodes of 8 GPUs. A node joins Slurm when it is registered."""

    def __init__(self, *nodes: str) -> None:
        self.cluster = KubeState(scheduler_name=SCHEDULER)
        self.slurm = SlurmState(partitions=PartitionFacts(known=frozenset({PARTITION})))
        self.registered: dict[str, str] = {}
        for name in nodes:
            self.add(name)
        self.register(*nodes)

    def add(self, name: str, **fields: Any) -> None:
        """A node is in Kubernetes."""
        self.cluster.upsert_node(a_node(name, **fields))

    def register(self, *names: str, partition: str = PARTITION) -> None:
        """Slurm knows the nodes too."""
        self.registered.update(dict.fromkeys(names, partition))
        self._tell()

    def unregister(self, name: str) -> None:
        """Slurm does not know the node any more."""
        del self.registered[name]
        self._tell()

    def remove(self, name: str) -> None:
        """The node is gone on both sides."""
        self.cluster.remove_node(NodeName(name))
        self.registered.pop(name, None)
        self._tell()

    def _tell(self) -> None:
        partitions = sorted(set(self.registered.values()))
        groups = tuple(NodeGroup(partitions=frozenset({one})) for one in partitions)
        self.slurm.capacities = Capacities(
            groups,
            {SlurmNodeName(name): partitions.index(one) for name, one in self.registered.items()},
        )


def a_part(count: int, gpu: int = 8, *, per_node: int = 0, **fields: Any) -> Part:
    """So many tasks of so many GPUs."""
    requests = Resources(cpu_milli=1000, extended=(("nvidia.com/gpu", gpu),))
    shape = PodShape(requests=requests, tolerations=(TOLERATION,), **fields)
    return Part(shape, count, per_node)


def a_need(gang: str, *parts: Part, created_s: float = 0.0, most_nodes: int = 0) -> GangNeed:
    """A gang that may lack nodes."""
    return GangNeed(
        GangId(gang), f"Job/team/{gang}", parts, PARTITION, most_nodes, created_s=created_s
    )


def total(wanted: Iterable[tuple[int, ...]]) -> int:
    """How many tasks nodes are asked for."""
    return sum(sum(counts) for counts in wanted)
