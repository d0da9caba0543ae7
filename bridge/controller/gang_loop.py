"""Events of a gang go to its machine, one after the other; its instructions go to the performer.

What comes of an instruction at once waits in the gang's inbox until all instructions of the event
before it are performed: a machine is never called from inside.

Whatever is raised on the way is that gang's fault alone: it is set aside, other gangs go on.
"""

from collections import deque
from collections.abc import Callable

import structlog

from bridge.clock import Clock
from bridge.controller.active_gangs import ActiveGangs
from bridge.lifecycle import events as ev
from bridge.lifecycle import instructions as do
from bridge.lifecycle.machine import GangMachine
from bridge.model.ids import GangId
from bridge.telemetry import Metrics

log = structlog.get_logger(__name__)

_MOST_IN_A_ROW = 20_000
"""The most events of one gang that may each follow from the one before: no gang has as many pods.
The limit ends a loop that a mistake of ours would make endless."""

Perform = Callable[[GangMachine, do.Instruction], None]
SetAside = Callable[[GangId, Exception], None]


class GangLoop:
    """The inboxes of all gangs.

    `handle` is what the performers of instructions are built with, so they come after the loop:
    `connect` is called once, before the first event.
    """

    def __init__(self, gangs: ActiveGangs, *, metrics: Metrics, clock: Clock) -> None:
        self._gangs = gangs
        self._metrics = metrics
        self._clock = clock
        self._inboxes: dict[GangId, deque[ev.Event]] = {}
        """The waiting events of gangs whose instructions are being performed."""
        self._perform: Perform
        self._set_aside: SetAside

    def connect(self, *, perform: Perform, set_aside: SetAside) -> None:
        """`perform` performs an instruction, `set_aside` sets aside a gang that the bridge failed
        at."""
        self._perform = perform
        self._set_aside = set_aside

    def handle(self, gang_id: GangId, event: ev.Event) -> None:
        """Hands one event to a gang. Never raises."""
        inbox = self._inboxes.get(gang_id)
        if inbox is not None:
            inbox.append(event)
            return
        inbox = self._inboxes[gang_id] = deque([event])
        try:
            for _ in range(_MOST_IN_A_ROW):
                machine = self._gangs.machines.get(gang_id)
                if not inbox or machine is None:
                    return
                self._advance(machine, inbox.popleft())
            raise RuntimeError("the events of one gang lead to each other without end")
        except Exception as error:
            self.failed(gang_id, error)
        finally:
            del self._inboxes[gang_id]

    def failed(self, gang_id: GangId, error: Exception) -> None:
        """Sets the gang aside because of `error`. Never raises."""
        try:
            self._set_aside(gang_id, error)
            self._gangs.tell(gang_id)
        except Exception:
            log.exception("gang.not_set_aside", gang=gang_id)

    def _advance(self, machine: GangMachine, event: ev.Event) -> None:
        known, before = machine.known, machine.state
        instructions = machine.handle(event, self._clock.monotonic())
        self._gangs.note(machine)
        if machine.state is not before:
            self._metrics.gang_transitions.labels(machine.state.value).inc()
            log.info(
                "gang.moved",
                gang=machine.id,
                owner=known.gang.owner if known.gang else None,
                state=machine.state.value,
                cause=type(event).__name__,
                slurm_job=known.job_id,
            )
        for instruction in instructions:
            self._perform(machine, instruction)
        self._gangs.tell(machine.id)
