"""`/accounts_association/` and `/users_association/`: accounts and users, associated."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from bridge.sim.slurm.answers import Answer, Call, Envelope
from bridge.sim.slurm.dbd import forms
from bridge.sim.slurm.dbd.api import NOTHING_CHANGED
from bridge.sim.slurm.dbd.database import Database
from bridge.sim.slurm.dbd.rows import ROOT, Account, Association
from bridge.sim.slurm.errors import (
    DATA_PATH,
    INVALID_CLUSTER,
    INVALID_PARENT_ACCOUNT,
    INVALID_QOS,
    NotEmulated,
    status_of,
)
from bridge.sim.slurm.wire import Complaints, Json, read_names, read_number, read_object, read_text

_LIMITS: Final = {
    "maxjobs": "jobs.active",
    "maxsubmitjobs": "jobs.total",
    "maxwalldurationperjob": "jobs.per.wall_clock",
    "maxtresperjob": "tres.per.job",
    "grptres": "tres.total",
}
"""What these paths call the limits of `forms.ASSOCIATION`."""
_FIELDS: Final = frozenset(
    {
        *("comment", "defaultqos", "fairshare", "grpjobs", "grpjobsaccrue", "grpsubmitjobs"),
        *("grptres", "grptresmins", "grptresrunmins", "grpwall", "maxjobs", "maxjobsaccrue"),
        *("maxsubmitjobs", "maxtresminsperjob", "maxtresperjob", "maxtrespernode"),
        *("maxtresrunmins", "maxwalldurationperjob", "minpriothresh", "parent", "priority"),
        "qoslevel",
    }
)
_AT: Final = "#/association_condition/"


@dataclass(slots=True)
class _Wish:
    """What was sent, read."""

    accounts: list[str]
    users: list[str]
    parent: str
    pattern: Association
    """What each new association is like."""
    complaints: Complaints
    clusters: list[str]
    about: dict[str, Json]
    """Of an account: description and organization."""


class AddingApi:
    """Both take many names at once; what is there already stays as it is."""

    def __init__(self, database: Database, envelope: Envelope) -> None:
        self._db = database
        self._envelope = envelope

    def accounts(self, call: Call) -> Answer:
        """Accounts below a parent. Where all are there already nothing is changed."""
        wish = self._read(call, "accounts")
        if isinstance(wish, Answer):
            return wish
        unknown = [one for one in wish.clusters if one != self._db.cluster_name]
        if unknown:
            text = f"Cluster '{unknown[0]}' has not been added yet, please contact your admin "
            return self._refused(INVALID_CLUSTER, f"{text}before adding accounts to it", wish)
        if self._db.of_account(wish.parent) is None:
            text = f"No parent account '{wish.parent}' on cluster '{self._db.cluster_name}'"
            return self._refused(INVALID_PARENT_ACCOUNT, text, wish)
        new = [name for name in wish.accounts if self._db.of_account(name) is None]
        if not new:
            return NOTHING_CHANGED
        about = str(wish.about.get("description", "Account Name"))
        whose = str(wish.about.get("organization", "Parent/Account Name"))
        for name in new:
            association = replace(wish.pattern, account=name, parent=wish.parent)
            self._db.add_account(Account(name, about, whose), association)
        settings = f"  Description     = {about}\n  Organization    = {whose}\n"
        lines = (self._line(name) for name in new)
        text = _told("Account(s)", new, settings, lines)
        return self._envelope.answer({"added_accounts": text}, wish.complaints)

    def users(self, call: Call) -> Answer:
        """Users in accounts. For an unknown account or cluster nothing is changed or said."""
        wish = self._read(call, "users")
        if isinstance(wish, Answer):
            return wish
        if not all(one == self._db.cluster_name for one in wish.clusters):
            return NOTHING_CHANGED
        new = [name for name in wish.users if name not in self._db.users]
        lines = []
        for name in wish.users:
            for account in wish.accounts:
                if self._db.of_account(account) and not self._db.of_user(name, account):
                    self._db.add_user(replace(wish.pattern, account=account, user=name))
                    lines.append(f"{self._line(account)} U = {name:<9}")
        if not lines:
            return NOTHING_CHANGED
        text = _told("User(s)", new, "", lines)
        return self._envelope.answer({"added_users": text}, wish.complaints)

    def _read(self, call: Call, needed: str) -> _Wish | Answer:
        """What is wished for, or the answer to what can't be: to a default QOS that there isn't,
        and to what is no number, slurmrestd says 200, and does nothing.
        """
        if not isinstance(call.body, dict):
            return self._envelope.no_dictionary()
        complaints = Complaints()
        condition = read_object(call.body, "association_condition", complaints, "#/")
        if call.body.get("association_condition") is None:
            return missing(self._envelope, "association_condition", "#/")
        if not condition.get(needed) and not complaints.errors:
            return missing(self._envelope, needed, _AT)
        at = f"{_AT}association/"
        body = read_object(condition, "association", complaints, _AT)
        about = read_object(call.body, "account", complaints, "#/")
        complaints.unknown_fields(body, _FIELDS, "DATA_PARSER_ASSOC_REC_SET", at)
        wish = _Wish(
            accounts=read_names(condition, "accounts", complaints, _AT) or [],
            users=read_names(condition, "users", complaints, _AT) or [],
            parent=read_text(body, "parent", complaints, at) or ROOT,
            pattern=self._pattern(body, complaints, at),
            complaints=complaints,
            clusters=read_names(condition, "clusters", complaints, _AT) or [],
            about=about,
        )
        default = read_text(body, "defaultqos", complaints, at) or ""
        known = self._db.qos_named(default)
        wish.pattern.default_qos = known.id if known else 0
        if complaints.errors:
            status = status_of(complaints.errors[0]["error_number"])
            return self._envelope.answer({}, complaints, status=status)
        if complaints.wrong_type or (default and known is None):
            return self._envelope.answer({}, complaints)
        return wish

    def _pattern(self, body: dict[str, Json], complaints: Complaints, at: str) -> Association:
        limits: forms.Values = {}
        for name in body.keys() & _FIELDS:
            if name in _LIMITS:
                sent = forms.read_leaf(_LIMITS[name], name, body, complaints, at)
                limits = forms.changed(limits, sent)
            elif name not in ("parent", "fairshare", "qoslevel", "defaultqos") and body[name]:
                raise NotEmulated(f"{name} of an association")
        return Association(
            0,
            "",
            shares=read_number(body, "fairshare", complaints, at).value or 1,
            qos=qos_numbers(
                self._db, read_names(body, "qoslevel", complaints, at), complaints, f"{at}qoslevel/"
            )
            or (),
            limits=limits,
        )

    def _line(self, account: str) -> str:
        return f"  C = {self._db.cluster_name:<10} A = {account:<20}"

    def _refused(self, number: int, text: str, wish: _Wish) -> Answer:
        return self._envelope.refused(
            number,
            "slurmdb_accounts_add_cond() failed",
            "_add_accounts_association",
            content={"added_accounts": text},
            complaints=wish.complaints,
        )


def missing(envelope: Envelope, name: str, at: str) -> Answer:
    """A field that must be there is not."""
    about = f"Missing required field '{name}' in dictionary"
    complaints = Complaints()
    complaints.error(DATA_PATH, about, f"{at}{name}/")
    return envelope.answer({}, complaints, status=status_of(DATA_PATH))


def qos_numbers(
    db: Database, names: Iterable[str] | None, complaints: Complaints, source: str
) -> tuple[int, ...] | None:
    """Of names of QOS; an error for one that there isn't. None when nothing was sent."""
    if names is None:
        return None
    numbers = []
    for name in names:
        qos = db.qos_named(name)
        if qos is None:
            complaints.error(INVALID_QOS, f"Unable to resolve QOS: {name}", source)
        else:
            numbers.append(qos.id)
    return tuple(sorted(numbers))


def _told(nouns: str, new: Iterable[str], settings: str, lines: Iterable[str]) -> str:
    """As sacctmgr would print it."""
    names = "".join(f"  {name}\n" for name in new)
    head = f" Adding {nouns}\n{names} Settings\n{settings}" if names else ""
    return head + " Associations =\n" + "".join(f"{line}\n" for line in lines)
