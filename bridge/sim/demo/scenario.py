"""What the demo submits: more GPU work than fits, of every kind that people have.

Times in seconds from the beginning of the run. The longest gang needs half of the nodes, so it
has to be waited for while others could overtake it; a gang in the high partition comes when all is
full and takes what it needs.
"""

from dataclasses import dataclass
from typing import Any, Final

from bridge import names

NAMESPACE: Final = "research"
PARTITION: Final = "slurm-bridge"
HIGH: Final = "high"
NORMAL, URGENT = 1000, 5000
GPUS_PER_NODE: Final = 8
_LIMIT_MIN: Final = 1
_RUN_SECONDS: Final = "kwok.x-k8s.io/run-seconds"
_DIE_SECONDS: Final = "kwok.x-k8s.io/die-seconds"

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Workload:
    """One batch/v1 Job: `pods` of `gpus` GPUs each, every one running for `runs_s`."""

    name: str
    pods: int
    gpus: int
    runs_s: float
    arrives_s: float = 0.0
    gang: bool = False
    """All pods start together, as one Slurm job; else each pod waits for itself."""
    partition: str = PARTITION
    priority: int = NORMAL
    exclusive: bool = False
    """Each pod gets a node that nobody else has."""

    @property
    def wants(self) -> str:
        """Its size for people: pods × GPUs."""
        return f"{self.pods}×{self.gpus}"

    @property
    def fewest_nodes(self) -> int:
        """How many nodes it needs at the least when all of it runs."""
        per_node = 1 if self.exclusive else GPUS_PER_NODE // self.gpus
        return -(-self.pods // per_node)

    def manifest(self) -> Manifest:
        """The Job, as its author would write it."""
        limits = {"nvidia.com/gpu": str(self.gpus)}
        requests = {"cpu": str(4 * self.gpus), "memory": f"{32 * self.gpus}Gi", **limits}
        template: Manifest = {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 5,
            "containers": [
                {
                    "name": "main",
                    "image": "registry.example/train",
                    "resources": {"requests": requests, "limits": limits},
                }
            ],
        }
        spec: Manifest = {
            "completions": self.pods,
            "parallelism": self.pods,
            # A pod that Slurm preempts has not failed: it is made anew and waits again.
            "podFailurePolicy": {
                "rules": [
                    {
                        "action": "Ignore",
                        "onPodConditions": [{"type": names.DISRUPTION_TARGET, "status": "True"}],
                    }
                ]
            },
            "template": {
                "metadata": {
                    "annotations": {_RUN_SECONDS: f"{self.runs_s:g}", _DIE_SECONDS: "0.5"}
                },
                "spec": template,
            },
        }
        if self.gang:
            spec["completionMode"] = "Indexed"
            template["subdomain"] = self.name
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": self.name,
                "namespace": NAMESPACE,
                "annotations": self._parameters(),
            },
            "spec": spec,
        }

    def _parameters(self) -> dict[str, str]:
        wishes = {"priority": str(self.priority), "timelimit": str(_LIMIT_MIN)}
        if self.partition != PARTITION:
            wishes["partition"] = self.partition
        if self.exclusive:
            wishes["exclusive"] = "true"
        return {names.JOB_PREFIX + name: value for name, value in wishes.items()}


@dataclass(frozen=True, slots=True)
class Scenario:
    """Nodes (8 GPUs each, 8 to a leaf switch, 4 leaves to a block) and what comes to them."""

    nodes: int
    workloads: tuple[Workload, ...]

    @property
    def gpus(self) -> int:
        """All GPUs there are."""
        return self.nodes * GPUS_PER_NODE


def _gang(name: str, pods: int, runs_s: float, arrives_s: float = 0.0, **more: Any) -> Workload:
    return Workload(name, pods, 8, runs_s, arrives_s, gang=True, **more)


FULL: Final = Scenario(
    nodes=64,
    workloads=(
        _gang("pretrain-7b", 16, 12),
        _gang("pretrain-vision", 8, 10),
        _gang("rlhf", 6, 8),
        _gang("finetune-anna", 4, 5.5),
        _gang("finetune-ben", 4, 7.5),
        Workload("sharded-eval", 16, 2, 7, gang=True),
        Workload("sweep", 40, 1, 4),
        Workload("nccl-bench", 3, 1, 6, exclusive=True),
        _gang("pretrain-34b", 32, 9, 2.5),
        _gang("finetune-dora", 8, 7, 3.0),
        _gang("finetune-emil", 8, 6, 3.5),
        _gang("ablation-lr", 4, 4, 4.0),
        _gang("ablation-depth", 4, 5, 4.0),
        _gang("ablation-width", 4, 4, 4.5),
        Workload("notebooks", 6, 1, 7, 5.5),
        _gang("paper-deadline", 4, 5, 7.0, priority=URGENT),
        _gang("safety-eval", 2, 4, 8.0, priority=URGENT),
        Workload("sweep-2", 24, 1, 3.5, 9.0),
        _gang("incident-repro", 8, 4, 13.0, partition=HIGH),
        Workload("tokenizer", 8, 4, 4, 14.5, gang=True),
    ),
)
"""Half a minute."""

QUICK: Final = Scenario(
    nodes=16,
    workloads=(
        _gang("pretrain", 8, 2.5),
        _gang("finetune", 4, 1.5),
        Workload("nccl-bench", 2, 1, 1.5, exclusive=True),
        Workload("sweep", 12, 1, 1),
        _gang("pretrain-large", 12, 1.5, 0.5),
        _gang("ablation", 2, 1, 0.8),
        _gang("paper-deadline", 4, 1, 1.0, priority=URGENT),
        _gang("incident-repro", 4, 1, 1.5, partition=HIGH),
    ),
)
"""The same in small, for a first look and for tests."""
