"""What is started and stopped by `async with`."""

from abc import ABC, abstractmethod
from typing import Self


class Lifespan(ABC):
    """A server: it listens as long as the context lasts."""

    @abstractmethod
    async def start(self) -> None:
        """Listen."""

    @abstractmethod
    async def stop(self) -> None:
        """Listen no more."""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
