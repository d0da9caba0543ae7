"""Files of the bridge that are none, or hang: running pods go on, it is told, and it heals."""

import os
import sys
from pathlib import Path

import yaml

from tests.arena import manifests
from tests.arena.api import Object, wait_for
from tests.arena.arena import NAMESPACE, Arena, Nodes, condition, phase
from tests.arena.fixtures import Begin


def _make_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _untouched(arena: Arena, before: Object) -> bool:
    """The pod is the one it was, and nobody ends it."""
    now = arena.kubernetes.pod(NAMESPACE, before["metadata"]["name"])
    return (
        now is not None
        and now["metadata"]["uid"] == before["metadata"]["uid"]
        and "deletionTimestamp" not in now["metadata"]
        and phase(now) == phase(before)
    )


def _running(arena: Arena, name: str) -> Object:
    arena.create(manifests.pod(name, NAMESPACE, gpus=1))
    arena.wait_bound(name)
    return arena.wait_pod(name, "runs", lambda pod: phase(pod) == "Running")


def test_a_good_token_outlives_its_file(arena: Arena, begin: Begin, tmp_path: Path) -> None:
    """With a FIFO in its place, pods are placed as before, and the log says so once."""
    token = tmp_path / "token"
    good = arena.slurm.token_file.read_text()
    token.write_text(good)
    begin(Nodes(count=1), slurm={"tokenFile": str(token)})
    _make_fifo(token)
    try:
        wait_for("it is told", lambda: "token.unreadable" in arena.bridge.log())
        _running(arena, "late")
        assert arena.bridge.ready() == ""
        assert arena.bridge.log().count("token.unreadable") == 1
    finally:
        token.unlink()
        token.write_text(good)
    wait_for("it is read again", lambda: "token.read_again" in arena.bridge.log())


def test_a_refused_token_and_a_fifo_for_a_file(arena: Arena, begin: Begin, tmp_path: Path) -> None:
    """Not ready, and why; pods that run are untouched, one that waits is told; a good file heals
    it, and SIGTERM ends the bridge meanwhile."""
    token = tmp_path / "token"
    good = arena.slurm.token_file.read_text()
    token.write_text(good)
    begin(Nodes(count=1), slurm={"tokenFile": str(token)})
    runs = _running(arena, "runs")
    token.write_text(arena.expired_token())
    wait_for("refused", lambda: "outage.began" in arena.bridge.log(), seconds=40)
    _make_fifo(token)
    try:
        wait_for("not ready, for the FIFO", lambda: "FIFO" in arena.bridge.ready(), seconds=60)
        assert "s is the limit" in arena.bridge.ready()
        arena.create(manifests.pod("waits", NAMESPACE, gpus=1))
        said = arena.wait_pod("waits", "says why", condition, seconds=40)
        assert "FIFO" in (condition(said) or {})["message"]
        assert _untouched(arena, runs)

        assert arena.bridge.stop() == 0
        arena.bridge.start(wait=False)  # the FIFO is there from the very start
        wait_for("not ready, for the FIFO", lambda: "FIFO" in arena.bridge.ready(), seconds=40)
        assert _untouched(arena, runs)
        assert arena.bridge.stop() == 0
        arena.bridge.start(wait=False)
        wait_for("not ready, for the FIFO", lambda: "FIFO" in arena.bridge.ready(), seconds=40)
    finally:
        token.unlink()
        token.write_text(good)
    arena.bridge.wait_ready()
    arena.wait_bound("waits", seconds=60)
    assert _untouched(arena, runs)
    assert good.strip() not in arena.bridge.log()


def test_the_bridge_ends_while_a_credential_plugin_hangs(
    arena: Arena, begin: Begin, tmp_path: Path
) -> None:
    """SIGTERM before it is up, with a thread that waits for a program: code 0, and the program
    is not left behind."""
    begin(None)
    assert arena.bridge.stop() == 0
    settings, started = arena.bridge.settings, tmp_path / "started"
    kubeconfig = yaml.safe_load(Path(settings["kubernetes"]["kubeconfig"]).read_text())
    program = (
        f"import os, pathlib, time; pathlib.Path({str(started)!r}).write_text(str(os.getpid()))"
    )
    kubeconfig["users"][0]["user"] = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": sys.executable,
            "args": ["-c", f"{program}; time.sleep(600)"],
        }
    }
    plugged = tmp_path / "plugged"
    plugged.write_text(yaml.safe_dump(kubeconfig))
    arena.bridge.settings = {
        **settings, "kubernetes": {**settings["kubernetes"], "kubeconfig": str(plugged)}
    }  # fmt: skip
    try:
        arena.bridge.start(wait=False)
        wait_for("the plugin runs", lambda: started.exists() and started.read_text())
        assert arena.bridge.stop() == 0
    finally:
        arena.bridge.settings = settings
    wait_for("the plugin has ended", lambda: not Path(f"/proc/{started.read_text()}").exists())
