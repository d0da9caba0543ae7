"""Turns by namespace: who floods a queue waits behind himself, not the others behind him. Pure."""

import heapq
import itertools
from collections import OrderedDict
from typing import Generic, TypeVar

Item = TypeVar("Item")


_MOST_OWED = 1000


class FairQueue(Generic[Item]):
    """Tenants take turns, one item each; a tenant's own items come by urgency (0 first), then by
    their arrival.

    So an item waits for no more than one of each other tenant's, whatever these have queued.
    """

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, list[tuple[int, int, Item]]] = OrderedDict()
        """Each tenant's heap, in the order of the turns."""
        self._owed: dict[str, int] = {}
        """Turns that a tenant has had beyond its own."""
        self._order = itertools.count()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def of(self, tenant: str) -> int:
        """How many items of the tenant wait."""
        return len(self._waiting.get(tenant, ()))

    def add(self, item: Item, *, tenant: str, urgency: int = 0) -> None:
        """Queue one item. A tenant without any comes last in the round."""
        heap = self._waiting.setdefault(tenant, [])
        heapq.heappush(heap, (urgency, next(self._order), item))
        self._count += 1

    def charge(self, tenant: str, turns: int) -> None:
        """An item of the tenant took as long as so many more turns: others have theirs first."""
        owed = min(_MOST_OWED, self._owed.pop(tenant, 0) + turns)
        if owed > 0:
            self._owed[tenant] = owed

    def take(self) -> Item:
        """The next item. Raises IndexError when there is none."""
        if not self._waiting:
            raise IndexError("nothing waits")
        tenant, heap = next(iter(self._waiting.items()))
        while len(self._waiting) > 1 and self._owed.get(tenant):
            self.charge(tenant, -1)
            self._waiting.move_to_end(tenant)
            tenant, heap = next(iter(self._waiting.items()))
        _, _, item = heapq.heappop(heap)
        self._count -= 1
        if heap:
            self._waiting.move_to_end(tenant)
        else:
            del self._waiting[tenant]
        return item
