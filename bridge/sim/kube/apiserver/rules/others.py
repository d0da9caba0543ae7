"""Node, Namespace, Event, Lease, webhook configurations, PriorityClass: little to say each."""

from bridge.sim.kube.apiserver.failure import Cause, invalid_value, required_value
from bridge.sim.kube.apiserver.objects import Object
from bridge.sim.kube.apiserver.rules.base import Rules


class NodeRules(Rules):
    """core/v1 Node. Allocatable defaults to capacity."""

    keeps_status_on_create = True

    def default(self, obj: Object) -> None:
        obj.setdefault("spec", {})
        status = obj.setdefault("status", {})
        if status.get("capacity") and not status.get("allocatable"):
            status["allocatable"] = dict(status["capacity"])

    def validate(self, obj: Object) -> list[Cause]:
        seen: set[tuple[str, str]] = set()
        causes = []
        for index, taint in enumerate(obj["spec"].get("taints") or ()):
            path = f"spec.taints[{index}]"
            if not taint.get("effect"):
                causes.append(required_value(f"{path}.effect"))
            if not taint.get("key"):
                causes.append(required_value(f"{path}.key", "name part must be non-empty"))
            pair = (taint.get("key", ""), taint.get("effect", ""))
            if pair in seen:
                causes.append(
                    invalid_value(path, taint, "taints must be unique by key and effect pair")
                )
            seen.add(pair)
        return causes

    def fields(self, obj: Object) -> dict[str, str]:
        unschedulable = (obj.get("spec") or {}).get("unschedulable")
        return {"spec.unschedulable": "true" if unschedulable else "false"}


class NamespaceRules(Rules):
    """core/v1 Namespace: carries its own name as a label, ends through its finalizer."""

    def default(self, obj: Object) -> None:
        name = obj["metadata"].get("name")
        if name:
            labels = obj["metadata"].get("labels") or {}
            obj["metadata"]["labels"] = {**labels, "kubernetes.io/metadata.name": name}

    def prepare_create(self, obj: Object, *, now: str) -> None:
        obj["spec"] = {"finalizers": ["kubernetes"]}
        obj["status"] = {"phase": "Active"}

    def holds(self, obj: Object) -> bool:
        return bool((obj.get("spec") or {}).get("finalizers"))

    def fields(self, obj: Object) -> dict[str, str]:
        return {"status.phase": (obj.get("status") or {}).get("phase", "")}


class EventRules(Rules):
    """Events, whichever of their two APIs made them."""

    def fields(self, obj: Object) -> dict[str, str]:
        involved = obj.get("involvedObject") or obj.get("regarding") or {}
        reporter = obj.get("reportingComponent") or obj.get("reportingController") or ""
        found = {
            f"{prefix}.{name}": str(involved.get(name, ""))
            for prefix in ("involvedObject", "regarding")
            for name in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion")
        }
        return {
            **found,
            "reason": obj.get("reason", ""),
            "type": obj.get("type", ""),
            "reportingComponent": reporter,
            "reportingController": reporter,
            "source": (obj.get("source") or {}).get("component", "") or reporter,
        }


class LeaseRules(Rules):
    """coordination.k8s.io/v1 Lease."""

    def validate(self, obj: Object) -> list[Cause]:
        duration = (obj.get("spec") or {}).get("leaseDurationSeconds")
        if duration is not None and duration <= 0:
            return [invalid_value("spec.leaseDurationSeconds", duration, "must be greater than 0")]
        return []


class WebhookConfigurationRules(Rules):
    """Mutating- and ValidatingWebhookConfiguration."""

    def default(self, obj: Object) -> None:
        for webhook in obj.get("webhooks") or ():
            webhook.setdefault("failurePolicy", "Fail")
            webhook.setdefault("matchPolicy", "Equivalent")
            webhook.setdefault("namespaceSelector", {})
            webhook.setdefault("objectSelector", {})
            webhook.setdefault("timeoutSeconds", 10)
            if obj.get("kind", "").startswith("Mutating"):
                webhook.setdefault("reinvocationPolicy", "Never")
            for rule in webhook.get("rules") or ():
                rule.setdefault("scope", "*")

    def validate(self, obj: Object) -> list[Cause]:
        causes = []
        for index, webhook in enumerate(obj.get("webhooks") or ()):
            path = f"webhooks[{index}]"
            if webhook.get("name", "").count(".") < 2:
                causes.append(
                    invalid_value(
                        f"{path}.name",
                        webhook.get("name", ""),
                        "should be a domain with at least three segments separated by dots",
                    )
                )
            causes += [
                required_value(f"{path}.{name}")
                for name in ("admissionReviewVersions", "sideEffects", "clientConfig")
                if not webhook.get(name)
            ]
        return causes
