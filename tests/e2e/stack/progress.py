"""One line per step with the time since the start: building takes minutes, silence looks hung."""

import sys
import time
from collections import abc


def lines() -> abc.Callable[[str], None]:
    """Give a function that prints `[  12.3s] text` on stderr, so that stdout stays for results."""
    start = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - start:6.1f}s] {text}", file=sys.stderr, flush=True)

    return say
