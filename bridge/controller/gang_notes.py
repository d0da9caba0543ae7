"""What is known of one gang beside its machine, for people who ask."""

from bridge.controller.faults import Faults
from bridge.controller.gang_jobs import GangJobs
from bridge.lifecycle.machine import GangMachine
from bridge.model.ids import GangId


class GangNotes:
    """Answers from what the controller's parts know."""

    def __init__(self, *, faults: Faults, gang_jobs: GangJobs) -> None:
        self._faults = faults
        self._gang_jobs = gang_jobs

    def fault_of(self, gang_id: GangId) -> str:
        """The sentence for a gang that the bridge has set aside; "" for others."""
        fault = self._faults.set_aside(gang_id)
        return "" if fault is None else fault.sentence

    def advice_on(self, machine: GangMachine) -> tuple[str, str]:
        """(the nodes that the gang's jobs leave out for a while, and why; what Slurm's nodes lack
        for its job at the moment); "" for nothing."""
        run = machine.known.run
        spec = run.spec if run is not None and run.waits else None
        shortage = "" if spec is None else self._gang_jobs.shortage(spec)
        return self._gang_jobs.left_out(machine.id), shortage
