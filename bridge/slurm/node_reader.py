"""Slurm's nodes for somebody who looks often: they are listed only when they may have changed.

The whole list has 2 to 3 KB a node. Whether it has changed Slurm says in a few milliseconds,
whatever the number of nodes; now and then the list is read in any case. Of a node that was deleted
Slurm 26.05 may say nothing: who deletes one asks for the list.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

from bridge.clock import Clock
from bridge.model.ids import SlurmNodeName
from bridge.slurm.nodes import NodeListing, SlurmNode

_WHOLE_S = 30.0
"""Between two lists that are read in any case, at most."""


class NodeSource(Protocol):
    """What is read: a SlurmClient."""

    async def list_nodes_since(self, at_s: int) -> NodeListing | None: ...


class NodeReader:
    """The nodes of one cluster, as they were when they were read last."""

    def __init__(self, client: NodeSource, *, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._at_s = 0
        self._whole_s = float("-inf")
        self.nodes: Mapping[SlurmNodeName, SlurmNode] = MappingProxyType({})

    def node_deleted(self) -> None:
        """The next read lists the nodes in any case."""
        self._whole_s = float("-inf")

    async def read(self) -> bool:
        """Whether any node is another than before. Raises SlurmError; the nodes then stay."""
        now_s = self._clock.monotonic()
        is_whole = now_s - self._whole_s >= _WHOLE_S
        listing = await self._client.list_nodes_since(0 if is_whole else self._at_s)
        if listing is None:
            return False
        nodes, before, changed = {}, self.nodes, len(listing.nodes) != len(self.nodes)
        for node in listing.nodes:  # an unchanged one stays the same object: that is seen at once
            old = before.get(node.name)
            changed = changed or old != node
            nodes[node.name] = old if old is not None and old == node else node
        self._at_s, self._whole_s = listing.at_s, now_s
        self.nodes = MappingProxyType(nodes)
        return changed
