"""`slurm-bridge explain` and `queue`, and `kubectl slurm`: what they need, and say without it."""

import json
from pathlib import Path

import pytest
import yaml

from bridge.cli import explain, main
from bridge.rpc.slurmbridge.v1 import bridge_pb2 as pb


def run(
    capsys: pytest.CaptureFixture[str],
    *words: str,
    environ: dict[str, str] | None = None,
    program: str = "slurm-bridge",
) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main(words, environ=environ or {}, default_config=Path("/none"), program=program)
    said = capsys.readouterr()
    return int(caught.value.code or 0), said.out, said.err


def test_where_is_the_bridge(capsys: pytest.CaptureFixture[str]) -> None:
    """Without an address it says how to give one."""
    code, _, error = run(capsys, "explain", "pod", "x")
    assert code == 2
    assert "--server HOST:PORT" in error
    assert "port-forward" in error
    assert run(capsys, "queue", "--server", "localhost")[0] == 2


def test_a_user_with_a_certificate_has_no_token(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """He is told how to get one."""
    file = tmp_path / "config"
    named = {"name": "x"}
    config = {
        "current-context": "x",
        "contexts": [{**named, "context": {"cluster": "x", "user": "x", "namespace": "team"}}],
        "clusters": [{**named, "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{**named, "user": {"username": "a", "password": "b"}}],
    }
    file.write_text(yaml.safe_dump(config))
    code, _, error = run(
        capsys, "explain", "x", "--server", "127.0.0.1:1", "--kubeconfig", str(file)
    )
    assert code == 2
    assert "kubectl create token" in error


def test_nobody_answers(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """That is exit code 3, with the address."""
    token = tmp_path / "token"
    token.write_text("abc\n")
    code, _, error = run(
        capsys, "queue", "--server", "127.0.0.1:1", "--token-file", str(token),
        environ={"KUBECONFIG": str(tmp_path / "none")},
    )  # fmt: skip
    assert code == 3
    assert "127.0.0.1:1" in error
    assert "abc" not in error


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["web"], ("pod", "web")),
        (["pod", "web"], ("pod", "web")),
        (["jobset/train"], ("jobset", "train")),
        (["jobset", "train"], ("jobset", "train")),
    ],
)
def test_how_a_workload_is_named(words: list[str], named: tuple[str, str]) -> None:
    """As with kubectl; a name alone is a pod's."""
    assert explain._named(words) == named


def test_kubectl_slurm_has_what_people_ask(capsys: pytest.CaptureFixture[str]) -> None:
    """Under its own name; the commands of admins are slurm-bridge's."""
    code, said, _ = run(capsys, "--help", program="kubectl slurm")
    assert code == 0
    assert "kubectl slurm" in said
    assert "explain" in said
    assert "webhook" not in said
    assert run(capsys, "run", program="kubectl slurm")[0] == 2


def test_json_has_numbers_for_numbers() -> None:
    """Times and priorities, and each field also where it has no value."""
    answer = pb.GetQueueResponse(entries=[pb.QueueEntry(job=pb.Job(priority=2**32, start_s=7))])
    (entry,) = json.loads(explain._as_json(answer))["entries"]
    assert (entry["job"]["priority"], entry["job"]["start_s"]) == (2**32, 7)
    assert entry["namespace"] == ""


def test_settings_say_where_the_bridge_is(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """As the options do, which win."""
    token = tmp_path / "token"
    token.write_text("abc")
    words = ("queue", "--token-file", str(token), "--set", "api.server=127.0.0.1:1")
    environ = {"KUBECONFIG": str(tmp_path / "none")}
    assert "127.0.0.1:1" in run(capsys, *words, environ=environ)[2]
    said = {**environ, "SLURM_BRIDGE_API__SERVER": "127.0.0.1:3"}
    assert "127.0.0.1:3" in run(capsys, *words[:3], environ=said)[2]
    named = (*words, "--set", "api.serverName=bridge.example", "--server", "127.0.0.1:2")
    code, _, error = run(capsys, *named, environ=environ)
    assert code == 3
    assert "127.0.0.1:2" in error
    code, _, error = run(capsys, *words, "--set", f"api.caFile={tmp_path}/none.crt")
    assert code == 2
    assert "none.crt" in error
