"""`/shares`: the tree of associations with what each may use. Nobody has used anything here."""

from bridge.sim.slurm.answers import Answer, Call, Envelope
from bridge.sim.slurm.dbd import tres
from bridge.sim.slurm.dbd.database import Database
from bridge.sim.slurm.dbd.rows import Association
from bridge.sim.slurm.wire import INFINITE, Complaints, Json, number

_UNUSED_LEVEL = 2.0**64
"""The level of whoever has used nothing: Slurm's infinity, as slurmrestd writes it."""
_INFINITY = "Dumping (0xffffffffffffffff) as place holder for Infinity"
_ROOTS_PART = 2.3283064376228985e-10
"""Of nothing: one of 2³² - 1, the root's shares being "not set"."""


class SharesApi:
    """slurmctld's view, depth first. The query's `accounts` and `users` change nothing, as they
    don't in slurmrestd 26.05.
    """

    def __init__(self, database: Database, envelope: Envelope) -> None:
        self._db = database
        self._envelope = envelope

    def shares(self, _: Call) -> Answer:
        """Every line."""
        complaints = Complaints()
        rows = [self._row(one) for one in self._db.in_order(self._db.associations.values())]
        for row in rows:
            if row["fairshare"]["level"]["set"]:
                complaints.warn(_INFINITY)
        return self._envelope.answer({"shares": {"shares": rows, "total_shares": 0}}, complaints)

    def _row(self, one: Association) -> dict[str, Json]:
        above = one.account if one.user else one.parent
        part = self._part(one, above) if above else _ROOTS_PART
        unlimited = [{"name": name, "value": INFINITE} for name in tres.IDS]
        return {
            "id": one.id,
            "cluster": self._db.cluster_name,
            "name": one.user or one.account,
            "parent": above,
            "partition": "",
            "shares_normalized": number(part),
            "shares": number(one.shares if above else None),
            "tres": {
                "run_seconds": [{"name": name, "value": number(0)} for name in tres.IDS],
                "group_minutes": unlimited,
                "usage": [{"name": name, "value": 0.0} for name in tres.IDS],
            },
            "effective_usage": number(0.0 if above else 1.0),
            "usage_normalized": number(0.0 if above else None),
            "usage": 0,
            "fairshare": {
                "factor": number(1.0 if one.user else 0.0),
                "level": number(_UNUSED_LEVEL if above else None),
            },
            "type": ["USER" if one.user else "ASSOCIATION"],
        }

    def _part(self, one: Association, above: str) -> float:
        """Of what its parent has, among its siblings."""
        siblings = (
            other.shares
            for other in self._db.associations.values()
            if (other.account if other.user else other.parent) == above
        )
        return one.shares / sum(siblings)
