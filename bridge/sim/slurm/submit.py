"""What slurmctld says to a new job before it is ever scheduled."""

from dataclasses import dataclass

from bridge.sim.slurm.errors import (
    BAD_TASK_COUNT,
    INVALID_FEATURE,
    INVALID_NODE_NAME,
    NODE_CONFIGURATION_UNAVAILABLE,
    Refused,
)
from bridge.sim.slurm.job import Request
from bridge.sim.slurm.nodes import NodeTable
from bridge.sim.slurm.partition import Partition
from bridge.sim.slurm.place import Placer

PARTITION_UNAVAILABLE_NOW = 2015
NODE_UNAVAILABLE_NOW = 2070
RESERVATION_NOT_USABLE = 2056
HELD = 2091
NO_SWITCH = 7205
"""The nodes that no exclusive job holds would not suffice: slurmrestd calls that an error, answers
500, and the job is queued nevertheless.
"""
TEXTS = {
    PARTITION_UNAVAILABLE_NOW: "Requested partition configuration not available now",
    RESERVATION_NOT_USABLE: "Requested reservation not usable now",
    NODE_UNAVAILABLE_NOW: "Required node not available (down, drained or reserved)",
    NO_SWITCH: "Insufficient resources in topology unit",
    HELD: "Job is in held state, pending scheduler release",
}


@dataclass(frozen=True, slots=True)
class Caveat:
    """The job is accepted, but: Slurm's number (0 for nothing), the reason it starts with, and how
    that is described.
    """

    number: int = 0
    reason: str = ""
    description: str = ""


def check_names(request: Request, placer: Placer, table: NodeTable) -> None:
    """Raises Refused for features and required nodes that aren't there: looked at first of all."""
    if not placer.features_known(request, once=True):
        raise Refused(INVALID_FEATURE)
    if any(table.get(name) is None for name in request.required):
        raise Refused(INVALID_NODE_NAME)


def check(request: Request, partition: Partition, placer: Placer, table: NodeTable) -> Caveat:
    """Raises Refused for a job that no node could ever serve, or that excludes what isn't there."""
    if request.tasks_given and request.tasks < request.min_nodes:
        raise Refused(BAD_TASK_COUNT)
    if any(table.get(name) is None for name in request.excluded):
        raise Refused(INVALID_NODE_NAME)
    if set(request.required) & set(request.excluded):
        raise Refused(INVALID_NODE_NAME)
    spans = placer.spans(partition)
    if not spans.any():
        return Caveat(PARTITION_UNAVAILABLE_NOW, "PartitionConfig")
    ever = placer.ever(request, partition)
    if ever in ("no way", "unknown feature"):
        raise Refused(NODE_CONFIGURATION_UNAVAILABLE)
    if ever == "too large":
        return Caveat(PARTITION_UNAVAILABLE_NOW, "PartitionConfig")
    if ever == "not now":
        return Caveat(NODE_UNAVAILABLE_NOW)
    beside = placer.may_use(request, partition) & ~table.free().whole
    if placer.attempt(request, table.empty(), beside).no_switch:
        return Caveat(NO_SWITCH)
    return Caveat()
