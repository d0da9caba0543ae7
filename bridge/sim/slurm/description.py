"""A job description as it is submitted, read into a request."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from bridge.errors import BadInput
from bridge.sim.slurm import features, gres, hosts, script
from bridge.sim.slurm.errors import (
    DATA_CONVERSION,
    DATA_FLAG,
    DEPENDENCY,
    INVALID_EXTERNAL,
    INVALID_GROUP,
    INVALID_NODE_NAME,
    INVALID_USER,
    UNKNOWN_GROUP,
    UNKNOWN_USER,
    NotEmulated,
    Refused,
)
from bridge.sim.slurm.fields import JOB_FIELDS, JOB_FLAGS
from bridge.sim.slurm.job import Request
from bridge.sim.slurm.partition import Partition
from bridge.sim.slurm.wire import (
    Complaints,
    Json,
    Read,
    read_names,
    read_number,
    read_text,
)

KEPT_TEXTS = ("account", "admin_comment", "comment", "extra", "mcs_label", "qos", "wckey")
"""Fields that are kept and shown, and decide nothing here."""

_NOT_EMULATED = (
    "array",
    "contiguous",
    "deadline",
    "minimum_cpus_per_node",
    "overcommit",
    "prefer",
    "required_switches",
    "tres_per_job",
    "tres_per_socket",
)
"""Fields that would change where or when a job starts: better no answer than a wrong one."""

_RANGE = re.compile(r"^\d+(-\d+)?$")


@dataclass(frozen=True, slots=True)
class Site:
    """What the host of slurmctld knows: users by name, and the user of the token."""

    users: Mapping[str, int]
    user: str = "slurm"

    def name_of(self, user_id: int) -> str:
        """ "" for a number without a name."""
        return next((name for name, number in self.users.items() if number == user_id), "")


@dataclass(frozen=True, slots=True)
class Submission:
    """A description that could be read."""

    request: Request
    priority: int | None
    held: bool
    external: bool
    flags_known: bool


def read(
    body: dict[str, Json],
    *,
    partitions: Mapping[str, Partition],
    gres_types: frozenset[str],
    site: Site,
    complaints: Complaints,
    at: str = "#/job/",
) -> Submission:
    """Raises Refused for what slurmctld refuses by form (GRES, constraints, names of nodes).

    What slurmrestd itself can't read goes to `complaints`: an error of the parser (9202, 2166)
    keeps the job from being submitted, an unknown flag (9207) does not. They name the place `at`.
    """
    for name in _NOT_EMULATED:
        if body.get(name):
            raise NotEmulated(f"{name} of a job")
    complaints.unknown_fields(body, JOB_FIELDS, "DATA_PARSER_JOB_DESC_MSG", at)
    flags_known = _check_flags(body, complaints, at)
    request = Request(
        name=read_text(body, "name", complaints, at) or "allocation",
        partition=read_text(body, "partition", complaints, at) or _default(partitions),
    )
    _read_sizes(request, body, complaints, at)
    _read_memory(request, body, complaints, at)
    _read_user(request, body, site, complaints, at)
    shared = set(body.get("shared") or [])
    if shared - {"none"}:
        raise NotEmulated(f"shared {sorted(shared)} of a job")
    request.exclusive = bool(shared)
    request.tres_per_task = read_text(body, "tres_per_task", complaints, at) or ""
    request.tres_per_node = read_text(body, "tres_per_node", complaints, at) or ""
    request.constraints = read_text(body, "constraints", complaints, at) or ""
    request.reservation = read_text(body, "reservation", complaints, at) or ""
    request.licenses = read_text(body, "licenses", complaints, at) or ""
    request.texts = {
        name: text for name in KEPT_TEXTS if (text := read_text(body, name, complaints, at))
    }
    external = "EXTERNAL_JOB" in (body.get("flags") or [])
    _read_script(request, body, complaints, at)
    request.nice = int(body.get("nice") or 0)
    request.directory = read_text(body, "current_working_directory", complaints, at) or "/tmp"
    limit = read_number(body, "time_limit", complaints, at)
    request.time_limit_min = limit.value
    priority = read_number(body, "priority", complaints, at)
    required = read_names(body, "required_nodes", complaints, at) or []
    excluded = read_names(body, "excluded_nodes", complaints, at) or []
    if not complaints.wrong_type and not any(
        error["error_number"] in (DATA_CONVERSION, UNKNOWN_USER) for error in complaints.errors
    ):
        request.gres_per_task = gres.parse_tres(request.tres_per_task, gres_types)
        request.gres_per_node = gres.parse_tres(request.tres_per_node, gres_types)
        request.expression = features.parse(request.constraints)
        request.required, request.excluded = node_names(required), node_names(excluded)
        request.required_text = hosts.compress(hosts.in_order(request.required))
        request.excluded_text = hosts.compress(hosts.in_order(request.excluded))
        if external and request.script:
            raise Refused(INVALID_EXTERNAL)
        refuse_what_is_not_there(body)
        finish(request, partitions)
    return Submission(
        request=request,
        priority=priority.value,
        held=bool(body.get("hold")),
        external=external,
        flags_known=flags_known,
    )


def finish(request: Request, partitions: Mapping[str, Partition]) -> None:
    """What the partition's defaults add."""
    partition = partitions.get(request.partition)
    if partition is None:
        return
    if not request.memory_per_cpu_mib and not request.memory_per_node_mib:
        request.memory_per_cpu_mib = partition.default_memory_per_cpu_mib
        request.memory_per_node_mib = partition.default_memory_per_node_mib
    if request.time_limit_min is None:
        request.time_limit_min = partition.default_time_min or partition.max_time_min


