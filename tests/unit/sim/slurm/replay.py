"""Plays a recording of the real daemons to the emulator and compares what comes back."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge.sim.slurm.cluster import Cluster
from bridge.sim.slurm.description import Site
from bridge.sim.slurm.embedded import USERS
from bridge.sim.slurm.rest import Rest
from bridge.sim.slurm.topology import Tree

Json = Any

RECORDINGS = Path(__file__).parents[1] / "recordings" / "slurm"

JOB_FIELDS = (
    "account", "admin_comment", "batch_host", "comment", "cpus", "cpus_per_task", "end_time",
    "excluded_nodes", "exit_code", "features", "gres_detail", "group_id", "group_name", "hold",
    "job_id", "job_resources", "job_state", "memory_per_cpu", "memory_per_node", "name",
    "node_count", "nodes", "partition", "preempt_time", "priority", "required_nodes",
    "scheduled_nodes", "shared", "start_time", "state_description", "state_reason", "submit_time",
    "tasks", "tasks_per_node", "time_limit", "tres_alloc_str", "tres_per_node", "tres_per_task",
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

TOLERANCE_S = 2
"""The real one decides up to a second later, and its times are whole seconds."""

_EPOCH = 1_500_000_000
_UNTIL = re.compile(r"\{(\w+)\}")
_YEAR_MIN = 525_600


@dataclass(frozen=True, slots=True)
class Difference:
    """One field of one step that came back different."""

    step: str
    field: str
    real: Json
    ours: Json

    def __str__(self) -> str:
        return f"{self.step}: {self.field}: real {self.real!r}, ours {self.ours!r}"


@dataclass(slots=True)
class Player:
    """The emulator as the recording's server, and the ids it gave to the recording's jobs."""

    recording: Json
    now: float = 0.0
    jobs: dict[str, int] = field(default_factory=dict)

    def play(self) -> Iterator[Difference]:
        """Every difference, step by step."""
        began = self.now = float(self.recording["began_s"])
        cluster = Cluster(tree=Tree("topo"))
        rest = Rest(cluster, site=Site(users=USERS), cluster_name="trial")
        for step in self.recording["steps"]:
            self.now += step["waited_s"]
            if "hook" in step:
                rest.controller_up = step["hook"] == "start"
                continue
            status, answer = self._ask(rest, step["request"])
            if step.get("job") and isinstance(answer, dict) and answer.get("job_id"):
                self.jobs[step["job"]] = answer["job_id"]
            if status != step["status"]:
                yield Difference(step["name"], "status", step["status"], status)
            yield from self._compare(step, self._normal(answer, began))

    def _ask(self, rest: Rest, request: Json) -> tuple[int, Json]:
        path = self._fill(request["path"])
        path, _, query = path.partition("?")
        full = path if path.startswith(("/slurm/", "/openapi")) else f"/slurm/v0.0.45{path}"
        token = request.get("token")
        if token == "":
            return 401, "Authentication failure"
        answer = rest.handle(
            request["method"],
            full,
            query=dict([query.split("=")]) if query else {},
            body=json.dumps(self._fill(request["body"])).encode() if "body" in request else None,
            authentic=token is None,
            now=self.now,
        )
        return answer.status, answer.body if answer.plain else json.loads(answer.body)

    def _fill(self, value: Json) -> Json:
        if isinstance(value, str):
            return _UNTIL.sub(lambda found: str(self.jobs.get(found[1], found[0])), value)
        if isinstance(value, dict):
            return {key: self._fill(item) for key, item in value.items()}
        return [self._fill(item) for item in value] if isinstance(value, list) else value

    def _normal(self, value: Json, began: float, key: str = "") -> Json:
        """As the recorder writes it: ids by name, times as seconds since the beginning."""
        if isinstance(value, dict):
            if "index" in value and "sockets" in value:
                value = {name: item for name, item in value.items() if name != "sockets"}
            inner = key if {"set", "number"} <= value.keys() else ""
            return {
                name: self._normal(item, began, inner or name)
                for name, item in value.items()
                if name != "meta"
            }
        if isinstance(value, list):
            return [self._normal(item, began, key) for item in value]
        if isinstance(value, int) and _EPOCH < value < 2 * _EPOCH and key != "priority":
            return {"after_s": round(value - began)}
        if key in ("job_id", "step_id"):
            for name, number in self.jobs.items():
                if str(value) == str(number):
                    return f"{{{name}}}"
        return value

    def _compare(self, step: Json, ours: Json) -> Iterator[Difference]:
        real, name = step["answer"], step["name"]
        if not isinstance(real, dict) or not isinstance(ours, dict):
            yield from _differences(name, "", real, ours)
            return
        yield from _differences(name, "errors", real["errors"], ours["errors"])
        yield from _differences(name, "warnings", real["warnings"], ours["warnings"])
        for kind, fields in (
            ("jobs", JOB_FIELDS),
            ("nodes", NODE_FIELDS),
            ("partitions", PARTITION_FIELDS),
        ):
            if kind in real or kind in ours:
                yield from _rows(name, kind, fields, real.get(kind), ours.get(kind))
        for key in ("job_id", "step_id", "status"):
            yield from _differences(name, key, real.get(key), ours.get(key))
        for real_pong, our_pong in zip(real.get("pings", []), ours.get("pings", []), strict=True):
            for key in ("responding", "primary", "status"):
                yield from _differences(name, key, real_pong[key], our_pong[key])


def _rows(
    step: str, kind: str, fields: tuple[str, ...], real: Json, ours: Json
) -> Iterator[Difference]:
    if not isinstance(real, list) or not isinstance(ours, list) or len(real) != len(ours):
        yield Difference(step, kind, real, ours)
        return
    for real_row, our_row in zip(real, ours, strict=True):
        for key in fields:
            if key in real_row or kind != "jobs":
                yield from _differences(step, key, real_row.get(key), our_row.get(key))


def _differences(step: str, key: str, real: Json, ours: Json) -> Iterator[Difference]:
    if not same(key, real, ours):
        yield Difference(step, key, real, ours)


def same(key: str, real: Json, ours: Json) -> bool:
    """Whether two values mean the same, apart from what no two runs share.

    Default priorities count down from the daemon's start; a job that backfill started shows a
    year as its limit, one that the main scheduler started shows none; times may differ a little.
    """
    if key == "priority" and _large(real) and _large(ours):
        return True
    if key == "time_limit":
        return bool(_limit(real) == _limit(ours))
    if isinstance(real, dict) and isinstance(ours, dict):
        if "after_s" in real and "after_s" in ours:
            return abs(real["after_s"] - ours["after_s"]) <= TOLERANCE_S
        return real.keys() == ours.keys() and all(
            same(key if name == "number" else name, real[name], ours[name]) for name in real
        )
    if isinstance(real, list) and isinstance(ours, list):
        return len(real) == len(ours) and all(map(same, [""] * len(real), real, ours))
    if key == "end_time" and isinstance(real, int) and isinstance(ours, int) and real > _EPOCH:
        return abs(real - ours) <= TOLERANCE_S
    return bool(real == ours)


def _large(value: Json) -> bool:
    return isinstance(value, dict) and value.get("number", 0) > 4_000_000_000


def _limit(value: Json) -> Json:
    if value.get("infinite") or value.get("number") == _YEAR_MIN:
        return None
    return value["number"]


def load(name: str) -> Json:
    """One recording."""
    return json.loads((RECORDINGS / f"{name}.json").read_text())
