"""The process that large reviews are read in: it answers as the loop would, and whatever happens to
it costs the review that it reads, no other one."""

import asyncio
import contextlib
import os
import pickle
import resource
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bench import admission, hostile
from bridge.admission import reader
from bridge.admission.frames import LENGTH, MOST_READING_BYTES, READY
from bridge.admission.reader_process import COMMAND, ReaderProcess
from bridge.admission.reading import Question, Reading, ReviewReader, Untouched
from bridge.admission.scope import Scope
from bridge.errors import Unreachable

READER = ReviewReader(Scope(), frozenset({"bridge"}))
BODY = admission.body(admission.a_pod())
ROOT = Path(__file__).parents[3]


@contextlib.asynccontextmanager
async def reading(
    command: tuple[str, ...] = COMMAND, *, deadline_s: float = 60.0, start_s: float = 60.0
) -> AsyncIterator[ReaderProcess]:
    """A process that is not started yet."""
    process = ReaderProcess(command=command, deadline_s=deadline_s, start_s=start_s)
    try:
        yield process
    finally:
        await process.close()


async def read(process: ReaderProcess, body: bytes = BODY) -> Reading:
    return await process.read(READER, Question.VALIDATE, body)


def there(pid: int) -> bool:
    """Whether a process has this number, be it one that has ended."""
    return Path(f"/proc/{pid}").exists()


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


async def started(process: ReaderProcess) -> int:
    """Its number, once it has read something."""
    assert await read(process) == READER.read(Question.VALIDATE, BODY)
    assert process.pid is not None
    return process.pid


def program(answer: str, *, greeting: bytes = READY) -> tuple[str, ...]:
    """A process that takes one question and then runs `answer`, where `say` writes."""
    return (
        sys.executable, "-I", "-c",
        "import os, signal, sys\n"
        f"def say(text): os.write(1, text)\n"
        f"say({greeting!r})\n"
        f"head = sys.stdin.buffer.read({LENGTH.size})\n"
        f"{answer}\n",
    )  # fmt: skip


async def test_it_reads_as_the_loop_does() -> None:
    """Ordinary pods, the worst ones, and what is no review, for both webhooks."""
    ordinary = admission.a_pod()
    pods = {"ordinary": ordinary, **hostile.pods(ordinary, size=200_000)}
    bodies = [admission.body(pod) for pod in pods.values()]
    bodies += [admission.body(admission.mutated(pod)) for pod in pods.values()]
    async with reading() as process:
        for body in (*bodies, b"", b"{}", b"[" * 100_000):
            for question in Question:
                there = await process.read(READER, question, body)
                assert there == READER.read(question, body)
        assert isinstance(await read(process, BODY.replace(b"CREATE", b"DELETE")), Untouched)


async def test_it_is_started_by_the_first_review() -> None:
    """It goes after everything else, has bounds, and stays; `close` ends it."""
    process = ReaderProcess()
    assert process.pid is None
    pid = await started(process)
    assert os.getpriority(os.PRIO_PROCESS, pid) == os.getpriority(os.PRIO_PROCESS, 0) + 10
    assert resource.prlimit(pid, resource.RLIMIT_AS) == (reader.MOST_BYTES, reader.MOST_BYTES)
    os.kill(pid, signal.SIGINT)  # as a terminal sends it to all
    assert await started(process) == pid
    await process.close()
    assert not there(pid)
    assert await started(process) != pid  # as after any other end
    await process.close()
    await process.close()


