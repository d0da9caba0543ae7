"""Files that are read while the process runs: one that hangs is given up, not waited for.

A path may name a FIFO, or lie on a mount whose server is gone; opening it then blocks without end.
In the event loop that stops everything. In the threads of `asyncio.to_thread` it stops the end of
the process, since those are joined at exit. So only regular files of a bounded size are read, on
threads that nobody joins, and each `Worker` has at most one of them: while its last call hangs,
it starts no other one, and when that call comes back, all is as before.
"""

import asyncio
import contextlib
import os
import stat
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final, Generic, NoReturn, TypeVar

from bridge.errors import Unreadable

T = TypeVar("T")

MOST_BYTES: Final = 4 << 20
"""Certificates, tokens and kubeconfigs are far smaller; what is larger is something else."""
LIMIT_S: Final = 5.0
"""A file system that answers does so within this time, also a slow one over the network."""
_CHUNK: Final = 64 << 10


def read(path: Path, *, most_bytes: int = MOST_BYTES) -> bytes:
    """The content of a regular file. Blocks while its file system does not answer.

    Raises Unreadable for a FIFO, a device, a folder, a file of more than `most_bytes`, and for
    what can't be opened.
    """
    try:
        _regular(path, os.stat(path))  # before it is opened: opening a device may do something
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            _regular(path, os.fstat(descriptor))
            content = bytearray()
            while chunk := file.read(_CHUNK):
                content += chunk
                if len(content) > most_bytes:
                    raise Unreadable(
                        f"{path} is larger than {most_bytes} bytes; look what was written there"
                    )
            return bytes(content)
    except OSError as error:
        raise Unreadable(f"{path} can't be read: {error.strerror or error}") from error


def _regular(path: Path, facts: os.stat_result) -> None:
    for test, kind in _KINDS.items():
        if test(facts.st_mode):
            raise Unreadable(f"{path} is a {kind}, not a regular file")


_KINDS: Final[dict[Callable[[int], bool], str]] = {
    stat.S_ISDIR: "folder",
    stat.S_ISFIFO: "FIFO (named pipe)",
    stat.S_ISSOCK: "socket",
    stat.S_ISCHR: "device",
    stat.S_ISBLK: "device",
}


@contextlib.contextmanager
def in_memory(content: bytes) -> Iterator[str]:
    """A path with this content that is on no disk, for libraries that take only paths.

    What was read once is so used as it was read, and no file is opened a second time.
    """
    descriptor = os.memfd_create("slurm-bridge", os.MFD_CLOEXEC)
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        file.write(content)
        yield f"/proc/self/fd/{descriptor}"


class Worker:
    """Performs calls that may hang, one after the other, outside of the event loop.

    Calls that come at once wait for each other, in all no longer than the limits of those before
    them. A cancelled caller leaves its call to its limit.
    """

    def __init__(self, *, limit_s: float = LIMIT_S) -> None:
        self._limit_s = limit_s
        self._turn = asyncio.Lock()
        self._last: _Call[Any] | None = None

    async def read(self, path: Path, *, most_bytes: int = MOST_BYTES) -> bytes:
        """The same as the function, given up when it hangs. Raises Unreadable."""
        return await self.call(partial(read, path, most_bytes=most_bytes), what=str(path))

    async def call(
        self, function: Callable[[], T], *, what: str, limit_s: float | None = None
    ) -> T:
        """What `function` returns or raises. `what` is read, in words: the subject of a sentence.

        Raises Unreadable when it takes longer than `limit_s`, and at once while an earlier call
        still hangs.
        """
        async with self._turn:
            if self._last is not None:
                await self._last.ended()
            limit_s = self._limit_s if limit_s is None else limit_s
            call = _Call(function, what=what, limit_s=limit_s)
            self._last = call
            await call.ended()
            self._last = None  # what it read may be a secret: not kept here
            return call.outcome()


class _Call(Generic[T]):
    """One call and its thread."""

    def __init__(self, function: Callable[[], T], *, what: str, limit_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._what = what
        self._limit_s = limit_s
        self._began_s = self._loop.time()
        self._answer: asyncio.Future[Callable[[], T]] = self._loop.create_future()
        thread = threading.Thread(
            target=self._run, args=(function,), name=f"reads {what}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:  # the process has as many threads as it may have
            raise Unreadable(f"{what} can't be read: {error}") from error

    async def ended(self) -> None:
        """Until it has ended; raises Unreadable when that takes longer than its limit."""
        left_s = self._began_s + self._limit_s - self._loop.time()
        await asyncio.wait([self._answer], timeout=max(0.0, left_s))
        if not self._answer.done():
            raise Unreadable(
                f"{self._what} can't be read: it hangs, for "
                f"{self._loop.time() - self._began_s:.0f} s now; look whether the file system "
                "that it is on answers"
            )

    def outcome(self) -> T:
        """What the function returned; raises what it raised."""
        return self._answer.result()()

    def _run(self, function: Callable[[], T]) -> None:
        answer: Callable[[], T]
        try:
            result = function()
        except BaseException as error:  # raised again where the call is awaited
            answer = partial(_throw, error)
        else:
            answer = lambda: result  # noqa: E731
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._answer.set_result, answer)


def _throw(error: BaseException) -> NoReturn:
    raise error
