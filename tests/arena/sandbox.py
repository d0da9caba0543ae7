"""A process as in its container: not root, no capability, a root file system that is read-only.

In a mount namespace of its own, so nothing of it is seen outside. Folders that only root may enter
(a home folder with the Python in it) are covered by an empty one, with what the process needs of
them bound into it.
"""

import shlex
import stat
from collections.abc import Iterable
from pathlib import Path

UID = 65532
"""As the image's user."""


def command(needs: Iterable[Path]) -> tuple[str, ...]:
    """What to put before a command line; `needs` are the folders that it reads."""
    hidden: dict[Path, list[Path]] = {}
    for path in {need.resolve() for need in needs}:
        cover = _closed_ancestor(path)
        if cover is not None:
            hidden.setdefault(cover, []).append(path)
    lines = ["set -e"]
    for cover, paths in sorted(hidden.items()):
        lines.append("stage=$(mktemp -d); mount -t tmpfs -o mode=755 none $stage")
        for number, path in enumerate(sorted(paths)):
            lines.append(f"mkdir $stage/{number}; mount --rbind {_q(path)} $stage/{number}")
        lines.append(f"mount -t tmpfs -o mode=755 none {_q(cover)}")
        for number, path in enumerate(sorted(paths)):
            lines.append(f"mkdir -p {_q(path)}; mount --rbind $stage/{number} {_q(path)}")
        lines.append("umount -l $stage; rmdir $stage")
    lines.append("mount -o remount,bind,ro /")
    lines.append(
        f"exec setpriv --reuid={UID} --regid={UID} --clear-groups --bounding-set=-all "
        '--no-new-privs -- "$@"'
    )
    return (
        "unshare", "--mount", "--propagation", "private", "--",
        "sh", "-c", "\n".join(lines), "sandbox",
    )  # fmt: skip


def _closed_ancestor(path: Path) -> Path | None:
    """The topmost folder above `path` that others may not enter."""
    for folder in reversed(path.parents):
        if not folder.stat().st_mode & stat.S_IXOTH:
            return folder
    return None


def _q(path: Path) -> str:
    return shlex.quote(str(path))
