"""`POST /associations/` and `POST /qos/`: rows are changed, or made where there is none."""

from typing import Final

from bridge.sim.slurm.answers import Answer, Call, Envelope
from bridge.sim.slurm.cluster import Cluster
from bridge.sim.slurm.dbd import forms
from bridge.sim.slurm.dbd.adding import missing, qos_numbers
from bridge.sim.slurm.dbd.api import NOTHING_CHANGED
from bridge.sim.slurm.dbd.database import Database
from bridge.sim.slurm.dbd.rows import Association, Qos
from bridge.sim.slurm.errors import (
    DATA_FLAG,
    DATA_NOT_A_LIST_OF_FLAGS,
    REST_INVALID_QUERY,
    status_of,
)
from bridge.sim.slurm.wire import (
    Complaints,
    Json,
    read_names,
    read_number,
    read_text,
    slurm_type,
)

_ASSOCIATION_FIELDS: Final = frozenset(
    {
        *("account", "accounting", "cluster", "comment", "default", "flags", "id", "is_default"),
        *("lineage", "max", "min", "parent_account", "partition", "priority", "qos"),
        *("shares_raw", "user"),
    }
)
_QOS_FIELDS: Final = frozenset(
    {
        *("description", "flags", "id", "limits", "name", "preempt", "priority"),
        *("usage_factor", "usage_threshold"),
    }
)
_ORDER: Final = ("NOT_SET", "ADD", "REMOVE")
_FLAGS: Final = (
    *("PARTITION_MINIMUM_NODE", "PARTITION_MAXIMUM_NODE", "PARTITION_TIME_LIMIT"),
    *("ENFORCE_USAGE_THRESHOLD", "NO_RESERVE", "REQUIRED_RESERVATION", "DENY_LIMIT"),
    *("OVERRIDE_PARTITION_QOS", "PARTITION_QOS", "NO_DECAY", "USAGE_FACTOR_SAFE", "RELATIVE"),
)
"""In the order they are shown in."""


class ChangingApi:
    """What isn't sent stays, but for the flags of a QOS and *all TRES limits of an association*,
    which a change of its shares lifts. Waiting jobs are looked at again.
    """

    def __init__(self, cluster: Cluster, database: Database, envelope: Envelope) -> None:
        self._cluster = cluster
        self._db = database
        self._envelope = envelope

    def associations(self, call: Call) -> Answer:
        """Each that is sent; of a user that isn't in the account, a new one."""
        rows = self._rows(call, "associations")
        if isinstance(rows, Answer):
            return rows
        complaints, changes = Complaints(), []
        for index, row in enumerate(rows):
            at = f"#/associations[{index}]/"
            if "user" not in row:
                return missing(self._envelope, "user", at)
            _drop_what_is_no_object(row, ("max", "default"), "DATA_PARSER_ASSOC", complaints, at)
            changes.append((row, *self._association(row, complaints, at)))
        if complaints.errors or complaints.wrong_type:
            return self._unread(complaints)
        if not all(_says_something(row) for row in rows):
            return NOTHING_CHANGED
        for row, sent, qos, default in changes:
            found = self._one(row)
            if found is None:
                continue
            found.limits = forms.changed(forms.numbers(found.limits), sent)
            shares = read_number(row, "shares_raw", Complaints(), "")
            found.shares = found.shares if shares.value is None else shares.value
            found.qos, found.default_qos = qos or found.qos, default or found.default_qos
        self._cluster.limits_changed(call.now)
        return self._envelope.answer({}, complaints)

    def _association(
        self, row: dict[str, Json], complaints: Complaints, at: str
    ) -> tuple[forms.Sent, tuple[int, ...] | None, int]:
        complaints.unknown_fields(row, _ASSOCIATION_FIELDS, "DATA_PARSER_ASSOC", at)
        sent = forms.read(forms.ASSOCIATION, row.get("max"), complaints, f"{at}max/")
        read_number(row, "shares_raw", complaints, at)
        names = read_names(row, "qos", complaints, at)
        qos = qos_numbers(self._db, names, complaints, f"{at}qos/")
        known = self._db.qos_named(str((row.get("default") or {}).get("qos") or ""))
        return sent, qos, known.id if known else 0

    def _one(self, row: dict[str, Json]) -> Association | None:
        """The association that is meant; without a word None where there can't be one."""
        account, user = str(row.get("account", "")), str(row["user"])
        if row.get("cluster", self._db.cluster_name) != self._db.cluster_name:
            return None
        found = self._db.of_user(user, account)
        if found is None and user and self._db.of_account(account):
            found = Association(0, account, user, is_default=self._db.default_of(user) is None)
            self._db.add_association(found)
        return found

    def qos(self, call: Call) -> Answer:
        """Each that is sent, a new one where none has the name."""
        rows = self._rows(call, "qos")
        if isinstance(rows, Answer):
            return rows
        complaints, changes = Complaints(), []
        for index, row in enumerate(rows):
            at = f"#/qos[{index}]/"
            if not read_text(row, "name", complaints, at):
                about = "Cannot create a QOS without a name"
                return self._envelope.refused(REST_INVALID_QUERY, about, "_foreach_update_qos")
            _drop_what_is_no_object(row, ("limits", "preempt"), "DATA_PARSER_QOS", complaints, at)
            changes.append((row, *self._qos(row, complaints, at)))
        if complaints.errors or complaints.wrong_type:
            return self._unread(complaints)
        for row, sent, preempts, flags in changes:
            name = str(row["name"])
            qos = self._db.qos_named(name) or self._db.new_qos(name)
            _change_qos(qos, row, sent, preempts, flags)
        self._cluster.limits_changed(call.now)
        return self._envelope.answer({}, complaints)

    def _qos(
        self, row: dict[str, Json], complaints: Complaints, at: str
    ) -> tuple[forms.Sent, tuple[int, ...] | None, list[str]]:
        complaints.unknown_fields(row, _QOS_FIELDS, "DATA_PARSER_QOS", at)
        limits = {
            name: value for name, value in (row.get("limits") or {}).items() if name != "grace_time"
        }
        sent = forms.read(forms.QOS, limits, complaints, f"{at}limits/")
        names = read_names(row.get("preempt") or {}, "list", complaints, f"{at}preempt/")
        preempts = qos_numbers(self._db, names, complaints, f"{at}preempt/list/")
        flags = _read_flags(row, complaints, at)
        for index, flag in enumerate(flags):
            if flag not in (*_ORDER, *_FLAGS):
                about = f'Unknown flag "{flag}"'
                complaints.error(DATA_FLAG, about, f"{at}flags[{index}]/")
        read_number(row, "priority", complaints, at)
        read_text(row, "description", complaints, at)
        return sent, preempts, flags

    def _rows(self, call: Call, key: str) -> list[dict[str, Json]] | Answer:
        if not isinstance(call.body, dict):
            return self._envelope.no_dictionary()
        rows, complaints = call.body.get(key), Complaints()
        if rows is None:
            return missing(self._envelope, key, "#/")
        for index, row in enumerate(rows if isinstance(rows, list) else [str(rows)]):
            if not isinstance(row, dict):
                complaints.no_object(row, f"#/{key}[{index}]/")
                return self._unread(complaints)
        return [dict(row) for row in rows]

    def _unread(self, complaints: Complaints) -> Answer:
        status = status_of(complaints.errors[0]["error_number"]) if complaints.errors else 200
        return self._envelope.answer({}, complaints, status=status)


