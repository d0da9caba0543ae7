"""Which limit keeps a job waiting, in Slurm's words; pure.

slurmctld looks at a job's QOS before its association, and at counts of jobs and at times before
what the job would hold (as recorded in `accounting_limits`).
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from bridge.sim.slurm import tres
from bridge.sim.slurm.dbd.database import Database, counts, number
from bridge.sim.slurm.dbd.rows import Association, Qos
from bridge.sim.slurm.dbd.tres import COUNTED
from bridge.sim.slurm.job import Job
from bridge.sim.slurm.tres import Counts

_LIMIT_OF_GROUP: Final = ("cpu", "mem", "node")
_WORDS: Final = {"cpu": "Cpu", "mem": "Mem", "node": "Node", "billing": "Billing"}
Jobs = Iterable[Job]


@dataclass(frozen=True, slots=True)
class Holding:
    """What a job holds, or would. A node on which others of its group are too counts once."""

    counts: Counts
    nodes: frozenset[str] = frozenset()


def holding(job: Job) -> Holding:
    """What a job holds; of one that has no nodes yet, what it asks for."""
    if job.shares:
        return Holding(tres.held(job.shares, COUNTED), frozenset(job.nodes))
    request = job.request
    asked = tres.asked(
        request,
        cpus=request.cpus,
        memory_mib=(request.memory_per_cpu_mib or 0) * request.cpus,
        nodes=request.min_nodes,
        counted=COUNTED,
    )
    return Holding(asked)


def before(job: Job, association: Association, qos: Qos, running: Jobs) -> str:
    """The reason that holds whatever nodes it would get; "" for none.

    The association is an effective one; `running` are others' jobs.
    """
    limits, of_qos = qos.limits, [one for one in running if one.charge.qos == qos.name]
    if _reached(number(limits, "max.active_jobs.count"), len(of_qos)):
        return "QOSGrpJobsLimit"
    of_user = [one for one in of_qos if one.request.user_id == job.request.user_id]
    if _reached(number(limits, "max.jobs.active_jobs.per.user"), len(of_user)):
        return "QOSMaxJobsPerUserLimit"
    minutes = job.request.time_limit_min
    if _exceeded(number(limits, "max.wall_clock.per.job"), minutes):
        return "QOSMaxWallDurationPerJobLimit"
    here = sum(one.charge.association_id == association.id for one in running)
    if _reached(number(association.limits, "jobs.active"), here):
        return "AssocMaxJobsLimit"
    if _exceeded(number(association.limits, "jobs.per.wall_clock"), minutes):
        return "AssocMaxWallDurationPerJobLimit"
    return ""


def beside(
    job: Job, wanted: Holding, db: Database, association: Association, qos: Qos, running: Jobs
) -> str:
    """The reason that holds if it got what is wanted beside what the others hold."""
    of_qos = [one for one in running if one.charge.qos == qos.name]
    of_user = [one for one in of_qos if one.request.user_id == job.request.user_id]
    if kind := _over(counts(qos.limits, "max.tres.total"), wanted, of_qos):
        return _group("QOS", kind)
    if kind := _over(counts(qos.limits, "max.tres.per.job"), wanted, ()):
        return _of_qos(kind, "Job")
    if kind := _over(counts(qos.limits, "max.tres.per.user"), wanted, of_user):
        return _of_qos(kind, "User")
    for above in db.chain(db.associations[association.id]):
        below = {one.id for one in db.below(above)}
        group = [one for one in running if one.charge.association_id in below]
        if kind := _over(counts(above.limits, "tres.total"), wanted, group):
            return _group("Assoc", kind)
    kind = _over(counts(association.limits, "tres.per.job"), wanted, ())
    return _of_association(kind) if kind else ""


def submits(job: Job, association: Association, qos: Qos, others: Jobs) -> bool:
    """Whether there may be one more that waits or runs."""
    here = sum(one.charge.association_id == association.id for one in others)
    of_user = sum(
        one.charge.qos == qos.name and one.request.user_id == job.request.user_id for one in others
    )
    return not (
        _reached(number(association.limits, "jobs.total"), here)
        or _reached(number(qos.limits, "max.jobs.per.user"), of_user)
    )


def longest_min(association: Association, qos: Qos) -> float | None:
    """How long a job may run; None for any time."""
    found = (
        number(qos.limits, "max.wall_clock.per.job"),
        number(association.limits, "jobs.per.wall_clock"),
    )
    return min((one for one in found if one is not None), default=None)


def _reached(limit: float | None, count: int) -> bool:
    return limit is not None and count >= limit


def _exceeded(limit: float | None, value: int | None) -> bool:
    return limit is not None and value is not None and value > limit


def _over(limit: Counts, wanted: Holding, others: Jobs) -> str:
    """The first kind of which there would be too much; "" for none."""
    used: Counter[str] = Counter()
    nodes: set[str] = set()
    nameless = 0
    for held in map(holding, others if limit else ()):
        used.update(held.counts)
        nodes |= held.nodes
        nameless += 0 if held.nodes else held.counts["node"]
    used["node"] = len(nodes - wanted.nodes) + nameless
    counts = wanted.counts
    return next(
        (
            kind
            for kind, most in limit.items()
            if counts.get(kind, 0) and counts[kind] + used[kind] > most
        ),
        "",
    )


def _group(whose: str, kind: str) -> str:
    return f"{whose}Grp{_WORDS.get(kind, 'GRES')}{'Limit' if kind in _LIMIT_OF_GROUP else ''}"


def _of_association(kind: str) -> str:
    return f"AssocMax{_word(kind, 'Mem')}PerJob{_limit(kind)}"


def _of_qos(kind: str, whose: str) -> str:
    return f"QOSMax{_word(kind, 'Memory')}Per{whose}{_limit(kind)}"


def _word(kind: str, memory: str) -> str:
    return memory if kind == "mem" else _WORDS.get(kind, "GRES")


def _limit(kind: str) -> str:
    return "Limit" if kind in ("cpu", "node") else ""
