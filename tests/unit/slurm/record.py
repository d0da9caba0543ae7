"""Records what a real slurmrestd answers, for the tests of `bridge.slurm`.

    python -m tests.unit.slurm.record --url http://127.0.0.1:6820 --token-file slurm.jwt
    python -m tests.unit.slurm.record … --only outage      (after stopping slurmctld)
    python -m tests.unit.slurm.record … --only expired     (with an expired token in the file)

Needs a cluster of its own: partition `slurm-bridge` on nodes with the feature `slurm-bridge`, as in
the real stack, a topology `topo` with a root switch `root`, a token of SlurmUser. It makes nodes
`rec-*` and jobs, and removes them. Each exchange is kept as `{"request": {...}, "status",
"content_type", "answer"}`; the answer's `meta` is cut to what tells the version.
"""

import argparse
import json
import pathlib
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Json = Any
FOLDER = pathlib.Path(__file__).parent / "recordings"
VERSIONS = ("v0.0.45", "v0.0.44")
_NODES = ("rec-1", "rec-2", "rec-3")
_FILES = ",".join(f"file=/dev/nvidia{number}" for number in range(8))


class Recorder:
    """Sends requests and keeps what comes back under a name."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._token = token
        self._kept: dict[str, Json] = {}

    def send(self, method: str, path: str, body: Json = None, token: str | None = None) -> Json:
        """The exchange, not kept."""
        request = urllib.request.Request(
            self._url + path,
            data=None if body is None else json.dumps(body).encode(),
            method=method,
        )
        sent = self._token if token is None else token
        if sent:
            request.add_header("X-SLURM-USER-TOKEN", sent)
        if body is not None:
            request.add_header("Content-Type", "application/json")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as answer:
                status, kind, content = answer.status, answer.headers["Content-Type"], answer.read()
        except urllib.error.HTTPError as error:
            status, kind, content = error.code, error.headers["Content-Type"], error.read()
        said: Json = content.decode()
        if kind == "application/json":
            said = json.loads(content)
            if "slurm" in said.get("meta", {}):
                said["meta"] = {"slurm": said["meta"]["slurm"], "plugin": said["meta"]["plugin"]}
        return {
            "request": {"method": method, "path": path, "body": body},
            "status": status,
            "content_type": kind,
            "answer": said,
        }

    def keep(
        self, name: str, method: str, path: str, body: Json = None, token: str | None = None
    ) -> Json:
        """Send, keep under `name`, give the answer."""
        exchange = self.send(method, path, body, token)
        self._kept[name] = exchange
        print(f"{name:<40} {exchange['status']}")
        return exchange["answer"]

    def write(self, file: str) -> None:
        """Write what was kept since the last time."""
        target = FOLDER / f"{file}.json"
        target.write_text(json.dumps(self._kept, indent=1, ensure_ascii=True) + "\n")
        self._kept = {}


def job(**fields: Json) -> Json:
    """A small external job; `None` leaves a field out."""
    said = {
        "name": "rec",
        "flags": ["EXTERNAL_JOB"],
        "partition": "slurm-bridge",
        "tasks": 1,
        "cpus_per_task": 1,
        "memory_per_cpu": {"set": True, "number": 100},
        "current_working_directory": "/tmp",
        "user_id": "1000",
        "group_id": "1000",
        **fields,
    }
    return {"job": {key: value for key, value in said.items() if value is not None}}


def node(name: str, *, gres: bool = True) -> Json:
    """A node with 8 CPUs and, where wanted, 8 GPUs."""
    devices = f"count=8,name=gpu,type=h100,{_FILES}+count=4,name=efa"
    return {
        "node_conf": f"NodeName={name} NodeAddr=127.0.0.1 Sockets=1 CoresPerSocket=8 "
        "ThreadsPerCore=1 CPUs=8 RealMemory=16000 State=External Feature=slurm-bridge,class-a "
        f"Topology=topo:root:spine-1:leaf-{name[-1]}"
        + (f' Gres="gpu:h100:8,efa:4" GresConf="{devices}"' if gres else "")
    }


@contextmanager
def some_nodes(recorder: Recorder) -> Iterator[None]:
    """Three nodes; afterwards all jobs are ended and the nodes gone."""
    for name in _NODES:
        recorder.send("POST", "/slurm/v0.0.45/new/node/", node(name))
    try:
        yield
    finally:
        for row in recorder.send("GET", "/slurm/v0.0.45/jobs/state/")["answer"]["jobs"]:
            recorder.send("DELETE", f"/slurm/v0.0.45/job/{row['job_id'].split('+')[0]}")
        for row in recorder.send("GET", "/slurm/v0.0.45/nodes/")["answer"]["nodes"]:
            if row["name"].startswith("rec-"):
                recorder.send("DELETE", f"/slurm/v0.0.45/node/{row['name']}")


def until(recorder: Recorder, job_id: int, state: str) -> None:
    """Wait until the job is in `state` (and has nodes, when it runs)."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        row = recorder.send("GET", f"/slurm/v0.0.45/job/{job_id}")["answer"]["jobs"][0]
        if state in row["job_state"] and (state != "RUNNING" or row["job_resources"]):
            return
        time.sleep(0.05)
    raise TimeoutError(f"job {job_id} did not become {state}")


