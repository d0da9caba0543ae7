"""The gangs that are driven now: the machine of each gang, and what would wake it."""

import re
from collections.abc import Callable
from functools import partial

from bridge import names
from bridge.controller.faults import Faults
from bridge.controller.job_claims import JobClaims
from bridge.controller.past_gangs import PastGangs
from bridge.controller.timers import Timers
from bridge.lifecycle.machine import GangMachine
from bridge.lifecycle.state import State
from bridge.model.ids import GangId, SlurmJobId
from bridge.telemetry import Metrics

_CLASS = re.compile(rf"{names.CLASS_FEATURE_PREFIX}\w+")


class ActiveGangs:
    """The machines of all gangs, by gang."""

    def __init__(
        self, *, faults: Faults, claims: JobClaims, timers: Timers, metrics: Metrics
    ) -> None:
        self.machines: dict[GangId, GangMachine] = {}
        self.waiting_for_room: set[GangId] = set()
        """Gangs whose granted nodes can't be used yet."""
        self.lacking_nodes: dict[GangId, None] = {}
        """Gangs that no present nodes can take, by what Slurm or the bridge has found; those that
        have lacked nodes longest come first."""
        self.past = PastGangs()
        self._faults = faults
        self._claims = claims
        self._timers = timers
        self._listeners: list[Callable[[GangId], None]] = []
        for state in State:
            metrics.gangs.labels(state.value).set_function(partial(self._count, state))

    def is_live(self, gang_id: GangId) -> bool:
        """Whether the gang is driven now, or will be again after a fault."""
        return gang_id in self.machines or self._faults.set_aside(gang_id) is not None

    def job_of(self, gang_id: GangId | None) -> SlurmJobId | None:
        """The gang's Slurm job; None if it has none."""
        machine = self.machines.get(gang_id) if gang_id is not None else None
        return None if machine is None else machine.known.job_id

    def waits(self, gang_id: GangId) -> bool:
        """Whether the gang has a job that waits in Slurm's queue, or none."""
        machine = self.machines.get(gang_id)
        run = machine.known.run if machine is not None else None
        return machine is not None and (run is None or run.waits)

    def listen(self, changed: Callable[[GangId], None]) -> None:
        """`changed` is called with each gang that was decided about, dropped or set aside."""
        self._listeners.append(changed)

    def tell(self, gang_id: GangId) -> None:
        """Something of the gang may have changed."""
        for changed in self._listeners:
            changed(gang_id)

    def note(self, machine: GangMachine) -> None:
        """Notes after a decision whether the machine waits for room, and whether it lacks nodes."""
        if machine.waits_for_room:
            self.waiting_for_room.add(machine.id)
        else:
            self.waiting_for_room.discard(machine.id)
        if machine.lacks_nodes:
            self.lacking_nodes.setdefault(machine.id)
        else:
            self.lacking_nodes.pop(machine.id, None)

    def drop(self, gang_id: GangId) -> None:
        """Drops the gang's machine and its timer."""
        machine = self.machines.pop(gang_id, None)
        if machine is not None:
            self.past.add(machine)
        self.tell(gang_id)
        self.waiting_for_room.discard(gang_id)
        self.lacking_nodes.pop(gang_id, None)
        self._claims.forget(gang_id)
        self._timers.cancel(gang_id)

    def classes_in_use(self) -> frozenset[str]:
        """The node classes that waiting jobs name: no node may lose such a feature."""
        found: set[str] = set()
        for machine in self.machines.values():
            run = machine.known.run
            if run is not None and run.facts is not None and run.facts.waits:
                asked = run.spec or run.facts
                for component in (asked, *asked.also):
                    found.update(_CLASS.findall(component.constraints))
        return frozenset(found)

    def _count(self, state: State) -> int:
        return sum(machine.state is state for machine in self.machines.values())
