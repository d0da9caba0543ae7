"""slurmrestd without sockets: a request in, a status and a body out.

What slurmrestd answers is full of traps, kept here on purpose: 200 for a node that does not
exist, 500 for a job that was made all the same, 403 for a cancel while slurmctld is down. The
tests replay what the real one answered.
"""

import functools
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bridge.sim.slurm.answers import Answer, Call, Envelope
from bridge.sim.slurm.cluster import Cluster
from bridge.sim.slurm.cluster_api import ClusterApi
from bridge.sim.slurm.dbd.database import Database
from bridge.sim.slurm.dbd.routes import Accounting
from bridge.sim.slurm.description import Site
from bridge.sim.slurm.errors import NotEmulated
from bridge.sim.slurm.failures import no_answer, pong
from bridge.sim.slurm.jobs_api import JobsApi
from bridge.sim.slurm.nodes_api import NodesApi
from bridge.sim.slurm.reservations_api import ReservationsApi
from bridge.sim.slurm.resources_api import ResourcesApi
from bridge.sim.slurm.submit_api import SubmitApi
from bridge.sim.slurm.util_api import UtilApi
from bridge.sim.slurm.wire import time_of

VERSIONS = ("v0.0.45", "v0.0.44")
NO_ENDPOINT = (
    "Unable to find requested URL endpoint. Please query the '/openapi/v3' endpoint or visit "
    "'https://slurm.schedmd.com/rest_api.html' for the OpenAPI specification which includes a "
    "list of all possible slurmrestd endpoints."
)
_PATH = re.compile(r"/(slurm|slurmdb|util)/([^/]+)(/.*)")
_OPENAPI = re.compile(r"/openapi(/v3|\.json|\.yaml)?/?")


@dataclass(frozen=True)
class _Route:
    plugin: str
    method: str
    path: str
    handler: Callable[[Call], Answer]
    since: str = ""
    """The first REST version that has it; "" for all."""

    @functools.cached_property
    def pattern(self) -> re.Pattern[str]:
        return re.compile(re.sub(r"\{\w+\}", "([^/]+)", self.path.rstrip("/")) + "/?")


