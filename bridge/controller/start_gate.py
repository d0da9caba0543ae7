"""When a gang may decide: a start must have found the jobs of all gangs, and the jobs that the
gang's pods name must have been read."""

from collections.abc import Callable

from bridge.controller.active_gangs import ActiveGangs
from bridge.controller.job_claims import JobClaims
from bridge.lifecycle import events as ev
from bridge.lifecycle.machine import GangMachine
from bridge.model.ids import GangId


class StartGate:
    """Holds machines back. `pin_again` reserves the room of pods that were pinned before the start,
    `handle` takes an event, `failed` errors that are mistakes of ours."""

    def __init__(
        self,
        *,
        gangs: ActiveGangs,
        claims: JobClaims,
        pin_again: Callable[[GangMachine], None],
        handle: Callable[[GangId, ev.Event], None],
        failed: Callable[[GangId, Exception], None],
    ) -> None:
        self._gangs = gangs
        self._claims = claims
        self._pin_again = pin_again
        self._handle = handle
        self._failed = failed
        self._is_open = False

    @property
    def is_open(self) -> bool:
        """Whether the start has found the jobs of all gangs."""
        return self._is_open

    def open(self) -> None:
        """Lets gangs decide from now on."""
        self._is_open = True
        for gang_id in list(self._gangs.machines):
            self.release(gang_id)

    def may_decide(self, gang_id: GangId) -> bool:
        """Whether it is known which job the gang has."""
        return self._is_open and not self._claims.open(gang_id)

    def release(self, gang_id: GangId) -> None:
        """Lets the gang decide, if it may."""
        machine = self._gangs.machines.get(gang_id)
        if machine is None or not machine.held or not self.may_decide(gang_id):
            return
        try:
            self._pin_again(machine)
        except Exception as error:
            self._failed(gang_id, error)
            return
        machine.release()
        self._handle(gang_id, ev.Tick())
