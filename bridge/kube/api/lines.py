"""Chunks of bytes → lines, with a bound."""

from collections.abc import AsyncIterator

from bridge.kube.api.errors import Garbled

LONGEST_LINE = 16 * 2**20
"""etcd takes objects of 1.5 MiB; a line ten times as long is no watch event."""


async def split(
    chunks: AsyncIterator[bytes], *, longest: int = LONGEST_LINE
) -> AsyncIterator[bytes]:
    """The lines without their ends; what is left without a newline at the end is dropped.

    A half line is what a connection that broke leaves behind: no event. Raises Garbled when
    a line has more than `longest` bytes, before it is collected.
    """
    pieces: list[bytes] = []
    size = 0
    async for chunk in chunks:
        *whole, rest = chunk.split(b"\n")
        for line in whole:
            yield b"".join((*pieces, line))
            pieces, size = [], 0
        if rest:
            pieces.append(rest)
            size += len(rest)
        if size > longest:
            raise Garbled(f"a watch event with more than {longest} bytes; watching anew")
