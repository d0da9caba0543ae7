"""Test data, built so that a test names only what it is about: `a_pod().asking(gpu=8)`."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

from bridge import names
from bridge.gangs import demand, membership, progress
from bridge.gangs.lineage import Lineage
from bridge.model.gang import Gang
from bridge.model.ids import GangId, NodeName, PodUid, SlurmJobId, SlurmNodeName
from bridge.model.job import Allocation, Gres, JobFacts, JobIdentity, NodeGrant
from bridge.model.node import Node
from bridge.model.owner import BatchJob, Owner, PodTemplate
from bridge.model.pod import Condition, OwnerReference, Pod, PodPhase
from bridge.model.pod_identity import PodIdentity
from bridge.model.resources import Resources
from bridge.model.scheduling import (
    PodSelector,
    PodShape,
    PodTerm,
    Requirement,
    SpreadConstraint,
    Taint,
    Toleration,
)

GI = 1 << 30
SCHEDULER = names.SCHEDULER_NAME
TOLERATION = Toleration.managed(SCHEDULER)


class PodBuilder:
    """A gated pod of namespace `team` that asks for nothing, until told otherwise."""

    def __init__(self, name: str) -> None:
        self._pod = Pod(
            uid=PodUid(f"uid-{name}"),
            namespace="team",
            name=name,
            resource_version="1",
            scheduler_name=SCHEDULER,
            node_name=NodeName(""),
            phase="Pending",
            shape=PodShape(tolerations=Toleration.ours(SCHEDULER)),
            gates=(names.ALLOCATION_GATE,),
        )

    def _with(self, **changes: object) -> Self:
        self._pod = replace(self._pod, **changes)  # type: ignore[arg-type]
        return self

    def asking(self, *, cpu: float = 0, memory_gi: float = 0, gpu: int = 0) -> Self:
        """Its requests."""
        requests = Resources(
            cpu_milli=round(cpu * 1000),
            memory_bytes=round(memory_gi * GI),
            extended=(("nvidia.com/gpu", gpu),) if gpu else (),
        )
        return self._with(shape=replace(self._pod.shape, requests=requests))

    def labelled(self, **labels: str) -> Self:
        """Its labels that selectors of other pods meet."""
        return self._with(identity=PodIdentity.of(self._pod.namespace, labels))

    def keeping_away(self, *terms: PodTerm) -> Self:
        """Its required anti-affinity."""
        return self._with(shape=replace(self._pod.shape, pod_anti_affinity=terms))

    def of(self, job: BatchJob, index: int | None = None) -> Self:
        """A member of `job`."""
        return self._with(
            owner=OwnerReference("batch/v1", "Job", job.name, job.uid), completion_index=index
        )

    def annotated(self, **suffixes: str) -> Self:
        """Annotations slurmjob.slinky.slurm.net/<suffix>; `_` stands for `-`."""
        added = {names.JOB_PREFIX + key.replace("_", "-"): text for key, text in suffixes.items()}
        return self._with(annotations={**self._pod.annotations, **added})

    def pinned(self, job_id: int, node: str, *, gang: str = "") -> Self:
        """As the one PATCH leaves it, for a pod of a gang of several with the gang's id."""
        written = {names.NODE_ANNOTATION: node}
        if gang:
            written[names.GANG_ID_ANNOTATION] = gang
        return self._with(
            labels={names.JOB_ID_LABEL: str(job_id)},
            annotations={**self._pod.annotations, **written},
            gates=tuple(g for g in self._pod.gates if g != names.ALLOCATION_GATE),
        )

    def bound(self, node: str) -> Self:
        """On its node."""
        return self._with(node_name=NodeName(node))

    def in_phase(self, phase: PodPhase) -> Self:
        """Its phase."""
        return self._with(phase=phase)

    def deleting(self) -> Self:
        """Its deletion was asked for."""
        return self._with(deleting=True)

    def ungated(self) -> Self:
        """Made where no webhook was: no gate, no toleration."""
        return self._with(gates=(), shape=replace(self._pod.shape, tolerations=()))

    def also_gated_by(self, gate: str) -> Self:
        """Somebody else's gate beside ours."""
        return self._with(gates=(*self._pod.gates, gate))

    def told(self, condition: Condition) -> Self:
        """The condition that the API server has."""
        return self._with(allocated=condition)

    def build(self) -> Pod:
        """The row."""
        return self._pod


def a_pod(name: str = "web") -> PodBuilder:
    """Start a pod."""
    return PodBuilder(name)


