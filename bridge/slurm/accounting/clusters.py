"""A cluster whose jobs slurmdbd keeps."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Cluster:
    """What Slurm says of a cluster."""

    name: str
    controller_host: str = ""
    """"" while its slurmctld is not registered."""
    controller_port: int = 0
    nodes: str = ""
    """A host list."""
    tres: Mapping[str, int] = field(default_factory=dict, hash=False)
    """What it has: {"cpu": 4096, "gres/gpu": 512}; memory in MiB."""
    flags: frozenset[str] = frozenset()
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
