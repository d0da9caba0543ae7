"""What slurmdbd keeps, both ways."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bridge.model.ids import SlurmJobId
from bridge.slurm.accounting import (
    Account,
    AccountedJob,
    Association,
    AssociationLimits,
    Cluster,
    Qos,
    QosLimits,
    Tres,
    User,
)
from bridge.slurm.wire.accounting_models import (
    AccountModel,
    AssociationModel,
    ClusterModel,
    JobModel,
    QosModel,
    TresModel,
    UserModel,
)
from bridge.slurm.wire.numbers import optional
from bridge.slurm.wire.rows import rows, said

_NEVER = 0xFFFFFFFE
"""The start that Slurm writes down for a job that ended before it had one."""


class AccountingWire:
    """Paths below `/slurmdb/`."""

    def accounts(self, answer: Mapping[str, Any]) -> tuple[Account, ...]:
        """All that came."""
        return tuple(
            Account(
                name=one.name,
                description=one.description,
                organization=one.organization,
                coordinators=tuple(person.name for person in one.coordinators),
                flags=one.flags,
                raw=raw,
            )
            for one, raw in rows(answer, "accounts", AccountModel)
        )

    def users(self, answer: Mapping[str, Any]) -> tuple[User, ...]:
        """All that came."""
        return tuple(
            User(
                name=one.name,
                default_account=one.default.account or "",
                default_wckey=one.default.wckey or "",
                admin_level=next(iter(one.administrator_level), "None"),
                coordinates=tuple(account.name for account in one.coordinators),
                flags=one.flags - {"NONE"},
                raw=raw,
            )
            for one, raw in rows(answer, "users", UserModel)
        )

    def associations(self, answer: Mapping[str, Any]) -> tuple[Association, ...]:
        """All that came."""
        return tuple(
            Association(
                id=one.id,
                cluster=one.cluster,
                account=one.account,
                user=one.user,
                partition=one.partition or "",
                parent_account=one.parent_account or "",
                is_default=one.is_default,
                limits=_association_limits(one),
                raw=raw,
            )
            for one, raw in rows(answer, "associations", AssociationModel)
        )

    def qos(self, answer: Mapping[str, Any]) -> tuple[Qos, ...]:
        """All that came."""
        return tuple(
            Qos(id=one.id, name=one.name, limits=_qos_limits(one), raw=raw)
            for one, raw in rows(answer, "qos", QosModel)
        )

    def clusters(self, answer: Mapping[str, Any]) -> tuple[Cluster, ...]:
        """All that came."""
        return tuple(
            Cluster(
                name=one.name,
                controller_host=one.controller.host or "",
                controller_port=one.controller.port,
                nodes=one.nodes or "",
                tres=_counts(one.tres),
                flags=one.flags,
                raw=raw,
            )
            for one, raw in rows(answer, "clusters", ClusterModel)
        )

    def tres(self, answer: Mapping[str, Any]) -> tuple[Tres, ...]:
        """All kinds that the accounting counts."""
        return tuple(
            Tres(id=one.id, type=one.type, name=one.name, raw=raw)
            for one, raw in rows(answer, "TRES", TresModel)
        )

    def history(self, answer: Mapping[str, Any]) -> tuple[AccountedJob, ...]:
        """All runs that came."""
        return tuple(_job(one, raw) for one, raw in rows(answer, "jobs", JobModel))

    def added(self, answer: Mapping[str, Any]) -> bool:
        """Whether any account or user was made."""
        return bool(answer.get("added_accounts") or answer.get("added_users"))

    # -- what we send ----------------------------------------------------------------------------

    def new_account(
        self,
        name: str,
        *,
        description: str,
        organization: str,
        parent: str,
        clusters: Sequence[str],
        limits: AssociationLimits,
    ) -> dict[str, Any]:
        """Body of `POST /accounts_association/`."""
        return {
            "association_condition": {
                "accounts": [name],
                "clusters": list(clusters),
                "association": said({"parent": parent or None, **_new_limits(limits)}),
            },
            "account": {"description": description or name, "organization": organization or name},
        }

    def new_user(
        self, name: str, *, account: str, clusters: Sequence[str], limits: AssociationLimits
    ) -> dict[str, Any]:
        """Body of `POST /users_association/`."""
        return {
            "association_condition": {
                "accounts": [account],
                "clusters": list(clusters),
                "users": [name],
                "association": said(_new_limits(limits)),
            },
            "user": {},
        }

    def association_changes(
        self, association: Association, limits: AssociationLimits, above: Association | None
    ) -> dict[str, Any]:
        """Body of `POST /associations/` for one that is there, below `above`.

        Slurm lifts every TRES limit that isn't sent, so all are; but for what `above` has too.
        """
        row = said(
            {
                "account": association.account,
                "cluster": association.cluster,
                "partition": association.partition or None,
                "shares_raw": limits.shares,
                "qos": _many(limits.qos),
                "default": {"qos": limits.default_qos},
                "max": {
                    "jobs": {
                        "active": optional(limits.max_jobs),
                        "total": optional(limits.max_submit_jobs),
                        "per": {"wall_clock": optional(limits.max_wall_min)},
                    },
                    "tres": _overlaid(
                        _own_tres(association.raw, above.raw if above else {}),
                        {
                            "total": _tres_list(limits.group_tres),
                            "per": {"job": _tres_list(limits.max_tres_per_job)},
                        },
                    ),
                },
            }
        )
        return {"associations": [{**row, "user": association.user}]}

    def qos_changes(self, name: str, limits: QosLimits) -> dict[str, Any]:
        """Body of `POST /qos/`: makes one, or changes the one of that name."""
        row = said(
            {
                "name": name,
                "description": limits.description,
                "priority": optional(limits.priority),
                "flags": ["NOT_SET"] if limits.flags is None else list(limits.flags),
                "preempt": {"list": _many(limits.preempts)},
                "usage_factor": optional(limits.usage_factor),
                "limits": {
                    "grace_time": limits.grace_s,
                    "max": {
                        "active_jobs": {"count": optional(limits.max_jobs)},
                        "jobs": {
                            "active_jobs": {"per": {"user": optional(limits.max_jobs_per_user)}},
                            "per": {"user": optional(limits.max_submit_jobs_per_user)},
                        },
                        "wall_clock": {"per": {"job": optional(limits.max_wall_min)}},
                        "tres": {
                            "total": _tres_list(limits.max_tres),
                            "per": {
                                "job": _tres_list(limits.max_tres_per_job),
                                "user": _tres_list(limits.max_tres_per_user),
                            },
                        },
                    },
                },
            }
        )
        return {"qos": [row]}


def _association_limits(one: AssociationModel) -> AssociationLimits:
    jobs, tres = one.max.jobs, one.max.tres
    return AssociationLimits(
        shares=one.shares_raw,
        qos=tuple(one.qos),
        default_qos=one.default.qos or None,
        max_jobs=jobs.active,
        max_submit_jobs=jobs.total,
        max_wall_min=jobs.per.wall_clock,
        max_tres_per_job=_counts(tres.per.job) or None,
        group_tres=_counts(tres.total) or None,
    )


def _qos_limits(one: QosModel) -> QosLimits:
    most = one.limits.max
    return QosLimits(
        description=one.description,
        priority=one.priority,
        flags=tuple(sorted(one.flags)),
        preempts=tuple(one.preempt.list_),
        grace_s=one.limits.grace_time,
        usage_factor=one.usage_factor,
        max_jobs=most.active_jobs.count,
        max_jobs_per_user=most.jobs.active_jobs.per.user,
        max_submit_jobs_per_user=most.jobs.per.user,
        max_wall_min=most.wall_clock.per.job,
        max_tres=_counts(most.tres.total) or None,
        max_tres_per_job=_counts(most.tres.per.job) or None,
        max_tres_per_user=_counts(most.tres.per.user) or None,
    )


def _job(one: JobModel, raw: Mapping[str, Any]) -> AccountedJob:
    times = one.time
    return AccountedJob(
        id=SlurmJobId(one.job_id),
        name=one.name,
        states=one.state.current,
        reason="" if one.state.reason == "None" else one.state.reason or "",
        user=one.user or "",
        account=one.account or "",
        cluster=one.cluster or "",
        partition=one.partition or "",
        qos=one.qos or "",
        submit_s=times.submission or None,
        eligible_s=times.eligible or None,
        start_s=None if times.start == _NEVER else times.start or None,
        end_s=times.end or None,
        elapsed_s=times.elapsed,
        time_limit_min=times.limit,
        nodes="" if one.nodes in (None, "None assigned") else one.nodes,
        exit_code=one.exit_code.return_code,
        signal=one.exit_code.signal.name or "",
        cancelled_by=one.kill_request_user or "",
        tres_requested=_counts(one.tres.requested),
        tres_allocated=_counts(one.tres.allocated),
        admin_comment=one.comment.administrator or "",
        comment=one.comment.job or "",
        constraints=one.constraints or "",
        reservation=one.reservation.name or "",
        restarts=one.restart_cnt,
        raw=raw,
    )


def _counts(many: Iterable[TresModel]) -> dict[str, int]:
    """By name. Slurm writes -2 for what it did not count."""
    return {
        f"{one.type}/{one.name}" if one.name else one.type: one.count
        for one in many
        if one.count >= 0
    }


def _tres_list(counts: Mapping[str, int] | None) -> list[dict[str, Any]] | None:
    if counts is None:
        return None
    found = []
    for key, count in counts.items():
        kind, _, name = key.partition("/")
        found.append({"type": kind, "name": name, "count": count})
    return found


def _own_tres(raw: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """The TRES limits of a row, without those of single jobs that it has from its parent."""
    own = dict(raw.get("max", {}).get("tres", {}))
    theirs = above.get("max", {}).get("tres", {})
    for path in (("per",), ("minutes", "per")):
        *outer, last = path
        here, there = own, theirs
        for key in outer:
            here[key] = dict(here.get(key, {}))
            here, there = here[key], there.get(key, {})
        here[last] = {
            key: [one for one in limits if one not in there.get(last, {}).get(key, [])]
            for key, limits in here.get(last, {}).items()
        }
    return own


def _overlaid(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Both, where `above` says anything; what it says of a kind of TRES counts."""
    found = dict(below)
    for key, value in above.items():
        before = found.get(key)
        if isinstance(value, dict):
            found[key] = _overlaid(before or {}, value)
        elif value is not None:
            named = {(one["type"], one["name"]) for one in value}
            kept = [one for one in before or () if (one["type"], one["name"]) not in named]
            found[key] = [*kept, *value]
    return found


def _many(values: Sequence[str] | None) -> list[str] | None:
    return None if values is None else list(values)


def _new_limits(limits: AssociationLimits) -> dict[str, Any]:
    """As the paths that make associations spell them."""
    return {
        "fairshare": limits.shares,
        "qoslevel": _many(limits.qos),
        "defaultqos": limits.default_qos,
        "maxjobs": optional(limits.max_jobs),
        "maxsubmitjobs": optional(limits.max_submit_jobs),
        "maxwalldurationperjob": optional(limits.max_wall_min),
        "maxtresperjob": _tres_list(limits.max_tres_per_job),
        "grptres": _tres_list(limits.group_tres),
    }
