"""What Slurm's nodes have, in as few groups as there are different nodes."""

from collections import Counter
from collections.abc import Collection
from dataclasses import replace

from bridge import slurm
from bridge.model.job import Gres
from bridge.nodes import places
from bridge.state.slurm_facts import Capacities, NodeGroup


def of(nodes: Collection[slurm.SlurmNode]) -> Capacities:
    """The capacities of these nodes. The order of the groups does not depend on that of nodes."""
    seen: dict[tuple[object, ...], NodeGroup] = {}
    group_of = {}
    for node in nodes:  # most look the same, and to compare their fields as they are is cheap
        look = (node.features, node.active_features, node.partitions, node.gres, node.cpus,
                node.memory_mib, node.external, places.has_place(node))  # fmt: skip
        group = seen.get(look)
        if group is None:
            group = seen[look] = _group(node)
        group_of[node.name] = group
    counts = Counter(group_of.values())
    groups = sorted(counts, key=_order)
    position = {group: at for at, group in enumerate(groups)}
    return Capacities(
        groups=tuple(replace(group, count=counts[group]) for group in groups),
        group_of={name: position[group] for name, group in group_of.items()},
        out_of_service=frozenset(
            node.name for node in nodes if node.drained or node.down or node.not_responding
        ),
        busy_cpus={node.name: node.allocated_cpus for node in nodes if node.allocated_cpus},
    )


def _group(node: slurm.SlurmNode) -> NodeGroup:
    devices: Counter[tuple[str, str]] = Counter()
    for item in node.gres:
        devices[item.name, item.type] += item.count
    return NodeGroup(
        features=frozenset((*node.features, *node.active_features)),
        partitions=frozenset(node.partitions),
        cpus=node.cpus,
        memory_mib=node.memory_mib,
        gres=tuple(Gres(*key, count) for key, count in sorted(devices.items()) if count),
        has_slurmd=not node.external,
        has_place=places.has_place(node),
    )


def _order(group: NodeGroup) -> tuple[object, ...]:
    devices = [(item.name, item.type, item.count) for item in group.gres]
    where = (sorted(group.partitions), sorted(group.features))
    kind = (group.has_slurmd, group.has_place)
    return (*where, group.cpus, group.memory_mib, devices, *kind)
