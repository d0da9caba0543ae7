"""Trackable resources: what a job asks for or holds, counted as the accounting counts.

Keys are Slurm's names: cpu, mem (MiB), node, billing (one for each CPU, as no partition here has
weights), and those kinds of GRES that are `counted`: gres/gpu, gres/gpu:h100.
"""

from collections.abc import Iterable, Mapping

from bridge.sim.slurm.job import Request, Share
from bridge.sim.slurm.wire import memory_text

Counts = Mapping[str, int]


def asked(
    request: Request, *, cpus: int, memory_mib: int, nodes: int, counted: frozenset[str]
) -> dict[str, int]:
    """What a job asks for; what it left open is handed in."""
    counts = {"cpu": cpus, "mem": memory_mib, "node": nodes, "billing": cpus}
    asks = [(ask, ask.count * request.tasks) for ask in request.gres_per_task]
    asks += [(ask, ask.count * nodes) for ask in request.gres_per_node]
    gres: dict[str, int] = {}
    for ask, count in asks:
        for name in {ask.name, ":".join(filter(None, (ask.name, ask.type)))} & counted:
            gres[name] = gres.get(name, 0) + count
    return {**counts, **_in_order(gres)}


def held(shares: Iterable[Share], counted: frozenset[str]) -> dict[str, int]:
    """What a job holds; nothing when it holds no node."""
    counts: dict[str, int] = {}
    gres: dict[str, int] = {}
    for share in shares:
        for name, count in (
            ("cpu", share.cpus),
            ("mem", share.memory_mib),
            ("node", 1),
            ("billing", share.cpus),
        ):
            counts[name] = counts.get(name, 0) + count
        for kind, mask in share.gres:
            for name in {kind.name, kind.text()} & counted:
                gres[name] = gres.get(name, 0) + mask.bit_count()
    return {**counts, **_in_order(gres)}


def text(counts: Counts) -> str:
    """`cpu=2,mem=200M,node=1,billing=2,gres/gpu=3`."""
    return ",".join(
        f"{name}={memory_text(count) if name == 'mem' else count}" for name, count in counts.items()
    )


def _in_order(gres: Counts) -> dict[str, int]:
    return {f"gres/{name}": gres[name] for name in sorted(gres)}
