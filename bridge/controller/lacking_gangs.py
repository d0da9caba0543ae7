"""Which gangs lack nodes: Slurm or the bridge itself refused their jobs for that, or Slurm keeps
their jobs waiting for it.

A gang that waits for anything else (a limit, a hold, a reservation, a claim, somebody's gate) is
none of these, so that no nodes are bought for it.
"""

from collections.abc import Callable, Collection
from itertools import islice
from typing import Final

from bridge.controller.active_gangs import ActiveGangs
from bridge.lifecycle.state import GangState
from bridge.model.capacity import GangNeed
from bridge.model.gang import Gang
from bridge.model.ids import GangId
from bridge.model.pod import Pod

_FOR_NODES: Final = frozenset({"", "None", "Priority", "Resources"})
"""Slurm's reasons of jobs that wait for nothing but nodes, as far as it knows."""
_MOST_LOOKED_AT: Final = 200
"""The most gangs that are looked at, beside those that nodes were asked for. What these need, and
whether 2,000 nodes could hold it, takes 0.1 s to find."""


class LackingGangs:
    """`need_of` says what a gang needs; None if nobody can be asked for it."""

    def __init__(
        self, gangs: ActiveGangs, need_of: Callable[[Gang, Collection[Pod]], GangNeed | None]
    ) -> None:
        self._gangs = gangs
        self._need_of = need_of

    def look(self, asked: Collection[GangId]) -> list[GangNeed]:
        """The needs of gangs that lack nodes, and of those among `asked`, for which nodes were
        asked already, that wait for nothing else."""
        others = (one for one in tuple(self._gangs.lacking_nodes) if one not in asked)
        found = []
        for gang_id in (*asked, *islice(others, _MOST_LOOKED_AT)):
            machine = self._gangs.machines.get(gang_id)
            if machine is None or machine.held:
                continue
            known = machine.known
            waiting, gang = known.waiting(), known.gang
            is_lacking = machine.lacks_nodes or (gang_id in asked and _may_lack(known))
            if gang is None or not is_lacking or not _may_start(known, waiting):
                continue
            need = self._need_of(gang, waiting)
            if need is not None:
                found.append(need)
        return found


def _may_lack(gang: GangState) -> bool:
    """Whether it is not known that the gang waits for something else than nodes."""
    run = gang.run
    if run is None:
        return not gang.submission.trouble
    return run.facts is None or (run.facts.waits and run.facts.reason in _FOR_NODES)


def _may_start(gang: GangState, waiting: Collection[Pod]) -> bool:
    """Whether the gang would start if there were nodes."""
    demand = gang.demand
    return bool(
        waiting
        and not demand.problem
        and not demand.claims.why
        and demand.more_pods_may_come
        and not demand.lacking()
        and not any(pod.foreign_gates or pod.deleting for pod in waiting)
    )
