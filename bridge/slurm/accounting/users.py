"""A user whom the accounting knows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class User:
    """What Slurm says of a user."""

    name: str
    default_account: str = ""
    default_wckey: str = ""
    admin_level: str = "None"
    """None, Operator, Administrator."""
    coordinates: tuple[str, ...] = ()
    """Accounts that the user may manage."""
    flags: frozenset[str] = frozenset()
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
