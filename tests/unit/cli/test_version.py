"""`--version`."""

import platform
import subprocess
from pathlib import Path

import bridge
from bridge.cli import version


def test_tells_bridge_python_slurm_and_commit() -> None:
    """One line each: whoever reports a fault pastes all of it."""
    lines = version.describe(slurm_api_versions=["v0.0.44", "v0.0.45"], commit="abc1234")
    assert lines.splitlines() == [
        f"slurm-bridge {bridge.__version__} (commit abc1234)",
        f"Python {platform.python_version()}",
        "Slurm REST API v0.0.44, v0.0.45",
    ]


def test_says_nothing_of_a_commit_it_does_not_know() -> None:
    """An unknown commit is left out rather than shown as a riddle."""
    assert "commit" not in version.describe(slurm_api_versions=["v0.0.45"], commit="")


def test_image_tells_its_commit_by_a_file(tmp_path: Path) -> None:
    """The file that the image's build writes wins over everything else."""
    (tmp_path / version.COMMIT_FILE).write_text("0123abc\n")
    assert version.commit(tmp_path) == "0123abc"


def test_checkout_tells_its_commit_and_whether_it_was_changed(tmp_path: Path) -> None:
    """In a checkout git is asked; uncommitted changes show as -dirty."""
    package = tmp_path / "bridge"
    package.mkdir()
    (package / "code.py").write_text("1\n")
    for command in (
        ["init", "--quiet"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "x"],
    ):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    clean = version.commit(package)
    assert 7 <= len(clean) <= 40
    assert set(clean) <= set("0123456789abcdef")
    (package / "code.py").write_text("2\n")
    assert version.commit(package) == f"{clean}-dirty"