def jobs(recorder: Recorder) -> None:
    """The life of a job, in each version."""
    for version in VERSIONS:
        base = f"/slurm/{version}"
        with some_nodes(recorder):
            wanted = job(
                tasks=4,
                nodes="2",
                tasks_per_node=2,
                tres_per_task="gres/gpu:1,gres/efa:1",
                constraints="class-a",
                admin_comment='{"slurm-bridge":{"owner":"Job/team/\\u00fcml\\u00e4ut"}}',
                comment="a comment",
                time_limit={"set": True, "number": 90},
            )
            made = recorder.keep(f"submit {version}", "POST", f"{base}/job/submit", wanted)
            job_id = made["job_id"]
            until(recorder, job_id, "RUNNING")
            recorder.keep(f"running {version}", "GET", f"{base}/job/{job_id}")
            whole = job(memory_per_cpu=None, shared=["none"], required_nodes=["rec-3"])
            other = recorder.send("POST", f"{base}/job/submit", whole)["answer"]["job_id"]
            waits = job(tasks=3, cpus_per_task=8, nodes="3", excluded_nodes=None)
            third = recorder.send("POST", f"{base}/job/submit", waits)["answer"]["job_id"]
            until(recorder, other, "RUNNING")
            recorder.keep(f"exclusive {version}", "GET", f"{base}/job/{other}")
            held = recorder.keep(f"submit held {version}", "POST", f"{base}/job/submit",
                                 job(hold=True))["job_id"]  # fmt: skip
            time.sleep(3)
            recorder.keep(f"pending {version}", "GET", f"{base}/job/{third}")
            recorder.keep(f"held {version}", "GET", f"{base}/job/{held}")
            recorder.keep(f"submit het {version}", "POST", f"{base}/job/submit",
                          {"jobs": [job()["job"], job(cpus_per_task=2)["job"]]})  # fmt: skip
            recorder.keep(f"states {version}", "GET", f"{base}/jobs/state/")
            recorder.keep(f"update {version}", "POST", f"{base}/job/{third}",
                          {"excluded_nodes": ["rec-1"], "constraints": "slurm-bridge"})  # fmt: skip
            recorder.keep(f"update clears {version}", "POST", f"{base}/job/{third}",
                          {"excluded_nodes": [""]})  # fmt: skip
            recorder.keep(f"cancel {version}", "DELETE", f"{base}/job/{job_id}")
            recorder.keep(f"cancel ended {version}", "DELETE", f"{base}/job/{job_id}")
            recorder.keep(f"cancel unknown {version}", "DELETE", f"{base}/job/9999999")
            recorder.keep(f"ended {version}", "GET", f"{base}/job/{job_id}")
            recorder.keep(f"unknown {version}", "GET", f"{base}/job/9999999")
            recorder.keep(f"update unknown {version}", "POST", f"{base}/job/9999999",
                          {"comment": "x"})  # fmt: skip
            recorder.keep(f"update ended {version}", "POST", f"{base}/job/{job_id}",
                          {"priority": {"set": True, "number": 4}})  # fmt: skip
            recorder.send("POST", f"{base}/new/node/", node("rec-9", gres=False))
            mixed = recorder.send("POST", f"{base}/job/submit",
                                  job(tasks=2, nodes="2", required_nodes=["rec-1", "rec-9"],
                                      shared=["none"]))["answer"]["job_id"]  # fmt: skip
            until(recorder, mixed, "RUNNING")
            recorder.keep(f"exclusive on mixed nodes {version}", "GET", f"{base}/job/{mixed}")
        recorder.keep(f"ping {version}", "GET", f"{base}/ping/")
    recorder.write("jobs")


