"""The subresources that act on a pod: binding gives it its node, eviction asks it to end."""

from typing import Final

from bridge.sim.kube.apiserver import failure, kinds
from bridge.sim.kube.apiserver.core import Answer, ApiServer, Target
from bridge.sim.kube.apiserver.failure import ApiFailure
from bridge.sim.kube.apiserver.objects import Object, with_condition

_ZONE_LABELS: Final = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")


async def bind(api: ApiServer, target: Target, binding: Object) -> Answer:
    """Assign the pod `target` to the node that a Binding names.

    Raises ApiFailure: 404 when the pod is gone, 409 when it is another pod (uid), gated, bound or
    being deleted, 400 or 500 for a Binding that makes no sense.
    """
    wanted = binding.get("metadata") or {}
    if wanted.get("name", target.name) != target.name:
        raise failure.bad_request("name in URL does not match name in Binding object")
    node = (binding.get("target") or {}).get("name") or ""
    if not node:
        raise ApiFailure(500, "", "target.name: Required value")
    kind = (binding.get("target") or {}).get("kind") or "Node"
    if kind != "Node":
        raise ApiFailure(
            500,
            "",
            f'target.kind: Unsupported value: "{kind}": supported values: "Node", "<empty>"',
        )
    await api.admit(target, "CREATE", binding)
    before = api.get(target)
    pod = before.object
    _check(pod, wanted)
    spec = {**pod["spec"], "nodeName": node}
    fields = dict(pod["metadata"])
    if wanted.get("annotations"):
        fields["annotations"] = {**(fields.get("annotations") or {}), **wanted["annotations"]}
    labels = {**_zone_of(api, node), **(wanted.get("labels") or {})}
    if labels:
        fields["labels"] = {**(fields.get("labels") or {}), **labels}
    status = {key: value for key, value in pod["status"].items() if key != "nominatedNodeName"}
    status["conditions"] = with_condition(
        status.get("conditions"),
        {"type": "PodScheduled", "status": "True", "lastProbeTime": None},
        now=api.now(),
    )
    bound = {**pod, "metadata": fields, "spec": spec, "status": status}
    return await api.commit(target, bound, before)


async def evict(api: ApiServer, target: Target, eviction: Object) -> Answer:
    """Mark the pod as disrupted and delete it, as the Eviction API does (no budgets here)."""
    await api.admit(target, "CREATE", eviction)

    def disrupted(pod: Object) -> Object:
        conditions = with_condition(
            pod["status"].get("conditions"),
            {
                "type": "DisruptionTarget",
                "status": "True",
                "lastProbeTime": None,
                "reason": "EvictionByEvictionAPI",
                "message": "Eviction API: evicting",
            },
            now=api.now(),
        )
        return {**pod, "status": {**pod["status"], "conditions": conditions}}

    plain = Target(kinds.PODS, target.namespace, target.name, "status", target.user, target.dry_run)
    await api.patch(plain, disrupted)
    whole = Target(kinds.PODS, target.namespace, target.name, "", target.user, target.dry_run)
    return await api.delete(whole, eviction.get("deleteOptions") or {})


def _check(pod: Object, wanted: Object) -> None:
    fields, spec = pod["metadata"], pod["spec"]
    name = fields["name"]
    for what, given, field in (
        ("UID", wanted.get("uid"), "uid"),
        ("ResourceVersion", wanted.get("resourceVersion"), "resourceVersion"),
    ):
        if given and given != fields[field]:
            raise failure.stale_precondition(
                "pods",
                "",
                fields["namespace"],
                name,
                what=what,
                given=given,
                actual=fields[field],
            )
    why = ""
    if fields.get("deletionTimestamp"):
        why = f"pod {name} is being deleted, cannot be assigned to a host"
    elif spec.get("nodeName"):
        why = f'pod {name} is already assigned to node "{spec["nodeName"]}"'
    elif spec.get("schedulingGates"):
        why = f"pod {name} has non-empty .spec.schedulingGates"
    if why:
        raise failure.conflict("pods/binding", "", name, why)


def _zone_of(api: ApiServer, node: str) -> dict[str, str]:
    """PodTopologyLabels: a bound pod carries its node's zone and region."""
    stored = api.store.get(kinds.NODES.table, ("", node))
    labels = (stored.object["metadata"].get("labels") or {}) if stored else {}
    return {name: labels[name] for name in _ZONE_LABELS if name in labels}
