"""Nodes that proved to be of no use to an owner, and until when the owner's jobs leave them out.

Kept by owner, not by gang: the pod that a Job makes in place of a refused one is another gang, and
must not be sent to the same node. Forgotten with the process; then one more try goes there.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from bridge.model.ids import GangId, NodeName


@dataclass(frozen=True, slots=True)
class Avoided:
    """One node: until when (monotonic seconds) it is left out, and why."""

    until_s: float
    why: str
    until_usable: bool = False
    """Whether the avoidance ends as soon as the obstacle is gone."""


@dataclass(slots=True)
class _Owner:
    nodes: dict[NodeName, Avoided] = field(default_factory=dict)
    gangs: set[GangId] = field(default_factory=set)
    """The gangs whose jobs leave this node out."""


class Avoidance:
    """Owner → nodes to leave out. All times are monotonic seconds, handed in."""

    def __init__(self, *, for_s: float) -> None:
        self._for_s = for_s
        self._owners: dict[str, _Owner] = {}

    def add(
        self,
        owner: str,
        node: NodeName,
        now_s: float,
        *,
        why: str = "",
        until_usable: bool = False,
    ) -> float:
        """Leaves `node` out from now on; until when."""
        until_s = now_s + self._for_s
        known = self._owners.setdefault(owner, _Owner())
        known.nodes[node] = Avoided(until_s, why, until_usable)
        return until_s

    def nodes(self, owner: str, gang_id: GangId, now_s: float) -> dict[NodeName, Avoided]:
        """The nodes that a job of this gang has to leave out now, by name."""
        known = self._owners.get(owner)
        if known is None:
            return {}
        for node in [node for node, one in known.nodes.items() if one.until_s <= now_s]:
            del known.nodes[node]
        if not known.nodes:
            del self._owners[owner]
            return {}
        known.gangs.add(gang_id)
        return dict(sorted(known.nodes.items()))

    def freed(self, nodes: Collection[NodeName]) -> set[GangId]:
        """These nodes are of use again, or have more room: the gangs that leave some of them out
        no longer."""
        gangs: set[GangId] = set()
        for owner, known in list(self._owners.items()):
            ended = [
                node for node in nodes if node in known.nodes and known.nodes[node].until_usable
            ]
            for node in ended:
                del known.nodes[node]
            if ended:
                gangs |= known.gangs
            if not known.nodes:
                del self._owners[owner]
        return gangs
