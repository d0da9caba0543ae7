"""The pod spec, alone or in a template: defaults, what must be right, the QoS class."""

from typing import Any, Final

from bridge.model import quantity
from bridge.sim.kube.apiserver.failure import (
    Cause,
    duplicate_value,
    forbidden_value,
    invalid_value,
    required_value,
    unsupported_value,
)
from bridge.sim.kube.apiserver.objects import Object
from bridge.sim.kube.apiserver.rules import amounts, syntax

MIRROR: Final = "kubernetes.io/config.mirror"
"""The annotation of the pods that stand for the static pods of a node."""
_POLICIES: Final = ("Always", "OnFailure", "Never")
_EFFECTS: Final = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_STANDARD: Final = ("cpu", "memory", "ephemeral-storage")
_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"


def default(spec: Object) -> None:
    """What pods and pod templates get where the user said nothing."""
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("securityContext", {})
    spec.setdefault("schedulerName", "default-scheduler")
    for container in _containers(spec):
        resources = container.setdefault("resources", {})
        for part in ("limits", "requests"):
            if resources.get(part):
                resources[part] = amounts.canonical_list(resources[part])
        container.setdefault("terminationMessagePath", "/dev/termination-log")
        container.setdefault("terminationMessagePolicy", "File")
        image = str(container.get("image", ""))
        latest = ":" not in image.rpartition("/")[2] or image.endswith(":latest")
        container.setdefault("imagePullPolicy", "Always" if latest else "IfNotPresent")
        for port in container.get("ports") or ():
            port.setdefault("protocol", "TCP")
            if spec.get("hostNetwork"):
                port.setdefault("hostPort", port["containerPort"])
    for gone in ("schedulingGates", "tolerations", "nodeSelector", "affinity", "nodeName"):
        if gone in spec and not spec[gone] and spec[gone] != {}:
            del spec[gone]


def validate(spec: Object, path: str) -> list[Cause]:
    """All that is wrong with a spec that stands at `path`."""
    causes: list[Cause] = []
    if not spec.get("containers"):
        causes.append(required_value(f"{path}.containers"))
    seen: set[str] = set()
    for name in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(name) or ()):
            causes += _container(container, f"{path}.{name}[{index}]", seen)
    if spec.get("restartPolicy") not in _POLICIES:
        causes.append(
            unsupported_value(f"{path}.restartPolicy", spec.get("restartPolicy"), _POLICIES)
        )
    causes += _gates(spec.get("schedulingGates") or [], f"{path}.schedulingGates")
    causes += _tolerations(spec.get("tolerations") or [], f"{path}.tolerations")
    causes += _affinity(spec.get("affinity"), f"{path}.affinity")
    for key, value in (spec.get("nodeSelector") or {}).items():
        causes += syntax.qualified_name(f"{path}.nodeSelector", key)
        causes += syntax.label_value(f"{path}.nodeSelector", str(value))
    if spec.get("nodeName"):
        causes += syntax.dns_subdomain(f"{path}.nodeName", spec["nodeName"])
    for name in ("hostname", "subdomain"):
        if spec.get(name):
            causes += syntax.dns_label(f"{path}.{name}", spec[name])
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline < 2**31:
        causes.append(
            invalid_value(
                f"{path}.activeDeadlineSeconds",
                deadline,
                "must be between 1 and 2147483647, inclusive",
            )
        )
    return causes


def validate_template(template: Object, path: str) -> list[Cause]:
    """All that is wrong with a pod template that stands at `path`, such as `spec.template`."""
    metadata, spec = template.get("metadata") or {}, template["spec"]
    return [
        *syntax.labels(f"{path}.labels", metadata.get("labels")),
        *syntax.annotations(f"{path}.annotations", metadata.get("annotations")),
        *validate_mirror(metadata, spec, f"{path}.annotations"),
        *validate(spec, f"{path}.spec"),
    ]


def validate_mirror(metadata: Object, spec: Object, path: str) -> list[Cause]:
    """A mirror is on its node already."""
    value = (metadata.get("annotations") or {}).get(MIRROR)
    if value is None or spec.get("nodeName"):
        return []
    message = "must set spec.nodeName if mirror pod annotation is set"
    return [invalid_value(f"{path}[{MIRROR}]", value, message)]


def qos_class(spec: Object) -> str:
    """Guaranteed, Burstable or BestEffort, from CPUs and memory of all containers."""
    requested: list[Object] = []
    guaranteed = True
    for container in _containers(spec):
        resources = container.get("resources") or {}
        limits = _compute(resources.get("limits"))
        requests = _compute(resources.get("requests"))
        requested.append(requests)
        if set(limits) != {"cpu", "memory"} or requests != limits:
            guaranteed = False
    if not any(requested):
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def _compute(listed: Object | None) -> Object:
    return {
        name: quantity.parse(value)
        for name, value in (listed or {}).items()
        if name in ("cpu", "memory") and quantity.parse(value)
    }


def _containers(spec: Object) -> list[Any]:
    return [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]


def _container(container: Object, path: str, seen: set[str]) -> list[Cause]:
    causes: list[Cause] = []
    name = container.get("name")
    if not name:
        causes.append(required_value(f"{path}.name"))
    else:
        causes += syntax.dns_label(f"{path}.name", name)
        if name in seen:
            causes.append(duplicate_value(f"{path}.name", name))
        seen.add(name)
    if not container.get("image"):
        causes.append(required_value(f"{path}.image"))
    return causes + _resources(container.get("resources") or {}, f"{path}.resources")