def nodes(recorder: Recorder) -> None:
    """The life of a node, and partitions, in each version."""
    for version in VERSIONS:
        base = f"/slurm/{version}"
        with some_nodes(recorder):
            recorder.keep(f"create {version}", "POST", f"{base}/new/node/", node("rec-9"))
            recorder.keep(f"create again {version}", "POST", f"{base}/new/node/", node("rec-9"))
            busy = recorder.send("POST", f"{base}/job/submit",
                                 job(required_nodes=["rec-9"], tres_per_task="gres/gpu:2")
                                 )["answer"]["job_id"]  # fmt: skip
            until(recorder, busy, "RUNNING")
            recorder.keep(f"get {version}", "GET", f"{base}/node/rec-9")
            recorder.keep(f"delete busy {version}", "DELETE", f"{base}/node/rec-9")
            recorder.keep(f"list {version}", "GET", f"{base}/nodes/")
            recorder.keep(f"drain {version}", "POST", f"{base}/node/rec-9",
                          {"state": ["DRAIN"], "reason": "being recorded"})  # fmt: skip
            recorder.keep(f"get drained {version}", "GET", f"{base}/node/rec-9")
            recorder.keep(f"features {version}", "POST", f"{base}/node/rec-9",
                          {"features": ["slurm-bridge", "class-b"],
                           "features_act": ["slurm-bridge", "class-b"]})  # fmt: skip
            recorder.keep(f"cpus {version}", "POST", f"{base}/node/rec-9", {"cpus": 4})
            recorder.keep(f"gres {version}", "POST", f"{base}/node/rec-9", {"gres": "gpu:4"})
            recorder.keep(f"bad state {version}", "POST", f"{base}/node/rec-9",
                          {"state": ["RESUME"]})  # fmt: skip
            recorder.send("DELETE", f"{base}/job/{busy}")
            recorder.keep(f"delete {version}", "DELETE", f"{base}/node/rec-9")
            recorder.keep(f"get unknown {version}", "GET", f"{base}/node/rec-9")
            recorder.keep(f"delete unknown {version}", "DELETE", f"{base}/node/rec-9")
            recorder.keep(f"update unknown {version}", "POST", f"{base}/node/rec-9",
                          {"reason": "x"})  # fmt: skip
            recorder.keep(f"partitions {version}", "GET", f"{base}/partitions/")
    for name, conf in {
        "bad key": "NodeName=rec-8 NodeAddr=127.0.0.1 Foo=8 State=External",
        "bad topology": "NodeName=rec-8 NodeAddr=127.0.0.1 CPUs=1 State=External Topology=x:y",
        "gpus without files": "NodeName=rec-8 NodeAddr=127.0.0.1 CPUs=1 State=External "
        'Gres="gpu:2,efa:4"',
    }.items():
        recorder.keep(name, "POST", "/slurm/v0.0.45/new/node/", {"node_conf": conf})
    recorder.write("nodes")


