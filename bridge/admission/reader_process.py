"""The process that large reviews are read in: started when one comes, and again when it has ended.

No pool of the standard library: their processes outlive a bridge that is killed. This one has its
input from us alone, so that it ends with us (`reader`).

It is started by a thread: to start a process takes the longer the more memory ours has, and the
event loop would wait for it. Whatever goes wrong while a review is read ends the process, so that
no answer of one review can be taken for that of another.
"""

import asyncio
import contextlib
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import bridge
from bridge.admission import frames
from bridge.admission.reading import Question, Reading, ReviewReader
from bridge.errors import Unreachable, Unreadable
from bridge.files import Worker

DEADLINE_S: Final = 6.0
"""For one review; the worst takes 0.2 s where nothing else runs. The API server waits for 10 s."""
START_S: Final = 10.0
"""For the process to be ready; it takes 0.3 s where nothing else runs."""
_PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from bridge.admission import reader; reader.main()"
)
COMMAND: Final = (
    sys.executable, "-I", "-B", "-c", _PROGRAM, str(Path(bridge.__file__).parent.parent)
)  # fmt: skip
"""Isolated: neither the environment nor the working directory can bring in other modules."""

_Connected = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class ReaderProcess:
    """Reads one review at a time, each for at most `deadline_s`."""

    def __init__(
        self,
        *,
        command: Sequence[str] = COMMAND,
        deadline_s: float = DEADLINE_S,
        start_s: float = START_S,
    ) -> None:
        self._command = command
        self.deadline_s = deadline_s
        self._start_s = start_s
        self._worker = Worker()
        self._process: subprocess.Popen[bytes] | None = None
        self._connected: _Connected | None = None

    @property
    def pid(self) -> int | None:
        """Of the process that is ready; None where there is none."""
        return self._process.pid if self._process and self._connected else None

    async def read(self, reader: ReviewReader, question: Question, body: bytes) -> Reading:
        """What `reader` reads. Raises Unreachable when the process can't be started, ends, does not
        answer in time, or answers anything else."""
        try:
            async with asyncio.timeout(self._start_s):
                connected = self._connected or await self._start()
            async with asyncio.timeout(self.deadline_s):
                return await _asked(connected, reader, question, body)
        except BaseException as error:
            self._end()
            if isinstance(error, (OSError, EOFError, ValueError, Unreadable)):  # also TimeoutError
                raise Unreachable(
                    f"the process that reads large reviews gave no answer: {_cause(error)}; the "
                    "next large review starts a new process"
                ) from error
            raise

    async def close(self) -> None:
        """End the process."""
        self._end()
        with contextlib.suppress(Unreadable):
            await self._worker.call(self._reap, what="the end of the reading process")

    async def _start(self) -> _Connected:
        ours = await self._worker.call(self._launch, what="the program of the reading process")
        reader, writer = await asyncio.open_unix_connection(
            sock=ours, limit=frames.MOST_READING_BYTES
        )
        try:
            if await reader.readexactly(len(frames.READY)) != frames.READY:
                raise ValueError("no greeting")
        except BaseException:
            writer.transport.abort()
            raise
        self._connected = reader, writer
        return self._connected

    def _launch(self) -> socket.socket:
        """In a thread. Our end of what joins us to the process; it ends when this one is closed."""
        self._reap()
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(
                    self._command, stdin=theirs.fileno(), stdout=theirs.fileno()
                )
            except BaseException:
                ours.close()
                raise
        ours.setblocking(False)
        return ours

    def _reap(self) -> None:
        """In a thread."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _end(self) -> None:
        """Nothing that it still says is heard; `_reap` takes note of its end."""
        if self._connected is not None:
            self._connected[1].transport.abort()
            self._connected = None
        if self._process is not None:
            self._process.kill()


async def _asked(
    connected: _Connected, reader: ReviewReader, question: Question, body: bytes
) -> Reading:
    source, sink = connected
    sink.write(frames.asked(reader, question, len(body)))
    sink.write(body)  # not joined to the head: it need not be copied for that
    await sink.drain()
    (size,) = frames.LENGTH.unpack(await source.readexactly(frames.LENGTH.size))
    if size > frames.MOST_READING_BYTES:
        raise ValueError(f"a reading of {size} bytes")
    return frames.reading_in(await source.readexactly(size))


def _cause(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "it takes too long"
    return str(error) or type(error).__name__
