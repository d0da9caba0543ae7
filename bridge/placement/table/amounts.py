"""Resources as lines of the amount arrays: (resources, n), one line per resource.

A line's unit is thousandths for CPU, bytes for memory and ephemeral storage, and pieces for
everything else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from bridge.model.resources import Resources

CPU: Final = 0
MEMORY: Final = 1
EPHEMERAL: Final = 2
PODS: Final = 3
FIXED: Final[Mapping[str, int]] = {
    "cpu": CPU,
    "memory": MEMORY,
    "ephemeral-storage": EPHEMERAL,
    "pods": PODS,
}
"""The lines that every cluster has."""

MOST: Final = 2**50
"""The most that a node can have of a resource (a pebibyte); larger amounts are cut to it. A pod's
amount is cut to one more, which fits nowhere. So the sum over 8,000 pods of one node cannot
overflow 64 bits.
"""

KEPT_REQUESTS = 1024
"""Requests whose translation is kept; when there are more, all are dropped."""
KEPT_RESOURCES = 64
"""Requests with more extended resources than this are not kept. Real pods ask for two or three."""


@dataclass(frozen=True, slots=True)
class Asks:
    """What one pod asks for, without zeros; its place among the node's pods comes first.

    `lines` (asks,) intp and `amounts` (asks, 1) int64 belong together. `missing` are resources
    that no node has; they have no line.
    """

    lines: npt.NDArray[np.intp]
    amounts: npt.NDArray[np.int64]
    missing: tuple[tuple[str, int], ...]


class Lines(dict[str, int]):
    """Resource name → line. A mapping that is in a snapshot never changes.

    It keeps the translation of requests, because pods of one template ask for the same again.
    """

    __slots__ = ("_asks",)

    def __init__(self, lines: Mapping[str, int]) -> None:
        super().__init__(lines)
        self._asks: dict[Resources, Asks] = {}

    def asks(self, requests: Resources) -> Asks:
        """Translate the requests of one pod into lines and amounts."""
        if len(requests.extended) > KEPT_RESOURCES:
            return self._translate(requests)
        asks = self._asks.get(requests)
        if asks is None:
            if len(self._asks) >= KEPT_REQUESTS:
                self._asks.clear()
            asks = self._asks[requests] = self._translate(requests)
        return asks

    def _translate(self, requests: Resources) -> Asks:
        wanted = {
            "pods": 1,
            "cpu": requests.cpu_milli,
            "memory": requests.memory_bytes,
            "ephemeral-storage": requests.ephemeral_bytes,
            **dict(requests.extended),
        }
        asked = [
            (self[name], min(amount, MOST + 1))
            for name, amount in wanted.items()
            if amount > 0 and name in self
        ]
        return Asks(
            lines=np.array([line for line, _ in asked], dtype=np.intp),
            amounts=np.array([[amount] for _, amount in asked], dtype=np.int64),
            missing=tuple((name, n) for name, n in wanted.items() if n > 0 and name not in self),
        )
