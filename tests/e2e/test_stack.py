"""The ground the other real-stack tests stand on: does it start, behave as told, and end?"""

import http.server
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import abc
from typing import Any

import pytest

from tests.e2e.stack import Pool, Settings, Stack, errors, layout, mounts, processes

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(1500),  # a cold machine builds Kubernetes first
    pytest.mark.skipif(os.geteuid() != 0, reason="the stack mounts and chroots: needs root"),
]

PORT_BASE = 28000


@pytest.fixture(scope="module")
def real() -> abc.Iterator[Stack]:
    """A stack of this module's own, with four nodes."""
    with Stack.fresh("selftest", PORT_BASE) as stack:
        stack.create_nodes(Pool(count=4))
        yield stack


def eventually(check: abc.Callable[[], Any], *, timeout_s: float = 20.0) -> Any:
    """Give the first true answer."""
    deadline = time.monotonic() + timeout_s
    while not (answer := check()):
        assert time.monotonic() < deadline, f"not true within {timeout_s} s"
        time.sleep(0.1)
    return answer


def pod(name: str, *, scheduler: str = "default-scheduler", **annotations: str) -> str:
    """A pod whose kubelet does as the annotations (`run_seconds="1"`) say."""
    played = {f"kwok.x-k8s.io/{key.replace('_', '-')}": value for key, value in annotations.items()}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "annotations": played},
            "spec": {
                "schedulerName": scheduler,
                "restartPolicy": "Never",
                "containers": [{"name": "main", "image": "any"}],
            },
        }
    )


def phase(stack: Stack, name: str) -> str:
    """The pod's phase, empty if there is no pod."""
    return stack.run_kubectl(
        "get", "pod", name, "-o=jsonpath={.status.phase}", "--ignore-not-found"
    )


def test_up_twice_is_the_same_stack(real: Stack) -> None:
    """A second `up` finds the first one's processes and starts none."""
    before = real.status()
    said: list[str] = []
    Stack.up(Settings("selftest", real.layout.root, PORT_BASE), say=said.append)
    assert real.status() == before
    assert None not in before.values()
    assert said == ["the stack selftest is up already"]


def test_a_port_in_use_is_named(tmp_path: pathlib.Path) -> None:
    """Who may not have a port says which one, what for, and how to choose others."""
    base = 23_100  # below the ports that the kernel gives away, of which others take some
    with (
        socket.create_server(("127.0.0.1", base + layout.Port.SLURMRESTD)),
        pytest.raises(errors.PortInUse, match=rf"{base + 8} \(for slurmrestd\).*--port-base"),
    ):
        Stack.up(Settings("clash", tmp_path / "state", base))


def test_a_folder_with_something_else_is_not_touched(tmp_path: pathlib.Path) -> None:
    """`down` removes the whole folder, so `up` takes none that has anything of others."""
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(errors.StackError, match="not a stack's folder"):
        Stack.up(Settings("greedy", tmp_path))
    with pytest.raises(errors.StackError, match="not the folder of a stack"):
        Stack.in_folder(tmp_path)


def test_pods_live_as_their_annotations_say(real: Stack) -> None:
    """kwok's pods succeed, fail, run on and linger after deletion when told to."""
    said = {
        "succeeds": pod("succeeds", run_seconds="1"),
        "fails": pod("fails", fail_seconds="1", exit_code="7"),
        "runs-on": pod("runs-on"),
        "lingers": pod("lingers", die_seconds="4"),
    }
    real.run_kubectl("create", "-f", "-", stdin="\n---\n".join(said.values()))
    eventually(lambda: phase(real, "succeeds") == "Succeeded")
    eventually(lambda: phase(real, "fails") == "Failed")
    code = "-o=jsonpath={.status.containerStatuses[0].state.terminated.exitCode}"
    assert real.run_kubectl("get", "pod", "fails", code) == "7"

    eventually(lambda: phase(real, "lingers") == phase(real, "runs-on") == "Running")
    asked = time.monotonic()
    real.run_kubectl("delete", "pod", "lingers", "runs-on", "--wait=false")
    eventually(lambda: not phase(real, "runs-on"), timeout_s=3)
    assert phase(real, "lingers") == "Running"
    eventually(lambda: not phase(real, "lingers"))
    assert time.monotonic() - asked > 3
    real.run_kubectl("delete", "pod", *said, "--ignore-not-found")


