"""Whom slurmctld lets submit, and whom it lets start: the seam to the accounting.

Without accounting everybody may do everything (`Anybody`); `dbd.control.Control` holds users to
their associations, and jobs to limits.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from bridge.sim.slurm.job import Charge, Job, Request, Share
from bridge.sim.slurm.wire import Json


@dataclass(frozen=True, slots=True)
class Admission:
    """What a new job is charged to, and the time limit it gets where it named none."""

    charge: Charge
    time_limit_min: int | None


class Policy(Protocol):
    """What the cluster asks before it takes or starts a job."""

    @property
    def limits(self) -> bool:
        """Whether it ever has a reason to keep a job waiting."""

    counted: frozenset[str]
    """Kinds of GRES that are counted beside CPUs, memory and nodes: "gpu", "gpu:h100"."""

    def settings(self) -> dict[str, Json]:
        """What slurm.conf says of the accounting."""

    def admit(self, request: Request, others: Iterable[Job]) -> Admission:
        """A job is submitted; `others` wait or run. Raises Refused."""

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

    def admit(self, request: Request, others: Iterable[Job]) -> Admission:
        """Whoever asks."""
        return Admission(Charge(request.texts.get("account", "")), request.time_limit_min)

    def change(self, job: Job, texts: dict[str, str]) -> Charge:
        """The account is a word that is kept."""
        return Charge(texts.get("account", job.charge.account))

    def before(self, job: Job, running: Iterable[Job]) -> str:
        """Nothing hinders."""
        return ""

    def beside(self, job: Job, shares: tuple[Share, ...], running: Iterable[Job]) -> str:
        """Nothing hinders."""
        return ""
