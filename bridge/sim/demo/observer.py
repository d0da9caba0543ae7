"""Reads the API server and slurmrestd over HTTP; changes nothing."""

from collections.abc import Mapping

from bridge.clock import Clock
from bridge.sim.demo import snapshot
from bridge.sim.demo.scenario import NAMESPACE
from bridge.sim.demo.service import Service
from bridge.sim.demo.snapshot import Node, SlurmJob, Snapshot

SLURM = "/slurm/v0.0.45"


class Observer:
    """Looks when told to."""

    def __init__(self, kubernetes: Service, slurm: Service, *, clock: Clock) -> None:
        self._kubernetes = kubernetes
        self._slurm = slurm
        self._clock = clock
        self._began_s = clock.monotonic()

    async def nodes(self) -> list[Node]:
        """The nodes, by name."""
        found = await self._kubernetes.get("/api/v1/nodes")
        return sorted((snapshot.node(raw) for raw in found["items"]), key=lambda node: node.name)

    async def registered(self) -> frozenset[str]:
        """Names of the nodes that Slurm has."""
        found = await self._slurm.get(f"{SLURM}/nodes/")
        return frozenset(node["name"] for node in found["nodes"])

    def begin(self) -> None:
        """The run's time is zero now."""
        self._began_s = self._clock.monotonic()

    async def look(self) -> Snapshot:
        """Slurm's jobs, the pods, Slurm's jobs once more. Raises Refusal."""
        before = await self._jobs()
        pods = await self._kubernetes.get(f"/api/v1/namespaces/{NAMESPACE}/pods")
        after = await self._jobs()
        jobs = await self._kubernetes.get(f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs")
        ends = {raw["metadata"]["name"]: snapshot.conditions(raw) for raw in jobs["items"]}
        return Snapshot(
            at_s=self._clock.monotonic() - self._began_s,
            now_s=self._clock.time(),
            before=before,
            pods=[snapshot.pod(raw) for raw in pods["items"]],
            after=after,
            complete=frozenset(name for name, told in ends.items() if "Complete" in told),
            failed=frozenset(name for name, told in ends.items() if "Failed" in told),
            succeeded={
                raw["metadata"]["name"]: raw["status"].get("succeeded", 0) for raw in jobs["items"]
            },
        )

    async def _jobs(self) -> Mapping[int, SlurmJob]:
        found = await self._slurm.get(f"{SLURM}/jobs/")
        jobs = [snapshot.slurm_job(raw) for raw in found["jobs"]]
        return {job.id: job for job in jobs if job is not None}
