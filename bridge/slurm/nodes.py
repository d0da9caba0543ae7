"""A node as Slurm has it, and as we register it: free of any REST version."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.errors import BadInput
from bridge.model.ids import SlurmNodeName
from bridge.model.job import Gres
from bridge.slurm import gres as gres_strings

_BUSY = frozenset({"ALLOCATED", "MIXED", "COMPLETING"})
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
_WORD = re.compile(r"^[^\s\"'=,\[\]]+$")


@dataclass(frozen=True, slots=True)
class SlurmNode:
    """What Slurm says of a node."""

    name: SlurmNodeName
    states: frozenset[str]
    address: str = ""
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
    comment: str = ""
    extra: str = ""
    partitions: tuple[str, ...] = ()
    reservation: str = ""
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
        """No job is on it: it can be deleted."""
        return not self.states & _BUSY and not self.allocated_cpus


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
        return " ".join(f"{key}={value}" for key, value in self._pairs())

    def _pairs(self) -> Iterator[tuple[str, str]]:
        if not _NAME.match(self.name):
            raise BadInput(f"{self.name!r} can't be a node's name in Slurm", field="name")
        if not self.address:
            raise BadInput(
                f"node {self.name} has no address; without one slurmctld waits for DNS each time "
                "a job starts there",
                field="address",
            )
        cores = self.cores_per_socket or self.cpus // (self.sockets * self.threads_per_core)
        yield "NodeName", self.name
        yield "NodeAddr", _word(self.address, "address")
        if self.hostname:
            yield "NodeHostName", _word(self.hostname, "hostname")
        yield "Sockets", str(self.sockets)
        yield "CoresPerSocket", str(cores)
        yield "ThreadsPerCore", str(self.threads_per_core)
        yield "CPUs", str(self.cpus)
        yield "RealMemory", str(self.memory_mib)
        yield "State", "External"
        if self.weight is not None:
            yield "Weight", str(self.weight)
        if self.features:
            yield "Feature", ",".join(_word(feature, "features") for feature in self.features)
        if self.topology:
            yield "Topology", _word(self.topology, "topology")
        if self.gres:
            yield "Gres", f'"{gres_strings.format(self.gres)}"'
            yield "GresConf", f'"{self._gres_conf()}"'

    def _gres_conf(self) -> str:
        """One entry per GRES, joined by `+`: all of them or none, GPUs with a file for each.

        Nobody opens the files; Slurm refuses GPUs without and counts devices by them.
        """
        entries, gpus = [], 0
        for item in self.gres:
            if item.count < 0:
                raise BadInput(f"a node can't have {item.count} {item.name}", field="gres")
            _word(item.name, "gres")
            entry = [f"count={item.count}", f"name={item.name}"]
            if item.type:
                entry.append(f"type={_word(item.type, 'gres')}")
            if item.name == "gpu" and item.count:
                last = gpus + item.count - 1
                entry.append(f"file=/dev/nvidia{f'[{gpus}-{last}]' if last > gpus else gpus}")
                gpus += item.count
            entries.append(",".join(entry))
        return "+".join(entries)


def _word(text: str, field_name: str) -> str:
    if not _WORD.match(text):
        raise BadInput(f"{text!r} can't stand in a node's definition", field=field_name)
    return text
