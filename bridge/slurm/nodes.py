"""A node as Slurm has it, and as we register it: free of any REST version."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from bridge.errors import BadInput
from bridge.model.ids import SlurmNodeName
from bridge.model.job import Gres
from bridge.slurm import gres as gres_strings
from bridge.slurm import node_names

_BUSY = frozenset({"ALLOCATED", "MIXED", "COMPLETING"})
LONGEST_NODE_NAME: Final = node_names.LONGEST
_WORD = re.compile(r"[^\s\"'=,\[\]]+")
_FEATURE = re.compile(r"[^\s\"'=,\[\]&|()*!]+")
"""A word without the operators of a job's constraints, which no job could ask for."""


@dataclass(frozen=True, slots=True)
class SlurmNode:
    """What Slurm says of a node."""

    name: SlurmNodeName
    states: frozenset[str]
    address: str = ""
    port: int = 0
    """Where slurmctld looks for its slurmd; 0 where Slurm doesn't tell."""
    hostname: str = ""
    cpus: int = 0
    memory_mib: int = 0
    gres: tuple[Gres, ...] = ()
    gres_used: tuple[Gres, ...] = ()
    features: tuple[str, ...] = ()
    active_features: tuple[str, ...] = ()
    topology: str = ""
    """`name:root:…:leaf`; "" without one."""
    reason: str = ""
    reason_user: str = ""
    """Who set the reason."""
    reason_s: int | None = None
    """When, in seconds since the epoch."""
    comment: str = ""
    extra: str = ""
    partitions: tuple[str, ...] = ()
    reservation: str = ""
    """One that has it now."""
    weight: int = 1
    allocated_cpus: int = 0
    allocated_memory_mib: int = 0
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def external(self) -> bool:
        """Registered by somebody for whom Slurm only counts: no slurmd runs there."""
        return "EXTERNAL" in self.states

    @property
    def not_responding(self) -> bool:
        """Slurm has given up talking to it; an external one needs delete and create."""
        return "NOT_RESPONDING" in self.states

    @property
    def drained(self) -> bool:
        """Gets no new jobs (it may still have old ones)."""
        return "DRAIN" in self.states

    @property
    def down(self) -> bool:
        """Slurm holds it for lost."""
        return "DOWN" in self.states

    @property
    def idle(self) -> bool:
        """No job is on it."""
        return not self.states & _BUSY and not self.allocated_cpus

    @property
    def deletable(self) -> bool:
        """Whether Slurm deletes it: neither a job nor a reservation that has begun is in the way
        (26.05)."""
        return (self.idle or self.down) and not self.reservation


@dataclass(frozen=True, slots=True)
class NodeListing:
    """All nodes as they were at a time."""

    nodes: tuple[SlurmNode, ...]
    at_s: int
    """By Slurm's clock; 0 where Slurm does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeDefinition:
    """An external node to be registered.

    `address` is needed: without one slurmctld looks the name up while it holds its locks, each
    time a job starts there, and answers nobody meanwhile. One thread per core, so that a CPU of
    Kubernetes is a core of Slurm; the layout must be exact, else Slurm registers another one.
    """

    name: str
    address: str
    cpus: int
    memory_mib: int
    sockets: int = 1
    cores_per_socket: int = 0
    """0: as many as `cpus` need."""
    threads_per_core: int = 1
    features: tuple[str, ...] = ()
    topology: str = ""
    gres: tuple[Gres, ...] = ()
    weight: int | None = None
    hostname: str = ""

    def node_conf(self) -> str:
        """The line for `POST /new/node/`. Raises BadInput where a value can't stand in it."""
        self.check()
        return " ".join(f"{key}={value}" for key, value in self._pairs())

    def check(self) -> None:
        """Raise BadInput for a value that can't stand in a node's line, or that Slurm would show
        as something else than it was told.
        """
        node_names.check(self.name)
        if not self.address:
            raise BadInput(
                f"node {self.name} has no address; without one slurmctld waits for DNS each time "
                "a job starts there",
                field="address",
            )
        _check_word(self.address, "address")
        if self.hostname:
            _check_word(self.hostname, "hostname")
        if self.topology:
            _check_topology(self.topology)
        check_features(self.features)
        _check_gres(self.gres)

    def _pairs(self) -> Iterator[tuple[str, str]]:
        cores = self.cores_per_socket or self.cpus // (self.sockets * self.threads_per_core)
        yield "NodeName", self.name
        yield "NodeAddr", self.address
        if self.hostname:
            yield "NodeHostName", self.hostname
        yield "Sockets", str(self.sockets)
        yield "CoresPerSocket", str(cores)
        yield "ThreadsPerCore", str(self.threads_per_core)
        yield "CPUs", str(self.cpus)
        yield "RealMemory", str(self.memory_mib)
        yield "State", "External"
        if self.weight is not None:
            yield "Weight", str(self.weight)
        if self.features:
            yield "Feature", ",".join(self.features)
        if self.topology:
            yield "Topology", self.topology
        if self.gres:
            yield "Gres", f'"{gres_strings.format(self.gres)}"'
            yield "GresConf", f'"{self._gres_conf()}"'

    def _gres_conf(self) -> str:
        """One entry per GRES, joined by `+`: all of them or none, GPUs with a file for each.

        Nobody opens the files; Slurm refuses GPUs without and counts devices by them.
        """
        entries, gpus = [], 0
        for item in self.gres:
            entry = [f"count={item.count}", f"name={item.name}"]
            if item.type:
                entry.append(f"type={item.type}")
            if item.name == "gpu" and item.count:
                last = gpus + item.count - 1
                entry.append(f"file=/dev/nvidia{f'[{gpus}-{last}]' if last > gpus else gpus}")
                gpus += item.count
            entries.append(",".join(entry))
        return "+".join(entries)


def check_features(features: Iterable[str]) -> None:
    """Raise BadInput for a text that can't be a node's feature."""
    for feature in features:
        _check_feature(feature)


# Thousands of nodes have a handful of texts.


@lru_cache(maxsize=4096)
def _check_feature(feature: str) -> None:
    if not (_FEATURE.fullmatch(feature) and feature.isprintable()):
        raise _unfit(feature, "features")


@lru_cache(maxsize=4096)
def _check_word(text: str, field_name: str) -> None:
    if not (_WORD.fullmatch(text) and text.isprintable()):
        raise _unfit(text, field_name)


@lru_cache(maxsize=4096)
def _check_topology(text: str) -> None:
    """Several places, each in another topology, have commas between them."""
    for place in text.split(","):
        _check_word(place, "topology")


@lru_cache(maxsize=4096)
def _check_gres(gres: tuple[Gres, ...]) -> None:
    """One node with GRES that can't be read would make the list of all nodes unreadable."""
    for item in gres:
        if item.count < 0:
            raise BadInput(f"a node can't have {item.count} {item.name}", field="gres")
    written = gres_strings.format(gres)
    try:
        shown = gres_strings.parse(written)
    except BadInput as error:
        raise BadInput(f"{error}, so no node can have it", field="gres") from None
    if shown != gres:
        raise _unfit(written, "gres")


def _unfit(text: str, field_name: str) -> BadInput:
    shown = text if len(text) <= 80 else text[:77] + "…"
    return BadInput(f"{shown!r} can't stand in a node's definition", field=field_name)
