"""The service itself: ping, partitions, tokens, malformed requests."""

from tests.recording.session import Json, Scenario


def service(s: Scenario) -> None:
    """Ping, diag, partitions, and requests that slurmrestd refuses by itself."""
    s.step("ping", "GET", "/ping/")
    s.step("diag", "GET", "/diag/")
    s.step("partitions", "GET", "/partitions/")
    s.step("partition", "GET", "/partition/high")
    s.step("unknown partition", "GET", "/partition/nope")
    s.step("unknown path", "GET", "/nope/")
    s.step("unknown version", "GET", "/slurm/v0.0.1/ping/")
    s.step("job id that is no number", "GET", "/job/abc")
    s.step("unknown job", "GET", "/job/999999")
    s.step("no jobs", "GET", "/jobs/state/")
    s.step("jobs in full, none", "GET", "/jobs/")
    s.step("no nodes", "GET", "/nodes/")
    s.step("body is a list", "POST", "/job/submit", [1])
    s.step("wrong method", "PUT", "/jobs/")


def _every_path(s: Scenario, prefix: str, token: str | None = None) -> None:
    """Each path that the bridge uses, once."""
    description = {
        "name": "x",
        "flags": ["EXTERNAL_JOB"],
        "current_working_directory": "/tmp",
        "environment": ["A=b"],
    }
    requests: dict[str, tuple[str, str, Json]] = {
        "ping": ("GET", "/ping/", None),
        "jobs state": ("GET", "/jobs/state/", None),
        "job": ("GET", "/job/1", None),
        "jobs": ("GET", "/jobs/", None),
        "nodes": ("GET", "/nodes/", None),
        "node": ("GET", "/node/n1", None),
        "partitions": ("GET", "/partitions/", None),
        "partition": ("GET", "/partition/high", None),
        "diag": ("GET", "/diag/", None),
        "submit": ("POST", "/job/submit", {"job": description}),
        "update": ("POST", "/job/1", {"priority": {"set": True, "number": 3}}),
        "cancel": ("DELETE", "/job/1", None),
        "create node": ("POST", "/new/node/", {"node_conf": "NodeName=tx CPUs=1 State=External"}),
        "update node": ("POST", "/node/tx", {"comment": "x"}),
        "update nodes": ("POST", "/nodes/", {"name": ["tx"], "comment": "x"}),
        "delete node": ("DELETE", "/node/tx", None),
    }
    for name, (method, path, body) in requests.items():
        s.step(f"{prefix}: {name}", method, path, body, token=token)


def tokens(s: Scenario) -> None:
    """What a wrong or missing token gets."""
    _every_path(s, "bad token", "abc.def.ghi")
    _every_path(s, "no token", "")


def outage(s: Scenario) -> None:
    """What slurmrestd answers while slurmctld is down."""
    s.outside("stop")
    _every_path(s, "no slurmctld")
    s.outside("start")
    s.step("back", "GET", "/ping/")


STORIES = (service, tokens, outage)
