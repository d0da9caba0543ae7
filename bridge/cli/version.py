"""What `--version` says: enough to know which code a report is about."""

import json
import platform
import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import bridge

COMMIT_FILE = "COMMIT"
"""In the package's folder, written by whoever builds an image from a checkout."""


def describe(*, slurm_api_versions: Sequence[str], commit: str) -> str:
    """The lines of `--version`; `commit` "" when it isn't known."""
    return "\n".join(
        [
            f"slurm-bridge {bridge.__version__}" + (f" (commit {commit})" if commit else ""),
            f"Python {platform.python_version()}",
            f"Slurm REST API {', '.join(slurm_api_versions)}",
        ]
    )


def commit(package: Path) -> str:
    """The commit of the code in `package` (the folder of `bridge`); "" when nothing tells.

    Three ways to be installed leave three traces: an image has the file, pip from a git URL its
    record (PEP 610), a checkout git itself.
    """
    file = package / COMMIT_FILE
    if file.is_file():
        return file.read_text().strip()
    return _commit_of_checkout(package.parent) or _commit_of_install()


def _commit_of_checkout(root: Path) -> str:
    if not (root / ".git").exists():
        return ""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _commit_of_install() -> str:
    try:
        record = metadata.distribution("slurm-bridge").read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return ""
    commit_id = json.loads(record or "{}").get("vcs_info", {}).get("commit_id", "")
    return str(commit_id)[:12]
