"""One recording session: performs requests, waits, and writes down what came back.

A step is kept as `{"name", "at_s", "waited_s", "request", "status", "answer"}`. Job ids are
replaced by `{name}` of the job that a scenario gave them, times by seconds since the scenario
began, so that a recording can be replayed against a server with other ids at another time.
"""

import json
import platform
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Json = Any

_EPOCH = 1_500_000_000
_SHORT = re.compile(r"[{\[]\n[^{}\[\]]{0,90}\n[}\]]|\{\n[^{}\[\]]{0,60}\{[^{}]{0,60}\}\n\}")
_LONG_LISTS = ("rpcs_by_message_type", "rpcs_by_user")


class Session:
    """Speaks to one slurmrestd; `token` is sent with each request unless a step overrides it.

    `hooks` are shell commands by name, for what only the owner of the daemons can do.
    """

    def __init__(
        self, *, url: str, token: str, version: str, hooks: Mapping[str, str] | None = None
    ) -> None:
        self.hooks = hooks or {}
        self.url = url.rstrip("/")
        self.version = version
        self._token = token

    def send(
        self, method: str, path: str, body: Json = None, *, token: str | None = None
    ) -> tuple[int, Json]:
        """Status and parsed body (text where it isn't JSON) of one request.

        `path` is below `/slurm/<version>` unless it starts with `/openapi`, `/slurm` or `/slurmdb`.
        """
        whole = path.startswith(("/openapi", "/slurm/", "/slurmdb/"))
        base = "" if whole else f"/slurm/{self.version}"
        sent = self._token if token is None else token
        request = urllib.request.Request(
            self.url + base + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-SLURM-USER-TOKEN": sent} if sent else {},
            method=method,
        )
        if body is not None:
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                status, content = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, content = error.code, error.read()
        try:
            return status, json.loads(content)
        except ValueError:
            return status, content.decode()

    def reset(self, *, timeout_s: float = 30.0) -> None:
        """End all jobs and remove all nodes, so that a scenario begins with an empty cluster."""
        _, answer = self.send("GET", "/jobs/state/")
        for row in answer["jobs"]:
            if row["state"] in (["PENDING"], ["RUNNING"]):
                self.send("DELETE", f"/job/{row['job_id'].partition('+')[0]}")
        deadline = time.time() + timeout_s
        while time.time() < deadline:
            _, answer = self.send("GET", "/nodes/")
            if not answer["nodes"]:
                return
            for row in answer["nodes"]:
                self.send("DELETE", f"/node/{row['name']}")
            time.sleep(0.05)
        raise TimeoutError("the nodes of the scenario before are still busy")


