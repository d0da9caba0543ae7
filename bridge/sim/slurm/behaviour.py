"""How a slurmctld is configured."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How this slurmctld is configured; times in seconds.

    `decision_delay_s` lies between a change and the scheduling it causes; the real one is up to a
    second, as its scheduler looks once a second. What slurmctld tells a node in vain makes it
    NOT_RESPONDING after `lost_after_s`; see `Running.lose`. `requeue_delay_s`: a requeued job
    doesn't start before its old credential has expired (slurm.conf(5), AuthInfo=cred_expire).
    """

    decision_delay_s: float = 0.0
    backfill_interval_s: float = 1.0
    backfill_window_s: float = 24 * 3600.0
    backfill_depth: int = 200
    min_job_age_s: float = 30.0
    lost_after_s: float = 9.5
    requeue_delay_s: float = 121.0
    gres_types: frozenset[str] = frozenset({"gpu", "efa"})
    operators: frozenset[int] = frozenset({0, 64030})
    """Ids of root and SlurmUser, who may use what is reserved for others."""
    first_job_id: int = 1
