"""How many pods each domain gets so that they are spread well: water filling.

In the end no domain with new pods may have more than `max_skew` more than the domain with the
fewest. If such an end exists, kube-scheduler can get there pod by pod: as long as the domain with
the fewest pods is to get more, the next one goes there, and else any of them is within the skew.
"""

import numpy as np

from bridge.placement.fit.neighbours import NOWHERE, Balance, Counts, Indices


def spread_out(balance: Balance, slots: Counts, needed: int, first: Indices) -> Counts | None:
    """(nodes,) how many of `needed` pods each node gets; None if they can't be spread well.

    All pods are of one kind, which the constraint counts. `slots` (nodes,) is what each node takes.
    `first` are the nodes in the order in which they are preferred.
    """
    slots = _allowed(balance, slots)
    bounds = _bounds(balance, _room(balance, slots), needed)
    if bounds is None:
        return None
    return _dealt(
        balance.places.of, slots, _shares(balance.places.of, bounds, needed, first), first
    )


def most(balance: Balance, slots: Counts) -> int:
    """The most pods that can be spread well over slots by node."""
    room = _room(balance, _allowed(balance, slots))
    return int(_most(balance, room, _highest(balance, room)).sum())


def level(balance: Balance, room: Counts, needed: int) -> Counts:
    """(domains,) the counts after `needed` pods went to the domains with the fewest, one by one,
    whatever the skew; `room` (domains,) is what each takes.
    """
    low, high = 0, int(balance.placed.max(initial=0)) + needed
    while low < high:
        middle = (low + high) // 2
        taken = int(np.clip(middle - balance.placed, 0, room).sum())
        low, high = (low, middle) if taken >= needed else (middle + 1, high)
    counts: Counts = balance.placed + np.clip(low - balance.placed, 0, room)
    return counts


def _allowed(balance: Balance, slots: Counts) -> Counts:
    """The slots on nodes that are in a domain, as far as a node alone may have so many pods."""
    slots = np.where(balance.places.of == NOWHERE, 0, slots)
    if balance.on_node is not None:
        most = np.maximum(balance.max_skew - balance.on_node, 0)
        slots = np.where(balance.counted, np.minimum(slots, most), slots)
    return slots


def _room(balance: Balance, slots: Counts) -> Counts:
    """(domains,) the slots of all nodes of each domain."""
    some = slots > 0
    domain, size = balance.places.of[some], balance.places.count
    return np.bincount(domain, slots[some], minlength=size).astype(np.int64)


def _highest(balance: Balance, room: Counts) -> int:
    """The highest count below which no domain has to stay."""
    if not balance.is_enough:
        return 0
    ends = np.append((balance.placed + room)[balance.exists], balance.elsewhere)
    return int(min(ends.min(), (balance.placed + room).max(initial=0)))


def _bounds(balance: Balance, room: Counts, needed: int) -> tuple[Counts, Counts] | None:
    """(domains,) the least and the most pods that each domain may get; None if they can't be.

    The count that no domain is to stay below in the end is raised step by step. The lowest one at
    which the domains take all pods does: what it demands of each domain is less than they take at
    the one before it.
    """
    low, high = 0, _highest(balance, room)
    while low < high:
        middle = (low + high) // 2
        if int(_most(balance, room, middle).sum()) >= needed:
            high = middle
        else:
            low = middle + 1
    return _between(balance, room, needed, low)


def _between(
    balance: Balance, room: Counts, needed: int, fewest: int
) -> tuple[Counts, Counts] | None:
    most = _most(balance, room, fewest)
    least = np.where(balance.exists, np.clip(fewest - balance.placed, 0, most), 0)
    return (least, most) if int(most.sum()) >= needed else None


def _most(balance: Balance, room: Counts, fewest: int) -> Counts:
    most: Counts = np.clip(fewest + balance.max_skew - balance.placed, 0, room)
    return most


def _shares(domain: Indices, bounds: tuple[Counts, Counts], needed: int, first: Indices) -> Counts:
    """(domains,) how many pods each domain gets: the domains of the first nodes get the most."""
    least, most = bounds
    places = domain[first]
    named, at = np.unique(places[places != NOWHERE], return_index=True)
    along = named[np.argsort(at)]
    spare = (most - least)[along]
    before = np.cumsum(spare) - spare
    shares = least.copy()
    shares[along] += np.clip(needed - int(least.sum()) - before, 0, spare)
    return shares


def _dealt(domain: Indices, slots: Counts, shares: Counts, first: Indices) -> Counts:
    """(nodes,) the shares, given to the first nodes of each domain."""
    order = first[np.argsort(domain[first], kind="stable")]
    order = order[domain[order] != NOWHERE]
    held, places = slots[order], domain[order]
    before = np.cumsum(held) - held
    starts = np.searchsorted(places, np.arange(len(shares)))
    start = np.append(before, 0)[starts]
    counts = np.zeros_like(slots)
    counts[order] = np.clip(shares[places] - (before - start[places]), 0, held)
    return counts
