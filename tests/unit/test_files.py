"""Reading what may hang, and what is no file."""

import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from bridge import files
from bridge.errors import Unreadable
from bridge.files import Worker

HANGS_S = 0.01
"""The limit in tests of what never ends by itself."""


class Door:
    """A call that hangs until it is opened."""

    def __init__(self) -> None:
        self._opened = threading.Event()
        self.knocked = threading.Event()
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        self.knocked.set()
        self._opened.wait()
        return "opened"

    def open(self) -> None:
        """Let all through."""
        self._opened.set()


@pytest.fixture
def door() -> Iterator[Door]:
    """No thread outlives the test."""
    door = Door()
    yield door
    door.open()


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as one:
        one.bind(str(path))


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize(
    ("make", "kind"),
    [(_fifo, "FIFO"), (Path.mkdir, "folder"), (_socket, "socket"), (_device, "device")],
)
async def test_only_regular_files_are_read(
    tmp_path: Path, make: Callable[[Path], None], kind: str
) -> None:
    """Anything else is refused at once, with its path and what it is."""
    make(tmp_path / "it")
    with pytest.raises(Unreadable, match=f"{tmp_path}/it is a {kind}"):
        await Worker().read(tmp_path / "it")


async def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """The system's words, with the path."""
    with pytest.raises(Unreadable, match=f"{tmp_path}/it can't be read: No such file"):
        await Worker().read(tmp_path / "it")


async def test_a_file_is_read_to_its_end_or_not_at_all(tmp_path: Path) -> None:
    """A size that was reported wrongly (as in /proc) and one that is too large."""
    path = tmp_path / "it"
    path.write_bytes(b"x" * 200_000)
    assert await Worker().read(path, most_bytes=200_000) == b"x" * 200_000
    with pytest.raises(Unreadable, match="larger than 199999 bytes"):
        await Worker().read(path, most_bytes=199_999)
    assert await Worker().read(Path("/proc/self/stat"))


async def test_a_call_that_hangs_is_given_up(tmp_path: Path, door: Door) -> None:
    """The error names the file; no other call is started until that one has come back."""
    (tmp_path / "it").write_text("content")
    worker = Worker()
    with pytest.raises(Unreadable, match="/mnt/it can't be read: it hangs"):
        await worker.call(door, what="/mnt/it", limit_s=HANGS_S)
    for _ in range(3):
        with pytest.raises(Unreadable, match="/mnt/it can't be read: it hangs"):
            await worker.read(tmp_path / "it")
        with pytest.raises(Unreadable):
            await worker.call(door, what="/mnt/it")
    assert door.calls == 1
    door.open()
    while True:
        with suppress(Unreadable):  # until the thread has ended
            assert await worker.read(tmp_path / "it") == b"content"
            break
        await asyncio.sleep(0)


async def test_many_who_ask_at_once_share_one_thread(door: Door) -> None:
    """However many requests need a file that hangs: all are told, one thread hangs."""
    worker = Worker(limit_s=HANGS_S)
    answers = await asyncio.gather(
        *(worker.call(door, what="it") for _ in range(50)), return_exceptions=True
    )
    assert {type(one) for one in answers} == {Unreadable}
    assert door.calls == 1


async def test_a_cancelled_caller_is_free_at_once(tmp_path: Path, door: Door) -> None:
    """Nobody waits for the thread; the next caller waits for what was begun, then reads itself."""
    (tmp_path / "it").write_text("content")
    worker = Worker()
    task = asyncio.create_task(worker.call(door, what="it"))
    await asyncio.to_thread(door.knocked.wait)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    door.open()
    assert await worker.read(tmp_path / "it") == b"content"


async def test_what_a_call_raises_is_raised() -> None:
    """The caller sees its own exceptions, and the worker goes on."""

    def fails() -> int:
        raise ValueError("mine")

    worker = Worker()
    with pytest.raises(ValueError, match="mine"):
        await worker.call(fails, what="it")
    assert await worker.call(lambda: 3, what="it") == 3


def test_a_path_in_memory_is_read_by_others() -> None:
    """Libraries that take only paths get what was read, from no disk."""
    with files.in_memory(b"content") as path:
        assert Path(path).read_bytes() == b"content"
    assert not Path(path).exists()


@pytest.mark.parametrize("run", ["asyncio.run", "uvloop.run"])
def test_a_process_ends_while_a_call_hangs(tmp_path: Path, run: str) -> None:
    """A FIFO that is opened as `open` does it hangs in the kernel; the exit does not wait."""
    os.mkfifo(tmp_path / "fifo")
    program = (
        "import asyncio, uvloop\n"
        "from bridge import errors, files\n"
        "async def main():\n"
        "    try:\n"
        f"        await files.Worker(limit_s=0.1).call(open({str(tmp_path / 'fifo')!r}).read,"
        " what='it')\n"
        "    except errors.Unreadable:\n"
        "        print('given up')\n"
        f"{run}(main())\n"
    ).replace("open(", "lambda: open(", 1)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "given up\n", "")
