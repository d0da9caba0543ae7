"""What can go wrong between us and Slurm, with a class for what a caller does differently.

    BridgeError
     └── SlurmError                      number, name, source, warnings: Slurm's own words
          ├── NotFound                   Slurm answered healthily: there is no such object
          │    └── JobNotFound           ... job (never, or ended and purged)
          ├── InvalidRequest             asked for what can't be; sending it again won't help
          │    └── AlreadyExists         ... a node of that name
          ├── RejectedByPolicy           account, QOS, limits, rights of the job's user
          ├── NotAuthorised              our own token or user is refused
          ├── InUse                      jobs use it (a node, an account …); when they have ended …
          ├── JobEnded                   the job is over (or ending): nothing left to change
          ├── ServerTooOld               no REST version that both know
          └── Unavailable (Unreachable)  no answer, or none from slurmctld; try again later
               ├── RateLimited           too many requests (or jobs); try again later
               └── MalformedAnswer       what answered is not a slurmrestd we understand

slurmrestd's HTTP status says little: it answers 200 with errors inside, 500 for a user's typo, and
403 "Operation not permitted" when slurmctld is down. What counts is Slurm's own error number;
`answers` turns it into one of these. Each message tells what was tried, what came back and what
to do.
"""

from collections.abc import Sequence

from bridge.errors import BridgeError, Unreachable
from bridge.slurm import errno


class SlurmError(BridgeError):
    """The root of this package's tree."""

    def __init__(
        self,
        message: str,
        *,
        number: int = 0,
        source: str = "",
        warnings: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.number = number
        """Slurm's error number; 0 when Slurm gave none."""
        self.source = source
        """Slurm's function, or the path of the field at fault."""
        self.warnings = tuple(warnings)

    @property
    def name(self) -> str:
        """Slurm's name of the number (ESLURM_INVALID_PARTITION_NAME), "" when we know none."""
        return errno.name_of(self.number)

    @property
    def is_lack_of_nodes(self) -> bool:
        """Whether a job is refused because of what nodes there are, whatever runs on them."""
        return self.number in errno.LACK_OF_NODES


class NotFound(SlurmError):
    """There is no such object; said by a healthy Slurm."""


class JobNotFound(NotFound):
    """There is no such job: it never was, or it ended and was purged (MinJobAge)."""


class InvalidRequest(SlurmError):
    """The request asks for what can't be; unchanged it will never succeed."""


class AlreadyExists(InvalidRequest):
    """There is an object of that name already."""


class RejectedByPolicy(SlurmError):
    """Account, QOS, limit or right of the job's user forbid it."""


class NotAuthorised(SlurmError):
    """Slurm refuses our own token or user."""


class InUse(SlurmError):
    """The node still has jobs, or the reservation, partition or association is in use; it may
    succeed when they have ended."""


class JobEnded(SlurmError):
    """The job is over or ending."""


class ServerTooOld(SlurmError):
    """No REST version that both sides know."""


class Unavailable(SlurmError, Unreachable):
    """Slurm does not answer; the request may have been carried out, unless `nothing_done`."""

    def __init__(
        self,
        message: str,
        *,
        number: int = 0,
        source: str = "",
        warnings: Sequence[str] = (),
        nothing_done: bool = False,
        by_slurm: bool = False,
    ) -> None:
        super().__init__(message, number=number, source=source, warnings=warnings)
        self.nothing_done = nothing_done
        """The request surely changed nothing: it never left, or was turned away."""
        self.by_slurm = by_slurm
        """slurmrestd itself says that slurmctld is away: another endpoint helps little."""


class RateLimited(Unavailable):
    """Slurm wants fewer requests, or fewer jobs."""


class MalformedAnswer(Unavailable):
    """The answer can't be understood: a proxy's page, broken JSON, values of the wrong type."""
