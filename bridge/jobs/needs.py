"""What a job asks of its nodes, resource by resource, in numbers and in words."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bridge.model import texts
from bridge.model.job import JobSpec
from bridge.slurm import gres
from bridge.state.slurm_facts import NodeGroup

UNBOUNDED: Final = 1 << 62
"""The number of tasks if a resource does not limit it."""
_GIB = 1024
_NAME_BYTES = 40
_MOST_LISTED = 4


@dataclass(frozen=True, slots=True)
class Need:
    """One resource: an amount for each task or for each node; the other amount is 0."""

    name: str
    """The name of a GRES, "cpu" or "memory" (in MiB)."""
    type: str = ""
    """The type of a GRES; "" means any."""
    per_task: int = 0
    per_node: int = 0

    @property
    def least(self) -> int:
        """How much a node needs for one task."""
        return self.per_task or self.per_node

    def held(self, group: NodeGroup) -> int:
        """How much of the resource a node of the group has."""
        if self.name == _CPU:
            return group.cpus
        if self.name == _MEMORY:
            return group.memory_mib
        return sum(
            item.count
            for item in group.gres
            if item.name == self.name and self.type in ("", item.type)
        )

    def tasks(self, group: NodeGroup) -> int:
        """How many tasks a node of the group has enough for."""
        if self.per_task:
            return self.held(group) // self.per_task
        return UNBOUNDED if self.held(group) >= self.per_node else 0

    def figure(self, amount: int) -> str:
        """An amount without the resource's name: 8, 192, 512 GiB."""
        if self.name != _MEMORY:
            return str(amount)
        return f"{amount} MiB" if amount % _GIB else f"{amount // _GIB} GiB"

    def words(self, amount: int) -> str:
        """An amount with the resource's name: 8 gpu:h100, 192 CPUs, 512 GiB of memory."""
        if self.name == _CPU:
            return "1 CPU" if amount == 1 else f"{amount} CPUs"
        if self.name == _MEMORY:
            return f"{self.figure(amount)} of memory"
        full = f"{self.name}:{self.type}" if self.type else self.name
        return f"{amount} {texts.printable(full, _NAME_BYTES)}"


_CPU: Final = "cpu"
_MEMORY: Final = "memory"


def of(spec: JobSpec) -> tuple[Need, ...]:
    """All that a component asks for, the rarest first. Raises BadInput for GRES that can't
    be read."""
    return tuple(need for need in _every(spec) if need.least)


def _every(spec: JobSpec) -> Iterator[Need]:
    for item in gres.parse(spec.gres_per_task):
        yield Need(item.name, item.type, per_task=item.count)
    for item in gres.parse(spec.tres_per_node):
        yield Need(item.name, item.type, per_node=item.count)
    yield Need(_CPU, per_task=spec.cpus_per_task)
    if spec.memory_mib_per_node is not None:
        yield Need(_MEMORY, per_node=spec.memory_mib_per_node)
    elif spec.memory_mib_per_cpu is not None:
        yield Need(_MEMORY, per_task=spec.memory_mib_per_cpu * spec.cpus_per_task)


def listed(needs: Sequence[Need]) -> str:
    """What one task needs, as words: 8 gpu, 32 CPUs and 4 GiB of memory."""
    words = [need.words(need.least) for need in needs[:_MOST_LISTED]]
    if len(needs) > _MOST_LISTED:
        words.append("more")
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last
