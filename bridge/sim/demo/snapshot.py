"""Both sides at one moment, as rows: what the observer has read (pure)."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bridge import names
from bridge.sim.slurm import hosts

Json = dict[str, Any]
Gpus = Mapping[str, frozenset[int]]
"""Node name → numbers of its GPUs."""

LIVE = frozenset({"PENDING", "RUNNING", "SUSPENDED"})
_JOB_NAME = "batch.kubernetes.io/job-name"
_LAYER = names.AWS_NETWORK_LAYER_PREFIX
_RANGE = re.compile(r"(\d+)(?:-(\d+))?")
_GPU_DETAIL = re.compile(r"gpu(?::[^:(,]+)*\(IDX:([\d,-]*)\)")


@dataclass(frozen=True, slots=True)
class Node:
    """One node and the switches above it, the closest last."""

    name: str
    switches: tuple[str, ...]

    @property
    def leaf(self) -> str:
        """The closest switch."""
        return self.switches[-1] if self.switches else ""


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod, as the API server shows it."""

    uid: str
    name: str
    workload: str
    gpus: int
    phase: str
    node: str = ""
    slurm_job: int | None = None
    gated: bool = False
    ending: bool = False

    @property
    def ended(self) -> bool:
        """Its containers have ended for good."""
        return self.phase in ("Succeeded", "Failed")

    @property
    def holds(self) -> bool:
        """It has its GPUs."""
        return bool(self.node) and not self.ended


@dataclass(frozen=True, slots=True)
class SlurmJob:
    """One Slurm job of the bridge, as slurmrestd shows it; times in seconds since the epoch."""

    id: int
    workload: str
    state: str
    reason: str = ""
    partition: str = ""
    priority: int = 0
    tasks: int = 1
    gpus: Gpus = field(default_factory=dict)
    """What it holds, by node, while it runs."""
    nodes: frozenset[str] = frozenset()
    """Where it runs or, when it has ended, where it ran."""
    expected_start_s: float | None = None
    planned: frozenset[str] = frozenset()
    """Nodes that backfill keeps for it."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One look. `before` and `after` are Slurm's jobs just before and after the pods were read.

    `at_s` counts from the beginning of the run, `now_s` from the epoch.
    """

    at_s: float
    now_s: float
    before: Mapping[int, SlurmJob] = field(default_factory=dict)
    pods: Sequence[Pod] = ()
    after: Mapping[int, SlurmJob] = field(default_factory=dict)
    complete: frozenset[str] = frozenset()
    failed: frozenset[str] = frozenset()
    succeeded: Mapping[str, int] = field(default_factory=dict)
    """Pods that came to their good end, by workload, as their Jobs count them."""

    @property
    def live_jobs(self) -> list[SlurmJob]:
        """Jobs that wait or run."""
        return [job for job in self.after.values() if job.state in LIVE]

    @property
    def waiting(self) -> list[SlurmJob]:
        """Pending jobs in the order in which Slurm considers them (as far as the outside knows)."""
        pending = [job for job in self.after.values() if job.state == "PENDING"]
        return sorted(pending, key=lambda job: (-job.priority, job.id))


def node(raw: Json) -> Node:
    """A node of the API server."""
    labels = raw["metadata"].get("labels") or {}
    layers = sorted(
        (int(key.removeprefix(_LAYER)), value)
        for key, value in labels.items()
        if key.startswith(_LAYER)
    )
    return Node(raw["metadata"]["name"], tuple(value for _, value in layers))


def pod(raw: Json) -> Pod:
    """A pod of the API server."""
    metadata, spec, status = raw["metadata"], raw["spec"], raw.get("status") or {}
    labels = metadata.get("labels") or {}
    job_id = labels.get(names.JOB_ID_LABEL)
    gates = {gate["name"] for gate in spec.get("schedulingGates") or ()}
    return Pod(
        uid=metadata["uid"],
        name=metadata["name"],
        workload=labels.get(_JOB_NAME, metadata["name"]),
        gpus=sum(
            int((one.get("resources", {}).get("limits") or {}).get("nvidia.com/gpu", 0))
            for one in spec["containers"]
        ),
        phase=status.get("phase", "Pending"),
        node=spec.get("nodeName") or "",
        slurm_job=int(job_id) if job_id else None,
        gated=names.ALLOCATION_GATE in gates,
        ending="deletionTimestamp" in metadata,
    )


def conditions(raw: Json) -> set[str]:
    """Types of the conditions of a Job that hold."""
    told = (raw.get("status") or {}).get("conditions") or ()
    return {one["type"] for one in told if one["status"] == "True"}


def slurm_job(raw: Json) -> SlurmJob | None:
    """A job of slurmrestd; None when it is not a bridge's."""
    comment = raw.get("admin_comment") or ""
    if names.ADMIN_COMMENT_KEY not in comment:
        return None
    owner = json.loads(comment)[names.ADMIN_COMMENT_KEY]["owner"]
    state = raw["job_state"][0]
    start = raw["start_time"]["number"]
    return SlurmJob(
        id=int(raw["job_id"]),
        workload=owner.split("/")[2],
        state=state,
        reason=raw["state_reason"],
        partition=raw["partition"],
        priority=raw["priority"]["number"],
        tasks=raw["tasks"]["number"],
        gpus=_gpus(raw) if state == "RUNNING" else {},
        nodes=frozenset(hosts.expand(raw.get("nodes") or "")),
        expected_start_s=float(start) if state == "PENDING" and start else None,
        planned=frozenset(hosts.expand(raw.get("scheduled_nodes") or "")),
    )


def _gpus(raw: Json) -> Gpus:
    """Node by node, from `gres_detail` (`gpu:h100:3(IDX:0-1,5)`)."""
    rows = ((raw.get("job_resources") or {}).get("nodes") or {}).get("allocation") or ()
    details = raw.get("gres_detail") or [""] * len(rows)
    return {
        row["name"]: frozenset(
            index for match in _GPU_DETAIL.finditer(detail) for index in _numbers(match[1])
        )
        for row, detail in zip(rows, details, strict=True)
    }


def _numbers(text: str) -> list[int]:
    found: list[int] = []
    for match in _RANGE.finditer(text):
        found += range(int(match[1]), int(match[2] or match[1]) + 1)
    return found
