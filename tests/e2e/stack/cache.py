"""Built parts, kept by the hash of what they are made from, so that each is made once.

A part appears under its final name only when it is whole: it is made beside it and renamed. Two
stacks that start at once wait for one another instead of building twice.
"""

import contextlib
import fcntl
import hashlib
import os
import pathlib
from collections import abc

from tests.e2e.stack import host, layout, mounts, processes, progress


def key(*parts: bytes | str) -> str:
    """Hash what a part is made from."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:16]


def get(
    name: str,
    command: abc.Callable[[pathlib.Path], abc.Sequence[str]],
    *,
    stack: pathlib.Path,
    say: progress.Say,
    doing: str,
    directory: pathlib.Path | None = None,
) -> pathlib.Path:
    """Give the cached part of that name, a file or a folder.

    If there is none, `command(path)`, run in `directory`, has to create it; meanwhile it is said
    what we are `doing`. The builder carries the mark of the stack, so that `down` ends it if `up`
    was killed. Raises CommandFailed.
    """
    folder = layout.cache_directory()
    folder.mkdir(parents=True, exist_ok=True)
    final = folder / name
    if final.exists():
        return final
    with _locked(folder / f".{name}.lock") as lock:
        if not final.exists():
            unfinished = folder / f".{name}.unfinished"
            _discard(unfinished)
            with progress.repeated(say, doing):
                host.run(
                    command(unfinished),
                    environment={**os.environ, processes.MARK: str(stack)},
                    directory=directory,
                    # The builder holds the lock as well: should we be killed, nobody else begins
                    # before it has ended.
                    keep=(lock,),
                )
            unfinished.rename(final)
    return final


def sweep() -> None:
    """Discard what builders that were killed have left (with their mounts), and only that."""
    folder = layout.cache_directory()
    for unfinished in folder.glob(".*.unfinished"):
        lock = unfinished.with_suffix(".lock")
        with contextlib.suppress(BlockingIOError), _locked(lock, fcntl.LOCK_NB):
            _discard(unfinished)


def _discard(path: pathlib.Path) -> None:
    mounts.unmount_below(path)
    mounts.remove(path)


@contextlib.contextmanager
def _locked(path: pathlib.Path, how: int = 0) -> abc.Iterator[int]:
    """Hold the lock file; it stays, since removing it would let two others each have one."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | how)
        yield handle
    finally:
        os.close(handle)
