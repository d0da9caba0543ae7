"""batch/v1 Job: defaults, the generated selector, what may change while it is suspended."""

from types import MappingProxyType
from typing import Any, Final

from bridge.sim.kube.apiserver import selectors
from bridge.sim.kube.apiserver.failure import (
    Cause,
    invalid_value,
    required_value,
    unsupported_value,
)
from bridge.sim.kube.apiserver.objects import Object, condition_is_true
from bridge.sim.kube.apiserver.rules import pod_spec, syntax
from bridge.sim.kube.apiserver.rules.base import Rules
from bridge.sim.kube.apiserver.rules.equality import same

CONTROLLER_UID: Final = "batch.kubernetes.io/controller-uid"
JOB_NAME: Final = "batch.kubernetes.io/job-name"
_MOST_PARALLEL: Final = 100_000
"""Pods at once of an Indexed Job."""
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
        for key, value in _generated_labels(metadata).items():
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
        causes += _indexed(obj["metadata"].get("name", ""), spec)
        causes += _selector(obj)
        causes += pod_spec.validate_template(spec["template"], "spec.template")
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


def _generated_labels(metadata: Object) -> dict[str, str]:
    """What the server puts on a Job's pods unless the Job brings its own selector."""
    uid, name = metadata["uid"], metadata.get("name", "")
    return {CONTROLLER_UID: uid, JOB_NAME: name, "controller-uid": uid, "job-name": name}


def _indexed(name: str, spec: Object) -> list[Cause]:
    """The completion mode, and what an Indexed Job must have: its pods are hosts by their index,
    which is the one limit that a Job's name has beside those of names and label values."""
    mode, completions = spec["completionMode"], spec.get("completions")
    if mode not in ("NonIndexed", "Indexed"):
        return [unsupported_value("spec.completionMode", mode, ("NonIndexed", "Indexed"))]
    if mode != "Indexed":
        return []
    causes = []
    if completions is None:
        causes.append(required_value("spec.completions", "when completion mode is Indexed"))
    if spec["parallelism"] > _MOST_PARALLEL:
        message = f"must be less than or equal to {_MOST_PARALLEL} when completion mode is Indexed"
        causes.append(invalid_value("spec.parallelism", spec["parallelism"], message))
    last = f"{name}-{completions - 1}" if completions else ""
    if last and not syntax.is_dns_label(last):
        message = f"will not able to create pod with invalid DNS label: {last}"
        causes.append(invalid_value("metadata.name", name, message))
    return causes


def _selector(obj: Object) -> list[Cause]:
    """A generated selector is as generated, labels included; any selects the Job's own pods."""
    spec, path = obj["spec"], "spec.template.metadata.labels"
    labels = spec["template"]["metadata"].get("labels") or {}
    selector = spec.get("selector")
    causes = [required_value("spec.selector")] if selector is None else []
    if not spec["manualSelector"]:
        generated = _generated_labels(obj["metadata"])
        for key, value in generated.items():
            if key not in labels:
                causes.append(required_value(f"{path}[{key}]", f"must be '{value}'"))
            elif labels[key] != value:
                causes.append(invalid_value(f"{path}[{key}]", labels, f"must be '{value}'"))
        if not selectors.from_object(selector).matches(generated):
            causes.append(invalid_value("spec.selector", selector, "`selector` not auto-generated"))
    if selector is None or not selectors.from_object(selector).matches(labels):
        message = "`selector` does not match template `labels`"
        causes.append(invalid_value(path, labels, message))
    return causes


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
