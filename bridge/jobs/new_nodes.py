"""What a gang needs of nodes that do not exist yet, where that can be said to an autoscaler.

An autoscaler knows labels, taints and amounts. What only Slurm knows (features, reservations, GRES
that no resource of Kubernetes counts) it can't find nodes for, and nothing is asked of it: a node
that is bought for nothing is worse than a gang that waits for an admin.
"""

from collections.abc import Iterable
from dataclasses import replace

from bridge import names
from bridge.errors import BadInput
from bridge.jobs import dependencies, jobspec
from bridge.jobs.tasks import Plan, Tasks
from bridge.label_selectors import matches
from bridge.model import slurm_amounts
from bridge.model.capacity import GangNeed, Part
from bridge.model.gang import Gang
from bridge.model.pod import Pod
from bridge.model.scheduling import PodShape
from bridge.state.slurm_facts import PartitionFacts


def of(
    gang: Gang,
    plan: Plan,
    pods: Iterable[Pod],
    *,
    rules: jobspec.Rules,
    partitions: PartitionFacts,
    resolve: dependencies.Resolve,
) -> GangNeed | None:
    """The need of a gang whose parameters are those of its namespace too; None if an autoscaler
    can't be told, or if the gang could not start even with new nodes."""
    rank = rules.priority_classes.get(gang.priority_class, jobspec.Precedence())
    partition = gang.parameters.partition or rank.partition or rules.partition
    waiting = list(pods)
    if (
        (partitions.known and partition and partition not in partitions.known)
        or _is_held(gang, resolve)
        or any(pod.resource_claims for pod in waiting)
    ):
        return None
    parts = tuple(_part(gang, one, alone=rules.alone(gang)) for one in plan.components)
    if any(part is None for part in parts):
        return None
    return GangNeed(
        gang=gang.id,
        owner=gang.owner,
        parts=tuple(part for part in parts if part is not None),
        partition=partition,
        most_nodes=_most_nodes(gang, partitions.max_nodes.get(partition)),
        created_s=min((pod.created_s for pod in waiting), default=0.0),
    )


def _is_held(gang: Gang, resolve: dependencies.Resolve) -> bool:
    """Whether the gang asks for what decides in Slurm alone when or where it starts."""
    said = gang.parameters
    if said.constraints or said.reservation or said.licenses or said.gres:
        return True
    try:
        return bool(dependencies.build(said.dependency, namespace=gang.namespace, resolve=resolve))
    except BadInput:
        return True


def _most_nodes(gang: Gang, limit: int | None) -> int:
    return min((one for one in (gang.parameters.max_nodes, limit) if one), default=0)


def _part(gang: Gang, tasks: Tasks, *, alone: bool) -> Part | None:
    shape, said = tasks.shape, gang.parameters
    fewest = min(said.min_nodes or 0, tasks.count)
    limits = []
    if alone or shape.host_ports:
        limits.append(1)
    if fewest > 1:
        limits.append((tasks.count - 1) // (fewest - 1))
    if shape.pod_terms:
        if not _are_apart_by_node(gang, shape):
            return None
        limits.append(1)
    requests = slurm_amounts.in_slurm_units(shape.requests)
    cpus_milli = max(requests.cpu_milli, (said.cpu_per_task or 0) * 1000)
    part = Part(
        shape=replace(
            shape.without_pod_terms,
            requests=replace(requests, cpu_milli=cpus_milli),
            host_ports=(),
        ),
        count=tasks.count,
        per_node=min(limits, default=0),
    )
    return part if part.is_general else None


def _are_apart_by_node(gang: Gang, shape: PodShape) -> bool:
    """Whether all that its pods say of other pods is that each wants a node of its own."""
    if shape.pod_affinity or shape.spread or gang.identity is None:
        return False
    labels = gang.identity.all_labels()
    return all(
        term.topology_key == names.HOSTNAME_LABEL
        and term.selector.labels is not None
        and gang.namespace in term.selector.namespaces
        and matches(term.selector.labels, labels)
        for term in shape.pod_anti_affinity
    )