class Rest:
    """The endpoints over one cluster. `controller_up` False is a slurmctld that is down."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        site: Site,
        cluster_name: str = "embedded",
        versions: tuple[str, ...] = VERSIONS,
        database: Database | None = None,
    ) -> None:
        self.cluster = cluster
        self.controller_up = True
        self._versions = versions
        self._envelope = Envelope(cluster_name)
        self._accounting = database and Accounting(cluster, database, self._envelope, site)
        jobs = JobsApi(cluster, self._envelope, cluster_name)
        nodes = NodesApi(cluster, self._envelope)
        reservations = ReservationsApi(cluster, self._envelope, site)
        whole = ClusterApi(cluster, self._envelope, cluster_name)
        table: tuple[tuple[str, str, Callable[[Call], Answer]], ...] = (
            ("GET", "/ping/", self._ping),
            ("GET", "/diag/", self._diag),
            ("GET", "/reconfigure/", lambda _: self._envelope.answer({})),
            ("GET", "/jobs/", jobs.everything),
            ("DELETE", "/jobs/", jobs.cancel_several),
            ("GET", "/jobs/state/", jobs.states),
            ("POST", "/job/submit", SubmitApi(cluster, self._envelope, site).submit),
            ("GET", "/job/{job_id}", jobs.get),
            ("POST", "/job/{job_id}", jobs.update),
            ("DELETE", "/job/{job_id}", jobs.cancel),
            ("GET", "/resources/{job_id}", ResourcesApi(cluster, self._envelope).get),
            ("GET", "/nodes/", nodes.everything),
            ("POST", "/nodes/", nodes.update_several),
            ("GET", "/node/{node_name}", nodes.get),
            ("POST", "/node/{node_name}", nodes.update),
            ("DELETE", "/node/{node_name}", nodes.delete),
            ("POST", "/new/node/", nodes.create),
            ("GET", "/partitions/", nodes.partitions),
            ("GET", "/partition/{partition_name}", nodes.partition),
            ("GET", "/reservations/", reservations.everything),
            ("POST", "/reservation", reservations.post),
            ("GET", "/reservation/{reservation_name}", reservations.get),
            ("DELETE", "/reservation/{reservation_name}", reservations.delete),
            ("GET", "/licenses/", whole.licenses),
        )
        util = UtilApi(self._envelope)
        self._routes = [_Route("slurm", *row) for row in table]
        requeue = "/job/{job_id}/requeue"
        self._routes += [
            _Route("slurm", "GET", requeue, jobs.requeue, since="v0.0.45"),
            _Route("slurm", "GET", "/conf", whole.conf, since="v0.0.45"),
            _Route("util", "POST", "/hostnames", util.hostnames),
            _Route("util", "POST", "/hostlist", util.hostlist),
        ]
        if self._accounting:
            self._routes += [_Route(*row) for row in self._accounting.routes()]

    def handle(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        authentic: bool = True,
        now: float,
    ) -> Answer:
        """Answer one request; `authentic` tells whether its token is the right one."""
        if method == "GET" and _OPENAPI.fullmatch(path):
            return Answer(200, json.dumps(self._openapi()))
        match = _PATH.fullmatch(path)
        if match is None or match[2] not in self._versions:
            return Answer(404, NO_ENDPOINT, plain=True)
        for route in self._routes:
            found = route.pattern.fullmatch(match[3])
            if found is None or route.method != method or route.plugin != match[1]:
                continue
            if match[2] < route.since:
                continue
            try:
                parsed = json.loads(body) if body else None
            except ValueError:
                return Answer(500, "Unable to parse request body", plain=True)
            argument = found[1] if route.pattern.groups else ""
            call = Call(method, match[3], argument, query or {}, parsed, now)
            if route.plugin == "util":
                return route.handler(call)
            if self._accounting and route.plugin == "slurmdb" and not authentic:
                return self._accounting.no_connection()
            if route.plugin == "slurm" and not (authentic and self.controller_up):
                return no_answer(self._envelope, call, authentic=authentic)
            if self.controller_up:
                self.cluster.advance(now)
            try:
                return route.handler(call)
            except NotEmulated as missing:
                return Answer(501, f"the embedded Slurm does not emulate {missing}", plain=True)
        return Answer(404, NO_ENDPOINT, plain=True)

    def _ping(self, _: Call) -> Answer:
        return self._envelope.answer({"pings": [pong(None)]})

    def _diag(self, call: Call) -> Answer:
        statistics = {
            "req_time": time_of(call.now),
            "server_thread_count": 1,
            "agent_queue_size": 0,
            "jobs_pending": len(self.cluster.waiting),
            "jobs_running": len(self.cluster.running),
            "schedule_queue_length": len(self.cluster.waiting),
            "bf_when_last_cycle": time_of(self.cluster.last_backfill_s),
            "bf_active": False,
        }
        return self._envelope.answer({"statistics": statistics})

    def _openapi(self) -> dict[str, object]:
        """As much as version negotiation reads: the release, the parsers, the paths."""
        paths: dict[str, dict[str, object]] = {}
        for version in self._versions:
            for route in self._routes:
                if version < route.since:
                    continue
                path = f"/{route.plugin}/{version}{route.path}"
                paths.setdefault(path, {})[route.method.lower()] = {}
        slurm = {
            "data_parsers": [{"plugin": version, "flags": ["NONE"]} for version in self._versions],
            "openapi": ["openapi/slurmctld", "openapi/util"],
            "version": {"major": "26", "micro": "5", "minor": "05"},
            "release": "26.05.5",
        }
        info = {"title": "Slurm REST API", "version": "Slurm-26.05.5", "x-slurm": slurm}
        return {"openapi": "3.0.3", "info": info, "paths": paths}
