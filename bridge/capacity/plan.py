"""Which new nodes are to be asked for.

What is asked for is counted in tasks, and each task is one placeholder pod: the autoscaler packs
them onto nodes of its choice, so there are never more new nodes than tasks, and as few as its nodes
are large. A gang is asked for if the present nodes could never take it. All such gangs are counted
together: what one takes of the present nodes is not there for the next one.

A request that was made only shrinks, unless its gang lacks nodes still: when nodes have joined that
could take the gang, it stands in a queue like any other.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from bridge.capacity.present import PresentNodes
from bridge.model.capacity import GangNeed
from bridge.model.ids import GangId

Counts = tuple[int, ...]
"""(parts,) tasks of each part of a gang."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be asked for, by gang."""

    wanted: Mapping[GangId, Counts] = field(default_factory=dict)
    """The tasks for which new nodes are needed; gangs that are not here need none."""
    too_many: Mapping[GangId, int] = field(default_factory=dict)
    """The number of new nodes of gangs that are not asked for, as that would be too many."""


def plan(
    needs: Sequence[GangNeed],
    present: PresentNodes,
    *,
    asked: Mapping[GangId, Counts],
    paused: Collection[GangId],
    most_nodes: int,
) -> Plan:
    """What to ask for. `asked` are the present requests. `paused` are gangs that are not asked for
    now, because nothing came of it. No more than `most_nodes` are asked for at a time: as long as
    no node is known that holds a task of a part, each task counts as a node.
    """
    free = present.free()
    wanted: dict[GangId, Counts] = {}
    too_many: dict[GangId, int] = {}
    left = most_nodes
    for need in sorted(needs, key=lambda one: (one.gang not in asked, one.created_s, one.gang)):
        if need.gang in paused:
            continue
        before = asked.get(need.gang, ())
        is_lacking = not present.can_hold(need)
        if not is_lacking and not any(before):
            continue
        missing = present.place(need, free)
        if not is_lacking:
            missing = _least(missing, before)
        nodes = _nodes(need, present, missing)
        if nodes > left and any(before):
            missing = _least(missing, before)
            nodes = min(left, _nodes(need, present, missing))
        if nodes > left or _is_beyond_limit(need, present):
            too_many[need.gang] = nodes
        elif any(missing):
            wanted[need.gang] = missing
            left -= nodes
    return Plan(wanted, too_many)


def _least(missing: Counts, before: Counts) -> Counts:
    """No more of any part than was asked for before; a part that is new was not asked for."""
    known = (*before, *([0] * len(missing)))
    return tuple(min(one, other) for one, other in zip(missing, known, strict=False))


def _is_beyond_limit(need: GangNeed, present: PresentNodes) -> bool:
    """Whether a job of the partition may not have as many nodes as the gang needs: then new nodes
    are of no use to it. What new nodes can hold is known only if present nodes show it."""
    if not need.most_nodes:
        return False
    fewest = 0
    for part in need.parts:
        most = part.per_node or present.most_per_node(part, need.partition)
        fewest += -(-part.count // most) if most else 1
    return fewest > need.most_nodes


def _nodes(need: GangNeed, present: PresentNodes, counts: Counts) -> int:
    """How many new nodes these tasks need at most, as far as the present nodes show."""
    return sum(
        -(-count // max(1, present.most_per_node(part, need.partition)))
        for part, count in zip(need.parts, counts, strict=True)
        if count
    )