def node_names(words: list[str]) -> tuple[str, ...]:
    """Names of nodes from words that may hold commas and ranges. Raises Refused (2018)."""
    try:
        return tuple(name for word in words for name in hosts.expand(word))
    except BadInput:
        raise Refused(INVALID_NODE_NAME) from None


def _default(partitions: Mapping[str, Partition]) -> str:
    return next((name for name, partition in partitions.items() if partition.default), "")


def _check_flags(body: dict[str, Json], complaints: Complaints, at: str) -> bool:
    known = True
    for index, flag in enumerate(body.get("flags") or []):
        if flag not in JOB_FLAGS:
            complaints.error(DATA_FLAG, f'Unknown flag "{flag}"', f"{at}flags[{index}]/")
            known = False
    return known


def _read_sizes(request: Request, body: dict[str, Json], complaints: Complaints, at: str) -> None:
    tasks = read_number(body, "tasks", complaints, at)
    cpus = read_number(body, "cpus_per_task", complaints, at)
    minimum = read_number(body, "minimum_nodes", complaints, at)
    maximum = read_number(body, "maximum_nodes", complaints, at)
    per_node = read_number(body, "tasks_per_node", complaints, at)
    request.cpus_per_task = cpus.value or 1
    request.min_nodes, request.max_nodes = minimum.value or 1, maximum.value
    request.tasks_per_node = per_node.value or 0
    nodes = read_text(body, "nodes", complaints, at)
    if nodes:
        if _RANGE.match(nodes):
            low, _, high = nodes.partition("-")
            request.min_nodes, request.max_nodes = int(low), int(high or low)
        else:
            complaints.error(DATA_CONVERSION, f'Unknown format: "{nodes}"', f"{at}nodes/")
    request.tasks_given = tasks.value is not None
    request.tasks = tasks.value or request.min_nodes


def _read_memory(request: Request, body: dict[str, Json], complaints: Complaints, at: str) -> None:
    per_cpu: Read = read_number(body, "memory_per_cpu", complaints, at)
    per_node: Read = read_number(body, "memory_per_node", complaints, at)
    request.memory_per_cpu_mib = per_cpu.value
    request.memory_per_node_mib = per_node.value or None


def _read_script(request: Request, body: dict[str, Json], complaints: Complaints, at: str) -> None:
    text = read_text(body, "script", complaints, at)
    request.script = script.parse(text) if text else None
    request.requeue = body.get("requeue") is not False
    request.begin_s = float(read_number(body, "begin_time", complaints, at).value or 0)


def _read_user(
    request: Request, body: dict[str, Json], site: Site, complaints: Complaints, at: str
) -> None:
    request.user_id = _number_of(body, _USER, site, complaints, at)
    request.group_id = _number_of(body, _GROUP, site, complaints, at)
    request.user_name = site.name_of(request.user_id)
    request.group_name = site.name_of(request.group_id)


@dataclass(frozen=True, slots=True)
class _Kind:
    """A user or a group, and what Slurm calls a bad one."""

    word: str
    unknown: int
    invalid: int


_USER = _Kind("user", UNKNOWN_USER, INVALID_USER)
_GROUP = _Kind("group", UNKNOWN_GROUP, INVALID_GROUP)
_LARGEST_ID = 0xFFFFFFFF


def _number_of(
    body: dict[str, Json], kind: _Kind, site: Site, complaints: Complaints, at: str
) -> int:
    """Every user has a group of its own name here."""
    value, place = body.get(f"{kind.word}_id"), f"{at}{kind.word}_id/"
    if value is None:
        return site.users[site.user]  # also the group of a user that was sent alone
    text = str(value)
    if text.lstrip("-").isdigit():
        if not 0 <= int(text) <= _LARGEST_ID:
            said = f"Invalid {kind.word} ID (overflow): {text}"
            complaints.error(kind.invalid, said, place)
            return 0
        return int(text)
    if text not in site.users:
        complaints.error(kind.unknown, f"Unable to resolve {kind.word}: {text}", place)
        return 0
    return site.users[text]


def refuse_what_is_not_there(body: dict[str, Json]) -> None:
    """Jobs that depend on others are not emulated."""
    dependency = body.get("dependency")
    if dependency == "singleton":
        raise NotEmulated("dependency singleton of a job")
    if dependency:
        raise Refused(DEPENDENCY)
