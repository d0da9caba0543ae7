"""The recordings: what a real slurmrestd answered (see record.py), and how to play them back."""

import functools
import json
import pathlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2

FOLDER = pathlib.Path(__file__).parent / "recordings"
VERSIONS = ("v0.0.45", "v0.0.44")


@dataclass(frozen=True)
class Exchange:
    """One request and what was answered."""

    method: str
    path: str
    body: Any
    status: int
    content_type: str
    answer: Any

    def content(self) -> bytes:
        """The answer's bytes."""
        if isinstance(self.answer, str):
            return self.answer.encode()
        return json.dumps(self.answer).encode()

    def response(self) -> httpx2.Response:
        """As httpx2 gets it."""
        return httpx2.Response(
            self.status, content=self.content(), headers={"content-type": self.content_type}
        )


@functools.cache
def load(file: str) -> Mapping[str, Exchange]:
    """All exchanges of one recording, by name."""
    kept = json.loads((FOLDER / f"{file}.json").read_text())
    return {
        name: Exchange(
            method=one["request"]["method"],
            path=one["request"]["path"],
            body=one["request"]["body"],
            status=one["status"],
            content_type=one["content_type"] or "",
            answer=one["answer"],
        )
        for name, one in kept.items()
    }


Handler = Callable[[httpx2.Request], httpx2.Response]


@dataclass
class Server(httpx2.AsyncBaseTransport):
    """A slurmrestd that offers `versions` and answers everything else by `handler`.

    `requests` are those that reached the handler, without the pings of a negotiation.
    """

    handler: Handler
    versions: tuple[str, ...] = VERSIONS
    requests: list[httpx2.Request] = field(default_factory=list)
    pings: list[httpx2.Request] = field(default_factory=list)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """One request."""
        await request.aread()
        path = request.url.path
        version = path.split("/")[2] if path.startswith("/slurm/") else ""
        if version and version not in self.versions:
            return unknown_path()
        if path.endswith("/ping/"):
            self.pings.append(request)
            return load("jobs")[f"ping {version}"].response()
        self.requests.append(request)
        return self.handler(request)

    def bodies(self) -> list[Any]:
        """The JSON that was sent, request by request."""
        return [json.loads(one.content) if one.content else None for one in self.requests]


def always(exchange: Exchange, **changes: Any) -> Server:
    """A server that gives one recorded answer to everything."""
    return Server(lambda _: exchange.response(), **changes)


def unknown_path() -> httpx2.Response:
    """What slurmrestd says to a path it lacks."""
    return load("mistakes")["unknown path"].response()


def well(**content: Any) -> httpx2.Response:
    """An answer without errors."""
    return httpx2.Response(200, json={**content, "errors": [], "warnings": []})


def refused(number: int, *, status: int = 500, source: str = "there()") -> httpx2.Response:
    """An answer with one of Slurm's errors."""
    error = {"error_number": number, "error": "words", "description": "said", "source": source}
    return httpx2.Response(status, json={"errors": [error], "warnings": []})


for _file in ("jobs", "nodes", "mistakes", "outage", "expired", "breadth"):
    load(_file)  # here, since a read inside a test's loop would block it
