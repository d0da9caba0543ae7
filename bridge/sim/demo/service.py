"""One HTTP service of the cluster, asked as an outsider asks it."""

import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import aiohttp

from bridge.errors import BridgeError

Json = dict[str, Any]


class Refusal(BridgeError):
    """The service did not answer, or not with 2xx."""


class Service:
    """JSON over HTTP; use as a context."""

    def __init__(self, url: str, *, headers: Mapping[str, str] | None = None) -> None:
        self._session = aiohttp.ClientSession(
            base_url=url, headers=headers, timeout=aiohttp.ClientTimeout(total=10)
        )

    async def get(self, path: str, **query: str) -> Json:
        """The object at `path`. Raises Refusal."""
        return await self._ask("GET", path, query=query)

    async def post(self, path: str, body: Json) -> Json:
        """Create an object; the answer is it as stored. Raises Refusal."""
        return await self._ask("POST", path, body=body)

    async def _ask(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Any = None
    ) -> Json:
        try:
            async with self._session.request(method, path, params=query, json=body) as answer:
                content = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Refusal(f"{method} {path}: {type(error).__name__}: {error}") from error
        if answer.status >= 300:
            raise Refusal(f"{method} {path}: {answer.status} {content.decode(errors='replace')}")
        parsed: Json = json.loads(content)
        return parsed

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()
