"""The program that reads large reviews: `frames` from its standard input, frames to its output.

It ends when its input ends, which is when the bridge has ended, however that was. A review that
takes too long, or more memory than any can need, ends it too: the bridge starts another one.
"""

import gc
import os
import resource
import signal
import sys
from typing import BinaryIO, Final

NICENESS: Final = 10
"""Everything else goes before: the event loop first of all."""
MOST_BYTES: Final = 384 << 20
"""Of its address space: twice what the worst review takes."""
LONGEST_S: Final = 10
"""For one review. The bridge waits for less time, and ends it before; but it may be gone."""
_LENGTH_BYTES = 4


def main() -> None:
    """Read until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # from the terminal: it is for the bridge
    os.nice(NICENESS)
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    serve(sys.stdin.buffer, sys.stdout.buffer)


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer every question."""
    from bridge.admission import frames  # here, as loading it is most of the start's work

    gc.freeze()
    gc.disable()  # a review of a million objects, none in a circle, would be walked again and again
    sink.write(frames.READY)
    sink.flush()
    while task := _frame(source):
        body = _frame(source)
        reader, question = frames.task_in(task)
        signal.alarm(LONGEST_S)
        answer = frames.answered(reader.read(question, body))
        signal.alarm(0)
        sink.write(answer)
        sink.flush()
        gc.collect()


def _frame(source: BinaryIO) -> bytes:
    """The next one; nothing at the end."""
    size = source.read(_LENGTH_BYTES)
    return source.read(int.from_bytes(size, "big")) if len(size) == _LENGTH_BYTES else b""
