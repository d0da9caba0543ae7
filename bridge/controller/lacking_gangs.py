"""Which gangs lack nodes: Slurm or the bridge itself refused their jobs for that, or Slurm keeps
their jobs waiting for it.

A gang that waits for anything else (a limit, a hold, a reservation, a claim, somebody's gate) is
none of these, so that no nodes are bought for it.
"""

from collections.abc import Callable, Collection
from typing import Final

from bridge.controller.active_gangs import ActiveGangs
from bridge.lifecycle.state import GangState
from bridge.model.capacity import GangNeed
from bridge.model.gang import Gang
from bridge.model.ids import GangId
from bridge.model.pod import Pod

_FOR_NODES: Final = frozenset(
    {"", "None", "Priority", "Resources", "BadConstraints", "PartitionConfig", "PartitionNodeLimit"}
)
"""Slurm's reasons of jobs that wait for nothing but nodes, as far as it knows."""
_LACK: Final = frozenset({"BadConstraints", "PartitionConfig", "PartitionNodeLimit"})
"""Those of jobs that never start on the present nodes."""


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
        found = []
        for gang_id, machine in self._gangs.machines.items():
            known = machine.known
            if machine.held or not _lacks(known, was_asked=gang_id in asked):
                continue
            waiting = known.waiting()
            gang = known.gang
            if gang is None or not _may_start(known, waiting):
                continue
            need = self._need_of(gang, waiting)
            if need is not None:
                found.append(need)
        return found


def _lacks(gang: GangState, *, was_asked: bool) -> bool:
    run, submission = gang.run, gang.submission
    if run is None:
        return submission.lacks_nodes or (was_asked and not submission.trouble)
    if run.facts is None:
        return was_asked
    return run.facts.waits and run.facts.reason in (_FOR_NODES if was_asked else _LACK)


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
