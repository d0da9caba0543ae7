"""Mounts below the state folder: made by `mount`, found again through /proc/self/mountinfo.

Nothing is remembered: what the kernel lists under the folder is ours to unmount. The folder is
never removed while something is still mounted below it, since that would empty the host's /dev.
"""

import pathlib
import shutil
import subprocess

from tests.e2e.stack import errors


def mount(*arguments: str) -> bool:
    """Run mount(8); False if it is refused (not root, or a container without the right)."""
    done = subprocess.run(["mount", *arguments], capture_output=True, check=False)
    return done.returncode == 0


def refused(point: pathlib.Path) -> errors.MissingTool:
    """Say that a mount the stack can't do without is not allowed here."""
    return errors.MissingTool(f"cannot mount {point}: the stack needs root and CAP_SYS_ADMIN")


def mounted_below(folder: pathlib.Path) -> list[pathlib.Path]:
    """List mount points in the folder, the last mounted first."""
    folder = folder.resolve()
    found = []
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        point = pathlib.Path(_unescape(line.split(" ")[4]))
        if point.is_relative_to(folder):
            found.append(point)
    return found[::-1]


def unmount_below(folder: pathlib.Path) -> None:
    """Unmount all in the folder, lazily: a straggler that still holds a file may end later."""
    for point in mounted_below(folder):
        subprocess.run(["umount", "--lazy", str(point)], capture_output=True, check=False)
    left = mounted_below(folder)
    if left:
        raise errors.StackError(f"cannot unmount {left[0]}: end what uses it, or unmount by hand")


def remove(folder: pathlib.Path) -> None:
    """Remove a file, or a folder and all in it, after it is sure that nothing is mounted there."""
    if mounted_below(folder):
        raise errors.StackError(f"{folder} still has mounts: not removed")
    if folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder)
    else:
        folder.unlink(missing_ok=True)


def _unescape(field: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(code, character)
    return field
