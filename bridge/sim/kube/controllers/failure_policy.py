"""spec.podFailurePolicy of a Job: what one failed pod means for it (pure)."""

from typing import Literal

from bridge.sim.kube.apiserver.objects import Object

Action = Literal["FailJob", "FailIndex", "Ignore", "Count"]


def action_for(job: Object, pod: Object) -> Action:
    """The action of the first rule that matches a failed pod; Count when none does."""
    policy = job["spec"].get("podFailurePolicy") or {}
    for rule in policy.get("rules") or ():
        if _exit_codes_match(rule.get("onExitCodes"), pod) or _conditions_match(
            rule.get("onPodConditions"), pod
        ):
            action: Action = rule["action"]
            return action
    return "Count"


def _exit_codes_match(wanted: Object | None, pod: Object) -> bool:
    if not wanted:
        return False
    values = wanted.get("values") or ()
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        ended = (status.get("state") or {}).get("terminated")
        if not ended or wanted.get("containerName") not in (None, status.get("name")):
            continue
        code = ended.get("exitCode", 0)
        if code and (code in values) == (wanted.get("operator", "In") == "In"):
            return True
    return False


def _conditions_match(wanted: list[Object] | None, pod: Object) -> bool:
    present = (pod.get("status") or {}).get("conditions") or ()
    return any(
        condition.get("type") == pattern.get("type")
        and condition.get("status") == pattern.get("status", "True")
        for pattern in wanted or ()
        for condition in present
    )
