"""The embedded cluster of a run: Kubernetes, its schedulers and Slurm, on loopback sockets."""

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from bridge import names
from bridge.clock import Clock
from bridge.sim.demo.scenario import GPUS_PER_NODE, HIGH, NAMESPACE, PARTITION, Scenario
from bridge.sim.demo.service import Service
from bridge.sim.kube import fixtures
from bridge.sim.kube.embedded import EmbeddedKubernetes
from bridge.sim.kube.scheduler.extender import ExtenderConfig
from bridge.sim.slurm import Behaviour, EmbeddedSlurm, Partition, Tree

TOPOLOGY: Final = "fabric:root"
"""As the bridge's settings name it."""
_PARTITIONS: Final = (
    Partition(PARTITION, default=True, feature=PARTITION),
    Partition(HIGH, priority_tier=10, feature=PARTITION),
)


class Cluster:
    """`async with Cluster(scenario, clock=…) as cluster:` then `furnish` and `connect_extender`."""

    def __init__(self, scenario: Scenario, *, clock: Clock) -> None:
        self._scenario = scenario
        # A real Job waits up to ten minutes before it replaces many pods that it lost at once
        # (10 s, doubled for each of them); nobody would watch that.
        self.kubernetes = EmbeddedKubernetes(clock=clock, job_backoff_s=0.0)
        self.slurm = EmbeddedSlurm(
            clock=clock,
            partitions=_PARTITIONS,
            topology=Tree("fabric"),
            behaviour=Behaviour(decision_delay_s=0.02),
        )
        self._exits = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with self._exits as exits:
            await exits.enter_async_context(self.kubernetes)
            await exits.enter_async_context(self.slurm)
            self._exits = exits.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._exits.aclose()

    def ask_kubernetes(self) -> Service:
        """A client of the API server; to be used as a context."""
        return Service(self.kubernetes.url)

    async def ask_slurm(self) -> Service:
        """A client of slurmrestd; to be used as a context."""
        token = await asyncio.to_thread(self.slurm.token_file.read_text)
        return Service(self.slurm.url, headers={"X-SLURM-USER-TOKEN": token.strip()})

    async def furnish(self, webhooks: Iterable[Mapping[str, Any]]) -> None:
        """The namespace, the webhooks' registration and the nodes."""
        await self.kubernetes.create(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        )
        for manifest in webhooks:
            await self.kubernetes.create(dict(manifest))
        await self.kubernetes.add_nodes(
            fixtures.gpu_nodes(
                self._scenario.nodes, gpus=GPUS_PER_NODE, efa=0, partitions=PARTITION, seed=7
            )
        )

    async def connect_extender(
        self, url: str, *, ca: Path | None = None, client: tuple[Path, Path] | None = None
    ) -> None:
        """Start the kube-scheduler stand-in for the bridge's pods; it calls this extender.

        `client` are its certificate and key.
        """
        tls = await asyncio.to_thread(_tls, ca, client) if ca is not None else None
        extender = ExtenderConfig(  # deploy/kube-scheduler-config.yaml
            url_prefix=url,
            filter_verb="filter",
            prioritize_verb="prioritize",
            bind_verb="bind",
            tls=tls,
        )
        self.kubernetes.start_scheduler(names.SCHEDULER_NAME, extenders=[extender])


def _tls(ca: Path, client: tuple[Path, Path] | None) -> ssl.SSLContext:
    tls = ssl.create_default_context(cafile=str(ca))
    if client is not None:
        tls.load_cert_chain(*client)
    return tls
