"""The token that slurmrestd asks for: a JWT from a file that others rotate, or a fixed one.

It is read again every second (Kubernetes swaps a symlink, others write in place) and when Slurm
refuses it. A token that was read stays in use while the file can't be read, whatever is wrong with
it, until Slurm refuses the token. It is never logged nor shown by repr.
"""

import asyncio
import os
import re
from pathlib import Path

import structlog

from bridge.clock import Clock
from bridge.errors import BadInput, Unreadable
from bridge.files import Worker
from bridge.slurm.errors import NotAuthorised

log = structlog.get_logger(__name__)

_INTERVAL_S = 1.0
_MAX_BYTES = 64 * 1024
_PREFIX = "SLURM_JWT="
WORD = re.compile(r"[!-~]+")
"""What a header can hold of a token or a user's name."""


class TokenSource:
    """Gives the token of the moment. Made by `from_file` or `fixed`."""

    def __init__(self, *, path: Path | None, token: str, worker: Worker | None = None) -> None:
        self._path = path
        self._token = token
        self._worker = worker or Worker()
        self._problem = ""
        self._looked_s = float("-inf")
        self._read_s = float("-inf")
        self._reading = asyncio.Lock()

    @classmethod
    def from_file(
        cls, path: str | os.PathLike[str], *, worker: Worker | None = None
    ) -> "TokenSource":
        """A file that holds the JWT, alone or as `scontrol token` prints it (SLURM_JWT=…)."""
        return cls(path=Path(path), token="", worker=worker)

    @classmethod
    def fixed(cls, token: str) -> "TokenSource":
        """Always this one; "" sends none (a slurmrestd that authenticates by its socket).

        Raises BadInput.
        """
        word = _cleaned(token)
        if word and not WORD.fullmatch(word):
            raise BadInput("the token is no JWT (one word expected); see `scontrol token`")
        return cls(path=None, token=word)

    def __repr__(self) -> str:
        return f"TokenSource({'fixed' if self._path is None else str(self._path)})"

    def age_s(self, clock: Clock) -> float:
        """Seconds since the file was last read; inf before that, 0 for a fixed token."""
        return 0.0 if self._path is None else clock.monotonic() - self._read_s

    async def get(self, *, clock: Clock) -> str:
        """The token. Raises NotAuthorised while none could be read yet."""
        if self._path is None:
            return self._token
        others_read = bool(self._token) and self._reading.locked()
        if self._due(clock) and not others_read:  # a file that hangs keeps one request waiting
            async with self._reading:
                if self._due(clock):
                    await self._look(self._path, clock)
        if not self._token:
            raise NotAuthorised(self._problem)
        return self._token

    def _due(self, clock: Clock) -> bool:
        return clock.monotonic() - self._looked_s >= _INTERVAL_S

    async def renew(self, *, refused: str, clock: Clock) -> bool:
        """Read again, since Slurm refused that token. Whether there is another one now.

        Raises NotAuthorised when the file can't be read.
        """
        if self._path is None:
            return False
        async with self._reading:
            if self._token == refused:  # else another request has read it meanwhile
                await self._look(self._path, clock)
                if self._problem:
                    raise NotAuthorised(
                        f"Slurm refuses the token that was read before, and {self._problem}"
                    )
        return self._token != refused

    async def _look(self, path: Path, clock: Clock) -> None:
        """Read the file into `_token`, or say in `_problem` why that is not possible."""
        try:
            self._token = _parsed(path, await self._worker.read(path, most_bytes=_MAX_BYTES))
        except Unreadable as error:
            problem = (
                f"the token file {error}; write what `scontrol token username=… lifespan=…` "
                "prints for a Slurm operator into a file there"
            )
            if not self._problem:
                log.warning("token.unreadable", error=problem, old_one_in_use=bool(self._token))
        else:
            problem = ""
            self._read_s = clock.monotonic()
            if self._problem:
                log.info("token.read_again", file=str(path))
        self._problem = problem
        self._looked_s = clock.monotonic()


def _parsed(path: Path, content: bytes) -> str:
    token = _cleaned(content.decode("ascii", errors="replace"))
    if not WORD.fullmatch(token):
        raise Unreadable(f"{path} holds no JWT (one word expected)")
    return token


def _cleaned(text: str) -> str:
    return text.strip().removeprefix(_PREFIX).strip()
