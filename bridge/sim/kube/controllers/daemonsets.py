"""The DaemonSet controller: a pod on each node that its template may run on.

The pods are tied to their nodes by affinity and bound by the scheduler that they name. Not done:
rolling updates (a pod gets the template of the day it is created), surge.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Final

from bridge.retry import Backoff
from bridge.sim.kube import demand, taints
from bridge.sim.kube.apiserver import kinds
from bridge.sim.kube.apiserver.core import ApiServer
from bridge.sim.kube.apiserver.objects import Object, encode, key_of
from bridge.sim.kube.controllers import pods
from bridge.sim.kube.controllers.owners import OwnerController

_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
_TOLERATED: Final = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)
_FIRST_PAUSE_S: Final = 1.0
_LAST_PAUSE_S: Final = 900.0


class DaemonSetController(OwnerController):
    """One for the whole cluster."""

    def __init__(self, api: ApiServer) -> None:
        super().__init__(api, kinds.DAEMON_SETS, kinds.PODS, name="daemon-set-controller")
        self._changed_nodes = api.store.subscribe(kinds.NODES.table, since=0)
        self._pauses: dict[tuple[str, str], Backoff] = {}
        """By the owner's uid and node: when a failed pod may go next (monotonic), seconds."""

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(super().run())
            tasks.create_task(self._follow_nodes())

    async def _follow_nodes(self) -> None:
        while True:
            await self._changed_nodes.take()
            for stored in self._api.store.scan(self._owners.table):
                self._queue.add(key_of(stored.object))

    async def sync(self, owner: Object, children: list[Object]) -> None:
        """Each node has one pod or none; those of nodes that are gone and never got there go."""
        nodes = {
            one.object["metadata"]["name"]: one.object
            for one in self._api.store.scan(kinds.NODES.table)
        }
        there: dict[str, list[Object]] = {}
        for pod in children:
            if _target(pod):
                there.setdefault(_target(pod), []).append(pod)
        surplus: list[Object] = []
        for name, node in nodes.items():
            may_start, may_stay = _fits(owner, node)
            if may_start and name not in there:
                await self.create(owner, _pod(owner, name))
            elif may_stay:
                surplus += self._surplus(owner, name, there.get(name, []))
            else:
                surplus += there.get(name, [])
        surplus += [
            pod
            for name in there.keys() - nodes.keys()
            for pod in there[name]
            if not pod["spec"].get("nodeName")
        ]
        for pod in surplus:
            if "deletionTimestamp" not in pod["metadata"]:
                await self.delete(pod)
        await self.report(owner, _status(owner, nodes, there))

    def _surplus(self, owner: Object, node: str, there: Sequence[Object]) -> list[Object]:
        """Of a node's pods those that are over, and all but the oldest of those that are not."""
        active = [pod for pod in there if pods.is_active(pod)]
        active.sort(key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
        over = [pod for pod in there if pod["status"].get("phase") == "Succeeded"]
        failed = [pod for pod in there if pod["status"].get("phase") == "Failed"]
        if failed and self._may_retry(owner, node):
            over += failed
        return over + active[1:]

    def _may_retry(self, owner: Object, node: str) -> bool:
        """Whether a failed pod is replaced now; each time it takes twice as long until the next."""
        key, now = (owner["metadata"]["uid"], node), self._api.clock.monotonic()
        pause = self._pauses.get(key)
        if pause is None:
            pause = self._pauses[key] = Backoff(first_s=_FIRST_PAUSE_S, most_s=_LAST_PAUSE_S)
        if now < pause.due_s:
            self._queue.add_after(key_of(owner), pause.due_s - now)
            return False
        pause.failed(now)
        return True


def _fits(owner: Object, node: Object) -> tuple[bool, bool]:
    """Whether a pod may start on the node, and whether one that is there may stay."""
    template = owner["spec"]["template"]["spec"]
    name = node["metadata"]["name"]
    wants = demand.of_pod({"spec": {**template, "tolerations": _tolerations(template)}})
    if template.get("nodeName", name) != name or not demand.affinity_matches(wants, node):
        return False, False
    there, accepted = taints.of_node(node), wants.tolerations
    ending = taints.untolerated(there, accepted, "NoExecute")
    starts = not taints.untolerated(there, accepted, "NoSchedule", "NoExecute")
    return starts, ending is None


def _target(pod: Object) -> str:
    """The node that a pod is on, or for; "" of a pod that some other hand has made."""
    bound = str(pod["spec"].get("nodeName") or "")
    return bound or next(iter(demand.of_pod(pod).only_nodes or ()), "")


def _tolerations(template: Object) -> list[Object]:
    known = template.get("tolerations") or []
    wanted = list(_TOLERATED)
    if template.get("hostNetwork"):
        wanted.append(("node.kubernetes.io/network-unavailable", "NoSchedule"))
    added = [{"key": key, "operator": "Exists", "effect": effect} for key, effect in wanted]
    return [*known, *(one for one in added if one not in known)]


def _pod(owner: Object, node: str) -> Object:
    made = pods.from_template(owner)
    spec, labels = made["spec"], made["metadata"]["labels"]
    labels["controller-revision-hash"] = _revision(owner)
    labels["pod-template-generation"] = str(owner["metadata"].get("generation", 1))
    field = {"key": "metadata.name", "operator": "In", "values": [node]}
    affinity = spec.get("affinity") or {}
    of_nodes = {
        **(affinity.get("nodeAffinity") or {}),
        _REQUIRED: {"nodeSelectorTerms": [{"matchFields": [field]}]},
    }
    spec["affinity"] = {**affinity, "nodeAffinity": of_nodes}
    spec["tolerations"] = _tolerations(spec)
    return made


def _revision(owner: Object) -> str:
    return hashlib.sha256(encode(owner["spec"]["template"])).hexdigest()[:10]


def _status(owner: Object, nodes: dict[str, Object], there: dict[str, list[Object]]) -> Object:
    wanted = {name for name, node in nodes.items() if _fits(owner, node)[0]}
    scheduled = wanted & there.keys()
    ready = sum(any(pods.is_ready(pod) for pod in there[name]) for name in scheduled)
    return {
        "currentNumberScheduled": len(scheduled),
        "desiredNumberScheduled": len(wanted),
        "numberMisscheduled": len((nodes.keys() - wanted) & there.keys()),
        "numberReady": ready,
        "numberAvailable": ready,
        "numberUnavailable": len(wanted) - ready,
        "updatedNumberScheduled": len(scheduled),
    }
