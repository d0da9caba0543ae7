"""What all calls stand on: the session, and how names become part of a path."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from bridge.clock import Clock
from bridge.slurm import answers
from bridge.slurm.answers import Operation
from bridge.slurm.errors import NotFound
from bridge.slurm.http import Request
from bridge.slurm.immediate import ImmediateStarts
from bridge.slurm.session import Session
from bridge.slurm.submissions import Submissions
from bridge.slurm.wire import Wire

T = TypeVar("T")

Question = Mapping[str, str | bool | tuple[str, ...] | None]
"""Parameters of a query; None, "" and False are left out, True is said without a value, each of
several values for itself.
"""


class Calls:
    """The parts of a client that its calls share."""

    _session: Session
    _clock: Clock
    _submissions: Submissions
    _immediate: ImmediateStarts

    async def _read(
        self,
        operation: Operation,
        path: str,
        how: Callable[[Wire, Mapping[str, Any]], T],
        *,
        plugin: str = "slurm",
        question: Question | None = None,
    ) -> T:
        """GET, and `how` applied to the version's wire and the answer's object."""
        asked = path + query(question or {})
        answer, wire = await self._session.ask(
            operation, lambda _: Request("GET", asked, plugin=plugin)
        )
        return answers.read(answer, operation, lambda body: how(wire, answers.parsed(body)))

    async def _change(
        self,
        operation: Operation,
        method: str,
        path: str,
        body: Callable[[Wire], Mapping[str, Any]] | None = None,
        *,
        plugin: str = "slurm",
    ) -> None:
        """A request whose answer says nothing but whether it was done."""
        await self._session.ask(
            operation,
            lambda wire: Request(method, path, body(wire) if body else None, plugin=plugin),
        )


def the_only(found: tuple[T, ...], operation: Operation, noun: str) -> T:
    """The object that was asked for. Raises NotFound when the list is empty."""
    if not found:
        raise NotFound(f"{operation.tried}: there is no such {noun}")
    return found[0]


def in_path(name: str, noun: str) -> str:
    """A name as one piece of a path. Raises NotFound for one that can't be anything's."""
    if not name or "/" in name or name in (".", ".."):
        raise NotFound(f"{name!r} can't be the name of a {noun}")
    return quote(name, safe="")


def query(question: Question) -> str:
    """`?user=alice&with_assocs`, or nothing."""
    said = [
        key if value is True else urlencode({key: value}, doseq=True)
        for key, value in question.items()
        if value
    ]
    return f"?{'&'.join(said)}" if said else ""
