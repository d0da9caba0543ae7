"""Whom slurmctld lets submit, and whom it lets start: the seam to the accounting.

Without accounting everybody may do everything (`Anybody`); `dbd.control.Control` holds users to
their associations, and jobs to limits.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from bridge.sim.slurm.job import Charge, Job, Request, Share
from bridge.sim.slurm.wire import Json


class Policy(Protocol):
    """What the cluster asks before it takes or starts a job."""

    @property
    def limits(self) -> bool:
        """Whether it ever has a reason to keep a job waiting."""

    counted: frozenset[str]
    """Kinds of GRES that are counted beside CPUs, memory and nodes: "gpu", "gpu:h100"."""

    def settings(self) -> dict[str, Json]:
        """What slurm.conf says of the accounting."""

    def charge(self, request: Request) -> Charge:
        """Whom a new job is charged to. Raises Refused."""

    def admit(self, request: Request, charge: Charge, others: Iterable[Job]) -> int | None:
        """Its time limit, also where it named none; `others` wait or run. Raises Refused."""

    def never(self, job: Job, mates: Sequence[Job]) -> str:
        """Slurm's reason why a job could not run even if nobody did but those that it must run
        with; "" for none.
        """

    def change(self, job: Job, texts: dict[str, str]) -> Charge:
        """An operator changes account or QOS of a job. Raises Refused."""

    def before(self, job: Job, running: Iterable[Job]) -> str:
        """Slurm's reason why a job may not start wherever it would; "" for none."""

    def beside(self, job: Job, shares: tuple[Share, ...], running: Iterable[Job]) -> str:
        """The same for what it would get."""


class Anybody:
    """No accounting."""

    counted: frozenset[str] = frozenset()
    limits = False

    def settings(self) -> dict[str, Json]:
        """There is none."""
        return {"AccountingStorageType": "", "AccountingStorageEnforce": []}

    def charge(self, request: Request) -> Charge:
        """Whomever it names."""
        return Charge(request.texts.get("account", ""))

    def admit(self, request: Request, charge: Charge, others: Iterable[Job]) -> int | None:
        """Whoever asks, for as long as they ask."""
        return request.time_limit_min

    def never(self, job: Job, mates: Sequence[Job]) -> str:
        """Nothing hinders."""
        return ""

    def change(self, job: Job, texts: dict[str, str]) -> Charge:
        """The account is a word that is kept."""
        return Charge(texts.get("account", job.charge.account))

    def before(self, job: Job, running: Iterable[Job]) -> str:
        """Nothing hinders."""
        return ""

    def beside(self, job: Job, shares: tuple[Share, ...], running: Iterable[Job]) -> str:
        """Nothing hinders."""
        return ""
