"""Host ports that pods have taken. Few pods take any, so they are kept sparse."""

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from bridge.model.scheduling import HostPort

PortKey = tuple[str, int]
"""(protocol, port)."""

EVERY_ADDRESS = ""

PortRows = Mapping[PortKey, Mapping[str, npt.NDArray[np.intp]]]
"""(protocol, port) → host address (EVERY_ADDRESS for all) → a row for each pod that has it."""


def address(port: HostPort) -> str:
    """The host address; "" and "0.0.0.0" both become EVERY_ADDRESS."""
    return EVERY_ADDRESS if port.host_ip in ("", "0.0.0.0") else port.host_ip


class PortStore:
    """The writer's side. It counts holders, since pods that pass the scheduler by may overlap."""

    def __init__(self) -> None:
        self._taken: dict[PortKey, dict[str, Counter[int]]] = {}
        self._arrays: dict[PortKey, Mapping[str, npt.NDArray[np.intp]]] = {}
        self._published: PortRows | None = None

    def add(self, row: int, ports: Iterable[HostPort], sign: int) -> None:
        """Take (+1) or give back (-1) ports on a row."""
        for port in ports:
            key = (port.protocol, port.port)
            addresses = self._taken.setdefault(key, {})
            rows = addresses.setdefault(address(port), Counter())
            rows[row] += sign
            if not rows[row]:
                del rows[row]
                if not rows:
                    del addresses[address(port)]
            self._arrays.pop(key, None)
            self._published = None
            if not addresses:
                del self._taken[key]

    def publish(self) -> PortRows:
        """The ports as they are now; arrays are made anew only for ports that changed."""
        if self._published is None:
            for key in self._taken.keys() - self._arrays.keys():
                self._arrays[key] = {
                    host: np.fromiter(rows.elements(), dtype=np.intp, count=rows.total())
                    for host, rows in self._taken[key].items()
                }
            self._published = dict(self._arrays)
        return self._published
