"""A trackable resource: what can be counted, limited and charged."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Tres:
    """cpu, mem, node, billing, gres/gpu …"""

    id: int
    type: str
    name: str = ""
    """Of a GRES or license: "gpu", "gpu:h100"."""
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def full_name(self) -> str:
        """As limits name it: `gres/gpu:h100`."""
        return f"{self.type}/{self.name}" if self.name else self.type
