"""Tells waiting pods why nothing is done for them, if the bridge's start takes long."""

from collections.abc import Callable

from bridge.clock import Clock
from bridge.controller.pod_writer import PodWriter
from bridge.controller.start_gate import StartGate
from bridge.lifecycle import instructions as do
from bridge.lifecycle import messages
from bridge.model.ids import GangId
from bridge.state.kube_state import KubeState

_FIRST_S, _AGAIN_S = 4.0, 2.0
"""Most starts are over before the first notice."""


class StartNotice:
    """`problem` says why Slurm can't be asked; "" when it can."""

    def __init__(
        self,
        *,
        cluster: KubeState,
        gate: StartGate,
        pods: PodWriter,
        problem: Callable[[], str],
        clock: Clock,
    ) -> None:
        self._cluster = cluster
        self._gate = gate
        self._pods = pods
        self._problem = problem
        self._clock = clock

    async def run(self) -> None:
        """Writes notices until the gangs decide and write conditions themselves."""
        await self._clock.sleep(_FIRST_S)
        while not self._gate.is_open:
            self.tell()
            await self._clock.sleep(_AGAIN_S)

    def tell(self) -> None:
        """Writes the condition of pods that have none; an older condition says more."""
        condition = messages.starting(self._problem())
        for pod in list(self._cluster.pods.values()):
            if pod.waits_for_place and pod.allocated is None:
                gang_id = self._cluster.gang_of(pod.uid) or GangId(pod.uid)
                self._pods.write(gang_id, do.SetCondition(pod, condition))
