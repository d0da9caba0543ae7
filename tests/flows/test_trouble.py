"""Services that are away or angry: nobody is harmed, the cause is told, and it heals by itself."""

from pathlib import Path

from tests.arena import manifests
from tests.arena.api import wait_for
from tests.arena.arena import NAMESPACE, Arena, Nodes, condition
from tests.arena.fixtures import Begin


def test_a_wrong_token_is_told_and_a_right_one_taken_into_use(
    arena: Arena, begin: Begin, tmp_path: Path
) -> None:
    """On the pod and in /readyz; the file is read again, nobody restarts anything."""
    token = tmp_path / "token"
    good = arena.slurm.token_file.read_text()
    token.write_text(good)
    begin(Nodes(count=1), slurm={"tokenFile": str(token)})
    arena.create(manifests.pod("runs", NAMESPACE, gpus=1))
    arena.wait_bound("runs")
    token.write_text("not-a-token")
    try:
        wait_for("not ready", lambda: "] slurm: " in arena.bridge.ready(), seconds=60)
        arena.create(manifests.pod("waits", NAMESPACE, gpus=1))
        pod = arena.wait_pod("waits", "says why", condition, seconds=40)
        assert "token" in (condition(pod) or {})["message"].lower()
        assert "not-a-token" not in arena.bridge.log()
    finally:
        token.write_text(good)
    arena.wait_bound("waits", seconds=60)
    assert good.strip() not in arena.bridge.log()


def test_an_api_server_that_is_away_loses_nothing(arena: Arena, begin: Begin) -> None:
    """Jobs end and begin in Slurm meanwhile; afterwards both sides agree again."""
    begin(Nodes(count=1))
    arena.create(manifests.pod("first", NAMESPACE, gpus=8, run_s=3))
    arena.wait_bound("first")
    arena.create(manifests.pod("next", NAMESPACE, gpus=8))
    arena.wait_pod("next", "is queued", lambda pod: condition(pod) is not None)
    arena.restart_kubernetes()
    arena.wait_bound("next", seconds=90)
    wait_for("one job is left", lambda: len(arena.slurm.live_jobs()) == 1)


def test_a_bridge_that_starts_while_slurm_is_away_says_so_on_each_waiting_pod(
    arena: Arena, begin: Begin
) -> None:
    """Soon after its start, also of pods that come later; then all of them run."""
    begin(Nodes(count=1))
    arena.bridge.kill()
    arena.stop_slurm()
    arena.bridge.start(wait=False)
    try:
        for name in ("early", "late"):
            wait_for("the webhook answers", lambda: arena.bridge.running)
            _create_when_possible(arena, name)
            pod = arena.wait_pod(name, "says why", condition, seconds=30)
            assert (condition(pod) or {})["reason"] == "Starting"
            assert "can't read Slurm's jobs" in (condition(pod) or {})["message"]
    finally:
        arena.start_slurm()
    for name in ("early", "late"):
        arena.wait_bound(name, seconds=60)


def _create_when_possible(arena: Arena, name: str) -> None:
    """The webhooks of a bridge that has just started may not be reached yet."""
    manifest = manifests.pod(name, NAMESPACE, gpus=1)
    wait_for("the pod is taken", lambda: arena.kubernetes.try_create(manifest).is_success)


def test_an_outage_is_logged_once_and_not_at_each_try(arena: Arena, begin: Begin) -> None:
    """One line when it begins, one when it ends, in each process that needs Slurm."""
    begin(Nodes(count=1))
    arena.stop_slurm()
    arena.create(manifests.pod("waits", NAMESPACE, gpus=1))
    arena.wait_pod("waits", "says why", lambda pod: condition(pod) is not None, seconds=40)
    arena.hold_for(5.0, lambda: arena.bridge.running)
    arena.start_slurm()
    arena.wait_bound("waits", seconds=60)
    logs = [log.splitlines() for log in arena.bridge.logs()]
    assert any("outage.began" in line for log in logs for line in log)
    for log in logs:
        lines = [line for line in log if "outage." in line]
        assert sum("outage.began" in line for line in lines) <= 1
        assert len(lines) <= 3, "\n".join(lines)
        warnings = [line for line in log if "[warning" in line]
        assert len(warnings) <= 8, "\n".join(warnings)
