import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog

from bridge import files
from bridge.errors import Unreadable
from bridge.slurm import NotAuthorised, TokenSource

from .clocks import ImpatientClock


async def _get(source: TokenSource, clock: ImpatientClock) -> str:
    clock.now_s += 1.5  # the file is looked at once a second
    return await source.get(clock=clock)


@pytest.mark.parametrize("text", ["abc.def", "abc.def\n", "SLURM_JWT=abc.def\n", " abc.def "])
async def test_reads_the_forms_that_scontrol_prints(tmp_path: Path, text: str) -> None:
    """With or without its name, with or without a newline."""
    (tmp_path / "token").write_text(text)
    assert await _get(TokenSource.from_file(tmp_path / "token"), ImpatientClock()) == "abc.def"


async def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    """Written in place, replaced, or swapped behind a symlink as Kubernetes does."""
    clock, file = ImpatientClock(), tmp_path / "token"
    (tmp_path / "v1").write_text("one")
    file.symlink_to("v1")
    source = TokenSource.from_file(file)
    assert await _get(source, clock) == "one"
    (tmp_path / "v1").write_text("in-place")
    assert await _get(source, clock) == "in-place"
    (tmp_path / "v2").write_text("swapped")
    (tmp_path / "next").symlink_to("v2")
    (tmp_path / "next").replace(file)
    assert await _get(source, clock) == "swapped"


async def test_a_change_that_leaves_the_times_alone_is_seen(tmp_path: Path) -> None:
    """Same inode, time and size: a mounted Secret may look like that."""
    clock, file = ImpatientClock(), tmp_path / "token"
    file.write_text("one")
    source = TokenSource.from_file(file)
    assert await _get(source, clock) == "one"
    facts = file.stat()
    file.write_text("two")
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert await source.get(clock=clock) == "one"  # within the second
    assert await _get(source, clock) == "two"


@pytest.mark.parametrize("text", ["", "\n", "two words", "tab\tbed", "new\nline", "tökén"])
async def test_a_file_without_a_token_says_so(tmp_path: Path, text: str) -> None:
    """The message names the file and how to make a token, not what stands in it."""
    (tmp_path / "token").write_text(text)
    with pytest.raises(NotAuthorised, match="scontrol token") as caught:
        await _get(TokenSource.from_file(tmp_path / "token"), ImpatientClock())
    assert str(tmp_path / "token") in str(caught.value)
    assert not text.strip() or text.strip() not in str(caught.value)


async def test_a_missing_file_says_so_until_it_is_there(tmp_path: Path) -> None:
    """The cause once gone, the next call works."""
    source, clock = TokenSource.from_file(tmp_path / "token"), ImpatientClock()
    with pytest.raises(NotAuthorised, match="can't be read"):
        await _get(source, clock)
    (tmp_path / "token").write_text("one")
    assert await _get(source, clock) == "one"


def _remove(file: Path) -> None:
    file.unlink()


def _empty(file: Path) -> None:
    file.write_text("")


def _fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [(_remove, "No such file"), (_empty, "holds no JWT"), (_fifo, "is a FIFO")],
)
async def test_a_token_stays_in_use_while_its_file_is_spoilt(
    tmp_path: Path, spoil: Callable[[Path], None], says: str
) -> None:
    """It is told once; when Slurm refuses the token, that is why; a good file heals it."""
    clock, file = ImpatientClock(), tmp_path / "token"
    file.write_text("one")
    source = TokenSource.from_file(file)
    assert await _get(source, clock) == "one"
    with structlog.testing.capture_logs() as logs:
        spoil(file)
        assert [await _get(source, clock) for _ in range(3)] == ["one"] * 3
        assert source.age_s(clock) == 4.5
        with pytest.raises(NotAuthorised, match=f"Slurm refuses .* {says}"):
            await source.renew(refused="one", clock=clock)
        file.unlink(missing_ok=True)
        file.write_text("two")
        assert await _get(source, clock) == "two"
        assert source.age_s(clock) == 0
    assert [one["event"] for one in logs] == ["token.unreadable", "token.read_again"]


async def test_a_file_that_hangs_holds_nobody(tmp_path: Path) -> None:
    """With a token at hand requests go on with it; without one all are told at once. When the
    file comes back, it is read."""
    clock, file, answers = ImpatientClock(), tmp_path / "token", threading.Event()
    file.write_text("one")
    workers = [files.Worker(), files.Worker()]
    source, late = (TokenSource.from_file(file, worker=worker) for worker in workers)
    assert await _get(source, clock) == "one"
    file.write_text("two")
    try:
        for worker in workers:
            with pytest.raises(Unreadable):
                await worker.call(answers.wait, what="its mount", limit_s=0.01)
        assert [await _get(source, clock) for _ in range(5)] == ["one"] * 5
        with pytest.raises(NotAuthorised, match="it hangs"):
            await source.renew(refused="one", clock=clock)
        for _ in range(3):
            with pytest.raises(NotAuthorised, match="it hangs"):
                await _get(late, clock)
    finally:
        answers.set()
    while await _get(source, clock) != "two":  # noqa: ASYNC110 — until the thread has ended
        await asyncio.sleep(0)


async def test_while_one_request_reads_the_others_go_on(tmp_path: Path) -> None:
    """Only the request that looks at a file that hangs waits for its limit."""
    clock, file, answers = ImpatientClock(), tmp_path / "token", threading.Event()
    file.write_text("one")
    worker = files.Worker(limit_s=600)
    source = TokenSource.from_file(file, worker=worker)
    assert await _get(source, clock) == "one"
    hanging = asyncio.create_task(worker.call(answers.wait, what="its mount"))
    await asyncio.sleep(0)
    first = asyncio.create_task(_get(source, clock))
    await asyncio.sleep(0)
    try:
        assert [await _get(source, clock) for _ in range(3)] == ["one"] * 3
        assert not first.done()
    finally:
        answers.set()
    assert await first == "one"
    await hanging


async def test_whoever_asks_first_and_second_get_the_token(tmp_path: Path) -> None:
    """Requests that start together all wait for the first reading of the file."""
    (tmp_path / "token").write_text("one")
    source, clock = TokenSource.from_file(tmp_path / "token"), ImpatientClock()
    assert await asyncio.gather(*(source.get(clock=clock) for _ in range(5))) == ["one"] * 5


async def test_a_late_refusal_of_an_old_token_is_tried_with_the_new_one(tmp_path: Path) -> None:
    """Another request has read the file meanwhile: there is a token to try with."""
    clock, file = ImpatientClock(), tmp_path / "token"
    file.write_text("old")
    source = TokenSource.from_file(file)
    old = await _get(source, clock)
    file.write_text("new!")
    assert await _get(source, clock) == "new!"
    assert await source.renew(refused=old, clock=ImpatientClock())
    assert not await source.renew(refused="new!", clock=ImpatientClock())


async def test_a_fixed_token_cant_be_renewed() -> None:
    """It is what it is."""
    source = TokenSource.fixed("SLURM_JWT=one")
    assert await _get(source, ImpatientClock()) == "one"
    assert not await source.renew(refused="one", clock=ImpatientClock())


def test_repr_shows_no_token(tmp_path: Path) -> None:
    """Logs may show the source, never what it gives."""
    assert "secret" not in repr(TokenSource.fixed("secret"))
    assert "token" in repr(TokenSource.from_file(tmp_path / "token"))
