"""Pods: defaults, what a new one must be, grace. What a change may do is in `pod_updates`."""

from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from bridge.sim.kube.apiserver.failure import Cause, forbidden_value, invalid_value
from bridge.sim.kube.apiserver.objects import Object, with_condition
from bridge.sim.kube.apiserver.rules import pod_spec, pod_updates, syntax
from bridge.sim.kube.apiserver.rules.base import Rules

_ANNOTATIONS: Final = "metadata.annotations"


class PodRules(Rules):
    """core/v1 Pod."""

    blank = MappingProxyType({"spec": {"containers": None}, "status": {}})
    metadata_by_status = True

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        pod_spec.default(spec)
        _default_requests(spec)
        spec.setdefault("enableServiceLinks", True)

    def prepare_create(self, obj: Object, *, now: str) -> None:
        obj["status"] = {"phase": "Pending", "qosClass": pod_spec.qos_class(obj["spec"])}
        if obj["spec"].get("schedulingGates"):
            obj["status"]["conditions"] = with_condition(
                [],
                {
                    "type": "PodScheduled",
                    "status": "False",
                    "lastProbeTime": None,
                    "reason": "SchedulingGated",
                    "message": "Scheduling is blocked due to non-empty scheduling gates",
                },
                now=now,
            )

    def validate(self, obj: Object) -> list[Cause]:
        spec = obj["spec"]
        causes = pod_spec.validate_mirror(obj["metadata"], spec, _ANNOTATIONS)
        causes += pod_spec.validate(spec, "spec")
        if spec.get("nodeName") and spec.get("schedulingGates"):
            causes.append(
                forbidden_value(
                    "spec.nodeName", "cannot be set until all schedulingGates have been cleared"
                )
            )
        return causes

    def validate_update(self, new: Object, old: Object) -> list[Cause]:
        same = new["spec"] == old["spec"]
        causes = pod_spec.validate_mirror(new["metadata"], new["spec"], _ANNOTATIONS)
        causes += [] if same else pod_spec.validate(new["spec"], "spec")
        causes += _validate_mirror_update(new, old)
        return causes if same else causes + pod_updates.validate(new["spec"], old["spec"])

    def validate_status(self, new: Object, old: Object) -> list[Cause]:
        causes = _validate_mirror_update(new, old)
        causes += pod_spec.validate_mirror(new["metadata"], new["spec"], _ANNOTATIONS)
        causes += [
            replace(cause, field=f"status.conditions[{index}].Type")
            for index, one in enumerate((new.get("status") or {}).get("conditions") or ())
            for cause in syntax.qualified_name("", one.get("type", ""))
        ]
        if (new.get("status") or {}).get("qosClass") != (old.get("status") or {}).get("qosClass"):
            causes.append(
                invalid_value(
                    "status.qosClass", new["status"].get("qosClass"), "field is immutable"
                )
            )
        return causes + self._validate_nomination(new, old)

    def _validate_nomination(self, new: Object, old: Object) -> list[Cause]:
        nominated = (new.get("status") or {}).get("nominatedNodeName") or ""
        before = (old.get("status") or {}).get("nominatedNodeName") or ""
        if old["spec"].get("nodeName") and nominated and nominated != before:
            return [
                forbidden_value(
                    "status.nominatedNodeName",
                    "may not be set on pods that are already bound to a node",
                )
            ]
        return []

    def grace_period(self, obj: Object, asked: int | None) -> int | None:
        spec, phase = obj["spec"], (obj.get("status") or {}).get("phase")
        if not spec.get("nodeName") or phase in ("Succeeded", "Failed"):
            return 0
        period = spec.get("terminationGracePeriodSeconds", 0) if asked is None else asked
        return 1 if period < 0 else int(period)

    def tidy(self, obj: Object, before: Object | None = None) -> Object:
        tidied = super().tidy(obj, before)
        known = (tidied.get("status") or {}).get("conditions")
        if not known or all("lastTransitionTime" in one for one in known):
            return tidied
        timed = [{"lastProbeTime": None, "lastTransitionTime": None, **one} for one in known]
        return {**tidied, "status": {**tidied["status"], "conditions": timed}}

    def fields(self, obj: Object) -> dict[str, str]:
        spec: dict[str, Any] = obj.get("spec") or {}
        status: dict[str, Any] = obj.get("status") or {}
        return {
            "spec.nodeName": spec.get("nodeName") or "",
            "spec.restartPolicy": spec.get("restartPolicy") or "",
            "spec.schedulerName": spec.get("schedulerName") or "",
            "spec.serviceAccountName": spec.get("serviceAccountName") or "",
            "spec.hostNetwork": "true" if spec.get("hostNetwork") else "false",
            "status.phase": status.get("phase") or "",
            "status.podIP": status.get("podIP") or "",
            "status.nominatedNodeName": status.get("nominatedNodeName") or "",
        }


def _validate_mirror_update(new: Object, old: Object) -> list[Cause]:
    """Whether a pod is a mirror is said once, when it is created."""
    before = (old["metadata"].get("annotations") or {}).get(pod_spec.MIRROR)
    after = (new["metadata"].get("annotations") or {}).get(pod_spec.MIRROR)
    if before == after:
        return []
    what = "remove or update" if before is not None else "add"
    field = f"{_ANNOTATIONS}[{pod_spec.MIRROR}]"
    return [forbidden_value(field, f"may not {what} mirror pod annotation")]


def _default_requests(spec: Object) -> None:
    """A limit without a request is the request too."""
    for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
        resources = container["resources"]
        if resources.get("limits"):
            resources["requests"] = {**resources["limits"], **(resources.get("requests") or {})}
