"""batch/v1 Job: defaults, the generated selector, what may change while it is suspended."""

from types import MappingProxyType
from typing import Any, Final

from bridge.sim.kube.apiserver.failure import (
    Cause,
    invalid_value,
    required_value,
    unsupported_value,
)
from bridge.sim.kube.apiserver.objects import Object, condition_is_true
from bridge.sim.kube.apiserver.rules import pod_spec
from bridge.sim.kube.apiserver.rules.base import Rules
from bridge.sim.kube.apiserver.rules.equality import same

CONTROLLER_UID: Final = "batch.kubernetes.io/controller-uid"
JOB_NAME: Final = "batch.kubernetes.io/job-name"
_FROZEN: Final = (
    "selector",
    "completionMode",
    "podFailurePolicy",
    "backoffLimitPerIndex",
    "managedBy",
    "successPolicy",
)
_IMMUTABLE: Final = "field is immutable"


class JobRules(Rules):
    """batch/v1 Job."""

    blank = MappingProxyType(
        {"spec": {"template": {"metadata": {}, "spec": {"containers": None}}}, "status": {}}
    )
    orphans_by_default = True

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        template = spec.setdefault("template", {})
        template.setdefault("metadata", {})
        pod_spec.default(template.setdefault("spec", {}))
        if spec.get("completions") is None and spec.get("parallelism") is None:
            spec["completions"] = 1
        if spec.get("parallelism") is None:
            spec["parallelism"] = 1
        per_index = spec.get("backoffLimitPerIndex") is not None
        spec.setdefault("backoffLimit", 2**31 - 1 if per_index else 6)
        spec.setdefault("completionMode", "NonIndexed")
        spec.setdefault("suspend", False)
        spec.setdefault("manualSelector", False)
        spec.setdefault(
            "podReplacementPolicy",
            "Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed",
        )
        if template["metadata"].get("labels") and not obj["metadata"].get("labels"):
            # The very same map, as in the real one: what the server adds to one is in both.
            obj["metadata"]["labels"] = template["metadata"]["labels"]

    def prepare_create(self, obj: Object, *, now: str) -> None:
        obj["status"] = {}
        spec, metadata = obj["spec"], obj["metadata"]
        if spec["manualSelector"]:
            return
        labels = spec["template"]["metadata"].setdefault("labels", {})
        for key, value in (
            ("batch.kubernetes.io/controller-uid", metadata["uid"]),
            ("batch.kubernetes.io/job-name", metadata.get("name", "")),
            ("controller-uid", metadata["uid"]),
            ("job-name", metadata.get("name", "")),
        ):
            labels.setdefault(key, value)
        if not metadata.get("labels"):
            metadata["labels"] = labels
        selector = spec.setdefault("selector", {})
        selector.setdefault("matchLabels", {}).setdefault(CONTROLLER_UID, metadata["uid"])

    def validate(self, obj: Object) -> list[Cause]:
        spec = obj["spec"]
        causes = [
            invalid_value(f"spec.{name}", spec[name], "must be greater than or equal to 0")
            for name in (
                "parallelism",
                "completions",
                "activeDeadlineSeconds",
                "backoffLimit",
                "ttlSecondsAfterFinished",
            )
            if spec.get(name) is not None and spec[name] < 0
        ]
        mode = spec["completionMode"]
        if mode not in ("NonIndexed", "Indexed"):
            causes.append(unsupported_value("spec.completionMode", mode, ("NonIndexed", "Indexed")))
        if mode == "Indexed" and spec.get("completions") is None:
            causes.append(required_value("spec.completions", "when completion mode is Indexed"))
        causes += pod_spec.validate(spec["template"]["spec"], "spec.template.spec")
        policy = spec["template"]["spec"].get("restartPolicy")
        if policy not in ("OnFailure", "Never"):
            causes.append(
                required_value(
                    "spec.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"'
                )
            )
        return causes

    def validate_update(self, new: Object, old: Object) -> list[Cause]:
        causes = self.validate(new)
        after, before = new["spec"], old["spec"]
        if not same(after.get("completions"), before.get("completions")):
            completions, parallel = after.get("completions"), after.get("parallelism")
            if after["completionMode"] != "Indexed" or completions is None:
                causes.append(invalid_value("spec.completions", completions, _IMMUTABLE))
            elif completions != parallel or before.get("completions") != before.get("parallelism"):
                causes.append(
                    invalid_value(
                        "spec.completions",
                        completions,
                        "can only be modified in tandem with spec.parallelism",
                    )
                )
        causes += [
            invalid_value(f"spec.{name}", after.get(name), _IMMUTABLE)
            for name in _FROZEN
            if not same(after.get(name), before.get(name))
        ]
        template = _template_as_allowed(after["template"], old)
        if not same(after["template"], template):
            path = "spec.template.spec" if _rests(old) else "spec.template"
            causes.append(invalid_value(path, after["template"], _IMMUTABLE))
        return causes

    def fields(self, obj: Object) -> dict[str, str]:
        return {"status.successful": str((obj.get("status") or {}).get("succeeded", 0))}


def _template_as_allowed(new: Object, old: Object) -> Object:
    """The old template with those fields of the new one that may change.

    While the Job is suspended and has nothing running: scheduling directives (node affinity, node
    selector, tolerations, gates, labels, annotations) and the containers' resources.
    """
    before: Object = old["spec"]["template"]
    if not _rests(old):
        return before
    spec: Object = dict(before["spec"])
    for name in ("nodeSelector", "tolerations", "schedulingGates"):
        spec[name] = new["spec"].get(name)
    node_affinity = (new["spec"].get("affinity") or {}).get("nodeAffinity")
    affinity = {**(spec.get("affinity") or {}), "nodeAffinity": node_affinity}
    spec["affinity"] = affinity if any(affinity.values()) else None
    for name in ("containers", "initContainers"):
        spec[name] = _with_resources(spec.get(name) or [], new["spec"].get(name) or [])
    metadata = {
        **before.get("metadata", {}),
        "labels": new.get("metadata", {}).get("labels"),
        "annotations": new.get("metadata", {}).get("annotations"),
    }
    return {**before, "metadata": metadata, "spec": spec}


def _rests(job: Object) -> bool:
    """Whether the Job is suspended and has nothing running."""
    status = job.get("status") or {}
    if not job["spec"].get("suspend") or status.get("active"):
        return False
    return not status.get("startTime") or condition_is_true(job, "Suspended")


def _with_resources(old: list[Object], new: list[Object]) -> list[Any]:
    if [container.get("name") for container in old] != [c.get("name") for c in new]:
        return old
    return [
        {**before, "resources": after.get("resources")}
        for before, after in zip(old, new, strict=True)
    ]
