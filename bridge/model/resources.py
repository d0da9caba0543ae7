"""An amount of what nodes have and pods ask for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bridge.model import quantity


@dataclass(frozen=True, slots=True)
class Resources:
    """Exact amounts in Kubernetes' units; `extended` holds every other resource by its name.

    Hashable, so that a shape can be a key. `extended` is sorted by name and has no zeros.
    """

    cpu_milli: int = 0
    memory_bytes: int = 0
    ephemeral_bytes: int = 0
    extended: tuple[tuple[str, int], ...] = field(default=())

    @classmethod
    def parse(cls, amounts: Mapping[str, str | int | float]) -> "Resources":
        """From a Kubernetes resource list. `pods` is not a resource that pods ask for: ignored.

        Raises BadInput when a value is not a quantity.
        """
        return cls(
            cpu_milli=quantity.milli(amounts.get("cpu", 0)),
            memory_bytes=quantity.whole(amounts.get("memory", 0)),
            ephemeral_bytes=quantity.whole(amounts.get("ephemeral-storage", 0)),
            extended=_sorted(
                {
                    name: quantity.whole(value)
                    for name, value in amounts.items()
                    if name not in ("cpu", "memory", "ephemeral-storage", "pods")
                }
            ),
        )

    def get(self, name: str) -> int:
        """How many of the extended resource `name`; 0 when none."""
        return dict(self.extended).get(name, 0)

    def __add__(self, other: "Resources") -> "Resources":
        return self._combine(other, lambda a, b: a + b)

    def __sub__(self, other: "Resources") -> "Resources":
        """May go below zero: the caller asks whether something is missing."""
        return self._combine(other, lambda a, b: a - b)

    def times(self, count: int) -> "Resources":
        """So many times as much."""
        return Resources(
            cpu_milli=self.cpu_milli * count,
            memory_bytes=self.memory_bytes * count,
            ephemeral_bytes=self.ephemeral_bytes * count,
            extended=_sorted({name: amount * count for name, amount in self.extended}),
        )

    def at_least(self, other: "Resources") -> "Resources":
        """The larger of both, amount by amount."""
        return self._combine(other, max)

    def beyond(self, other: "Resources") -> tuple[str, ...]:
        """The names of those amounts that are larger than the other's."""
        own = {
            "cpu": (self.cpu_milli, other.cpu_milli),
            "memory": (self.memory_bytes, other.memory_bytes),
            "ephemeral-storage": (self.ephemeral_bytes, other.ephemeral_bytes),
            **{name: (amount, other.get(name)) for name, amount in self.extended},
        }
        return tuple(name for name, (mine, theirs) in own.items() if mine > theirs)

    def _combine(self, other: "Resources", operation: Callable[[int, int], int]) -> "Resources":
        mine, theirs = dict(self.extended), dict(other.extended)
        return Resources(
            cpu_milli=operation(self.cpu_milli, other.cpu_milli),
            memory_bytes=operation(self.memory_bytes, other.memory_bytes),
            ephemeral_bytes=operation(self.ephemeral_bytes, other.ephemeral_bytes),
            extended=_sorted(
                {
                    name: operation(mine.get(name, 0), theirs.get(name, 0))
                    for name in mine.keys() | theirs.keys()
                }
            ),
        )


def _sorted(amounts: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted((name, amount) for name, amount in amounts.items() if amount))
