"""What failed Jobs mean for their JobSet: spec.failurePolicy (pure).

The rules are gone through in order: the first that any of the failed Jobs matches decides, else the
default action does. Of several Jobs that match, the one is named whose condition Failed is the
oldest. Not played: RecreateJob.
"""

from collections.abc import Sequence

from tests.arena.api import Object
from tests.arena.controllers.world import labels

REPLICATED = "jobset.sigs.k8s.io/replicatedjob-name"
_DEFAULT = "RestartJobSet"


def status(jobset: Object, failed: Sequence[Object]) -> Object:
    """What changes in the JobSet's status, as these Jobs of the present attempt have failed."""
    policy = jobset["spec"].get("failurePolicy")
    ordered = sorted(failed, key=lambda job: str(_failure(job)["lastTransitionTime"]))
    if policy is None:
        return _over("FailedJobs", ordered[0])
    action, job = next(
        (
            (rule["action"], job)
            for rule in policy.get("rules") or ()
            for job in ordered
            if _matches(rule, job)
        ),
        (_DEFAULT, ordered[0]),
    )
    known = jobset.get("status") or {}
    counted = known.get("restartsCountTowardsMax", 0)
    again = {"restarts": known.get("restarts", 0) + 1}
    match action:
        case "FailJobSet":
            return _over("FailJobSetFailurePolicyAction", job)
        case "RestartJobSet" if counted >= policy.get("maxRestarts", 0):
            return _over("ReachedMaxRestarts", job)
        case "RestartJobSet":
            return {**again, "restartsCountTowardsMax": counted + 1}
        case "RestartJobSetAndIgnoreMaxRestarts":
            return again
    raise AssertionError(f"JobSet's action {action} is not played")


def _matches(rule: Object, job: Object) -> bool:
    """Whether a rule is about this Job: an empty list is about all."""
    reasons, targets = rule.get("onJobFailureReasons"), rule.get("targetReplicatedJobs")
    is_for_reason = not reasons or _failure(job)["reason"] in reasons
    return is_for_reason and (not targets or labels(job)[REPLICATED] in targets)


def _failure(job: Object) -> Object:
    """Its condition Failed."""
    condition: Object = next(
        one
        for one in job["status"]["conditions"]
        if one["type"] == "Failed" and one["status"] == "True"
    )
    return condition


def _over(reason: str, job: Object) -> Object:
    message = f"jobset failed (first failed job: {job['metadata']['name']})"
    over = {"type": "Failed", "status": "True", "reason": reason, "message": message}
    return {"terminalState": "Failed", "conditions": [over]}
