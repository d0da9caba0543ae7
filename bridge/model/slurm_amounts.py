"""What a pod's requests are in Slurm's units: one arithmetic for whoever asks and whoever checks.

Slurm counts whole CPUs and MiB. It gives each task at least one CPU, so a pod holds one even where
it asks for none. Slurm has no memory per task. For tasks that may share nodes a job asks for memory
per CPU: the pod's memory by its CPUs, rounded up, or down where the pods would else not fit onto
the nodes that they have room on (`bridge.jobs.memory`). So whoever checks a grant counts on the
lesser of both. They differ by less than one MiB a CPU, and Kubernetes counts the bytes.
"""

from typing import Final

from bridge.model.resources import Resources

MIB: Final = 1 << 20


def whole_cpus(requests: Resources) -> int:
    """The CPUs that a pod holds in Slurm."""
    return max(1, -(-requests.cpu_milli // 1000))


def memory_mib(requests: Resources) -> int:
    """The pod's memory, rounded up."""
    return -(-requests.memory_bytes // MIB)


def mib_per_cpu(mib: int, cpus: int) -> int:
    """The memory per CPU that a job asks for, where nothing keeps it from being rounded up."""
    return -(-mib // cpus)


def least_granted_mib(requests: Resources) -> int:
    """The least memory that a grant for the pod can have."""
    cpus = whole_cpus(requests)
    return min(memory_mib(requests), max(1, memory_mib(requests) // cpus) * cpus)


def in_slurm_units(requests: Resources) -> Resources:
    """The requests as Slurm counts them: sums of these are what it counts for several pods."""
    return Resources(
        whole_cpus(requests) * 1000,
        memory_mib(requests) * MIB,
        requests.ephemeral_bytes,
        requests.extended,
    )
