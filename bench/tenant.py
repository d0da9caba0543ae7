"""A tenant in a process of its own, who sends the same bodies over and over.

It goes after everybody else on the machine, as if it were on another one: what it costs is what the
server spends on it.
"""

import asyncio
import collections
import contextlib
import multiprocessing
import os
import ssl
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection

import uvloop

from bench import calls

_NICENESS = 15
Content = Sequence[tuple[str, bytes]]
"""Paths and bodies of what is sent one after the other."""
Told = collections.Counter[int]
"""How often each status was answered."""


@contextlib.contextmanager
def sending(server: calls.Served, content: Content, *, callers: int) -> Iterator[Told]:
    """Meanwhile it sends, over so many connections, on each as soon as the last is answered. What
    it was told is known afterwards."""
    told: Told = collections.Counter()
    ours, theirs = multiprocessing.Pipe()
    spawn = multiprocessing.get_context("spawn")
    tenant = spawn.Process(target=_run, args=(theirs, server, content, callers))
    tenant.start()
    theirs.close()  # so that one that does not come up is noticed
    try:
        ours.recv()
        yield told
        ours.send(None)
        told.update(ours.recv())
    finally:
        ours.close()
        tenant.join()


def _run(theirs: Connection, server: calls.Served, content: Content, callers: int) -> None:
    os.nice(_NICENESS)
    uvloop.run(_send(theirs, server, content, callers))


async def _send(theirs: Connection, server: calls.Served, content: Content, callers: int) -> None:
    told: Told = collections.Counter()
    tls = ssl.create_default_context(cafile=str(server.ca))

    async def caller(connected: calls.Connected) -> None:
        while True:
            for path, body in content:
                _, status, _ = await calls.call(connected, path, body)
                told[status] += 1

    connections = [await calls.connect(server.port, tls) for _ in range(callers)]
    sending = [asyncio.create_task(caller(one)) for one in connections if content]
    stop = asyncio.ensure_future(asyncio.to_thread(_until_stopped, theirs))
    while content and not told and not stop.done():
        await asyncio.wait([*sending, stop], timeout=0.01, return_when=asyncio.FIRST_COMPLETED)
    theirs.send(None)
    await asyncio.wait([*sending, stop], return_when=asyncio.FIRST_COMPLETED)
    for one in sending:
        if one.done():
            await one  # what ended it
        one.cancel()
    theirs.send(told)


def _until_stopped(theirs: Connection) -> None:
    with contextlib.suppress(EOFError):
        theirs.recv()