def mistakes(recorder: Recorder) -> None:
    """What users and admins get wrong."""
    wrong: dict[str, Json] = {
        "unknown partition": {"partition": "nope"},
        "gpus that no node has": {"tres_per_task": "gres/gpu:9"},
        "unknown gres": {"tres_per_task": "gres/fpga:1"},
        "unknown gres type": {"tres_per_task": "gres/gpu:b200:1"},
        "no tres": {"tres_per_task": "foo:1"},
        "unknown feature": {"constraints": "nope"},
        "broken constraint": {"constraints": "((slurm-bridge)&(class-a|x)"},
        "unknown user": {"user_id": "nope"},
        "unknown group": {"group_id": "nope"},
        "unknown reservation": {"reservation": "nope"},
        "unknown license": {"licenses": "nope:1"},
        "unknown dependency": {"dependency": "afterok:9999999"},
        "unknown excluded node": {"excluded_nodes": ["nope"]},
        "unknown required node": {"required_nodes": ["nope"]},
        "all nodes excluded": {"excluded_nodes": list(_NODES)},
        "memory that no node has": {
            "memory_per_cpu": None, "memory_per_node": {"set": True, "number": 99999},
        },
        "more nodes than at most": {"minimum_nodes": 3, "maximum_nodes": 2},
        "long name": {"name": "x" * 2000},
        "no script": {"flags": []},
        "unknown field": {"foo": 1},
        "unknown flag": {"flags": ["EXTERNAL_JOB", "NOPE"]},
        "text for a number": {"tasks": "many"},
        "cpus that no node has": {"cpus_per_task": 64},
    }  # fmt: skip
    with some_nodes(recorder):
        for name, fields in wrong.items():
            recorder.keep(name, "POST", "/slurm/v0.0.45/job/submit", job(**fields))
        whole = recorder.send("POST", "/slurm/v0.0.45/job/submit",
                              job(shared=["none"], required_nodes=[_NODES[0]])
                              )["answer"]["job_id"]  # fmt: skip
        until(recorder, whole, "RUNNING")
        recorder.keep("beside exclusive", "POST", "/slurm/v0.0.45/job/submit",
                      job(tasks=len(_NODES), cpus_per_task=8))  # fmt: skip
        recorder.keep("empty body", "POST", "/slurm/v0.0.45/job/submit", {})
        recorder.keep("id that is no number", "GET", "/slurm/v0.0.45/job/abc")
        recorder.keep("unknown signal", "DELETE", "/slurm/v0.0.45/job/9999999?signal=NOPE")
        recorder.keep("unknown path", "GET", "/slurm/v0.0.99/ping/")
        recorder.keep("no token", "GET", "/slurm/v0.0.45/ping/", token="")
    recorder.write("mistakes")