class Scenario:
    """The recorder of one file: a story of requests that belong together."""

    def __init__(self, session: Session, *, name: str, about: str) -> None:
        self._session = session
        self.name = name
        self.about = about
        self.steps: list[dict[str, Json]] = []
        self._jobs: dict[str, int] = {}
        self._began = float(int(time.time()))
        self._waited = 0.0
        self.tolerance_s = 5.0
        """How far times may differ when this is played again."""
        self.enforced: list[str] = []
        """AccountingStorageEnforce of the Slurm, where there is accounting."""

    def step(
        self,
        name: str,
        method: str,
        path: str,
        body: Json = None,
        *,
        job: str = "",
        components: tuple[str, ...] = (),
        token: str | None = None,
    ) -> Json:
        """One request. `job` names the job whose id the answer brings, `components` a het job's,
        whose ids follow one another.
        """
        sent = self._fill(path), self._fill(body)
        at_s = self._elapsed_s()
        status, answer = self._session.send(method, *sent, token=token)
        if job and isinstance(answer, dict) and answer.get("job_id"):
            self._jobs[job] = answer["job_id"]
        if components and isinstance(answer, dict) and answer.get("job_id"):
            self._jobs |= {name: answer["job_id"] + n for n, name in enumerate(components)}
        request: dict[str, Json] = {"method": method, "path": path}
        if body is not None:
            request["body"] = body
        if token is not None:
            request["token"] = token
        kept: dict[str, Json] = {
            "name": name,
            "at_s": at_s,
            "waited_s": round(self._waited, 2),
            "request": request,
            "status": status,
            "answer": self._normal(answer),
        }
        if job:
            kept["job"] = job
        if components:
            kept["components"] = list(components)
        self.steps.append(kept)
        self._waited = 0.0
        return answer

    def _elapsed_s(self) -> float:
        return round(time.time() - self._began, 2)

    def outside(self, hook: str) -> None:
        """Run a command of whoever owns the daemons (`stop` or `start` slurmctld)."""
        subprocess.run(self._session.hooks[hook], shell=True, check=True)
        waited_s = round(self._waited, 2)
        step = {"name": hook, "at_s": self._elapsed_s(), "waited_s": waited_s, "hook": hook}
        self.steps.append(step)
        self._waited = 0.0

    def wait(self, seconds: float) -> None:
        """Let the daemons work."""
        time.sleep(seconds)
        self._waited += seconds

    def wait_for(self, job: str, *states: str, timeout_s: float = 30.0) -> None:
        """Until the job is in one of `states`; the time is part of the next step."""
        self._wait_until(
            lambda: self._state(f"/job/{self._jobs[job]}", "jobs", "job_state"), states, timeout_s
        )

    def wait_for_node(self, node: str, *states: str, timeout_s: float = 60.0) -> None:
        """Until the node's state has one of `states` among its parts."""
        self._wait_until(lambda: self._state(f"/node/{node}", "nodes", "state"), states, timeout_s)

    def _wait_until(
        self, state: Callable[[], list[str]], wanted: tuple[str, ...], timeout_s: float
    ) -> None:
        began = time.time()
        while not set(wanted) & set(state()):
            if time.time() - began > timeout_s:
                raise TimeoutError(f"{self.name}: {wanted} not reached, state is {state()}")
            time.sleep(0.05)
        self._waited += time.time() - began

    def _state(self, path: str, kind: str, field: str) -> list[str]:
        _, answer = self._session.send("GET", path)
        rows = answer.get(kind) or [{}]
        return list(rows[0].get(field, []))

    # Shorthands for what nearly every scenario does

    def node(self, name: str, **options: Json) -> Json:
        """Register an external node (see `node_conf`)."""
        body = {"node_conf": node_conf(name, **options)}
        return self.step(f"create node {name}", "POST", "/new/node/", body)

    def submit(self, name: str, **description: Json) -> Json:
        """Submit an external job and name its id."""
        return self.step(
            f"submit {name}", "POST", "/job/submit", {"job": job(name, **description)}, job=name
        )

    def submit_het(self, components: dict[str, dict[str, Json]]) -> Json:
        """Submit a het job of external jobs and name its components' ids."""
        body = {"jobs": [job(name, **fields) for name, fields in components.items()]}
        names = tuple(components)
        return self.step(
            f"submit {' and '.join(names)}", "POST", "/job/submit", body, components=names
        )

    def after_s(self, seconds: float) -> int:
        """So many seconds after the scenario began, as Slurm counts time."""
        return int(self._began + seconds)

    def get(self, name: str, *, when: str = "") -> Json:
        """Read one job."""
        return self.step(f"get {name} {when}".strip(), "GET", f"/job/{{{name}}}")

    def cancel(self, name: str, *, when: str = "") -> Json:
        """End one job."""
        return self.step(f"cancel {name} {when}".strip(), "DELETE", f"/job/{{{name}}}")

    def forget_strangers(self) -> None:
        """Take jobs of earlier scenarios out of what was read of all jobs."""
        for step in self.steps:
            path = step.get("request", {}).get("path", "")
            if path.startswith("/jobs/") and isinstance(step["answer"], dict):
                jobs = step["answer"].get("jobs") or []
                step["answer"]["jobs"] = [row for row in jobs if str(row["job_id"])[:1] == "{"]

    def save(self, folder: Path, *, release: str) -> Path:
        """Write the recording; stable order and layout, so that a diff shows what changed."""
        self.forget_strangers()
        path = folder / f"{self.name}.json"
        content = {
            "scenario": self.name,
            "about": self.about,
            "slurm": release,
            "version": self._session.version,
            "began_s": int(self._began),
            "tolerance_s": self.tolerance_s,
            **({"enforced": self.enforced} if self.enforced else {}),
            "steps": self.steps,
        }
        path.write_text(text_of(content))
        return path

    def _fill(self, value: Json) -> Json:
        if isinstance(value, str):
            return re.sub(r"\{(\w+)\}", lambda found: self._number(found), value)
        if isinstance(value, dict):
            return {key: self._fill(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._fill(item) for item in value]
        return value

    def _number(self, found: re.Match[str]) -> str:
        number = self._jobs.get(found[1])
        return found[0] if number is None else str(number)

    def _normal(self, value: Json, key: str = "") -> Json:
        if isinstance(value, dict):
            if "index" in value and "sockets" in value:  # per-core maps: 20 KB, read by nobody
                value = {name: item for name, item in value.items() if name != "sockets"}
            inner = key if {"set", "number"} <= value.keys() else ""
            return {
                name: self._normal(item, inner or name)
                for name, item in value.items()
                if name not in ("meta", *_LONG_LISTS)
            }
        if isinstance(value, list):
            return [self._normal(item, key) for item in value]
        if isinstance(value, int) and _EPOCH < value < 2 * _EPOCH and key != "priority":
            return {"after_s": round(value - self._began)}
        names = {number: name for name, number in self._jobs.items()}
        if key in ("job_id", "step_id", "array_job_id", "het_job_id"):
            if type(value) is int and value in names and value > 0:
                return f"{{{names[value]}}}"
            number, plus, offset = value.partition("+") if isinstance(value, str) else ("", "", "")
            if number.isdigit() and int(number) in names:
                return f"{{{names[int(number)]}}}{plus}{offset}"
        if key == "sluid":
            return ""
        if key == "hostname" and value == platform.node():
            return "localhost"
        return value


def text_of(content: Json) -> str:
    """JSON with a field a line, and short objects of numbers and flags on one."""
    text = json.dumps(content, indent=0, ensure_ascii=False)
    return _SHORT.sub(lambda found: re.sub(r"\n", " ", found[0]), text) + "\n"


def node_conf(
    name: str,
    *,
    cpus: int = 64,
    memory_mib: int = 512_000,
    gpus: int = 0,
    gpu_type: str = "h100",
    feature: str = "",
    topology: str = "",
    gres: str = "",
    gres_conf: str = "",
) -> str:
    """The registration line of an external node, as the bridge writes it."""
    words = [
        f"NodeName={name}",
        "NodeAddr=127.0.0.1",
        "Sockets=1",
        f"CoresPerSocket={cpus}",
        "ThreadsPerCore=1",
        f"RealMemory={memory_mib}",
        "State=External",
    ]
    if feature:
        words.append(f"Feature={feature}")
    if topology:
        words.append(f"Topology={topology}")
    if gpus:
        files = ",".join(f"/dev/nvidia{number}" for number in range(gpus))
        gres = gres or f"gpu:{gpu_type}:{gpus}"
        gres_conf = gres_conf or f"count={gpus},name=gpu,type={gpu_type},file={files}"
    if gres:
        words.append(f'Gres="{gres}"')
    if gres_conf:
        words.append(f'GresConf="{gres_conf}"')
    return " ".join(words)


def job(name: str, **description: Json) -> dict[str, Json]:
    """A placeholder job as the bridge submits it; a value of None takes a default out."""
    base: Mapping[str, Json] = {
        "name": name,
        "partition": "slurm-bridge",
        "flags": ["EXTERNAL_JOB"],
        "current_working_directory": "/tmp",
        "environment": ["SLURM_BRIDGE=1"],
        "tasks": 1,
        "cpus_per_task": 1,
        "memory_per_cpu": {"set": True, "number": 100},
        "admin_comment": '{"slurm-bridge":{}}',
    }
    return {key: value for key, value in {**base, **description}.items() if value is not None}
