"""One line per step with the time since the start: building takes minutes, silence looks hung."""

import collections.abc
import contextlib
import sys
import time


class Progress:
    """Prints `[ 12.3s] text` lines on stderr, so that stdout stays for results."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._start = time.monotonic()
        self._quiet = quiet

    def say(self, text: str) -> None:
        """Print one line."""
        if not self._quiet:
            elapsed = time.monotonic() - self._start
            print(f"[{elapsed:6.1f}s] {text}", file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def step(self, text: str) -> collections.abc.Iterator[None]:
        """Print the text now, and how long the block took when it is done."""
        self.say(f"{text} …")
        begin = time.monotonic()
        yield
        self.say(f"{text}: done in {time.monotonic() - begin:.1f}s")
