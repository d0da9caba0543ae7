"""A small slurmrestd in memory: enough of a life for the client's and the watcher's stories."""

import json
import re
from collections.abc import Callable
from typing import Any

import httpx2

from . import recorded


class Slurmrestd:
    """Jobs that tests move by hand. `server()` is the transport that leads here.

    `when` is asked before each request and may raise what httpx2 raises, or answer instead;
    `after` likewise once the request has been carried out: so an answer gets lost.
    """

    def __init__(self) -> None:
        self.jobs: dict[int, dict[str, Any]] = {}
        self.next_id = 1
        self.when: Callable[[httpx2.Request], httpx2.Response | None] = lambda _: None
        self.after: Callable[[httpx2.Request], httpx2.Response | None] = lambda _: None

    def server(self, **changes: Any) -> recorded.Server:
        """The transport."""
        return recorded.Server(self._handle, **changes)

    def add(self, state: str = "PENDING", **fields: Any) -> int:
        """A job of somebody's."""
        job_id, self.next_id = self.next_id, self.next_id + 1
        self.jobs[job_id] = {**_template(state), **fields, "job_id": job_id}
        return job_id

    def _handle(self, request: httpx2.Request) -> httpx2.Response:
        said = self.when(request)
        if said is None:
            said = self._carry_out(request)
            said = self.after(request) or said
        return said

    def _carry_out(self, request: httpx2.Request) -> httpx2.Response:
        path = re.sub(r"^/slurm/[^/]*", "", request.url.path)
        body = json.loads(request.content) if request.content else {}
        if path == "/jobs/state/":
            rows = [
                {"job_id": str(key), "state": job["job_state"]} for key, job in self.jobs.items()
            ]
            return recorded.well(jobs=rows)
        if path == "/job/submit":
            fields = {
                key: body["job"][key] for key in ("name", "admin_comment") if key in body["job"]
            }
            return recorded.well(job_id=self.add(**fields))
        job_id = int(path.removeprefix("/job/"))
        if request.method == "DELETE":
            if job_id in self.jobs:
                self.jobs[job_id]["job_state"] = ["CANCELLED"]
            return recorded.well(status=[])
        if job_id not in self.jobs:
            return recorded.load("jobs")["unknown v0.0.45"].response()
        return recorded.well(jobs=[self.jobs[job_id]])


def _template(state: str) -> dict[str, Any]:
    name = "running" if state == "RUNNING" else "pending"
    job = json.loads(recorded.load("jobs")[f"{name} v0.0.45"].content())["jobs"][0]
    return {**job, "job_state": [state], "admin_comment": ""}
