"""What of an answer is compared, and which differences mean nothing."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bridge.sim.slurm import scheduler

Json = Any

JOB_FIELDS = (
    "account", "admin_comment", "batch_flag", "batch_host", "comment", "cpus", "cpus_per_task",
    "end_time", "excluded_nodes", "exit_code", "features", "gres_detail", "group_id", "group_name",
    "het_job_id", "het_job_offset", "hold", "job_id", "job_resources", "job_state",
    "memory_per_cpu", "memory_per_node", "name", "node_count", "nodes", "partition",
    "preempt_time", "priority", "requeue", "required_nodes", "restart_cnt", "scheduled_nodes",
    "shared", "start_time", "state_description", "state_reason", "submit_time", "tasks",
    "tasks_per_node", "time_limit", "tres_alloc_str", "tres_per_node", "tres_per_task",
    "tres_req_str", "user_id", "user_name", "wckey",
)  # fmt: skip
"""Of a job: all that the client reads (bridge/slurm/wire), and what people look at."""

NODE_FIELDS = (
    "active_features", "address", "alloc_cpus", "alloc_idle_cpus", "alloc_memory", "comment",
    "cores", "cpus", "effective_cpus", "extra", "features", "gres", "gres_used", "hostname", "name",
    "partitions", "real_memory", "reason", "reason_set_by_user", "reservation", "sockets", "state",
    "threads", "topology", "tres", "tres_used", "weight",
)  # fmt: skip

PARTITION_FIELDS = (
    "cpus", "defaults", "flags", "grace_time", "maximums", "minimums", "name", "node_sets",
    "nodes", "partition", "preempt_mode", "priority", "qos", "accounts", "tres",
)  # fmt: skip

HISTORY_FIELDS = (
    "account", "allocation_nodes", "cluster", "comment", "constraints", "derived_exit_code",
    "exit_code", "group", "job_id", "kill_request_user", "name", "nodes", "partition", "qos",
    "qosreq", "required", "reservation", "state", "time", "tres", "user", "wckey",
)  # fmt: skip
"""Of a job that the accounting shows; the priority of an ended one is never looked at."""

_KINDS = (("jobs", JOB_FIELDS), ("nodes", NODE_FIELDS), ("partitions", PARTITION_FIELDS))
_WHOLE = (
    *("errors", "warnings", "job_id", "step_id", "status", "accounts", "users", "associations"),
    *("qos", "TRES", "added_accounts", "added_users", "removed_accounts", "removed_users"),
    *("removed_associations", "removed_qos"),
)
"""What is compared with all that is in it."""
_EPOCH = 1_500_000_000
_YEAR_MIN = 525_600
_SECONDS = 2
"""How far a duration may be off: seconds are cut, and the real one decides a little later."""
_JOB_ID = re.compile(r"(?<=JobI[dD]=)\d+|(?<=id#)\d+")
_PLANNABLE = {"None", "Priority", "Resources", "JobHeldAdmin"}
_PLAN = {"start_time", "end_time", "scheduled_nodes"}
_PASSING = {"", scheduler.TOPOLOGY_SHORT, scheduler.ALL_UNAVAILABLE}


@dataclass(frozen=True, slots=True)
class Difference:
    """One field of one step that came back different."""

    step: str
    field: str
    real: Json
    ours: Json

    def __str__(self) -> str:
        return f"{self.step}: {self.field}: real {self.real!r}, ours {self.ours!r}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Compares normalised answers; times may differ by `tolerance_s`."""

    tolerance_s: float

    def answers(self, step: str, real: Json, ours: Json) -> Iterator[Difference]:
        """What differs between two answers to one request."""
        if not isinstance(real, dict) or not isinstance(ours, dict):
            yield from self._field(step, "body", real, ours)
            return
        for kind, fields in _KINDS:
            if real.get(kind) or ours.get(kind):  # null or []: the real one is of two minds
                yield from self._rows(step, kind, fields, real.get(kind), ours.get(kind))
        for key in _WHOLE:
            yield from self._field(step, key, real.get(key), ours.get(key))
        for real_pong, our_pong in zip(real.get("pings", []), ours.get("pings", []), strict=True):
            for key in ("responding", "primary", "status"):
                yield from self._field(step, key, real_pong[key], our_pong[key])

    def _rows(
        self, step: str, kind: str, fields: tuple[str, ...], real: Json, ours: Json
    ) -> Iterator[Difference]:
        if not isinstance(real, list) or not isinstance(ours, list) or len(real) != len(ours):
            yield Difference(step, kind, real, ours)
            return
        for real_row, our_row in zip(real, ours, strict=True):
            for key in _compared(kind, fields, real_row):
                yield from self._field(step, key, real_row.get(key), our_row.get(key))

    def _field(self, step: str, key: str, real: Json, ours: Json) -> Iterator[Difference]:
        if not self.same(key, real, ours):
            yield Difference(step, key, real, ours)

    def same(self, key: str, real: Json, ours: Json) -> bool:
        """Whether two values mean the same, apart from what no two runs share."""
        if _shared_by_no_two_runs(key, real, ours):
            return True
        if isinstance(real, dict) and isinstance(ours, dict):
            if "after_s" in real and "after_s" in ours:
                return bool(abs(real["after_s"] - ours["after_s"]) <= self.tolerance_s)
            return real.keys() == ours.keys() and all(
                self.same(key if name == "number" else name, real[name], ours[name])
                for name in real
            )
        if isinstance(real, list) and isinstance(ours, list):
            pairs = zip(real, ours, strict=False)
            return len(real) == len(ours) and all(self.same("", *pair) for pair in pairs)
        if key == "end_time" and isinstance(real, int) and isinstance(ours, int) and real > _EPOCH:
            return abs(real - ours) <= self.tolerance_s
        if isinstance(real, str) and isinstance(ours, str):
            return _JOB_ID.sub("#", real) == _JOB_ID.sub("#", ours)
        return bool(real == ours)


