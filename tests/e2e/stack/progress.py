"""One line per step with the time since the start: building takes minutes, silence looks hung."""

import contextlib
import sys
import threading
import time
from collections import abc

Say = abc.Callable[[str], None]
"""Takes one line for the person who waits."""

_EVERY_S = 30.0


def lines() -> Say:
    """Give a function that prints `[  12.3s] text` on stderr, so that stdout stays for results."""
    start = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - start:6.1f}s] {text}", file=sys.stderr, flush=True)

    return say


@contextlib.contextmanager
def repeated(say: Say, text: str) -> abc.Iterator[None]:
    """Say the text now, and again every half minute while the block runs."""
    over = threading.Event()

    def repeat() -> None:
        while not over.wait(_EVERY_S):
            say(f"still {text}")

    say(text)
    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