def test_slurm_grants_an_external_job_and_keeps_it_over_a_crash(real: Stack) -> None:
    """Nodes registered with a path in the fabric are granted; slurmctld's end forgets nothing."""
    call = real.slurm_cluster.call
    for number in range(1, 5):
        fields = {
            "NodeName": f"node-{number}",
            "NodeAddr": f"127.1.0.{number}",
            "CPUs": "96 Sockets=1 CoresPerSocket=96 ThreadsPerCore=1",
            "RealMemory": "1000000",
            "State": "External",
            "Feature": "slurm-bridge",
            "Topology": f"fabric:root:spine:leaf-{number // 3}",
            "Gres": '"gpu:h100:8,efa:32"',
            "GresConf": '"count=8,name=gpu,type=h100,file=/dev/nvidia[0-7]+count=32,name=efa"',
        }
        call("POST", "new/node/", {"node_conf": " ".join(f"{k}={v}" for k, v in fields.items())})
    job = {
        "name": "external",
        "flags": ["EXTERNAL_JOB"],
        "tasks": 3,
        "cpus_per_task": 4,
        "tres_per_task": "gres/gpu:8",
        "memory_per_cpu": {"set": True, "number": 100},
        "priority": {"set": True, "number": 4242},
        "user_id": "10001",
        "group_id": "10001",
        "current_working_directory": "/tmp",
        "environment": ["A=B"],
    }
    number = call("POST", "job/submit", {"job": job})["job_id"]

    def granted() -> list[object] | None:
        record = call("GET", f"job/{number}")["jobs"][0]
        if record["job_state"] != ["RUNNING"]:
            return None
        names = real.slurm("scontrol", "show", "hostnames", record["nodes"]).split()
        return [len(names), record["user_name"], record["priority"]["number"]]

    eventually(lambda: granted() == [3, "alice", 4242])
    saved = real.layout.slurm_root / "var/spool/slurmctld/job_state"  # every five seconds
    eventually(lambda: saved.exists() and b"external" in saved.read_bytes())
    for name in ("slurmctld", "slurmrestd"):
        real.restart(name)
    eventually(lambda: granted() == [3, "alice", 4242])
    assert "SwitchName=leaf-1" in real.slurm("scontrol", "show", "topology")


def test_accounting_knows_jobs_and_users(real: Stack) -> None:
    """slurmdbd keeps ended jobs over the end of its database; who is not in it may submit."""
    real.slurm("sacctmgr", "-i", "add", "account", "physics", "fairshare=3")
    real.slurm("sacctmgr", "-i", "add", "user", "alice", "account=physics")
    assert "physics" in real.slurm("sshare", "-n", "-P", "-a", "--format=Account,User")
    call = real.slurm_cluster.call
    fields = {"flags": ["EXTERNAL_JOB"], "hold": True, "current_working_directory": "/tmp"}
    fields["environment"] = ["A=B"]
    kept: dict[tuple[str, ...], str] = {}
    for user, account in (("10001", "physics"), ("10003", "")):
        job = {**fields, "name": f"of-{user}", "user_id": user, "group_id": user}
        number = call("POST", "job/submit", {"job": job})["job_id"]
        call("DELETE", f"job/{number}")
        asked = ("sacct", "-n", "-P", "-a", "-X", f"-j{number}", "--format=State,Account")
        kept[asked] = f"CANCELLED by 64030|{account}"

    def all_kept() -> bool:
        return all(real.slurm(*asked).strip() == said for asked, said in kept.items())

    eventually(all_kept)
    for name in ("mariadbd", "slurmdbd"):
        real.restart(name)
    assert all_kept()


def test_a_batch_job_runs_on_the_node_of_a_slurmd(real: Stack) -> None:
    """The node is there on demand, once, and no other partition has it."""
    real.start_slurmd()
    before = real.status()["slurmd"]
    real.start_slurmd()
    assert real.status()["slurmd"] == before
    options = ("--parsable", "--partition=native", "--mem=1", "--chdir=/tmp")
    number = real.slurm("sbatch", *options, "--wrap=id -un", user="alice").strip()
    output = real.layout.slurm_root / "tmp" / f"slurm-{number}.out"
    eventually(lambda: output.exists() and output.read_text() == "alice\n")
    assert "Partitions=native " in real.slurm("scontrol", "show", "node", "native-1")


