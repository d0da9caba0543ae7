"""apps/v1 and CronJob: what the server fills in and demands."""

from types import MappingProxyType
from typing import Final

from bridge.sim.kube.apiserver import selectors
from bridge.sim.kube.apiserver.failure import Cause, invalid_value, required_value
from bridge.sim.kube.apiserver.objects import Object, copy
from bridge.sim.kube.apiserver.rules import pod_spec
from bridge.sim.kube.apiserver.rules.base import Rules

PROTECTION: Final = "scheduling.k8s.io/podgroup-protection"
"""The finalizer that the server puts on every PodGroup."""
_HISTORY: Final = 10
_LONGEST_CRON_JOB: Final = 52
"""Characters: the names of its Jobs have 11 more."""


class TemplateRules(Rules):
    """A kind that makes pods by a template and finds them again by a selector."""

    fresh_status: MappingProxyType[str, int] = MappingProxyType({})
    """Its status before its controller has looked at it."""

    def default(self, obj: Object) -> None:
        template = obj.setdefault("spec", {}).setdefault("template", {})
        template.setdefault("metadata", {})
        pod_spec.default(template.setdefault("spec", {}))

    def prepare_create(self, obj: Object, *, now: str) -> None:
        obj["status"] = dict(self.fresh_status)

    def validate(self, obj: Object) -> list[Cause]:
        spec = obj["spec"]
        causes = pod_spec.validate_template(spec["template"], "spec.template")
        wanted = selectors.from_object(spec.get("selector"))
        labels = spec["template"]["metadata"].get("labels") or {}
        if not wanted:
            causes.append(required_value("spec.selector"))
        if not wanted or not wanted.matches(labels):
            path = "spec.template.metadata.labels"
            message = "`selector` does not match template `labels`"
            causes.append(invalid_value(path, labels, message))
        return causes


class ReplicaRules(TemplateRules):
    """ReplicaSet: so many pods of one template."""

    fresh_status = MappingProxyType({"replicas": 0})

    def default(self, obj: Object) -> None:
        super().default(obj)
        obj["spec"].setdefault("replicas", 1)


class DeploymentRules(ReplicaRules):
    """Deployment: its ReplicaSets take turns."""

    fresh_status = MappingProxyType({})

    def default(self, obj: Object) -> None:
        super().default(obj)
        spec = obj["spec"]
        spec.setdefault("progressDeadlineSeconds", 600)
        spec.setdefault("revisionHistoryLimit", _HISTORY)
        strategy = spec.setdefault("strategy", {})
        if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
            bounds = strategy.setdefault("rollingUpdate", {})
            bounds.setdefault("maxSurge", "25%")
            bounds.setdefault("maxUnavailable", "25%")


class StatefulSetRules(ReplicaRules):
    """StatefulSet: numbered pods, one after the other unless they may come at once."""

    named_as_label = True
    fresh_status = MappingProxyType({"replicas": 0, "availableReplicas": 0})

    def default(self, obj: Object) -> None:
        super().default(obj)
        spec = obj["spec"]
        spec.setdefault("podManagementPolicy", "OrderedReady")
        spec.setdefault("revisionHistoryLimit", _HISTORY)
        spec.setdefault("serviceName", "")
        rolling = {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
        spec.setdefault("updateStrategy", rolling)
        kept = {"whenDeleted": "Retain", "whenScaled": "Retain"}
        spec.setdefault("persistentVolumeClaimRetentionPolicy", kept)


class DaemonSetRules(TemplateRules):
    """DaemonSet: a pod for each node."""

    fresh_status = MappingProxyType(
        dict.fromkeys(
            (
                "currentNumberScheduled",
                "desiredNumberScheduled",
                "numberMisscheduled",
                "numberReady",
            ),
            0,
        )
    )

    def default(self, obj: Object) -> None:
        super().default(obj)
        notes = obj["metadata"].get("annotations") or {}
        notes.setdefault("deprecated.daemonset.template.generation", "1")
        obj["metadata"]["annotations"] = notes
        obj["spec"].setdefault("revisionHistoryLimit", _HISTORY)
        rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}}
        obj["spec"].setdefault("updateStrategy", rolling)


class CronJobRules(Rules):
    """batch/v1 CronJob: a Job template and when to use it."""

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        spec.setdefault("suspend", False)
        spec.setdefault("concurrencyPolicy", "Allow")
        spec.setdefault("successfulJobsHistoryLimit", 3)
        spec.setdefault("failedJobsHistoryLimit", 1)
        job = spec.setdefault("jobTemplate", {})
        job.setdefault("metadata", {})
        template = job.setdefault("spec", {}).setdefault("template", {})
        template.setdefault("metadata", {})
        pod_spec.default(template.setdefault("spec", {}))

    def prepare_create(self, obj: Object, *, now: str) -> None:
        obj["status"] = {}

    def validate(self, obj: Object) -> list[Cause]:
        spec, name = obj["spec"], obj["metadata"].get("name", "")
        causes = [] if spec.get("schedule") else [required_value("spec.schedule")]
        template = spec["jobTemplate"]["spec"]["template"]
        causes += pod_spec.validate_template(template, "spec.jobTemplate.spec.template")
        if len(name) > _LONGEST_CRON_JOB:
            message = f"must be no more than {_LONGEST_CRON_JOB} characters"
            causes.append(invalid_value("metadata.name", name, message))
        return causes


class WorkloadRules(Rules):
    """scheduling.k8s.io Workload: templates of pod groups."""

    def default(self, obj: Object) -> None:
        for template in (obj.get("spec") or {}).get("podGroupTemplates") or ():
            template.setdefault("schedulingConstraints", None)

    def tidy(self, obj: Object, before: Object | None = None) -> Object:
        return {**super().tidy(obj, before), "spec": copy(obj["spec"])}


class PodGroupRules(Rules):
    """scheduling.k8s.io PodGroup: stays while one of its pods lives (see controllers.podgroups)."""

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        spec.setdefault("disruptionMode", "Pod")
        spec.setdefault("podGroupTemplateRef", None)

    def prepare_create(self, obj: Object, *, now: str) -> None:
        obj["metadata"]["finalizers"] = [*(obj["metadata"].get("finalizers") or ()), PROTECTION]
        obj["status"] = {}

    def tidy(self, obj: Object, before: Object | None = None) -> Object:
        return {**super().tidy(obj, before), "spec": copy(obj["spec"])}
