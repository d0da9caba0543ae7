"""Who may use managed nodes at all, and what everybody else is told.

Slurm gives away all that managed nodes have; their taint keeps other pods off. A pod that tolerates
the taint takes what was given to somebody else, and the node is registered in Slurm again. So such
a pod is refused, in every namespace, unless

* it names our scheduler and has no node yet: it waits in Slurm's queue like all others;
* it belongs to its node (`scope.belongs_to_its_node`): who creates it tells so, not the pod;
* its namespace is exempt: the API server does not ask there (`calls.Calls.exempt`).

A DaemonSet's pods are let in by the second rule, so in managed namespaces, where tenants are, the
DaemonSet itself must not tolerate the taint. An update is judged only if it makes an object
tolerate the taint that did not: whatever else is changed of older objects passes.

The API server decides the same by itself: `expressions` has these rules in CEL, for `policy` and
for `webhook_config`.
"""

from bridge import names
from bridge.admission import scope, wire
from bridge.model.refusal import Refusal

_TOLERATES = (
    f"tolerates the taint {names.MANAGED_NODE_TAINT} (by its key, or by a toleration without a key)"
)


def tolerates(spec: wire.PodSpec, scheduler_name: str) -> bool:
    """Whether a pod with this spec tolerates the taint of our managed nodes, be it for a while.

    An empty effect means every effect. Of operators that compare numbers (Gt, Lt) is assumed that
    they might hold.
    """
    return any(
        (one.get("key") or "") in ("", names.MANAGED_NODE_TAINT)
        and (one.get("effect") or "") in ("", "NoExecute")
        and (
            (one.get("operator") or "Equal") != "Equal"
            or (one.get("value") or "") == scheduler_name
        )
        for one in spec.tolerations or ()
    )


def refusal_of_pod(pod: wire.Pod, *, made_by: wire.UserInfo, scheduler_name: str) -> Refusal | None:
    """Why `made_by` may not have this pod on managed nodes; None where they may, or where the pod
    does not tolerate the taint."""
    if not tolerates(pod.spec, scheduler_name) or scope.belongs_to_its_node(pod, made_by):
        return None
    if pod.spec.scheduler_name != scheduler_name:
        return does_not_wait(scheduler_name)
    return has_its_node() if pod.spec.node_name else None


def refusal_of_daemon_set(template: wire.Pod, scheduler_name: str) -> Refusal | None:
    """Why a managed namespace may not have a DaemonSet with this template."""
    return of_daemon_set() if tolerates(template.spec, scheduler_name) else None


def does_not_wait(scheduler_name: str) -> Refusal:
    """Of a pod that would not wait in Slurm's queue."""
    return Refusal(
        "spec.tolerations",
        f"the pod {_TOLERATES}, but the nodes with this taint are Slurm's to give. To use them, "
        f"set spec.schedulerName: {scheduler_name}, so that the pod waits in Slurm's queue. To run "
        "on other nodes, remove this toleration from the pod, or from the template of its owner",
    )


def has_its_node() -> Refusal:
    """Of a pod whose node somebody else has chosen."""
    return Refusal(
        "spec.nodeName",
        f"the pod {_TOLERATES}, so Slurm has to choose its node. Create the pod with this "
        "toleration and without spec.nodeName; spec.nodeSelector asks for certain nodes",
    )


def of_daemon_set() -> Refusal:
    """Of a DaemonSet in a managed namespace."""
    return Refusal(
        "spec.template.spec.tolerations",
        f"the DaemonSet {_TOLERATES}, so its pods would take resources that Slurm gives away, on "
        "every node. Remove this toleration from the template; a DaemonSet that has to run on "
        "Slurm's nodes belongs into a namespace whose pods don't go through Slurm",
    )
