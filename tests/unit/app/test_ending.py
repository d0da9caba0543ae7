"""The process ends although a thread hangs that everybody would wait for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HANGS = """
import asyncio, sys, uvloop
from bridge.app import ending

async def main():
    loop = asyncio.get_running_loop()
    loop.run_in_executor(None, lambda: open(sys.argv[1]))  # as to_thread, or a resolver
    {end}
    print("done", flush=True)

sys.exit(uvloop.run(main()))
"""


@pytest.mark.parametrize(
    ("end", "code", "said"),
    [
        ("ending.leave_within(0.1, 0)", 0, ""),
        ("ending.stop_within(60); ending.leave_within(0.1, 0)", 0, ""),
        ("ending.stop_within(0.1)", 1, "in <lambda>"),
    ],
)
def test_the_end_waits_for_no_thread(tmp_path: Path, end: str, code: int, said: str) -> None:
    """What was done in good order ends well; what was not says where it hung."""
    os.mkfifo(tmp_path / "fifo")
    done = subprocess.run(
        [sys.executable, "-c", HANGS.format(end=end), str(tmp_path / "fifo")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (code, "done\n")
    assert said in done.stderr
