"""The registration line of a node, `NodeName=… CPUs=… State=External …`, parsed and checked.

Rule: slurm.conf(5), node parameters, for dynamic nodes; refusals as the real slurmctld makes them.
"""

import re
from dataclasses import dataclass

from bridge.errors import BadInput
from bridge.sim.slurm import gres, hosts
from bridge.sim.slurm.errors import INVALID_ARGUMENT, INVALID_NODE_STATE, UNSPECIFIED, Refused

SLURMD_PORT = 6818
"""SlurmdPort: where slurmctld looks for the slurmd of a node that names no port of its own."""
_WORD = re.compile(r'(\w+)=("[^"]*"|\S*)')
_KEYS = frozenset(
    {
        "nodename",
        "nodeaddr",
        "nodehostname",
        "port",
        "cpus",
        "boards",
        "sockets",
        "socketsperboard",
        "corespersocket",
        "threadspercore",
        "realmemory",
        "tmpdisk",
        "weight",
        "state",
        "feature",
        "features",
        "gres",
        "gresconf",
        "topology",
        "reason",
        "corespecs",
        "corespeccount",
        "memspeclimit",
        "cpuspeclist",
    }
)
_STATES = frozenset({"external", "cloud", "future", "unknown", "down", "drain", "fail", "idle"})


@dataclass(frozen=True, slots=True)
class NodeConf:
    """One node as its registration describes it; memory in MiB."""

    name: str
    address: str = ""
    port: int = SLURMD_PORT
    cpus: int = 1
    sockets: int = 1
    cores: int = 1
    threads: int = 1
    memory_mib: int = 1
    weight: int = 1
    features: tuple[str, ...] = ()
    gres_text: str = ""
    pools: tuple[tuple[gres.Kind, int], ...] = ()
    topology: str = ""
    external: bool = True


def parse(line: str, *, gres_types: frozenset[str]) -> list[NodeConf]:
    """All nodes that the line names.

    Raises Refused: -1 for what is no node line, 22 for GPUs without a device file each, 2028 for a
    state. A resource that `gres_types` lacks is dropped silently, as Slurm does.
    """
    found = _WORD.findall(line)
    words = {key.lower(): value.strip('"') for key, value in found}
    if not words.get("nodename") or words.keys() - _KEYS:
        raise Refused(UNSPECIFIED)
    state = words.get("state", "External").lower()
    if state not in _STATES:
        raise Refused(INVALID_NODE_STATE)
    try:
        sockets = int(words.get("sockets") or words.get("boards") or 1)
        threads = int(words.get("threadspercore") or 1)
        cores = int(words.get("corespersocket") or 0)
        cpus = int(words.get("cpus") or sockets * max(cores, 1) * threads)
        memory = int(words.get("realmemory") or 1)
        weight = int(words.get("weight") or 1)
        port = int(words.get("port") or SLURMD_PORT)
        names = hosts.expand(words["nodename"])
    except (ValueError, BadInput):
        raise Refused(UNSPECIFIED) from None
    if cores and threads > 1:
        cpus = sockets * cores * threads  # Slurm rounds a partial layout up to whole cores
    pools = {
        kind: count
        for kind, count in gres.parse_pools(words.get("gres", "")).items()
        if kind.name in gres_types
    }
    pools = _with_devices(pools, words.get("gresconf", ""))
    shared = NodeConf(
        name="",
        port=port,
        cpus=cpus,
        sockets=sockets,
        cores=cores or max(cpus // (sockets * threads), 1),
        threads=threads,
        memory_mib=memory,
        weight=weight,
        features=_names(words.get("feature") or words.get("features") or ""),
        gres_text=",".join(kind.text(count) for kind, count in pools.items()),
        pools=tuple(pools.items()),
        topology=words.get("topology", ""),
        external=state == "external",
    )
    return [_named(shared, name, words.get("nodeaddr", "")) for name in names]


def _named(conf: NodeConf, name: str, address: str) -> NodeConf:
    return NodeConf(
        name=name,
        address=address or name,
        port=conf.port,
        cpus=conf.cpus,
        sockets=conf.sockets,
        cores=conf.cores,
        threads=conf.threads,
        memory_mib=conf.memory_mib,
        weight=conf.weight,
        features=conf.features,
        gres_text=conf.gres_text,
        pools=conf.pools,
        topology=conf.topology,
        external=conf.external,
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(",")))


def _with_devices(pools: dict[gres.Kind, int], conf: str) -> dict[gres.Kind, int]:
    """Which resources have device files. A GPU is counted only with one: else Refused (22).

    Entries of `conf` are joined by `+`; where one resource has an entry, each must have one.
    """
    entries = [entry.lower() for entry in conf.split("+") if entry.strip()]
    found: dict[gres.Kind, int] = {}
    for kind, count in pools.items():
        mine = [entry for entry in entries if f"name={kind.name}" in entry]
        if kind.type:
            mine = [entry for entry in mine if f"type={kind.type}".lower() in entry]
        files = sum(_files(entry) for entry in mine)
        if (entries and not mine) or (kind.name == "gpu" and files < count):
            raise Refused(INVALID_ARGUMENT)
        found[gres.Kind(kind.name, kind.type, indexed=files > 0)] = count
    return found


def _files(entry: str) -> int:
    """How many device files an entry names."""
    _, found, listed = entry.partition("file=")
    return len(hosts.expand(listed)) if found else 0
