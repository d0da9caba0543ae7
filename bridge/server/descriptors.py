"""File descriptors: each connection needs one, and so does everything else that we do."""

import resource

_MOST = 65_536
"""More than anybody needs; some hosts allow a billion."""
_OTHERS = 512
"""For our own connections to Slurm and Kubernetes, the probes, files."""


def raise_limit() -> None:
    """Let this process open as many as the host allows. The limit that processes start with, 1024
    on many hosts, is for programs that still use select()."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def room_for(connections: int) -> int:
    """So many of the connections fit under the limit, with enough left for everything else."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return connections
    return max(min(connections, soft - _OTHERS), min(connections, soft // 2))