def test_limits_are_enforced_when_a_test_asks(real: Stack) -> None:
    """Then only users that the accounting knows may submit; afterwards everybody again."""
    call = real.slurm_cluster.call
    fields = {"flags": ["EXTERNAL_JOB"], "hold": True, "current_working_directory": "/tmp"}
    fields |= {"environment": ["A=B"], "user_id": "10002", "group_id": "10002"}
    real.slurm_cluster.enforce("limits", "qos")
    try:
        with pytest.raises(errors.CommandFailed, match="2045"):
            call("POST", "job/submit", {"job": fields})
    finally:
        real.slurm_cluster.enforce()
    call("DELETE", f"job/{call('POST', 'job/submit', {'job': fields})['job_id']}")


def test_kubernetes_keeps_its_objects_over_a_crash(real: Stack) -> None:
    """etcd and the API server are killed and come back with what they had."""
    for name in ("kube-apiserver", "etcd"):
        real.stop(name)
    assert real.status()["etcd"] is None
    for name in ("etcd", "kube-apiserver"):
        real.start(name)
    assert len(real.run_kubectl("get", "nodes", "-o", "name").split()) == 4


def test_the_second_scheduler_asks_the_extender(real: Stack) -> None:
    """Our scheduler's configuration makes it filter and bind through the extender, over mTLS."""
    real.start_bridge_scheduler()
    with Extender(real) as extender:
        real.run_kubectl("create", "-f", "-", stdin=pod("asks", scheduler="slurm-bridge-scheduler"))
        eventually(lambda: phase(real, "asks") == "Running")
    assert [path for path, _ in extender.calls] == ["/scheduler/filter", "/scheduler/bind"]
    assert sorted(extender.calls[0][1]["NodeNames"]) == [f"gpu-{n:04d}" for n in range(1, 5)]
    assert extender.calls[1][1]["Node"] == "gpu-0003"
    real.run_kubectl("delete", "pod", "asks")


@pytest.mark.parametrize("after_s", [0.5, 1.0, 2.0, 3.0, 4.0])
def test_down_after_a_killed_up_leaves_nothing(tmp_path: pathlib.Path, after_s: float) -> None:
    """Wherever SIGKILL hits `up`, `down` finds every process, mount and file."""
    folder = tmp_path / "state"
    stack = [sys.executable, "-m", "tests.e2e.stack"]
    which = ["--name", "killed", "--dir", str(folder)]
    up = [*stack, "up", *which, "--port-base", str(PORT_BASE + 100)]
    with subprocess.Popen(up, cwd=layout.REPOSITORY, stderr=subprocess.DEVNULL) as started:
        time.sleep(after_s)
        started.send_signal(signal.SIGKILL)
    subprocess.run([*stack, "down", *which], cwd=layout.REPOSITORY, check=True)
    assert not folder.exists()
    assert mounts.mounted_below(folder) == []
    assert processes.strays(folder) == []


class Extender:
    """An extender that lets pods onto gpu-0003 only; it keeps what it was asked."""

    def __init__(self, stack: Stack) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._stack = stack
        ca, certificate, key = stack.bridge_tls
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(ca))
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(certificate, key)
        self._server = http.server.HTTPServer(("127.0.0.1", stack.extender_port), self._handler())
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> "Extender":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Answer one call."""
        self.calls.append((path, body))
        if path.endswith("filter"):
            return {"NodeNames": ["gpu-0003"]}
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": body["PodName"], "uid": body["PodUID"]},
            "target": {"kind": "Node", "name": body["Node"]},
        }
        self._stack.run_kubectl(
            "create",
            "--raw",
            f"/api/v1/namespaces/default/pods/{body['PodName']}/binding",
            "-f",
            "-",
            stdin=json.dumps(binding),
        )
        return {}

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        extender = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                answer = json.dumps(extender.answer(self.path, body)).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base's)
                """Say nothing: the default is a line per request on stderr."""

        return Handler
