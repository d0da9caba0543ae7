"""What gRPC leaves behind for a moment."""

import asyncio

_NAMES = ("rpc_task", "HandleExceptions")
"""How gRPC's asyncio server names the tasks of its calls."""
_CALLS = "_AioCall."
"""What its client runs for each call, in tasks without a name."""


async def ended() -> None:
    """Until the calls of a stopped server and of closed channels have ended."""
    async with asyncio.timeout(10):
        while _are_left():  # noqa: ASYNC110 - they set no event
            await asyncio.sleep(0)


def _are_left() -> bool:
    return any(
        task.get_name().startswith(_NAMES)
        or getattr(task.get_coro(), "__qualname__", "").startswith(_CALLS)
        for task in asyncio.all_tasks()
    )
