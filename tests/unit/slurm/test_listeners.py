import asyncio

import pytest

from bridge.slurm.listeners import Listeners


def _listeners() -> Listeners[tuple[str, int]]:
    return Listeners(lambda news: news[0])


async def test_an_iterator_gets_what_was_told() -> None:
    """In order, from the moment it listens."""
    listeners = _listeners()
    listeners.tell(("before", 0))
    async with listeners.listen() as news:
        listeners.tell(("a", 1))
        listeners.tell(("b", 2))
        assert [await anext(news), await anext(news)] == [("a", 1), ("b", 2)]
        waiting = asyncio.ensure_future(anext(news))
        await asyncio.sleep(0)
        assert not waiting.done()
        listeners.tell(("c", 3))
        assert await waiting == ("c", 3)


async def test_a_slow_iterator_gets_the_newest_of_each_object() -> None:
    """What it has not taken is replaced, so it never holds more than there are objects."""
    listeners = _listeners()
    async with listeners.listen() as news:
        for number in range(1000):
            listeners.tell(("a", number))
            listeners.tell(("b", number))
        assert [await anext(news), await anext(news)] == [("a", 999), ("b", 999)]


async def test_nothing_is_kept_after_the_end() -> None:
    """Who has left the context is told nothing, nor a callback that was ended."""
    listeners = _listeners()
    heard: list[tuple[str, int]] = []
    end = listeners.subscribe(heard.append)
    async with listeners.listen() as news:
        pass
    end()
    end()
    listeners.tell(("a", 1))
    assert heard == []
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await anext(news)
