"""The cores of a node by number: who gets which, and how slurmrestd writes them down.

A core's number is that of its socket times the cores of a socket, plus its place there. A job gets
the lowest free core of each socket in turn (the default of srun(1), `--distribution=*:cyclic`), and
a core with all its threads.
"""

from dataclasses import dataclass

from bridge.sim.slurm.gres import lowest
from bridge.sim.slurm.wire import Json


@dataclass(frozen=True, slots=True)
class Cores:
    """Some of a node's cores: `bits` over `sockets` of `per_socket` each."""

    sockets: int = 0
    per_socket: int = 0
    bits: int = 0

    def pick(self, count: int) -> "Cores":
        """So many of these (or all, if there are fewer)."""
        whole = (1 << self.per_socket) - 1
        left = [self.bits >> number * self.per_socket & whole for number in range(self.sockets)]
        chosen = 0
        while count > 0 and any(left):
            for number, free in enumerate(left):
                bit = lowest(free, min(count, 1))
                left[number] ^= bit
                chosen |= bit << number * self.per_socket
                count -= bit.bit_count()
        return Cores(self.sockets, self.per_socket, chosen)

    def bitmap(self) -> str:
        """As in `/resources/{id}`: a hexadecimal number, wide enough for all cores of the node."""
        digits = -(-self.sockets * self.per_socket // 4)
        return f"0x{self.bits:0{digits}X}"

    def by_socket(self) -> list[Json]:
        """As in a job's record: all cores of the node, and which of them are the job's."""
        return [
            {
                "index": number,
                "cores": [
                    {"index": core, "status": self._status(number * self.per_socket + core)}
                    for core in range(self.per_socket)
                ],
            }
            for number in range(self.sockets)
        ]

    def _status(self, number: int) -> list[str]:
        return ["ALLOCATED" if self.bits >> number & 1 else "UNALLOCATED"]
