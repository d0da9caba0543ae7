"""Whether all was right at every snapshot (pure).

What is held, each time:

- a bound pod is on a node that Slurm says the job it names has held (a job may start and be
  preempted between two looks);
- on no node do the pods of running jobs use more GPUs than Slurm's jobs hold there, and where
  neither side is on the move both are equal (whoever wants a node alone holds all of it);
- a pod whose job is over is on its way out within a few seconds;
- nobody shares a node with a pod that is to be alone.

And at the end: every workload complete, no job left in Slurm.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from bridge.sim.demo.scenario import GPUS_PER_NODE, Scenario
from bridge.sim.demo.snapshot import Gpus, Pod, SlurmJob, Snapshot

REACTION_S: Final = 5.0
"""How long a pod may look alive after its job has ended."""


@dataclass(slots=True)
class Checks:
    """The verdict so far."""

    scenario: Scenario
    snapshots: int = 0
    compared: int = 0
    """Busy nodes whose GPUs were equal on both sides, over all snapshots."""
    off_allocation: int = 0
    """Pods seen on a node that their job did not hold."""
    mismatches: int = 0
    """Nodes where pods used other GPUs than Slurm gave, over all snapshots."""
    leaked_jobs: int = 0
    problems: list[str] = field(default_factory=list)
    _granted: dict[int, set[str]] = field(default_factory=dict)
    _judged: set[str] = field(default_factory=set)
    """Pods that were bound where they belong."""
    _orphaned_s: dict[str, float] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Nothing was wrong."""
        return not self.problems

    def take(self, snapshot: Snapshot) -> None:
        """The next snapshot."""
        self.snapshots += 1
        for jobs in (snapshot.before, snapshot.after):
            for job in jobs.values():
                self._granted.setdefault(job.id, set()).update(job.nodes)
        for pod in snapshot.pods:
            if pod.node and pod.uid not in self._judged:
                self._check_place(pod, snapshot)
            if pod.holds:
                self._check_orphan(pod, snapshot)
        self._check_gpus(snapshot)
        self._check_alone(snapshot)

    def finish(self, snapshot: Snapshot) -> None:
        """The last snapshot: who is not done, what was left behind."""
        left = [job for job in snapshot.live_jobs if job.workload in snapshot.complete]
        self.leaked_jobs = len(left)
        if left:
            ids = ", ".join(str(job.id) for job in left)
            self._wrong(f"left in Slurm at the end: jobs {ids}")
        names = {workload.name for workload in self.scenario.workloads}
        if failed := sorted(names & snapshot.failed):
            self._wrong(f"Jobs that failed: {', '.join(failed)}")
        if missing := sorted(names - snapshot.failed - snapshot.complete):
            self._wrong(f"Jobs that are not complete: {', '.join(missing)}")

    def _check_place(self, pod: Pod, snapshot: Snapshot) -> None:
        held = self._granted.get(pod.slurm_job or -1, set())
        if pod.node in held:
            self._judged.add(pod.uid)
            return
        job = snapshot.after.get(pod.slurm_job or -1)
        if job is not None and job.state == "RUNNING" and not job.gpus:
            return  # just started: Slurm has not said where yet
        self._judged.add(pod.uid)
        self.off_allocation += 1
        names = ", ".join(sorted(held)) or "nothing"
        self._wrong(
            f"pod {pod.name} was bound to {pod.node}; its Slurm job "
            f"({pod.slurm_job or 'none'}) holds {names}"
        )

    def _check_orphan(self, pod: Pod, snapshot: Snapshot) -> None:
        job = snapshot.after.get(pod.slurm_job or -1)
        if pod.ending or (job is not None and job.state == "RUNNING"):
            self._orphaned_s.pop(pod.uid, None)
            return
        since_s = self._orphaned_s.setdefault(pod.uid, snapshot.at_s)
        if snapshot.at_s - since_s > REACTION_S:
            self._orphaned_s[pod.uid] = float("inf")  # said once
            self._wrong(f"pod {pod.name} runs on {pod.node} though its Slurm job is over")

    def _check_gpus(self, snapshot: Snapshot) -> None:
        used: Counter[str] = Counter()
        present: Counter[str] = Counter()
        tasks: Counter[int] = Counter()
        before, after = _held(snapshot.before), _held(snapshot.after)
        for pod in snapshot.pods:
            if not pod.holds:
                continue
            present[pod.node] += pod.gpus
            if pod.slurm_job in before or pod.slurm_job in after:
                used[pod.node] += pod.gpus
                tasks[pod.slurm_job or -1] += 1
        for node, count in present.items():
            if count > GPUS_PER_NODE:
                self.mismatches += 1
                self._wrong(f"pods on {node} use {count} of its {GPUS_PER_NODE} GPUs")
        for node in {name for held in (*before.values(), *after.values()) for name in held}:
            here = {job for job, held in before.items() if node in held}
            here_after = {job for job, held in after.items() if node in held}
            most = sum(
                len((before.get(job) or after[job]).get(node, ())) for job in here | here_after
            )
            settled = here == here_after and all(
                tasks[job] == snapshot.before[job].tasks for job in here
            )
            alone = any(snapshot.before[job].workload in self._exclusive for job in here)
            self.compared += settled
            if used[node] > most or (settled and not alone and used[node] < most):
                self.mismatches += 1
                self._wrong(f"pods on {node} use {used[node]} GPUs, Slurm gave {most}")

    def _check_alone(self, snapshot: Snapshot) -> None:
        pods: dict[str, list[Pod]] = defaultdict(list)
        for pod in snapshot.pods:
            if pod.holds:
                pods[pod.node].append(pod)
        for node, here in pods.items():
            if len(here) > 1 and any(pod.workload in self._exclusive for pod in here):
                names = ", ".join(sorted(pod.name for pod in here))
                self._wrong(f"not alone on {node}: {names}")

    @property
    def _exclusive(self) -> set[str]:
        return {one.name for one in self.scenario.workloads if one.exclusive}

    def _wrong(self, text: str) -> None:
        if text not in self.problems:
            self.problems.append(text)


def _held(jobs: Mapping[int, SlurmJob]) -> dict[int, Gpus]:
    return {job.id: job.gpus for job in jobs.values() if job.state == "RUNNING" and job.gpus}