async def test_it_is_told_nothing_by_its_surroundings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module in the working directory or named by the environment is not taken; and it needs
    neither a writable folder nor a warning to be silent."""
    for name in ("json", "pickle", "pydantic", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('mine')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("HOME", "/nonexistent")
    before = files(tmp_path)
    strict = (COMMAND[0], "-W", "error", *COMMAND[1:])
    async with reading(strict) as process:
        await started(process)
    assert files(tmp_path) == before


async def test_a_process_that_is_killed_while_it_reads() -> None:
    """That review is not read, and the next one has a new process."""
    async with reading() as process:
        pid = await started(process)
        os.kill(pid, signal.SIGSTOP)
        under_way = asyncio.ensure_future(read(process, BODY.ljust(3_000_000)))
        await asyncio.sleep(0)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(Unreachable, match="the next large review starts a new process"):
            await under_way
        assert await started(process) != pid


async def test_a_process_that_hangs() -> None:
    """It has a deadline, then it is ended."""
    async with reading(deadline_s=5.0) as process:
        pid = await started(process)
        process.deadline_s = 0.05
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(Unreachable, match="takes too long"):
            await read(process, BODY.ljust(3_000_000))
        process.deadline_s = 60.0
        assert await started(process) != pid
        assert not there(pid)


async def test_a_review_that_nobody_waits_for_any_more() -> None:
    """Its answer is not taken for that of the next one."""
    async with reading() as process:
        pid = await started(process)
        os.kill(pid, signal.SIGSTOP)
        given_up = asyncio.ensure_future(read(process, BODY.replace(b"CREATE", b"DELETE")))
        await asyncio.sleep(0)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        assert await started(process) != pid


async def test_a_process_that_does_not_come_up() -> None:
    """One that can't be started, ends at once, or says nothing."""
    for command in (("/nonexistent",), (sys.executable, "-c", "")):
        async with reading(command) as process:
            for _ in range(2):
                with pytest.raises(Unreachable, match="gave no answer"):
                    await read(process)
                assert process.pid is None
    async with reading(program("", greeting=b""), start_s=0.05) as process:
        with pytest.raises(Unreachable, match="takes too long"):
            await read(process)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("say(b'xx'); sys.exit()", "gave no answer"),
        ("say(b'\\xff' * 4)", "a reading of 4294967295 bytes"),
        (f"say({LENGTH.pack(MOST_READING_BYTES + 1)!r})", f"of {MOST_READING_BYTES + 1} bytes"),
        ("say(b'\\0\\0\\0\\x04junk')", "no reading"),
        ("say(b'\\0\\0\\0\\0')", "no reading"),
        (f"say({LENGTH.pack(len(pickle.dumps(print))) + pickle.dumps(print)!r})", "no reading"),
        ("sys.exit(3)", "gave no answer"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "gave no answer"),
    ],
)
async def test_an_answer_that_is_none(answer: str, says: str) -> None:
    """The process is ended, whatever it may still say."""
    async with reading(program(answer + "\nsignal.pause()")) as process:
        with pytest.raises(Unreachable, match=says):
            await read(process)
        assert process.pid is None
    async with reading(program("", greeting=b"hello")) as process:
        with pytest.raises(Unreachable, match="no greeting"):
            await read(process)


async def test_a_review_that_takes_more_memory_than_there_is() -> None:
    """The process ends, or hangs and is ended; the bridge does not."""
    small = COMMAND[-2].replace("reader.main()", "reader.MOST_BYTES = 90 << 20; reader.main()")
    many = b'"x":[' + b"{}," * 999_999 + b"{}]"
    async with reading((*COMMAND[:-2], small, COMMAND[-1])) as process:
        pid = await started(process)
        process.deadline_s = 2.0
        with pytest.raises(Unreachable):
            await read(process, BODY.replace(b'"oldObject":null', many))
        process.deadline_s = 60.0
        assert await started(process) != pid


@pytest.mark.parametrize("run", ["asyncio.run", "uvloop.run"])
def test_it_ends_with_the_process_that_started_it(run: str) -> None:
    """However that one ends: here by SIGKILL, while nothing and while something is read."""
    for stopped in (
        "",
        "os.kill(process.pid, signal.SIGSTOP); os.kill(process.pid, signal.SIGCONT)",
    ):
        parent = subprocess.Popen(
            (
                sys.executable, "-W", "error", "-c",
                "import asyncio, os, signal, uvloop\n"
                "from tests.unit.admission.test_reader_process import ReaderProcess, read\n"
                "async def main():\n"
                "    process = ReaderProcess()\n"
                "    await read(process)\n"
                f"    {stopped or 'pass'}\n"
                "    print(process.pid, flush=True)\n"
                "    while True:\n"
                "        await asyncio.sleep(0)\n"
                f"{run}(main())\n",
            ),
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        with parent:
            assert parent.stdout is not None
            assert parent.stderr is not None
            assert int(parent.stdout.readline()) > 0
            parent.kill()
            assert parent.stderr.read() == b""  # ends when both have ended, who share it
