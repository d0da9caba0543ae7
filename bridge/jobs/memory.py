"""Memory: exact where Slurm has a word for it, else rounded up; never the whole node by accident.

Slurm has no memory per task. One task: per node, to the MiB. Several tasks that may share nodes:
per CPU, rounded up (at most one MiB a CPU more). Nothing said, or 0, is all of the node's, unless
the partition has a default (DefMemPerCPU, DefMemPerNode).
"""

from dataclasses import dataclass

from bridge.model.gang import Gang

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Memory:
    """One of both, or neither: the partition's default."""

    mib_per_node: int | None = None
    mib_per_cpu: int | None = None


def build(
    gang: Gang, *, cpus_per_task: int, alone: bool, partition_default: bool, default_mib: int
) -> Memory:
    """What the gang's job is asked for; `alone`: each task has a node of its own.

    `mem-per-node` may raise what a pod asks for, never lower it.
    """
    asked = -(-gang.shape.requests.memory_bytes // _MIB)
    asked = max(asked, gang.parameters.mem_per_node_mib or 0)
    if not asked and partition_default:
        return Memory()
    asked = asked or max(1, default_mib)
    if gang.size == 1 or alone:
        return Memory(mib_per_node=asked)
    return Memory(mib_per_cpu=-(-asked // cpus_per_task))
