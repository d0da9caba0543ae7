"""The demo as a user meets it: a good end, a bad one, and Ctrl-C."""

import asyncio
import json
import logging
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.cli import demonstration
from bridge.clock import SystemClock
from bridge.sim.demo import scenario
from bridge.sim.demo.demo_run import DemoRun, Pace

COMMAND = [sys.executable, "-m", "bridge", "demo"]
Answer = Callable[[str, dict[str, Any]], Any]


@pytest.fixture
def _logging_as_before() -> Iterator[None]:
    """The demo has all libraries log into its own file."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers, root.level = handlers, level


@contextmanager
def extender(answer: Answer) -> Iterator[str]:
    """Somebody else's scheduler extender; its URL. `answer` gets the verb and the arguments."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            arguments = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps(answer(self.path.rpartition("/")[2], arguments)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def last_line(text: str) -> dict[str, Any]:
    told = json.loads(text.strip().splitlines()[-1])
    assert isinstance(told, dict)
    return told


def test_all_ends_well_and_the_last_line_says_so() -> None:
    """Lines for a pipe, the table, one JSON object; exit code 0."""
    done = subprocess.run(
        [*COMMAND, "--quick", "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    told = last_line(done.stdout)
    assert told["ok"] is True
    assert told["workloads"] == told["workloads_complete"] == 8
    assert told["pods_run"] == sum(job["pods"] for job in told["jobs"])
    assert (told["off_allocation"], told["leaked_jobs"]) == (0, 0)
    assert told["nodes_compared"] > 0
    assert re.search(r"\d s  pretrain: started: Slurm job 1 on 8 nodes, 1 leaf", done.stdout)
    assert "✓ 8 of 8 Jobs complete" in done.stdout
    assert "\x1b" not in done.stdout, "a pipe gets no colours"


@pytest.mark.usefixtures("_logging_as_before")
def test_an_extender_that_refuses_every_node_fails_the_demo(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing is ever bound: told, with a non-zero exit code."""

    def refuse(verb: str, arguments: dict[str, Any]) -> Any:
        assert verb == "filter"
        refused = dict.fromkeys(arguments["NodeNames"], "no")
        return {"NodeNames": [], "FailedAndUnresolvableNodes": refused}

    with extender(refuse) as url:
        code = demonstration.run(
            quick=True, as_json=True, pace=Pace(patience_s=5), extender_url=url
        )
    out = capsys.readouterr().out
    told = last_line(out)
    assert code == demonstration.FAILED
    assert (told["ok"], told["ending"], told["pods_run"]) == (False, "stuck", 0)
    assert any("nothing moved" in problem for problem in told["problems"])
    (kept,) = re.findall(r"what the bridge did: (\S+)", out)
    log = Path(kept)
    assert "bridge.started" in log.read_text()
    log.unlink()


async def test_an_extender_that_binds_to_wrong_nodes_is_found_out(tmp_path: Path) -> None:
    """It lets all pass and binds elsewhere: seen from outside, at once."""
    plays: list[DemoRun] = []

    async def astray(request: web.Request) -> web.Response:
        arguments = await request.json()
        if request.path != "/bind":
            return web.json_response({"NodeNames": arguments["NodeNames"]})
        namespace, name = arguments["PodNamespace"], arguments["PodName"]
        nodes = sorted(plays[0].timeline.nodes)
        elsewhere = nodes[nodes.index(arguments["Node"]) - 1]
        await plays[0].kubernetes.post(
            f"/api/v1/namespaces/{namespace}/pods/{name}/binding",
            {
                "apiVersion": "v1",
                "kind": "Binding",
                "metadata": {"name": name, "uid": arguments["PodUID"]},
                "target": {"kind": "Node", "name": elsewhere},
            },
        )
        return web.json_response({})

    application = web.Application()
    application.router.add_post("/{verb}", astray)
    async with TestServer(application) as server:
        url = str(server.make_url("")).rstrip("/")
        alone = replace(scenario.QUICK, workloads=scenario.QUICK.workloads[:1])
        async with demonstration.standing(
            alone, clock=SystemClock(), folder=tmp_path, extender_url=url
        ) as demo_run:
            plays.append(demo_run)
            outcome = await demo_run.run(asyncio.Event(), lambda timeline: None)
    assert not outcome.ok
    assert outcome.ending == "wrong"
    assert outcome.checks.off_allocation > 0
    assert any("was bound to" in problem for problem in outcome.problems)


def test_ctrl_c_leaves_cleanly() -> None:
    """Exit code 130, no traceback, nothing left running."""
    with subprocess.Popen(
        COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        for line in run.stdout:
            if "submitted" in line:
                break
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=30)
    assert run.returncode == demonstration.INTERRUPTED
    assert out.strip().splitlines()[-1].startswith("interrupted after ")
    assert err == ""
