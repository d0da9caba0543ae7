"""Bytes to lines, however they are cut."""

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.kube.api import errors, lines


async def arriving(chunks: list[bytes]) -> AsyncIterator[bytes]:
    """Chunks, one after the other."""
    for chunk in chunks:
        yield chunk


async def read(chunks: list[bytes], longest: int = 1000) -> list[bytes]:
    """All lines."""
    return [line async for line in lines.split(arriving(chunks), longest=longest)]


@given(
    whole=st.lists(st.binary(max_size=20).map(lambda b: b.replace(b"\n", b"")), max_size=8),
    rest=st.binary(max_size=20).map(lambda b: b.replace(b"\n", b"")),
    cuts=st.lists(st.integers(0, 200), max_size=10),
)
def test_any_cut(whole: list[bytes], rest: bytes, cuts: list[int]) -> None:
    """Wherever the stream is cut into chunks, the lines are the same; a half line is dropped."""
    data = b"".join(line + b"\n" for line in whole) + rest
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    chunks = [data[a:b] for a, b in itertools.pairwise(edges)]
    assert asyncio.run(read(chunks)) == whole


async def test_endless_line() -> None:
    """A line without end is refused as soon as it is too long, not when memory is full."""
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"x" * 100

    with pytest.raises(errors.Garbled, match="more than 1000 bytes"):
        async for _ in lines.split(endless(), longest=1000):
            pass
    assert taken == 11
