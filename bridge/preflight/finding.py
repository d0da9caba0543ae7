"""What a check has found."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "costs", "breaks", "unseen"]
"""`breaks`: the bridge does not work so; `costs`: it works, with a loss; `unseen`: nobody tells."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One row of the table; the texts are for people."""

    check: str
    level: Level
    found: str
    costs: str = ""
    """What is lost by it; "" if nothing is."""
    to_do: str = ""


def breaks(findings: list[Finding]) -> bool:
    """Whether anything would break."""
    return any(one.level == "breaks" for one in findings)
