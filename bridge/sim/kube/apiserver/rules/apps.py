"""apps/v1 and CronJob: what the server fills in and demands, as far as controllers read it."""

from bridge.sim.kube.apiserver.failure import Cause, invalid_value, required_value
from bridge.sim.kube.apiserver.objects import Object
from bridge.sim.kube.apiserver.rules import pod_spec
from bridge.sim.kube.apiserver.rules.base import Rules


class TemplateRules(Rules):
    """A kind that makes pods by a template and finds them again by a selector."""

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        template = spec.setdefault("template", {})
        template.setdefault("metadata", {})
        pod_spec.default(template.setdefault("spec", {}))

    def prepare_create(self, obj: Object, *, now: str) -> None:
        obj["status"] = {}

    def validate(self, obj: Object) -> list[Cause]:
        spec = obj["spec"]
        causes = pod_spec.validate(spec["template"]["spec"], "spec.template.spec")
        wanted = (spec.get("selector") or {}).get("matchLabels") or {}
        if not wanted:
            causes.append(required_value("spec.selector"))
        labels = spec["template"]["metadata"].get("labels") or {}
        if any(labels.get(key) != value for key, value in wanted.items()):
            causes.append(
                invalid_value(
                    "spec.template.metadata.labels",
                    labels,
                    "`selector` does not match template `labels`",
                )
            )
        return causes


class ReplicaRules(TemplateRules):
    """ReplicaSet: so many pods of one template."""

    def default(self, obj: Object) -> None:
        super().default(obj)
        obj["spec"].setdefault("replicas", 1)


class DeploymentRules(ReplicaRules):
    """Deployment: its ReplicaSets take turns."""

    def default(self, obj: Object) -> None:
        super().default(obj)
        strategy = obj["spec"].setdefault("strategy", {})
        if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
            bounds = strategy.setdefault("rollingUpdate", {})
            bounds.setdefault("maxSurge", "25%")
            bounds.setdefault("maxUnavailable", "25%")


class StatefulSetRules(ReplicaRules):
    """StatefulSet: numbered pods, one after the other unless they may come at once."""

    def default(self, obj: Object) -> None:
        super().default(obj)
        obj["spec"].setdefault("podManagementPolicy", "OrderedReady")


class CronJobRules(Rules):
    """batch/v1 CronJob: a Job template and when to use it."""

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        spec.setdefault("suspend", False)
        spec.setdefault("concurrencyPolicy", "Allow")

    def prepare_create(self, obj: Object, *, now: str) -> None:
        obj["status"] = {}

    def validate(self, obj: Object) -> list[Cause]:
        return [
            required_value(f"spec.{name}")
            for name in ("schedule", "jobTemplate")
            if not obj["spec"].get(name)
        ]
