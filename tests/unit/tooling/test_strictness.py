"""What the common conftest does to tests that would hide a fault."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

CONFTEST = "from tests.conftest import _no_blocking_calls, _strict_loop, _watched_loop\n"

SLOPPY = """
import asyncio
from pathlib import Path

from bridge import config

forgotten = set()


async def test_leaves_a_task_behind():
    forgotten.add(asyncio.create_task(asyncio.Event().wait()))


async def test_lets_an_exception_reach_only_the_loop():
    def fail():
        raise RuntimeError("unseen")

    asyncio.get_running_loop().call_soon(fail)
    await asyncio.sleep(0)


async def test_blocks_the_loop():
    config.load(Path(__file__).with_name("settings.yaml"), environ={}, overrides={})


async def test_is_clean():
    task = asyncio.create_task(asyncio.Event().wait())
    task.cancel()


def test_may_block_where_no_loop_runs():
    config.load(Path(__file__).with_name("settings.yaml"), environ={}, overrides={})
"""


def test_sloppy_tests_fail(tmp_path: Path) -> None:
    """A task left behind, an exception unseen, a blocked loop: each fails its own test."""
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "settings.yaml").write_text("partition: a\n")
    (tmp_path / "test_sloppy.py").write_text(SLOPPY)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-c",
            str(ROOT / "pyproject.toml"),
            "--rootdir",
            str(tmp_path),
            "-p",
            "no:cacheprovider",
            "-q",
            str(tmp_path),
        ],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "300"},
        capture_output=True,
        text=True,
        check=False,
    )
    summary = done.stdout
    assert "test_leaves_a_task_behind - Failed: the test left tasks behind" in summary
    assert "test_lets_an_exception_reach_only_the_loop - Failed: only the loop saw" in summary
    assert "test_blocks_the_loop - blockbuster" in summary
    assert "1 failed, 4 passed, 2 errors" in summary