def breadth(recorder: Recorder) -> None:
    """The cluster as a whole, reservations, accounting (needs slurmdbd), in each version."""
    for version in VERSIONS:
        base, book = f"/slurm/{version}", f"/slurmdb/{version}"
        account = {
            "association_condition": {
                "accounts": ["recorded"],
                "clusters": [],
                "association": {
                    "fairshare": 3,
                    "grptres": [{"type": "gres", "name": "gpu", "count": 8}],
                },
            },
            "account": {"description": "Recorded", "organization": "uni"},
        }
        user = {
            "association_condition": {
                "accounts": ["recorded"],
                "clusters": [],
                "users": ["alice"],
                "association": {"maxjobs": {"set": True, "number": 2}},
            },
            "user": {},
        }
        qos = {"name": "recorded", "limits": {"max": {"wall_clock": {"per": {"job": 60}}}}}
        with some_nodes(recorder):
            recorder.keep(
                f"new account {version}", "POST", f"{book}/accounts_association/", account
            )
            recorder.keep(
                f"same account {version}", "POST", f"{book}/accounts_association/", account
            )
            recorder.send("POST", f"{book}/users_association/", user)
            recorder.send("POST", f"{book}/qos/", {"qos": [qos]})
            reservation = {
                "name": "recorded",
                "node_list": list(_NODES[:2]),
                "start_time": {"set": True, "number": int(time.time()) + 3600},
                "duration": {"set": True, "number": 60},
                "users": ["root", "alice"],
                "flags": ["IGNORE_JOBS"],
            }
            recorder.send("POST", f"{base}/reservation", reservation)
            held = recorder.send("POST", f"{base}/job/submit", job(tres_per_task="gres/gpu:2"))
            running = held["answer"]["job_id"]
            until(recorder, running, "RUNNING")
            time.sleep(3)  # slurmdbd hears of it, slurmctld of the account
            for name, path in {
                "diag": f"{base}/diag/",
                "licenses": f"{base}/licenses/",
                "shares": f"{base}/shares",
                "conf": f"{base}/conf",
                "layout": f"{base}/resources/{running}",
                "reservations": f"{base}/reservations/",
                "partition": f"{base}/partition/nope",
                "accounts": f"{book}/accounts/",
                "no account": f"{book}/account/nope",
                "users": f"{book}/users/?with_assocs",
                "associations": f"{book}/associations/?account=recorded",
                "qos": f"{book}/qos/",
                "clusters": f"{book}/clusters/",
                "tres": f"{book}/tres/",
                "history": f"{book}/job/{running}",
            }.items():
                recorder.keep(f"{name} {version}", "GET", path)
            for path in ("user/alice", "account/recorded", "qos/recorded"):
                recorder.send("DELETE", f"{book}/{path}")
            recorder.keep(f"delete account {version}", "DELETE", f"{book}/account/recorded")
            recorder.send("DELETE", f"{base}/reservation/recorded")
    recorder.write("breadth")


def _everywhere(recorder: Recorder, file: str) -> None:
    base = "/slurm/v0.0.45"
    recorder.keep("ping", "GET", f"{base}/ping/")
    recorder.keep("states", "GET", f"{base}/jobs/state/")
    recorder.keep("get job", "GET", f"{base}/job/1")
    recorder.keep("nodes", "GET", f"{base}/nodes/")
    recorder.keep("partitions", "GET", f"{base}/partitions/")
    recorder.keep("submit", "POST", f"{base}/job/submit", job())
    recorder.keep("update job", "POST", f"{base}/job/1", {"comment": "x"})
    recorder.keep("cancel", "DELETE", f"{base}/job/1")
    recorder.keep("create node", "POST", f"{base}/new/node/", node("rec-8"))
    recorder.keep("update node", "POST", f"{base}/node/rec-1", {"reason": "x"})
    recorder.keep("delete node", "DELETE", f"{base}/node/rec-1")
    recorder.write(file)


def outage(recorder: Recorder) -> None:
    """slurmctld is down (stopped by hand before)."""
    _everywhere(recorder, "outage")


def expired(recorder: Recorder) -> None:
    """The token has expired (made by hand with lifespan=1)."""
    _everywhere(recorder, "expired")


_PARTS: dict[str, Callable[[Recorder], None]] = {
    "jobs": jobs, "nodes": nodes, "mistakes": mistakes, "breadth": breadth, "outage": outage,
    "expired": expired,
}  # fmt: skip


def main() -> None:
    """Record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--token-file", required=True, type=pathlib.Path)
    parser.add_argument("--only", choices=_PARTS, action="append")
    options = parser.parse_args()
    token = options.token_file.read_text().strip().removeprefix("SLURM_JWT=")
    for part in options.only or ("jobs", "nodes", "mistakes"):
        _PARTS[part](Recorder(options.url.rstrip("/"), token))


if __name__ == "__main__":
    main()
