"""What gRPC leaves behind for a moment."""

import asyncio

_NAMES = ("rpc_task", "HandleExceptions")
"""How gRPC's asyncio server names the tasks of its calls."""


async def ended() -> None:
    """Until the calls of a server that was stopped have ended."""
    async with asyncio.timeout(10):
        while _are_left():  # noqa: ASYNC110 - they set no event
            await asyncio.sleep(0)


def _are_left() -> bool:
    return any(task.get_name().startswith(_NAMES) for task in asyncio.all_tasks())
