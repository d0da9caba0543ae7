"""An account: what users charge their jobs to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Account:
    """What Slurm says of an account. Its place in the tree is in its association."""

    name: str
    description: str = ""
    organization: str = ""
    coordinators: tuple[str, ...] = ()
    flags: frozenset[str] = frozenset()
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
