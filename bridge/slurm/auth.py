"""The token that slurmrestd asks for: a JWT from a file that others rotate, or a fixed one.

It is read again when the file changes (another inode or time: Kubernetes swaps a symlink, others
write in place) and when Slurm refuses it. It is never logged nor shown by repr.
"""

import asyncio
import os
import re
from pathlib import Path

from bridge.clock import Clock
from bridge.errors import BadInput
from bridge.slurm.errors import NotAuthorised

_STAT_INTERVAL_S = 1.0
_MAX_BYTES = 64 * 1024
_PREFIX = "SLURM_JWT="
WORD = re.compile(r"[!-~]+")
"""What a header can hold of a token or a user's name."""


class TokenSource:
    """Gives the token of the moment. Made by `from_file` or `fixed`."""

    def __init__(self, *, path: Path | None, token: str) -> None:
        self._path = path
        self._token = token
        self._stamp: tuple[int, int, int] | None = None
        self._looked_s = float("-inf")
        self._reading = asyncio.Lock()

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> "TokenSource":
        """A file that holds the JWT, alone or as `scontrol token` prints it (SLURM_JWT=…)."""
        return cls(path=Path(path), token="")

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

    async def get(self, *, clock: Clock) -> str:
        """The token. Raises NotAuthorised when the file can't be read or holds none."""
        if self._path is not None and self._due(clock):
            async with self._reading:
                if self._due(clock):
                    await asyncio.to_thread(self._read, self._path)
                    self._looked_s = clock.monotonic()
        return self._token

    def _due(self, clock: Clock) -> bool:
        return clock.monotonic() - self._looked_s >= _STAT_INTERVAL_S

    async def renew(self, *, refused: str) -> bool:
        """Read again, since Slurm refused that token. Whether there is another one now."""
        if self._path is None:
            return False
        async with self._reading:
            if self._token == refused:  # else another request has read it meanwhile
                self._stamp = None
                await asyncio.to_thread(self._read, self._path)
        return self._token != refused

    def _read(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                facts = os.fstat(file.fileno())
                stamp = (facts.st_ino, facts.st_mtime_ns, facts.st_size)
                if stamp == self._stamp:
                    return
                text = file.read(_MAX_BYTES).decode("ascii", errors="replace")
        except OSError as error:
            raise NotAuthorised(
                f"the token file {path} can't be read ({error.strerror}); write the JWT of a "
                "Slurm operator into it (scontrol token username=… lifespan=…)"
            ) from error
        token = _cleaned(text)
        if not WORD.fullmatch(token):
            raise NotAuthorised(
                f"the token file {path} holds no JWT (one word expected); write the output of "
                "`scontrol token` into it"
            )
        self._token, self._stamp = token, stamp


def _cleaned(text: str) -> str:
    return text.strip().removeprefix(_PREFIX).strip()
