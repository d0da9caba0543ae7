"""Rows as slurmrestd shows them (v0.0.45 and v0.0.44 alike)."""

from bridge.sim.slurm.dbd import forms, tres
from bridge.sim.slurm.dbd.database import Database
from bridge.sim.slurm.dbd.rows import Account, Association, Qos, User
from bridge.sim.slurm.wire import INFINITE, Complaints, Json, number

_RPC_VERSION = 11520


def account(one: Account, db: Database, *, with_associations: bool) -> dict[str, Json]:
    """An account; its associations only when asked for."""
    own = db.of_account(one.name)
    return {
        "associations": [_short(own, db)] if own and with_associations else [],
        "coordinators": [],
        "description": one.description,
        "name": one.name,
        "organization": one.organization,
        "flags": [],
    }


def user(one: User, db: Database, *, with_associations: bool) -> dict[str, Json]:
    """A user; without its associations no default is known either."""
    default = db.default_of(one.name) if with_associations else None
    rows = db.all_of(one.name) if with_associations else ()
    return {
        "administrator_level": [one.level],
        "associations": [_short(row, db) for row in rows],
        "coordinators": [],
        "default": {
            "qos": db.effective(default).default_qos if default else 0,
            "account": default.account if default else "",
            "wckey": "",
        },
        "flags": ["NONE"],
        "name": one.name,
        "old_name": "",
        "wckeys": [],
    }


def _short(one: Association, db: Database) -> dict[str, Json]:
    return {
        "account": one.account,
        "cluster": db.cluster_name,
        "partition": "",
        "user": one.user,
        "id": one.id,
    }


def association(one: Association, db: Database, complaints: Complaints) -> dict[str, Json]:
    """With what it has from those above it."""
    whole = db.effective(one)
    default = ""
    if whole.default_qos:
        known = db.qos.get(whole.default_qos)
        default = known.name if known else "Unknown"
        if known is None:
            complaints.warn(f"Unknown QOS with id#{whole.default_qos}. Unable to dump QOS.")
    return {
        "accounting": [],
        "account": one.account,
        "cluster": db.cluster_name,
        "comment": "",
        "default": {"qos": default},
        "flags": [],
        "max": forms.show(forms.ASSOCIATION, whole.limits),
        "id": one.id,
        "is_default": one.is_default,
        "lineage": db.lineage(one),
        "min": {"priority_threshold": INFINITE},
        "parent_account": one.parent,
        "partition": "",
        "priority": INFINITE,
        "qos": [db.qos[each].name for each in whole.qos],
        "shares_raw": one.shares,
        "user": one.user,
    }


def qos(one: Qos, db: Database) -> dict[str, Json]:
    """A QOS."""
    return {
        "description": one.description,
        "flags": list(one.flags),
        "id": one.id,
        "limits": {"grace_time": one.grace_s, **forms.show(forms.QOS, one.limits)},
        "name": one.name,
        "preempt": {
            "list": [db.qos[each].name for each in one.preempts],
            "mode": ["DISABLED"],
            "exempt_time": INFINITE,
        },
        "priority": number(one.priority),
        "usage_factor": number(one.usage_factor),
        "usage_threshold": {**INFINITE, "number": 0.0},
    }


def cluster(db: Database, *, port: int) -> dict[str, Json]:
    """The one cluster, whose slurmctld has registered."""
    root = _short(db.associations[1], db) if 1 in db.associations else {}
    return {
        "controller": {"host": "127.0.0.1", "port": port},
        "flags": ["MULTIPLE_SLURMD"],
        "name": db.cluster_name,
        "nodes": "",
        "associations": {"root": root},
        "rpc_version": _RPC_VERSION,
        "tres": tres.everything(with_offset=False),
    }
