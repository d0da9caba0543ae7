"""Which pods are the bridge's: those of managed namespaces, and those that name its scheduler.

Pods that belong to their node and not to a queue (of a DaemonSet, static pods' mirrors) are let
past. An owner reference and an annotation are texts that anybody may write, so what tells such a
pod is who creates it: the DaemonSet controller, the node's kubelet.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from bridge import config, label_selectors, names
from bridge.admission import wire
from bridge.label_selectors import Requirement
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
NODE_USER = "system:node:"
"""A kubelet's user name is this and the name of its node (as the node authorizer requires)."""


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
        """Of the settings, which have checked the selector."""
        selector = settings.managed_namespace_selector
        return cls(
            scheduler_name=settings.scheduler_name,
            managed_namespaces=frozenset(settings.managed_namespaces),
            selector=None if selector is None else label_selectors.parse(selector),
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
        return label_selectors.matches(self.selector, known.labels)

    def requests_our_scheduler(self, pod: wire.Pod) -> bool:
        """Whether the pod names our scheduler itself."""
        return pod.spec.scheduler_name == self.scheduler_name

    def should_manage(self, pod: wire.Pod, *, managed: bool, made_by: wire.UserInfo) -> bool:
        """Whether a pod that `made_by` is creating is to be ours.

        A pod in a managed namespace that names some third scheduler was given to that one on
        purpose.
        """
        if self.requests_our_scheduler(pod):
            return True
        if not managed or belongs_to_its_node(pod, made_by):
            return False
        return pod.spec.scheduler_name in ("", DEFAULT_SCHEDULER)


def of_daemon_set(pod: wire.Pod) -> bool:
    """Whether a DaemonSet controls the pod, by the pod's own words."""
    return any(
        owner.kind == "DaemonSet" and owner.controller for owner in pod.metadata.owner_references
    )


def belongs_to_its_node(pod: wire.Pod, made_by: wire.UserInfo) -> bool:
    """Whether it is the DaemonSet controller that makes a DaemonSet's pod, or a kubelet that makes
    the mirror of a static pod of its own."""
    if made_by.username in DAEMON_CONTROLLERS:
        return of_daemon_set(pod)
    is_mirror = names.MIRROR_POD_ANNOTATION in pod.metadata.annotations
    is_its_kubelet = (
        NODES_GROUP in made_by.groups and made_by.username == NODE_USER + pod.spec.node_name
    )
    return is_mirror and is_its_kubelet and bool(pod.spec.node_name)
