"""Plays a recording of the real daemons to the emulator and compares what comes back."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from bridge.sim.slurm.behaviour import Behaviour
from bridge.sim.slurm.cluster import Cluster
from bridge.sim.slurm.dbd.control import Control
from bridge.sim.slurm.dbd.database import Database
from bridge.sim.slurm.description import Site
from bridge.sim.slurm.embedded import USERS
from bridge.sim.slurm.rest import Rest
from bridge.sim.slurm.topology import Tree
from tests.unit.sim.slurm.compare import Comparison, Difference

Json = Any

RECORDINGS = Path(__file__).parents[1] / "recordings" / "slurm"

_NEVER_S = 1e9
_DECIDED_AFTER_S = 0.5
"""The real scheduler looks once a second. So here: where the recorder waited, whatever was due is
decided half a second later; steps that followed at once see what was not yet decided.
"""

_CLUSTER = "trial"
_USERS = {**USERS, "alice": 10001}
_EPOCH = 1_500_000_000
_NAME = re.compile(r"\{(\w+)\}")


def load(name: str) -> Json:
    """One recording."""
    return json.loads((RECORDINGS / f"{name}.json").read_text())


@dataclass(slots=True)
class Player:
    """The emulator as the recording's server, and the ids it gave to the recording's jobs."""

    recording: Json
    now: float = 0.0
    jobs: dict[str, int] = field(default_factory=dict)

    def play(self) -> Iterator[Difference]:
        """Every difference, step by step."""
        began = self.now = float(self.recording["began_s"])
        behaviour = Behaviour(decision_delay_s=_NEVER_S)
        enforced = self.recording.get("enforced")
        database = Database(_CLUSTER) if enforced else None
        control = Control(database, enforced) if database else None
        cluster = Cluster(tree=Tree("topo"), behaviour=behaviour, policy=control)
        rest = Rest(cluster, site=Site(users=_USERS), cluster_name=_CLUSTER, database=database)
        comparison = Comparison(self.recording["tolerance_s"])
        for step in self.recording["steps"]:
            before, self.now = self.now, began + step["at_s"]
            if step["waited_s"]:
                cluster.decide(before + min(_DECIDED_AFTER_S, step["waited_s"]))
                cluster.decide(self.now)
            if "hook" in step:
                rest.controller_up = step["hook"] == "start"
                continue
            status, answer = self._ask(rest, step["request"])
            if step.get("job") and isinstance(answer, dict) and answer.get("job_id"):
                self.jobs[step["job"]] = answer["job_id"]
            if step.get("components") and isinstance(answer, dict) and answer.get("job_id"):
                for offset, name in enumerate(step["components"]):
                    self.jobs[name] = answer["job_id"] + offset
            if status != step["status"]:
                yield Difference(step["name"], "HTTP status", step["status"], status)
            ours = self._normal(answer, began)
            yield from comparison.answers(step["name"], step["answer"], ours)

    def _ask(self, rest: Rest, request: Json) -> tuple[int, Json]:
        token = request.get("token")
        if token == "":
            return 401, "Authentication failure"  # said by the edge, before any path is looked at
        path, _, query = self._fill(request["path"]).partition("?")
        whole = path.startswith(("/slurm/", "/slurmdb/", "/openapi"))
        full = path if whole else f"/slurm/v0.0.45{path}"
        answer = rest.handle(
            request["method"],
            full,
            query=dict(parse_qsl(query, keep_blank_values=True)),
            body=json.dumps(self._fill(request["body"])).encode() if "body" in request else None,
            authentic=token is None,
            now=self.now,
        )
        return answer.status, answer.body if answer.plain else json.loads(answer.body)

    def _fill(self, value: Json) -> Json:
        if isinstance(value, str):
            return _NAME.sub(lambda found: str(self.jobs.get(found[1], found[0])), value)
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
        if key in ("job_id", "step_id", "het_job_id"):
            shown, plus, offset = str(value).partition("+")
            for name, number in self.jobs.items():
                if shown == str(number):
                    return f"{{{name}}}{plus}{offset}"
        return value
