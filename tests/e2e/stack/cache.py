"""Built parts, kept by the hash of what they are made from, so that each is made once.

A part appears under its final name only when it is whole: it is made beside it and renamed. Two
stacks that start at once wait for one another instead of building twice.
"""

import contextlib
import fcntl
import hashlib
import pathlib
from collections import abc

from tests.e2e.stack import layout, mounts


def key(*parts: bytes | str) -> str:
    """Hash what a part is made from."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:16]


def get(name: str, make: abc.Callable[[pathlib.Path], None]) -> pathlib.Path:
    """Give the cached part of that name; `make(path)` creates it if there is none."""
    folder = layout.cache_directory()
    folder.mkdir(parents=True, exist_ok=True)
    final = folder / name
    if final.exists():
        return final
    with _locked(folder / f"{name}.lock"):
        if not final.exists():
            unfinished = folder / f"{name}.unfinished"
            _discard(unfinished)
            make(unfinished)
            unfinished.rename(final)
    return final


@contextlib.contextmanager
def _locked(path: pathlib.Path) -> abc.Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
        path.unlink(missing_ok=True)


def _discard(path: pathlib.Path) -> None:
    mounts.unmount_below(path)
    mounts.remove(path)
