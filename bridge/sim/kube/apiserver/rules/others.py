"""Node, Namespace, Event, Lease, webhook configurations, PriorityClass: little to say each."""

from types import MappingProxyType
from typing import Final

from bridge.sim.kube.apiserver import conditions
from bridge.sim.kube.apiserver.failure import (
    Cause,
    duplicate_value,
    invalid_value,
    required_value,
)
from bridge.sim.kube.apiserver.objects import Object, copy
from bridge.sim.kube.apiserver.rules import amounts
from bridge.sim.kube.apiserver.rules.base import Rules

_NOT_READY: Final = ("node.kubernetes.io/not-ready", "NoSchedule")
_NODE_INFO: Final = (
    "machineID",
    "systemUUID",
    "bootID",
    "kernelVersion",
    "osImage",
    "containerRuntimeVersion",
    "kubeletVersion",
    "kubeProxyVersion",
    "operatingSystem",
    "architecture",
)
_NO_INFO: Final = dict.fromkeys(_NODE_INFO, "")
_ENDPOINTS: Final = {"daemonEndpoints": {"kubeletEndpoint": {"Port": 0}}}
_NO_EVENT: Final[Object] = {
    "involvedObject": {},
    "source": {},
    "firstTimestamp": None,
    "lastTimestamp": None,
    "eventTime": None,
    "reportingComponent": "",
    "reportingInstance": "",
}
_EVENT_FIELDS: Final = {
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
"""Names of events.k8s.io/v1, and of core/v1 for the same."""


class NodeRules(Rules):
    """core/v1 Node. Allocatable defaults to capacity; a new node is not ready."""

    blank = MappingProxyType({"spec": {}, "status": {**_ENDPOINTS, "nodeInfo": _NO_INFO}})
    keeps_status_on_create = True

    def default(self, obj: Object) -> None:
        obj.setdefault("spec", {})
        status = obj.setdefault("status", {})
        if status.get("capacity") and not status.get("allocatable"):
            status["allocatable"] = dict(status["capacity"])
        for name in ("capacity", "allocatable"):
            if status.get(name):
                status[name] = amounts.canonical_list(status[name])
        status.update({name: part for name, part in _ENDPOINTS.items() if name not in status})
        status["nodeInfo"] = {**_NO_INFO, **(status.get("nodeInfo") or {})}

    def prepare_create(self, obj: Object, *, now: str) -> None:
        known = obj["spec"].get("taints") or []
        if not any((one.get("key"), one.get("effect")) == _NOT_READY for one in known):
            taint = {"key": _NOT_READY[0], "effect": _NOT_READY[1]}
            obj["spec"]["taints"] = [*known, taint]

    def validate(self, obj: Object) -> list[Cause]:
        seen: set[tuple[str, str]] = set()
        causes = []
        for index, taint in enumerate(obj["spec"].get("taints") or ()):
            path = f"metadata.taints[{index}]"
            if not taint.get("effect"):
                causes.append(required_value(f"{path}.effect"))
            if not taint.get("key"):
                causes.append(required_value(f"{path}.key", "name part must be non-empty"))
            pair = (taint.get("key", ""), taint.get("effect", ""))
            if pair in seen:
                causes.append(
                    duplicate_value(path, taint, "taints must be unique by key and effect pair")
                )
            seen.add(pair)
        return causes

    def fields(self, obj: Object) -> dict[str, str]:
        unschedulable = (obj.get("spec") or {}).get("unschedulable")
        return {"spec.unschedulable": "true" if unschedulable else "false"}


class NamespaceRules(Rules):
    """core/v1 Namespace: carries its own name as a label, ends through its finalizer."""

    named_as_label = True
    blank = MappingProxyType({"spec": {}, "status": {}})

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
    """Events in the form of core/v1, which is the one that is kept."""

    blank = MappingProxyType(_NO_EVENT)
    creates_on_update = True

    def default(self, obj: Object) -> None:
        for name, value in _NO_EVENT.items():
            obj.setdefault(name, copy(value))

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


class NewEventRules(EventRules):
    """The same events as events.k8s.io/v1 shows them."""

    def stored(self, obj: Object) -> Object:
        kept = {_EVENT_FIELDS.get(name, name): value for name, value in obj.items()}
        return {**kept, "apiVersion": "v1"}

    def shown(self, obj: Object) -> Object:
        names = {old: new for new, old in _EVENT_FIELDS.items()}
        shown = {names.get(name, name): value for name, value in obj.items() if value != ""}
        return {**shown, "apiVersion": "events.k8s.io/v1"}


class LeaseRules(Rules):
    """coordination.k8s.io/v1 Lease."""

    blank = MappingProxyType({"spec": {}})
    creates_on_update = True
    updates_unconditionally = False

    def validate(self, obj: Object) -> list[Cause]:
        duration = (obj.get("spec") or {}).get("leaseDurationSeconds")
        if duration is not None and duration <= 0:
            return [invalid_value("spec.leaseDurationSeconds", duration, "must be greater than 0")]
        return []


class WebhookConfigurationRules(Rules):
    """Mutating- and ValidatingWebhookConfiguration."""

    updates_unconditionally = False

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
            given = webhook.get("matchConditions") or ()
            causes += conditions.validate(given, f"{path}.matchConditions")
        return causes


class DefinitionRules(Rules):
    """apiextensions.k8s.io/v1 CustomResourceDefinition."""

    updates_unconditionally = False

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        names = spec.setdefault("names", {})
        names.setdefault("singular", str(names.get("kind", "")).lower())
        names.setdefault("listKind", f"{names.get('kind', '')}List")
        spec.setdefault("conversion", {"strategy": "None"})

    def prepare_create(self, obj: Object, *, now: str) -> None:
        obj["status"] = {
            "conditions": None,
            "acceptedNames": {"plural": "", "kind": ""},
            "storedVersions": [one["name"] for one in obj["spec"].get("versions") or ()],
        }

    def tidy(self, obj: Object, before: Object | None = None) -> Object:
        return obj


class CustomRules(Rules):
    """A custom resource: nothing is known of it but its metadata."""

    updates_unconditionally = False

    def tidy(self, obj: Object, before: Object | None = None) -> Object:
        return {**obj, **super().tidy({"metadata": obj["metadata"]}, before)}
