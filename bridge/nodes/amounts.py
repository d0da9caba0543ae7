"""What a node has to give, compared with what Slurm thinks that it has."""

from collections import Counter
from collections.abc import Iterable

from bridge.model import devices
from bridge.model.job import Gres
from bridge.nodes import definition
from bridge.slurm import NodeDefinition, SlurmNode

Amounts = definition.Capacity | NodeDefinition
"""What a node has to give."""


def is_less(known: SlurmNode, has: Amounts) -> bool:
    """Whether Slurm would give more than there is."""
    return (
        known.cpus > has.cpus or known.memory_mib > has.memory_mib or is_more(known.gres, has.gres)
    )


def is_more(gres: tuple[Gres, ...], than: tuple[Gres, ...]) -> bool:
    """Whether there is more of some device."""
    if gres == than:  # of thousands of nodes nearly all
        return False
    counts = _devices(than)
    return any(count > counts[device] for device, count in _devices(gres).items())


def _devices(gres: Iterable[Gres]) -> Counter[tuple[str, str]]:
    """Counts by name, of slices also by type. The type of whole GPUs is left out: it comes from a
    label, and nodes whose label is away for a moment must not all be drained."""
    counts: Counter[tuple[str, str]] = Counter()
    for item in gres:
        counts[item.name, item.type if devices.is_slice(item.type) else ""] += item.count
    return counts
