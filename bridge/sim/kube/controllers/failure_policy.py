"""spec.podFailurePolicy of a Job: what one failed pod means for it (pure)."""

from dataclasses import dataclass
from typing import Final, Literal

from bridge.sim.kube.apiserver.objects import Object

Action = Literal["FailJob", "FailIndex", "Ignore", "Count"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from a failed pod, and the sentence that says why."""

    action: Action
    message: str = ""


_COUNTS: Final = Verdict("Count")


def verdict(job: Object, pod: Object) -> Verdict:
    """The action of the first rule that matches a failed pod; Count when none does."""
    policy = job["spec"].get("podFailurePolicy") or {}
    name = f"{pod['metadata'].get('namespace', '')}/{pod['metadata'].get('name', '')}"
    for index, rule in enumerate(policy.get("rules") or ()):
        action: Action = rule["action"]
        end = f"matching {action} rule at index {index}"
        ended = _ended_as(rule.get("onExitCodes"), pod)
        if ended is not None:
            container, code = ended
            text = f"Container {container} for pod {name} failed with exit code {code} {end}"
            return Verdict(action, text)
        kind = _has_condition(rule.get("onPodConditions"), pod)
        if kind:
            return Verdict(action, f"Pod {name} has condition {kind} {end}")
    return _COUNTS


def _ended_as(wanted: Object | None, pod: Object) -> tuple[str, int] | None:
    """Container and exit code that a rule on exit codes is about."""
    if not wanted:
        return None
    values = wanted.get("values") or ()
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        ended = (status.get("state") or {}).get("terminated")
        if not ended or wanted.get("containerName") not in (None, status.get("name")):
            continue
        code = ended.get("exitCode", 0)
        if code and (code in values) == (wanted.get("operator", "In") == "In"):
            return status["name"], code
    return None


def _has_condition(wanted: list[Object] | None, pod: Object) -> str:
    """The type of the first condition that a rule on conditions is about."""
    present = (pod.get("status") or {}).get("conditions") or ()
    for pattern in wanted or ():
        for condition in present:
            if condition.get("type") == pattern.get("type") and condition.get(
                "status"
            ) == pattern.get("status", "True"):
                return str(condition["type"])
    return ""