def a_job(name: str = "train", **fields: object) -> BatchJob:
    """A Job of one plain pod, until told otherwise."""
    base = BatchJob(uid=f"uid-job-{name}", namespace="team", name=name, resource_version="1")
    return replace(base, **fields)  # type: ignore[arg-type]


def a_gang_job(name: str = "train", *, size: int, **fields: object) -> BatchJob:
    """A Job whose pods address each other, so that they must start together."""
    return a_job(
        name,
        parallelism=size,
        completions=size,
        indexed=True,
        template=PodTemplate(subdomain=name),
        **fields,
    )


def held_by(owner: Owner, which: str = "") -> GangId:
    """The id of the gang that an owner holds (of one of several: which)."""
    return GangId("/".join(filter(None, (owner.namespace, owner.uid, which))))


def line_of(pod: Pod, *owners: Owner) -> Lineage:
    """The pod below its owners, nearest first."""
    return Lineage(pod, owners)


def gang_for(pods: Sequence[Pod], *owners: Owner, elsewhere: Sequence[Pod] = ()) -> Gang:
    """The gang of these pods, as the state makes it; owners nearest first. The pods `elsewhere`
    are gangs of their own."""
    line = line_of(pods[0], *owners)
    jobs = [owner for owner in owners if isinstance(owner, BatchJob)]
    ranks = {pod.uid: membership.of(line_of(pod, *owners)).rank for pod in pods}
    away = [membership.of(line_of(pod, *owners)).rank for pod in elsewhere]
    return demand.gang_of(
        line,
        membership.of(line),
        {0: demand.largest(pods)},
        said=[pod.annotations for pod in pods],
        lines=lambda: [line_of(pod, *owners) for pod in pods],
        done=progress.of(jobs, pods, ranks, away),
    )


def a_gang(
    gang_id: str,
    *,
    size: int = 1,
    shape: PodShape | None = None,
    identity: PodIdentity | None = None,
) -> Gang:
    """A gang as workloads would make it."""
    return Gang(
        id=GangId(gang_id),
        namespace="team",
        owner_kind="Job",
        owner_name="train",
        size=size,
        shape=shape or PodShape(),
        identity=identity,
    )


def app(name: str = "train", namespace: str = "team") -> PodIdentity:
    """A pod with this label `app`."""
    return PodIdentity.of(namespace, {"app": name})


def to_app(name: str = "train", namespace: str = "team") -> PodSelector:
    """The selector of these pods."""
    return PodSelector((namespace,), (Requirement("app", "In", (name,)),))


def beside(key: str, name: str = "train") -> PodTerm:
    """A term about the pods of an app in the domain of a topology key."""
    return PodTerm(key, to_app(name))


def spread_by(key: str, name: str = "train", max_skew: int = 1, **fields: Any) -> SpreadConstraint:
    """A topology spread constraint on the pods of an app."""
    return SpreadConstraint(key, max_skew, to_app(name), **fields)


def facts(
    job_id: int,
    state: str,
    *,
    gang: str = "",
    nodes: tuple[str, ...] = (),
    reason: str = "",
    cpus: int = 64,
    gpus: int = 8,
) -> JobFacts:
    """Slurm's view of a job; a running one holds `nodes`."""
    grants = tuple(
        NodeGrant(SlurmNodeName(node), cpus, 1 << 20, (Gres("gpu", "h100", gpus),))
        for node in nodes
    )
    return JobFacts(
        job_id=SlurmJobId(job_id),
        state=state,
        identity=JobIdentity("cluster", gang, 0, "Job/team/train") if gang else None,
        reason=reason,
        partition="slurm-bridge",
        allocation=Allocation(SlurmJobId(job_id), grants) if grants else None,
    )


def a_node(
    name: str = "node-1",
    *,
    cpu: int = 64,
    memory_gi: int = 512,
    gpu: int = 8,
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    taints: tuple[Taint, ...] = (),
) -> Node:
    """A GPU node that its admin wants registered."""
    return Node(
        name=NodeName(name),
        uid=f"uid-{name}",
        resource_version="1",
        labels={
            names.EXTERNAL_NODE_LABEL: "",
            "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3",
            **(labels or {}),
        },
        annotations={names.EXTERNAL_NODE_PARTITIONS_ANNOTATION: "slurm-bridge"}
        | (annotations or {}),
        taints=taints,
        allocatable=Resources(
            cpu_milli=cpu * 1000,
            memory_bytes=memory_gi * GI,
            extended=(("nvidia.com/gpu", gpu),) if gpu else (),
        ),
        internal_ip="10.0.0.1",
    )
