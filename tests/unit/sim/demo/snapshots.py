"""Sights to order: what an observer could have read."""

from dataclasses import dataclass, field

from bridge.sim.demo.scenario import Scenario, Workload
from bridge.sim.demo.snapshot import Node, Pod, SlurmJob, Snapshot

TRAIN = Workload("train", pods=2, gpus=8, runs_s=5, gang=True)
SWEEP = Workload("sweep", pods=3, gpus=1, runs_s=2, arrives_s=1)
ALONE = Workload("bench", pods=1, gpus=1, runs_s=2, exclusive=True)
SCENE = Scenario(nodes=16, workloads=(TRAIN, SWEEP, ALONE))


def nodes(count: int = 16) -> list[Node]:
    """n-01 to n-08 under leaf l0, n-09 to n-16 under l1, both under block b0."""
    return [
        Node(f"n-{number + 1:02}", ("spine", "b0", f"l{number // 8}")) for number in range(count)
    ]


def a_pod(
    name: str, *, node: str = "", job: int | None = None, gpus: int = 8, phase: str = "",
    gated: bool = False, ending: bool = False,
) -> Pod:  # fmt: skip
    """A pod; its workload is what stands before the dash."""
    return Pod(
        uid=f"uid-{name}",
        name=name,
        workload=name.partition("-")[0],
        gpus=gpus,
        phase=phase or ("Running" if node else "Pending"),
        node=node,
        slurm_job=job,
        gated=gated,
        ending=ending,
    )


def a_job(
    number: int, workload: str = "train", *, state: str = "RUNNING", tasks: int = 1,
    on: dict[str, range] | None = None, priority: int = 1000, planned: tuple[str, ...] = (),
    partition: str = "slurm-bridge", starts_s: float | None = None, ran_on: tuple[str, ...] = (),
) -> SlurmJob:  # fmt: skip
    """A Slurm job; `on` gives its GPUs, node by node; `ran_on` where it ran before."""
    return SlurmJob(
        id=number,
        workload=workload,
        state=state,
        reason="Resources" if state == "PENDING" else "None",
        partition=partition,
        priority=priority,
        tasks=tasks,
        gpus={node: frozenset(gpus) for node, gpus in (on or {}).items()},
        nodes=frozenset((*(on or {}), *ran_on)),
        expected_start_s=starts_s,
        planned=frozenset(planned),
    )


@dataclass
class Looking:
    """Snapshot after snapshot, each a second later."""

    at_s: float = 0.0
    last: Snapshot = field(default_factory=lambda: Snapshot(0.0, 1000.0))

    def sees(
        self, *, jobs: tuple[SlurmJob, ...] = (), before: tuple[SlurmJob, ...] | None = None,
        pods: tuple[Pod, ...] = (), complete: tuple[str, ...] = (), failed: tuple[str, ...] = (),
        succeeded: dict[str, int] | None = None,
    ) -> Snapshot:  # fmt: skip
        """The next one; `before` is what Slurm said just before, if it was something else."""
        self.at_s += 1
        self.last = Snapshot(
            at_s=self.at_s,
            now_s=1000 + self.at_s,
            before={job.id: job for job in (jobs if before is None else before)},
            pods=pods,
            after={job.id: job for job in jobs},
            complete=frozenset(complete),
            failed=frozenset(failed),
            succeeded=succeeded or {},
        )
        return self.last
