"""What there was of gangs that are over, for whoever asks later: the last ones only."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bridge.lifecycle.history import Step
from bridge.lifecycle.machine import GangMachine
from bridge.model.ids import GangId

_MOST: Final = 1_000
_MOST_PODS: Final = 16
"""By whose names a gang that is over is found again."""


@dataclass(frozen=True, slots=True)
class PastGang:
    """A gang that the bridge has forgotten otherwise."""

    id: GangId
    namespace: str
    kind: str
    """Of what people created."""
    name: str
    size: int
    pods: tuple[str, ...]
    """The names of its first pods."""
    steps: tuple[Step, ...]


class PastGangs:
    """The gangs that ended last. One that comes back (a pod that is made again) is there twice."""

    def __init__(self) -> None:
        self._gangs: OrderedDict[GangId, PastGang] = OrderedDict()

    def __iter__(self) -> Iterator[PastGang]:
        """Those that ended last come first."""
        return reversed(self._gangs.values())

    def get(self, gang_id: GangId) -> PastGang | None:
        """The gang as it was; None if it is not remembered."""
        return self._gangs.get(gang_id)

    def add(self, machine: GangMachine) -> None:
        """Remembers a gang whose machine goes."""
        gang = machine.known.gang
        if gang is None:
            return
        names = sorted(pod.name for pod in machine.known.demand.pods.rows.values())
        known = self._gangs.pop(machine.id, None)
        self._gangs[machine.id] = PastGang(
            id=machine.id,
            namespace=gang.namespace,
            kind=gang.owner_kind,
            name=gang.owner_name,
            size=gang.size,
            pods=tuple(names[:_MOST_PODS]) or (known.pods if known is not None else ()),
            steps=tuple(machine.history),
        )
        while len(self._gangs) > _MOST:
            self._gangs.popitem(last=False)
