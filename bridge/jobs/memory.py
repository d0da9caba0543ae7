"""Memory: exact if Slurm can say it, else rounded up; never the whole node by accident.

Slurm has no memory per task. One task: per node, to the MiB. Several tasks that may share nodes:
per CPU, rounded up (less than one MiB a CPU more), or down where the nodes would take fewer pods
than they have room for: eight pods of an eighth of a node each. Nothing said, or 0, is all of the
node's, unless the partition has a default (DefMemPerCPU, DefMemPerNode).
"""

from dataclasses import dataclass

from bridge.model import slurm_amounts
from bridge.model.gang import Gang


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory per node or per CPU; if neither is set, the partition's default."""

    mib_per_node: int | None = None
    mib_per_cpu: int | None = None


def build(
    gang: Gang,
    *,
    cpus_per_task: int,
    alone: bool,
    partition_default: bool,
    default_mib: int,
    round_down: bool = False,
) -> Memory:
    """The memory that the gang's job asks for; `alone`: each task has a node of its own.

    `mem-per-node` may raise what a pod asks for, never lower it. `round_down`: rounded up, the
    nodes would take fewer pods.
    """
    requests = gang.shape.requests
    asked = slurm_amounts.memory_mib(requests)
    asked = max(asked, gang.parameters.mem_per_node_mib or 0)
    if not asked and partition_default:
        return Memory()
    asked = asked or max(1, default_mib)
    if gang.size == 1 or alone:
        return Memory(mib_per_node=asked)
    is_the_pods = asked == slurm_amounts.memory_mib(requests)
    if round_down and is_the_pods and cpus_per_task == slurm_amounts.whole_cpus(requests):
        return Memory(mib_per_cpu=max(1, asked // cpus_per_task))
    return Memory(mib_per_cpu=slurm_amounts.mib_per_cpu(asked, cpus_per_task))
