"""The scripts around the code, as a fresh machine meets them."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def run(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run in the repository's root, with these variables over the present ones."""
    return subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def a_command(folder: Path, name: str, script: str) -> None:
    """Put an executable of this name into the folder."""
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def test_help_lists_every_target() -> None:
    """`make help` has one line for each target that is meant for people."""
    targets = re.findall(r"^\.PHONY: (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    listed = re.findall(r"^  make (\S+) +\S.*$", run("make", "help").stdout, re.MULTILINE)
    assert set(listed) == {*targets, "bench-<name>"} - {"again"}
    assert {"demo", "test", "check", "fix", "e2e", "stack-up", "stack-down", "soak"} <= set(listed)


def test_interpreter_that_does_not_work_is_passed_over(tmp_path: Path) -> None:
    """A version manager's shim for a version that isn't there, or an old one, is not taken."""
    a_command(tmp_path, "python3", "echo 'no such version' >&2; exit 127")
    a_command(tmp_path, "python3.14", "exit 1  # as Python 3.10 would answer")
    a_command(tmp_path, "python3.13", "exit 0")
    found = run("/bin/sh", "tools/env.sh", "--which", PATH=str(tmp_path), PYTHON="")
    assert (found.returncode, found.stdout) == (0, "python3.13\n")


def test_interpreter_may_be_chosen(tmp_path: Path) -> None:
    """PYTHON wins over what is on PATH."""
    a_command(tmp_path, "python3", "exit 0")
    a_command(tmp_path, "mine", "exit 0")
    found = run("/bin/sh", "tools/env.sh", "--which", PATH=str(tmp_path), PYTHON="mine")
    assert found.stdout == "mine\n"


def test_machine_without_python_is_told_what_is_missing(tmp_path: Path) -> None:
    """One line with the remedy, and a failure."""
    found = run("/bin/sh", "tools/env.sh", "--which", PATH=str(tmp_path), PYTHON="")
    assert found.returncode != 0
    assert found.stderr.count("\n") == 1
    assert "Python >= 3.11" in found.stderr
    assert "apt install python3-venv" in found.stderr


@pytest.mark.parametrize(
    "script", [".ci/run", *(str(p.relative_to(ROOT)) for p in sorted(ROOT.glob("tools/*.sh")))]
)
def test_scripts_are_runnable(script: str) -> None:
    """Each is executable and parses."""
    assert os.access(ROOT / script, os.X_OK)
    assert run("bash", "-n", script).returncode == 0
