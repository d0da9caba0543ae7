"""What slurmdbd lets the users do whom namespaces name: their accounts and QOS.

Slurm refuses a job without an association at submit, or sets it aside for ever when the
association goes later (InvalidAccount). Told at admission, it is one line in the author's
terminal. Only what Slurm enforces (AccountingStorageEnforce) is a reason to refuse, and what is
not known refuses nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bridge import names
from bridge.jobs.identity import Identity
from bridge.slurm import Association


@dataclass(frozen=True, slots=True)
class Objection:
    """Why Slurm would not take the job: the parameter at fault ("" for none), and a sentence."""

    suffix: str
    message: str


@dataclass(frozen=True, slots=True)
class Accounts:
    """What was last read. Users are looked up by name only: a number is not told apart from an
    unknown one."""

    of_user: Mapping[str, tuple[Association, ...]] = field(default_factory=dict)
    """By the user's name in small letters, as slurmdbd keeps it; () for a user without any."""
    qos_enforced: bool = False

    def objection(
        self,
        who: Identity,
        *,
        accounts: Sequence[str] = (),
        qos: Sequence[str] = (),
        default_counts: bool = True,
    ) -> Objection | None:
        """Why no job of this user can be taken with any of `accounts` and any of `qos`.

        Where `accounts` is empty the user's default account counts, or with `default_counts`
        False (somebody may still name another) all that the user has.
        """
        found = self.of_user.get(who.user.lower())
        if found is None:
            return None
        here = [one for one in found if one.partition in ("", who.partition) or not who.partition]
        if not here:
            return Objection(
                "",
                f"Slurm refuses every job of user {who.user}, who has no account"
                + (f" for partition {who.partition}" if found else "")
                + ". Ask a Slurm admin for an account (sacctmgr add user)",
            )
        usable = _usable(here, accounts, default_counts=default_counts)
        mine = ", ".join(sorted({one.account for one in here}))
        if not usable:
            return Objection(
                "account",
                f"Slurm refuses jobs of user {who.user} in {_or(accounts)}. The user's accounts "
                f"are {mine}: name one of them in annotation {names.JOB_PREFIX}account, or ask a "
                "Slurm admin",
            )
        return self._qos_objection(who, usable, qos)

    def _qos_objection(
        self, who: Identity, usable: Sequence[Association], qos: Sequence[str]
    ) -> Objection | None:
        may = {name.lower() for one in usable for name in one.limits.qos or ()}
        if not self.qos_enforced or not qos or not may or may & {name.lower() for name in qos}:
            return None
        where = _or(sorted({one.account for one in usable}))
        return Objection(
            "qos",
            f"Slurm refuses QOS {_or(qos, what='')} to user {who.user} in {where}. Name one of "
            f"{', '.join(sorted(may))} in annotation {names.JOB_PREFIX}qos, or ask a Slurm admin",
        )


def _usable(
    here: Sequence[Association], accounts: Sequence[str], *, default_counts: bool
) -> list[Association]:
    wanted = {name.lower() for name in accounts}
    if wanted:
        return [one for one in here if one.account.lower() in wanted]
    default = [one for one in here if one.is_default]
    return default if default_counts else list(here)


def _or(found: Sequence[str], *, what: str = "account ") -> str:
    return what + " or ".join(found) if found else "the default account, which is not set"
