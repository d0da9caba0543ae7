"""Licenses: counted by slurmctld for the whole cluster, held by jobs while they run."""

import re
from collections.abc import Mapping

from bridge.sim.slurm.errors import INVALID_LICENSES, NotEmulated, Refused

_ITEM = re.compile(r"(\w[\w.-]*)(?:[:=](\d+))?")


class Pool:
    """The licenses of slurm.conf (`Licenses=`) and how many of each are in use."""

    def __init__(self, totals: Mapping[str, int]) -> None:
        self.totals = dict(totals)
        self.used = dict.fromkeys(self.totals, 0)

    def parse(self, text: str) -> dict[str, int]:
        """`matlab:2,ansys` as counts by name; one that is named twice counts for both.

        Raises Refused (2048) for a license that isn't there, or not as often.
        """
        if "|" in text:
            raise NotEmulated("licenses of which any will do")
        asked: dict[str, int] = {}
        for item in re.split("[,;]", text) if text else ():
            match = _ITEM.fullmatch(item)
            if match is None:
                raise Refused(INVALID_LICENSES)
            asked[match[1]] = asked.get(match[1], 0) + int(match[2] or 1)
        if any(count > self.totals.get(name, -1) for name, count in asked.items()):
            raise Refused(INVALID_LICENSES)
        return asked

    def suffice(self, text: str) -> bool:
        """Whether those that are free are enough."""
        return all(
            self.used[name] + count <= self.totals[name] for name, count in self.parse(text).items()
        )

    def take(self, text: str) -> None:
        """A job starts. One that runs may also take more than there are, by an update."""
        for name, count in self.parse(text).items():
            self.used[name] += count

    def give(self, text: str) -> None:
        """A job ends."""
        for name, count in self.parse(text).items():
            self.used[name] -= count

    def allocated(self, text: str) -> str:
        """As a job shows what it holds: `matlab:2;ansys:1`."""
        return ";".join(f"{name}:{count}" for name, count in self.parse(text).items())
