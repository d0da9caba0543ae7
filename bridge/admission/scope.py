"""Which pods are the bridge's: those of managed namespaces, and those that name its scheduler.

Pods that belong to their node and not to a queue (of a DaemonSet, static pods' mirrors) are let
past. An owner reference and an annotation are texts that anybody may write, so what tells such a
pod is who creates it: the DaemonSet controller, the node's kubelet.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bridge import config, names
from bridge.admission import wire
from bridge.errors import ConfigError
from bridge.model.namespace import Namespace

DEFAULT_SCHEDULER = "default-scheduler"
"""What the API server writes into a pod that names no scheduler."""

DAEMON_CONTROLLERS = (
    "system:serviceaccount:kube-system:daemon-set-controller",
    "system:kube-controller-manager",
)
"""Users as which kube-controller-manager makes DaemonSets' pods: with a service account for each
controller (`--use-service-account-credentials`, as every distribution has it) and without."""
NODES_GROUP = "system:nodes"
"""Group of the kubelets' users."""

_TESTS: Mapping[str, Callable[[str | None, frozenset[str]], bool]] = {
    "In": lambda value, values: value is not None and value in values,
    "NotIn": lambda value, values: value not in values,
    "Exists": lambda value, _: value is not None,
    "DoesNotExist": lambda value, _: value is None,
}


@dataclass(frozen=True, slots=True)
class Requirement:
    """One requirement on a label; all of a selector's must hold."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Kubernetes' rule (`labels.Requirement`): NotIn holds for a label that is absent."""
        return _TESTS[self.operator](labels.get(self.key), self.values)


def parse_selector(selector: Mapping[str, Any]) -> tuple[Requirement, ...]:
    """A metav1.LabelSelector as requirements. Raises ConfigError naming the wrong part."""
    unknown = selector.keys() - {"matchLabels", "matchExpressions"}
    if unknown:
        raise ConfigError(
            f"managedNamespaceSelector: {sorted(unknown)[0]!r} is not a part of a label selector; "
            "write matchLabels or matchExpressions"
        )
    labels = selector.get("matchLabels") or {}
    expressions = selector.get("matchExpressions") or []
    if not isinstance(labels, Mapping) or not isinstance(expressions, list | tuple):
        raise ConfigError(
            "managedNamespaceSelector: matchLabels is a map of strings, matchExpressions a list"
        )
    return (
        *(Requirement(str(key), "In", frozenset({str(value)})) for key, value in labels.items()),
        *(_parse_expression(index, expression) for index, expression in enumerate(expressions)),
    )


def _parse_expression(index: int, expression: Any) -> Requirement:
    place = f"managedNamespaceSelector.matchExpressions[{index}]"
    if not isinstance(expression, Mapping) or not expression.get("key"):
        raise ConfigError(f"{place}: write {{key: …, operator: …, values: […]}}")
    operator = str(expression.get("operator"))
    values = expression.get("values") or []
    if operator not in _TESTS:
        raise ConfigError(f"{place}.operator: {operator!r} is none of {', '.join(_TESTS)}")
    if not isinstance(values, list | tuple):
        raise ConfigError(f"{place}.values: write a list of strings")
    if (operator in ("In", "NotIn")) != bool(values):
        raise ConfigError(f"{place}.values: In and NotIn need values, the others take none")
    return Requirement(str(expression["key"]), operator, frozenset(map(str, values)))


@dataclass(frozen=True, slots=True)
class Scope:
    """The settings' answer to: is this pod ours?

    With a selector the list of names is ignored, as in the Go bridge. A selector without
    requirements is every namespace, as to Kubernetes; None is no selector.
    """

    scheduler_name: str = names.SCHEDULER_NAME
    managed_namespaces: frozenset[str] = frozenset()
    selector: tuple[Requirement, ...] | None = None

    @classmethod
    def from_settings(cls, settings: config.Settings) -> "Scope":
        """Raises ConfigError when the selector is not one."""
        selector = settings.managed_namespace_selector
        return cls(
            scheduler_name=settings.scheduler_name,
            managed_namespaces=frozenset(settings.managed_namespaces),
            selector=None if selector is None else parse_selector(selector),
        )

    def manages(self, namespace: str, namespaces: Mapping[str, Namespace]) -> bool | None:
        """Whether the namespace is managed; None when that can't be told (yet)."""
        if self.selector is None:
            return namespace in self.managed_namespaces
        if not self.selector:
            return True
        known = namespaces.get(namespace)
        if known is None:
            return None
        return all(requirement.matches(known.labels) for requirement in self.selector)

    def names_us(self, pod: wire.Pod) -> bool:
        """Whether the pod names our scheduler itself."""
        return pod.spec.scheduler_name == self.scheduler_name

    def takes(self, pod: wire.Pod, *, managed: bool, made_by: wire.UserInfo) -> bool:
        """Whether a pod that `made_by` is creating is to be ours.

        A pod in a managed namespace that names some third scheduler was given to that one on
        purpose.
        """
        if self.names_us(pod):
            return True
        if not managed or _belongs_to_its_node(pod, made_by):
            return False
        return pod.spec.scheduler_name in ("", DEFAULT_SCHEDULER)


def of_daemon_set(pod: wire.Pod) -> bool:
    """Whether a DaemonSet controls the pod, by the pod's own words."""
    return any(
        owner.kind == "DaemonSet" and owner.controller for owner in pod.metadata.owner_references
    )


def _belongs_to_its_node(pod: wire.Pod, made_by: wire.UserInfo) -> bool:
    if made_by.username in DAEMON_CONTROLLERS:
        return of_daemon_set(pod)
    is_mirror = names.MIRROR_POD_ANNOTATION in pod.metadata.annotations
    return is_mirror and NODES_GROUP in made_by.groups
