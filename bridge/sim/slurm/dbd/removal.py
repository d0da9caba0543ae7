"""How rows go: never those that jobs use, nor a user's default account while he has another."""

from collections.abc import Collection

from bridge.sim.slurm.dbd.database import Condition, Database
from bridge.sim.slurm.dbd.rows import Association
from bridge.sim.slurm.errors import DEFAULT_ACCOUNT, JOBS_ACTIVE, Refused


def remove_account(db: Database, name: str, busy: Collection[int]) -> bool:
    """An account with all associations below it; accounts below stay, without a place.

    False where there is none. Raises Refused: 7001 jobs use it, 7009.
    """
    if name not in db.accounts:
        return False
    own = db.of_account(name)
    if own is not None:
        _remove(db, db.below(own), busy)
    del db.accounts[name]
    return True


def remove_user(db: Database, name: str, busy: Collection[int]) -> bool:
    """A user with all associations. False where there is none. Raises Refused (7001)."""
    if name not in db.users:
        return False
    _remove(db, list(db.all_of(name)), busy)
    del db.users[name]
    return True


def remove_associations(
    db: Database, condition: Condition, busy: Collection[int]
) -> list[Association]:
    """Those that fit and all below them, as they were. Raises Refused: 7001, 7009."""
    chosen = {below.id for one in db.select(condition) for below in db.below(one)}
    gone = db.in_order(db.associations[number] for number in chosen)
    _remove(db, gone, busy)
    return gone


def remove_qos(db: Database, name: str) -> bool:
    """A QOS, out of all lists of allowed ones; whose default it was is left with its number."""
    qos = db.qos_named(name)
    if qos is None:
        return False
    del db.qos[qos.id]
    for association in db.associations.values():
        association.qos = tuple(one for one in association.qos if one != qos.id)
    for other in db.qos.values():
        other.preempts = tuple(one for one in other.preempts if one != qos.id)
    return True


def _remove(db: Database, gone: list[Association], busy: Collection[int]) -> None:
    if any(one.id in busy for one in gone):
        raise Refused(JOBS_ACTIVE)
    for one in gone:
        if one.user and one.is_default and any(other not in gone for other in db.all_of(one.user)):
            raise Refused(DEFAULT_ACCOUNT)
    for one in gone:
        del db.associations[one.id]
