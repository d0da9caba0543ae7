"""How an update changes what a waiting job asks for, with slurmctld's own gaps.

It sets what it is told and computes little anew: the CPUs of the whole job are counted when it is
submitted, and an update of `tasks` makes them one a task, one of `cpus_per_task` leaves them. A job
whose CPUs are then fewer than its tasks need never starts, unless the update said `minimum_cpus`.
With GRES per task they are counted rightly. Seen on 26.05.
"""

from collections.abc import Mapping
from dataclasses import replace

from bridge.sim.slurm import gres
from bridge.sim.slurm.errors import NODE_COUNT, Refused
from bridge.sim.slurm.job import Request
from bridge.sim.slurm.wire import Complaints, Json, read_number, read_text

FIELDS = frozenset(
    {
        "tasks",
        "cpus_per_task",
        "minimum_cpus",
        "minimum_nodes",
        "maximum_nodes",
        "tasks_per_node",
        "memory_per_cpu",
        "memory_per_node",
        "tres_per_task",
        "tres_per_node",
        "shared",
    }
)


def resized(
    request: Request,
    body: Mapping[str, Json],
    *,
    gres_types: frozenset[str],
    complaints: Complaints,
) -> Request:
    """The request as it would be. Raises Refused."""
    sent = dict(body)

    def count(name: str) -> int | None:
        return read_number(sent, name, complaints, "#/").value

    most_before = request.most_nodes
    request = _with_tasks(request, count("tasks"))
    request = _with_cpus(request, count("cpus_per_task"), count("minimum_cpus"))
    request = _with_nodes(
        request, count("minimum_nodes"), count("maximum_nodes"), most_before=most_before
    )
    request = _with_memory(request, count("memory_per_cpu"), count("memory_per_node"))
    per_node = count("tasks_per_node")
    if per_node is not None:
        request = replace(request, tasks_per_node=per_node)
    per_task = read_text(sent, "tres_per_task", complaints, "#/")
    if per_task is not None:
        asks = gres.parse_tres(per_task, gres_types)
        request = replace(request, tres_per_task=per_task, gres_per_task=asks)
    on_each = read_text(sent, "tres_per_node", complaints, "#/")
    if on_each is not None:
        asks = gres.parse_tres(on_each, gres_types)
        request = replace(request, tres_per_node=on_each, gres_per_node=asks)
    if sent.get("shared") and sent["shared"] != ["none"]:  # "none" is taken without effect
        request = replace(request, exclusive=False)
    return request


def _with_tasks(request: Request, tasks: int | None) -> Request:
    if not tasks:
        return request
    asked = (request.memory_per_cpu_mib or 0) * request.cpus
    return replace(
        request,
        tasks=tasks,
        tasks_given=True,
        cpus_said=None if request.gres_per_task else tasks,
        memory_said_mib=asked or None,
        min_nodes=min(request.min_nodes, tasks),
        max_nodes=None,
    )


def _with_cpus(request: Request, per_task: int | None, in_all: int | None) -> Request:
    if per_task and per_task != request.cpus_per_task:
        request = replace(request, cpus_said=request.cpus, cpus_per_task=per_task)
    if in_all:
        exact = in_all == request.tasks * request.cpus_per_task
        request = replace(request, cpus_said=None if exact else in_all, memory_said_mib=None)
    return request


def _with_nodes(
    request: Request, least: int | None, most: int | None, *, most_before: int
) -> Request:
    """The fewest are held against the most as they were, unless those are sent too."""
    if (least or 0) > (most or most_before):
        raise Refused(NODE_COUNT)
    return replace(
        request, min_nodes=least or request.min_nodes, max_nodes=most or request.max_nodes
    )


def _with_memory(request: Request, per_cpu: int | None, per_node: int | None) -> Request:
    if per_cpu:
        return replace(
            request, memory_per_cpu_mib=per_cpu, memory_per_node_mib=None, memory_said_mib=None
        )
    if per_node:
        return replace(
            request, memory_per_cpu_mib=None, memory_per_node_mib=per_node, memory_said_mib=None
        )
    return request
