"""Starting the stack's processes so that they can always be found and ended again.

The problem: `up` may be killed at any instruction, and process ids are used again. So each process
writes its own record, id and start time, *before* it becomes the program (a shell does it and then
execs), and nobody is killed whose start time is not the recorded one. As a net below that, every
process carries the state folder in its environment: whatever has it (or has its root inside the
folder, as jobs of slurmd do) belongs to the stack.
"""

import contextlib
import dataclasses
import os
import pathlib
import signal
import time
from collections import abc

from tests.e2e.stack import errors

MARK = "SLURM_BRIDGE_STACK"
"""Environment variable that every process of a stack carries: the state folder."""

# Fields 3.. of /proc/PID/stat come after the last ")": the name in field 2 may contain anything,
# but at this point it is the shell's own, a plain word. Field 22 is the start time.
_LAUNCH = """
read -r stat < /proc/$$/stat
set -f
record=$1; shift
fields=${stat##*) }
i=0
for field in $fields; do i=$((i+1)); [ $i = 20 ] && start=$field; done
echo "$$ $start" > "$record.new" && mv "$record.new" "$record" && exec "$@"
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Identity:
    """A process, told apart from a later one with the same id."""

    pid: int
    start_ticks: int
    """Field 22 of /proc/PID/stat."""


def identify(pid: int) -> Identity | None:
    """Read who runs under the id now; None if nobody does (a zombie is nobody)."""
    with contextlib.suppress(ChildProcessError, OSError):
        os.waitpid(pid, os.WNOHANG)
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else Identity(pid, int(fields[19]))


def spawn(
    argv: abc.Sequence[str],
    *,
    record: pathlib.Path,
    log: pathlib.Path,
    environment: abc.Mapping[str, str],
    stack: pathlib.Path,
) -> None:
    """Start a process in its own session, detached from ours, its output appended to the log."""
    record.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    os.posix_spawn(
        "/bin/sh",
        ["/bin/sh", "-c", _LAUNCH, "launch", str(record), *argv],
        {**environment, MARK: str(stack)},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGPIPE],
    )
    wait_until(record.exists, timeout_s=5, what=f"{record.stem} to be started")


def recorded(record: pathlib.Path) -> Identity | None:
    """Give the recorded process if it still is that process and runs."""
    try:
        pid, start = record.read_text().split()
    except (OSError, ValueError):
        return None
    identity = Identity(int(pid), int(start))
    return identity if identify(identity.pid) == identity else None


def send(identity: Identity, number: signal.Signals) -> None:
    """Signal the process, if the id still is that process's."""
    if identify(identity.pid) == identity:
        with contextlib.suppress(ProcessLookupError):
            os.kill(identity.pid, number)


def end(identities: abc.Iterable[Identity], *, grace_s: float) -> None:
    """Ask the processes to end, all at once, and kill those that have not after the grace."""
    left = list(identities)
    steps = [(signal.SIGTERM, grace_s)] if grace_s else []
    for number, patience_s in (*steps, (signal.SIGKILL, 10.0)):
        for identity in left:
            send(identity, number)
        deadline = time.monotonic() + patience_s
        while left and time.monotonic() < deadline:
            left = [one for one in left if identify(one.pid) == one]
            time.sleep(0.02)
    if left:
        pids = ", ".join(str(one.pid) for one in left)
        raise errors.StackError(f"still there 10 s after SIGKILL: process {pids}")


def strays(stack: pathlib.Path) -> list[Identity]:
    """Find the processes that belong to the stack, recorded or not."""
    mark = f"{MARK}={stack}".encode()
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if (
            entry.name.isdecimal()
            and int(entry.name) != os.getpid()
            and _belongs(entry, mark, stack)
        ):
            identity = identify(int(entry.name))
            if identity is not None:
                found.append(identity)
    return found


def _belongs(entry: pathlib.Path, mark: bytes, stack: pathlib.Path) -> bool:
    try:
        if mark in (entry / "environ").read_bytes().split(b"\0"):
            return True
        root = os.readlink(entry / "root")
    except OSError:  # ended meanwhile, or somebody else's
        return False
    return pathlib.Path(root).is_relative_to(stack)


def wait_until(
    ready: abc.Callable[[], bool], *, timeout_s: float, what: str, every_s: float = 0.02
) -> None:
    """Poll until ready. Raises ComponentFailed after the time-out."""
    deadline = time.monotonic() + timeout_s
    while not ready():
        if time.monotonic() > deadline:
            raise errors.ComponentFailed(f"waited {timeout_s:.0f} s for {what}")
        time.sleep(every_s)