def _resources(resources: Object, path: str) -> list[Cause]:
    causes: list[Cause] = []
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for part, listed in (("limits", limits), ("requests", requests)):
        for name, value in listed.items():
            causes += _amount(name, value, f"{path}.{part}[{name}]")
    for name, value in requests.items():
        overcommit = name in _STANDARD
        if name not in limits:
            if not overcommit:
                causes.append(
                    required_value(
                        f"{path}.limits", "Limit must be set for non overcommitable resources"
                    )
                )
            continue
        asked, most = quantity.parse(value), quantity.parse(limits[name])
        if asked != most and not overcommit:
            causes.append(
                invalid_value(
                    f"{path}.requests",
                    str(value),
                    f"must be equal to {name} limit of {limits[name]}",
                )
            )
        elif asked > most:
            causes.append(
                invalid_value(
                    f"{path}.requests",
                    str(value),
                    f"must be less than or equal to {name} limit of {limits[name]}",
                )
            )
    return causes


def _amount(name: str, value: str | int | float, path: str) -> list[Cause]:
    if "/" not in name and name not in _STANDARD and not name.startswith("hugepages-"):
        return [
            invalid_value(path, name, "must be a standard resource type or fully qualified"),
            invalid_value(path, name, "must be a standard resource for containers"),
        ]
    amount = quantity.parse(value)
    if amount < 0:
        return [invalid_value(path, str(value), "must be greater than or equal to 0")]
    if "/" in name and amount.denominator != 1:
        return [invalid_value(path, str(value), "must be an integer")]
    return []


def _gates(gates: list[Object], path: str) -> list[Cause]:
    causes: list[Cause] = []
    seen: set[str] = set()
    for index, gate in enumerate(gates):
        name = gate.get("name", "")
        causes += syntax.qualified_name(f"{path}[{index}]", name)
        if name in seen:
            causes.append(duplicate_value(f"{path}[{index}]", name))
        seen.add(name)
    return causes


def _tolerations(tolerations: list[Object], path: str) -> list[Cause]:
    causes: list[Cause] = []
    for index, toleration in enumerate(tolerations):
        here = f"{path}[{index}]"
        operator = toleration.get("operator") or "Equal"
        if toleration.get("key"):
            causes += syntax.qualified_name(f"{here}.key", toleration["key"])
        elif operator != "Exists":
            causes.append(
                invalid_value(
                    f"{here}.operator",
                    toleration.get("operator") or "",
                    "operator must be Exists when `key` is empty, which means "
                    '"match all values and all keys"',
                )
            )
        effect = toleration.get("effect") or ""
        if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
            causes.append(
                invalid_value(
                    f"{here}.effect",
                    effect,
                    "effect must be 'NoExecute' when `tolerationSeconds` is set",
                )
            )
        if operator == "Exists" and toleration.get("value"):
            causes.append(
                invalid_value(
                    f"{here}.operator",
                    toleration["value"],
                    "value must be empty when `operator` is 'Exists'",
                )
            )
        elif operator not in ("Exists", "Equal"):
            causes.append(unsupported_value(f"{here}.operator", operator, ("Equal", "Exists")))
        if effect and effect not in _EFFECTS:
            causes.append(unsupported_value(f"{here}.effect", effect, _EFFECTS))
    return causes


def _affinity(affinity: Object | None, path: str) -> list[Cause]:
    required = ((affinity or {}).get("nodeAffinity") or {}).get(_REQUIRED)
    if required is None:
        return []
    here = f"{path}.nodeAffinity.{_REQUIRED}.nodeSelectorTerms"
    terms = required.get("nodeSelectorTerms") or []
    if not terms:
        return [required_value(here, "must have at least one node selector term")]
    causes: list[Cause] = []
    for index, term in enumerate(terms):
        for position, entry in enumerate(term.get("matchExpressions") or ()):
            causes += _expression(entry, f"{here}[{index}].matchExpressions[{position}]")
        for position, entry in enumerate(term.get("matchFields") or ()):
            causes += _node_field(entry, f"{here}[{index}].matchFields[{position}]")
    return causes


def _expression(entry: Object, path: str) -> list[Cause]:
    operator, values = entry.get("operator"), entry.get("values") or []
    causes: list[Cause] = []
    if operator in ("In", "NotIn") and not values:
        causes.append(
            required_value(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")
        )
    elif operator in ("Exists", "DoesNotExist") and values:
        causes.append(
            forbidden_value(
                f"{path}.values",
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            )
        )
    elif operator in ("Gt", "Lt") and len(values) != 1:
        causes.append(
            required_value(
                f"{path}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'"
            )
        )
    elif operator not in ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"):
        causes.append(
            invalid_value(f"{path}.operator", operator or "", "not a valid selector operator")
        )
    causes += syntax.qualified_name(f"{path}.key", entry.get("key", ""))
    for index, value in enumerate(values):
        causes += syntax.label_value(f"{path}.values[{index}]", value)
    return causes


def _node_field(entry: Object, path: str) -> list[Cause]:
    operator, values = entry.get("operator"), entry.get("values") or []
    causes: list[Cause] = []
    if operator not in ("In", "NotIn"):
        causes.append(
            invalid_value(f"{path}.operator", operator or "", "not a valid selector operator")
        )
    elif len(values) != 1:
        causes.append(
            required_value(
                f"{path}.values",
                "must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
            )
        )
    if entry.get("key") != "metadata.name":
        causes.append(
            invalid_value(f"{path}.key", entry.get("key", ""), "not a valid field selector key")
        )
    for index, value in enumerate(values):
        causes += syntax.dns_subdomain(f"{path}.values[{index}]", value)
    return causes
