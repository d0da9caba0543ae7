"""The tables: what is in them, how it is found, and how it comes into them."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from bridge.sim.slurm.dbd.forms import Counts, Values
from bridge.sim.slurm.dbd.rows import ROOT, Account, Association, Qos, User

_OF_ONE_JOB_OR_USER = ("jobs.active", "jobs.total", "jobs.per.wall_clock", "tres.per.job")
"""Limits that an association has from its parent where it has none; those of a group are summed
over all below, and not inherited.
"""
NORMAL = 1


@dataclass(frozen=True, slots=True)
class Condition:
    """Which associations are meant; "" for any."""

    account: str = ""
    user: str = ""
    cluster: str = ""
    partition: str = ""


class Database:
    """As slurmdbd is after the first start of a cluster's slurmctld."""

    def __init__(self, cluster_name: str) -> None:
        self.cluster_name = cluster_name
        self.accounts = {ROOT: Account(ROOT, "default root account", ROOT)}
        self.users = {ROOT: User(ROOT, "Administrator")}
        self.qos = {NORMAL: Qos(NORMAL, "normal", "Normal QOS default")}
        self.associations = {
            1: Association(1, ROOT, qos=(NORMAL,)),
            2: Association(2, ROOT, ROOT, is_default=True),
        }
        self._association_ids = itertools.count(3)
        self._qos_ids = itertools.count(2)

    # -- associations --------------------------------------------------------------------------

    def of_account(self, name: str) -> Association | None:
        """The account's own; None where it has no place in the tree."""
        return self.of_user("", name)

    def of_user(self, user: str, account: str) -> Association | None:
        """The user's in that account."""
        return next(
            (
                one
                for one in self.associations.values()
                if (one.user, one.account) == (user, account)
            ),
            None,
        )

    def default_of(self, user: str) -> Association | None:
        """Where the jobs of a user that name no account are charged."""
        return next((one for one in self.all_of(user) if one.is_default), None)

    def all_of(self, user: str) -> Iterator[Association]:
        """Those of one user."""
        return (one for one in self.in_order(self.associations.values()) if one.user == user)

    def chain(self, association: Association) -> Iterator[Association]:
        """Itself, and all above it up to the root."""
        found: Association | None = association
        while found is not None:
            yield found
            above = found.account if found.user else found.parent
            found = self.of_account(above) if above else None

    def below(self, association: Association) -> list[Association]:
        """Itself and all that stand below it."""
        return [one for one in self.associations.values() if association in self.chain(one)]

    def effective(self, association: Association) -> Association:
        """With what it has from those above it."""
        qos, default_qos = association.qos, association.default_qos
        limits: dict[str, float | Counts] = dict(association.limits)
        for above in self.chain(association):
            qos, default_qos = qos or above.qos, default_qos or above.default_qos
            for path in _OF_ONE_JOB_OR_USER:
                inherited, own = above.limits.get(path), limits.get(path)
                if isinstance(inherited, int | float):
                    limits.setdefault(path, inherited)
                elif inherited is not None:
                    limits[path] = {**inherited, **(own if isinstance(own, dict) else {})}
        return replace(association, qos=qos, default_qos=default_qos, limits=limits)

    def lineage(self, association: Association) -> str:
        """`/physics/optics/0-marie/`."""
        accounts = [one.account for one in self.chain(association) if not one.user]
        path = "".join(f"{name}/" for name in reversed(accounts) if name != ROOT)
        return f"/{path}0-{association.user}/" if association.user else f"/{path}"

    def in_order(self, associations: Iterable[Association]) -> list[Association]:
        """As slurmdbd lists them: each account before what is below it."""
        return sorted(associations, key=self.lineage)

    def select(self, condition: Condition) -> list[Association]:
        """Those that fit all of what is said."""

        def fits(wanted: str, value: str) -> bool:
            return not wanted or value in wanted.split(",")

        return self.in_order(
            one
            for one in self.associations.values()
            if fits(condition.account, one.account)
            and fits(condition.user, one.user)
            and fits(condition.cluster, self.cluster_name)
            and not condition.partition
        )

    def add_account(self, account: Account, association: Association) -> None:
        """A new account, or a place in the tree for one that has lost it."""
        self.accounts.setdefault(account.name, account)
        self.add_association(association)

    def add_user(self, association: Association) -> None:
        """A user in an account; the first one is the default."""
        association.is_default = self.default_of(association.user) is None
        self.users.setdefault(association.user, User(association.user))
        self.add_association(association)

    def add_association(self, association: Association) -> None:
        """One whose account has its place; it gets its number."""
        association.id = next(self._association_ids)
        self.associations[association.id] = association

    # -- QOS -----------------------------------------------------------------------------------

    def qos_named(self, name: str) -> Qos | None:
        """By its name."""
        return next((one for one in self.qos.values() if one.name == name), None)

    def new_qos(self, name: str) -> Qos:
        """One without limits."""
        qos = Qos(next(self._qos_ids), name)
        self.qos[qos.id] = qos
        return qos


def number(limits: Values, path: str) -> float | None:
    """A limit that is a number; None where nothing is limited."""
    value = limits.get(path)
    return value if isinstance(value, int | float) else None


def counts(limits: Values, path: str) -> Counts:
    """A limit of TRES, empty where nothing is limited."""
    value = limits.get(path, {})
    return {} if isinstance(value, int | float) else value
