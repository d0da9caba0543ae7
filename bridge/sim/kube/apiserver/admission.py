"""What the API server's own admission plugins do to pods, and the order of all admission.

Of the built-in plugins: NamespaceLifecycle, ServiceAccount (the default name, and what a mirror
pod may not mount; whether an account exists is not asked), Priority, DefaultTolerationSeconds.
Then the webhooks (`webhooks.Webhooks`). No plugin asks who creates a mirror pod: NodeRestriction,
which does not run by default, restricts only what nodes do.
"""

from typing import Final, Protocol

from bridge.sim.kube.apiserver import failure, kinds
from bridge.sim.kube.apiserver.failure import ApiFailure
from bridge.sim.kube.apiserver.objects import Object
from bridge.sim.kube.apiserver.request import Review
from bridge.sim.kube.apiserver.rules import pod_spec
from bridge.sim.kube.apiserver.store import Store

_EVICTION_TAINTS: Final = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_TOLERATED_S: Final = 300
_SYSTEM_PRIORITIES: Final = {
    "system-cluster-critical": 2_000_000_000,
    "system-node-critical": 2_000_001_000,
}


class Webhooks(Protocol):
    """Admission by somebody else's server."""

    async def mutate(self, review: Review) -> None:
        """Let the mutating webhooks change `review.obj`. Raises ApiFailure."""

    async def validate(self, review: Review) -> None:
        """Let the validating webhooks refuse. Raises ApiFailure."""


class Admission:
    """All of admission for one API server."""

    def __init__(self, store: Store, webhooks: Webhooks) -> None:
        self._store = store
        self._webhooks = webhooks

    async def mutate(self, review: Review) -> None:
        """What happens before validation; may change `review.obj`. Raises ApiFailure."""
        self._check_namespace(review)
        is_new_pod = review.kind.plural == "pods" and not review.subresource
        if is_new_pod and review.operation == "CREATE" and review.obj is not None:
            self._complete_pod(review.obj)
        await self._webhooks.mutate(review)

    async def validate(self, review: Review) -> None:
        """What happens after validation. Raises ApiFailure."""
        await self._webhooks.validate(review)

    def _check_namespace(self, review: Review) -> None:
        if review.operation != "CREATE" or not review.kind.namespaced:
            return
        namespace = self._store.get(kinds.NAMESPACES.table, ("", review.namespace))
        if namespace is None:
            raise failure.not_found("namespaces", "", review.namespace)
        if namespace.object["metadata"].get("deletionTimestamp") and not review.subresource:
            raise failure.forbidden(
                review.kind.plural,
                review.kind.group,
                review.name,
                f"unable to create new content in namespace {review.namespace} because it is "
                "being terminated",
            )

    def _complete_pod(self, pod: Object) -> None:
        spec = pod["spec"]
        if pod_spec.MIRROR in (pod["metadata"].get("annotations") or {}):
            _check_mirror(pod)
        else:
            spec.setdefault("serviceAccountName", "default")
            spec.setdefault("serviceAccount", spec["serviceAccountName"])
        self._resolve_priority(pod)
        _tolerate_node_trouble(spec)

    def _resolve_priority(self, pod: Object) -> None:
        spec = pod["spec"]
        chosen = self._priority_class(pod)
        if chosen and not spec.get("priorityClassName"):
            spec["priorityClassName"] = chosen["metadata"]["name"]
        priority = chosen.get("value", 0)
        policy = chosen.get("preemptionPolicy", "PreemptLowerPriority")
        for said, computed, what in (
            (spec.get("priority"), priority, "the integer value of priority"),
            (spec.get("preemptionPolicy"), policy, "the string value of PreemptionPolicy"),
        ):
            if said is not None and said != computed:
                raise _refused(
                    pod,
                    f"{what} ({said}) must not be provided in pod spec; priority admission "
                    f"controller computed {computed} from the given PriorityClass name",
                )
        spec["priority"], spec["preemptionPolicy"] = priority, policy

    def _priority_class(self, pod: Object) -> Object:
        """The class that the pod names, or the default one; empty when there is none."""
        name = pod["spec"].get("priorityClassName")
        if not name:
            return self._default_priority()
        stored = self._store.get(kinds.PRIORITY_CLASSES.table, ("", name))
        if stored is not None:
            return stored.object
        if name not in _SYSTEM_PRIORITIES:
            raise _refused(pod, f"no PriorityClass with name {name} was found")
        return {"value": _SYSTEM_PRIORITIES[name]}

    def _default_priority(self) -> Object:
        for stored in self._store.every(kinds.PRIORITY_CLASSES.table):
            if stored.object.get("globalDefault"):
                return stored.object
        return {}


def _check_mirror(pod: Object) -> None:
    """A mirror is of its node: it refers to no account and no secret."""
    spec = pod["spec"]
    if spec.get("serviceAccountName"):
        raise _refused(pod, "a mirror pod may not reference service accounts")
    sources = [
        source
        for volume in spec.get("volumes") or ()
        for source in (volume, *((volume.get("projected") or {}).get("sources") or ()))
    ]
    if any("secret" in one for one in sources):
        raise _refused(pod, "a mirror pod may not reference secrets")
    if any("serviceAccountToken" in one for one in sources):
        raise _refused(pod, "a mirror pod may not use ServiceAccountToken volume projections")


def _refused(pod: Object, why: str) -> ApiFailure:
    return failure.forbidden("pods", "", pod["metadata"].get("name", ""), why)


def _tolerate_node_trouble(spec: Object) -> None:
    """DefaultTolerationSeconds: five minutes on a node that is not ready or unreachable."""
    tolerations = spec.get("tolerations") or []
    added = [
        {
            "key": key,
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": _TOLERATED_S,
        }
        for key in _EVICTION_TAINTS
        if not any(_covers(toleration, key) for toleration in tolerations)
    ]
    spec["tolerations"] = [*tolerations, *added]


def _covers(toleration: Object, key: str) -> bool:
    return toleration.get("key") in (key, "", None) and toleration.get("effect") in (
        "NoExecute",
        "",
        None,
    )
