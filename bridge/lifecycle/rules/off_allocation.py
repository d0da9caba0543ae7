"""The live allocation decides: a pod outside it ends."""

from bridge.lifecycle import actions, messages
from bridge.lifecycle.decision import Decision
from bridge.lifecycle.state import GangState


def end_pods_off_allocation(gang: GangState, decision: Decision) -> bool:
    """Pods on a node that their job does not hold any more (an admin has shrunk it) are ended.

    Only whole nodes are compared. On a node that it keeps an external job has what it had: of a
    running job slurmctld changes neither CPUs nor GRES (2073), and its memory only by way of an
    extern step (2186), which no external job has. See docs/decisions/033-sizes-on-kept-nodes.md.

    A job that holds a node which Kubernetes does not know says nothing here: a node may have
    another name in Slurm since a moment ago.
    """
    run, pods = gang.run, gang.demand.pods
    if run is None or run.allocation is None or run.nodes is None:
        return False
    outside = [
        pod
        for pod in pods.under(run.job_id)
        if pod.node and pod.node not in run.nodes and not pods.just_told(pod, decision.now_s)
    ]
    for pod in outside:
        reason, message = messages.off_allocation(run.job_id, pod.node)
        actions.end_pods(gang, [pod], reason, message, decision)
    run.placement.slots.keep(run.nodes)
    return False
