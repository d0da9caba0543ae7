"""A program of its own: runs another one, and ends it when it takes too long.

    python bounded.py SECONDS COMMAND [ARGUMENT …]

Credential plugins are run by the `kubernetes` package, which waits for them without end. Started by
this program, a plugin that hangs (it waits for input, for a network) is killed after `SECONDS`, or
as soon as the process that wanted its answer is gone. Exit code and output are the plugin's.
"""

import os
import subprocess
import sys
import time

_LOOK_S = 0.5


def main(arguments: list[str]) -> int:
    """The exit code."""
    limit_s, command = float(arguments[0]), arguments[1:]
    parent, until_s = os.getppid(), time.monotonic() + limit_s
    try:
        child = subprocess.Popen(command)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        return 127
    while True:
        try:
            return child.wait(timeout=_LOOK_S)
        except subprocess.TimeoutExpired:
            if time.monotonic() < until_s and os.getppid() == parent:
                continue
        child.kill()
        child.wait()
        print(
            f"{command[0]} did not end within {limit_s:g} s; does it wait for input, or for a "
            "network that is not there?",
            file=sys.stderr,
        )
        return 124


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