def _compared(kind: str, fields: tuple[str, ...], real: Json) -> tuple[str, ...]:
    """Which fields of a row; no estimate of a waiting job that the real one had not made yet."""
    if "core_bitmap" in real:  # of a job's layout
        return tuple(real)
    if kind != "jobs":
        return fields
    if "partition" not in real:
        return ("job_id", "state")
    if "time" in real:
        return HISTORY_FIELDS
    planless = not real["start_time"]["number"] and real["state_reason"] in _PLANNABLE
    if real["job_state"] == ["PENDING"] and planless:
        return tuple(name for name in fields if name not in _PLAN)
    return fields


def _shared_by_no_two_runs(key: str, real: Json, ours: Json) -> bool:
    """Default priorities count down from the daemon's start. A job that backfill started shows a
    year as its limit, one of the main scheduler shows none. Reasons are renewed when Slurm looks
    at the job, which we do at once. slurmdbd numbers its rows on and on.
    """
    if key in ("elapsed", "planned") and isinstance(real, int) and isinstance(ours, int):
        return abs(real - ours) <= _SECONDS
    if key == "id" or (key == "qos" and isinstance(real, int)):
        return isinstance(ours, int) and bool(real) == bool(ours)
    if key == "priority":
        return _large(real) and _large(ours)
    if key in ("time_limit", "limit"):
        return bool(_limit(real) == _limit(ours))
    if key == "state_reason":
        return (real, ours) == ("Priority", "Resources")
    return key == "state_description" and {real, ours} <= _PASSING


def _large(value: Json) -> bool:
    return isinstance(value, dict) and bool(value.get("number", 0) > 4_000_000_000)


def _limit(value: Json) -> Json:
    if value.get("infinite") or value.get("number") == _YEAR_MIN:
        return None
    return value["number"]
