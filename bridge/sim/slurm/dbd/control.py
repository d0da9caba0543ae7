"""slurmctld's side of the accounting: whose a job is, and what its limits say to it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from bridge.sim.slurm import tres
from bridge.sim.slurm.dbd import limits
from bridge.sim.slurm.dbd.database import NORMAL, Database
from bridge.sim.slurm.dbd.rows import Association, Qos
from bridge.sim.slurm.dbd.tres import COUNTED, IDS
from bridge.sim.slurm.errors import ACCOUNTING_POLICY, INVALID_ACCOUNT, INVALID_QOS, Refused
from bridge.sim.slurm.job import Charge, Job, Request, Share
from bridge.sim.slurm.wire import Json

KNOWN: Final = frozenset({"associations", "limits", "qos"})
_NO_LIMITS: Final = Association(0, "")


class Control:
    """The policy of a cluster with accounting; `enforced` is AccountingStorageEnforce.

    `limits` and `qos` need associations, so they enforce them too (slurm.conf(5)). What isn't
    enforced is recorded all the same: a job of a user without an account runs, charged to nobody.
    """

    counted = COUNTED

    def __init__(self, database: Database, enforced: Iterable[str] = ()) -> None:
        self._db = database
        self.enforced = frozenset(enforced)

    @property
    def limits(self) -> bool:
        """Whether jobs are held to limits."""
        return "limits" in self.enforced

    def settings(self) -> dict[str, Json]:
        """What slurm.conf says of it."""
        enforced = self.enforced | {"associations"} if self.enforced else ()
        return {
            "AccountingStorageType": "accounting_storage/slurmdbd",
            "AccountingStorageEnforce": sorted(enforced),
            "AccountingStorageTRES": list(IDS),
        }

    def charge(self, request: Request) -> Charge:
        """Raises Refused: 2045 account, 2066 QOS."""
        association = self._association(request.user_name, request.texts.get("account", ""))
        named = request.texts.get("qos", "")
        if named and "qos" in self.enforced:
            self._refuse_unless_allowed(named, association)
        default = self._db.qos.get(association.default_qos) or self._db.qos[NORMAL]
        account = association.account if association.id else request.texts.get("account", "")
        return Charge(account, named or default.name, association.id)

    def admit(self, request: Request, charge: Charge, others: Iterable[Job]) -> int | None:
        """What goes beyond a limit waits, unless the QOS says DENY_LIMIT. Raises Refused (2050)."""
        association, qos = self._of(charge)
        if not self.limits or association is None:
            return request.time_limit_min
        job = Job(0, request, 0, 0.0, charge=charge)
        if not limits.submits(job, association, qos, list(others)):
            raise Refused(ACCOUNTING_POLICY)
        if "DENY_LIMIT" in qos.flags and self.never(job, ()):
            raise Refused(ACCOUNTING_POLICY)
        longest = limits.longest_min(association, qos)
        if request.time_limit_min is None and longest is not None:
            return int(longest)
        return request.time_limit_min

    def change(self, job: Job, texts: Mapping[str, str]) -> Charge:
        """An operator may give a job any QOS there is. Raises Refused: 2045, 2066."""
        charge = job.charge
        account, qos = texts.get("account", charge.account), texts.get("qos", charge.qos)
        if "account" in texts:
            association = self._association(job.request.user_name, account)
            if association.id:
                charge = Charge(association.account, charge.qos, association.id)
        if "qos" in texts:
            if self._db.qos_named(qos):
                charge = Charge(charge.account, qos, charge.association_id)
            elif "qos" in self.enforced:
                raise Refused(INVALID_QOS)
        return charge

    def never(self, job: Job, mates: Sequence[Job]) -> str:
        """Limits that it is beyond with what it asks for; a component of a het job then doesn't
        wait, whatever its QOS says. How many may be submitted is asked of each alone.
        """
        association, qos = self._of(job.charge)
        if not self.limits or association is None:
            return ""
        wanted = limits.holding(job)
        return limits.before(job, association, qos, mates) or limits.beside(
            job, wanted, self._db, association, qos, mates
        )

    def before(self, job: Job, running: Iterable[Job]) -> str:
        """Limits on jobs and on their time."""
        association, qos = self._of(job.charge)
        if not self.limits or association is None:
            return ""
        return limits.before(job, association, qos, [one for one in running if one.running])

    def beside(self, job: Job, shares: tuple[Share, ...], running: Iterable[Job]) -> str:
        """Limits on what jobs hold."""
        association, qos = self._of(job.charge)
        if not self.limits or association is None:
            return ""
        nodes = frozenset(share.node for share in shares)
        wanted = limits.Holding(tres.held(shares, COUNTED), nodes)
        others = [one for one in running if one.running]
        return limits.beside(job, wanted, self._db, association, qos, others)

    def _association(self, user: str, account: str) -> Association:
        """The effective one; with number 0 where there is none, and nobody minds.

        An account that the user has no part in is replaced by the default one, unless
        associations are enforced.
        """
        found = self._db.of_user(user, account) if user and account else None
        if found is None and user and not (account and self.enforced):
            found = self._db.default_of(user)
        if found is not None:
            return self._db.effective(found)
        if self.enforced:
            raise Refused(INVALID_ACCOUNT)
        return _NO_LIMITS

    def _refuse_unless_allowed(self, name: str, association: Association) -> None:
        qos = self._db.qos_named(name)
        if qos is None or qos.id not in association.qos:
            raise Refused(INVALID_QOS)

    def _of(self, charge: Charge) -> tuple[Association | None, Qos]:
        """Effective, as they are now; None for a job that is nobody's."""
        found = self._db.associations.get(charge.association_id)
        qos = self._db.qos_named(charge.qos) or Qos(0, charge.qos)
        return self._db.effective(found) if found else None, qos