def _drop_what_is_no_object(
    row: dict[str, Json], names: tuple[str, ...], parser: str, complaints: Complaints, at: str
) -> None:
    """Slurm's parser then looks for no such field."""
    for name in names:
        if name in row and not isinstance(row[name], dict):
            complaints.unknown_fields({name: row.pop(name)}, frozenset(), parser, at)


def _read_flags(row: dict[str, Json], complaints: Complaints, at: str) -> list[str]:
    """A list of words; whether they are flags is for the caller to see."""
    flags = row.get("flags")
    if flags is None or isinstance(flags, list):
        return [str(flag) for flag in flags or []]
    about = f"Expected a List but found a {slurm_type(flags)}"
    complaints.error(DATA_NOT_A_LIST_OF_FLAGS, about, f"{at}flags/")
    return []


def _says_something(row: dict[str, Json]) -> bool:
    """An empty list of QOS alone is no change."""
    said = row.keys() & {"shares_raw", "default", "max"} or row.get("qos")
    return bool(said) or "qos" not in row


def _change_qos(
    qos: Qos,
    row: dict[str, Json],
    sent: forms.Sent,
    preempts: tuple[int, ...] | None,
    flags: list[str],
) -> None:
    """Flags that aren't sent are taken away, unless NOT_SET is, or ADD or REMOVE."""
    quiet = Complaints()
    qos.description = str(row.get("description", qos.description))
    priority = read_number(row, "priority", quiet, "")
    qos.priority = qos.priority if priority.value is None else priority.value
    factor = row.get("usage_factor", qos.usage_factor)
    factor = factor.get("number") if isinstance(factor, dict) else factor
    qos.usage_factor = float(factor) if isinstance(factor, int | float) else qos.usage_factor
    grace = read_number(row.get("limits") or {}, "grace_time", quiet, "")
    qos.grace_s = qos.grace_s if grace.value is None else grace.value
    qos.limits = forms.changed(qos.limits, sent)
    qos.preempts = preempts or qos.preempts
    if "NOT_SET" in flags:
        return
    if "ADD" in flags:
        wanted = {*qos.flags, *flags}
    elif "REMOVE" in flags:
        wanted = {*qos.flags} - {*flags}
    else:
        wanted = {*flags}
    qos.flags = tuple(flag for flag in _FLAGS if flag in wanted)
