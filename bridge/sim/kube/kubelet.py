"""The kubelets of all nodes: start what is bound, end what is deleted, keep the nodes Ready.

A test drives a pod by the annotations that the real stack's kwok stages know:

    kwok.x-k8s.io/start-seconds   after binding, until the containers run (default 0)
    kwok.x-k8s.io/run-seconds     after start, until the pod has Succeeded (default: runs on)
    kwok.x-k8s.io/fail-seconds    after start, until the pod has Failed (default: never)
    kwok.x-k8s.io/exit-code       of a failing pod's containers (default 1)
    kwok.x-k8s.io/die-seconds     after the request to delete it, until the containers have ended
                                  (default 0; "grace": killed when the grace ends; a number may be
                                  beyond the grace: a process that can't be killed)

Unlike kwok, these kubelets refuse what doesn't fit (OutOfcpu, UnexpectedAdmissionError), so that
oversubscription shows as a failed pod.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from bridge.model.resources import Resources
from bridge.sim.kube import containers, demand, requests
from bridge.sim.kube.apiserver import kinds
from bridge.sim.kube.apiserver.core import ApiServer, Target
from bridge.sim.kube.apiserver.failure import ApiFailure
from bridge.sim.kube.apiserver.objects import Object, condition, key_of, timestamp
from bridge.sim.kube.apiserver.objects import with_condition as merged
from bridge.sim.kube.apiserver.request import kubelet_of
from bridge.sim.kube.apiserver.store import Change
from bridge.sim.kube.controllers.node_lifecycle import LEASE_NAMESPACE
from bridge.sim.kube.demand import Demand, Usage

PREFIX: Final = "kwok.x-k8s.io/"
_READY: Final = {
    "type": "Ready",
    "status": "True",
    "reason": "KubeletReady",
    "message": "kubelet is posting ready status",
}


class Kubelets:
    """All kubelets in one object: a task for each pod that lives."""

    def __init__(self, api: ApiServer, *, heartbeat_s: float = 10.0) -> None:
        self._api = api
        self._heartbeat_s = heartbeat_s
        self._pods = api.store.subscribe(kinds.PODS.table, since=0)
        self._nodes = api.store.subscribe(kinds.NODES.table, since=0)
        self._lives: dict[str, asyncio.Task[None]] = {}
        self._held: dict[str, tuple[str, Demand]] = {}
        """What the node holds for each pod that it took, by uid: node and demand."""
        self._usage: dict[str, Usage] = {}
        self._dead: set[str] = set()
        self._next_ip = 0

    def kill(self, node: str) -> None:
        """The node's kubelet stops: no heartbeat, no pod starts or ends there any more."""
        self._dead.add(node)
        for uid, (name, _) in list(self._held.items()):
            if name == node and uid in self._lives:
                self._lives.pop(uid).cancel()

    def revive(self, node: str) -> None:
        """The kubelet comes back and takes care of the pods that it finds."""
        self._dead.discard(node)
        for stored in self._api.store.every(kinds.PODS.table):
            if stored.object["spec"].get("nodeName") == node:
                self._tend(stored.object)

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                tasks.create_task(self._follow_nodes())
                tasks.create_task(self._follow_pods())
                tasks.create_task(self._beat())
        finally:
            self._lives.clear()

    async def _follow_nodes(self) -> None:
        while True:
            for change in await self._nodes.take():
                name = change.current.object["metadata"]["name"]
                if change.type == "DELETED":
                    self._dead.discard(name)
                elif name not in self._dead:
                    await self._look_after(change.current.object)

    async def _beat(self) -> None:
        while True:
            await self._api.clock.sleep(self._heartbeat_s)
            for stored in self._api.store.every(kinds.NODES.table):
                name = stored.object["metadata"]["name"]
                if name not in self._dead:
                    await self._renew(name)
                    await self._look_after(stored.object)
            await asyncio.sleep(0)

    async def _look_after(self, node: Object) -> None:
        """A node that is not Ready though its kubelet lives becomes it."""
        ready = condition(node, "Ready")
        if ready is None or ready["status"] != "True":
            name = node["metadata"]["name"]
            await self._renew(name)
            await self._post_ready(name)

    async def _follow_pods(self) -> None:
        while True:
            for change in await self._pods.take():
                self._notice(change)

    def _notice(self, change: Change) -> None:
        pod = change.current.object
        uid = pod["metadata"]["uid"]
        if change.type == "DELETED":
            self._release(uid)
            life = self._lives.pop(uid, None)
            if life is not None:
                life.cancel()
            return
        node = pod["spec"].get("nodeName")
        if not node or node in self._dead:
            return
        deleted = pod["metadata"].get("deletionTimestamp")
        before = (change.previous or {}).get("metadata", {}).get("deletionTimestamp")
        if deleted and deleted != before and uid in self._lives:
            self._lives.pop(uid).cancel()
        if uid not in self._lives:
            self._tend(pod)

    def _tend(self, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        phase = pod["status"].get("phase")
        if pod["metadata"].get("deletionTimestamp"):
            self._lives[uid] = self._tasks.create_task(self._end(pod))
        elif phase not in ("Succeeded", "Failed"):
            self._lives[uid] = self._tasks.create_task(self._live(pod))

    async def _live(self, pod: Object) -> None:
        """Admit, start, run to the end that the annotations order."""
        node = self._api.store.get(kinds.NODES.table, ("", pod["spec"]["nodeName"]))
        if node is None:
            return
        if pod["metadata"]["uid"] not in self._held:
            wants = demand.of_pod(pod)
            refusal = self._refusal(wants, node.object)
            if refusal:
                now = self._api.now()
                await self._post(
                    pod,
                    lambda current: containers.rejected(
                        current, now=now, reason=refusal[0], message=refusal[1]
                    ),
                )
                return
            self._hold(pod, wants)
        if pod["status"].get("phase") == "Pending":
            await self._pause(_seconds(pod, "start-seconds") or 0.0)
            now = self._api.now()
            host_ip, pod_ip = _host_ip(node.object), self._pod_ip()
            await self._post(
                pod,
                lambda current: containers.running(
                    current, now=now, host_ip=host_ip, pod_ip=pod_ip
                ),
            )
        await self._run_out(pod)

    async def _run_out(self, pod: Object) -> None:
        runs, fails = _seconds(pod, "run-seconds"), _seconds(pod, "fail-seconds")
        deadline = pod["spec"].get("activeDeadlineSeconds")
        spans = [span for span in (runs, fails, deadline) if span is not None]
        if not spans:
            return
        shortest = min(spans)
        await self._pause(shortest)
        code = 0
        if shortest == fails:
            code = int(_seconds(pod, "exit-code") or 1)
        overdue = shortest == deadline and shortest not in (runs, fails)
        now = self._api.now()

        def over(current: Object) -> Object:
            status = containers.ended(
                current, now=now, exit_code=containers.KILLED_BY_TERM if overdue else code
            )
            if overdue:
                status["reason"] = "DeadlineExceeded"
                status["message"] = "Pod was active on the node longer than the specified deadline"
            return status

        await self._post(pod, over)
        self._release(pod["metadata"]["uid"])

    async def _end(self, pod: Object) -> None:
        """Let the containers die as the annotations order, then finish the deletion."""
        if pod["status"].get("phase") not in ("Succeeded", "Failed"):
            await self._pause(_dying_s(pod))
            now = self._api.now()
            await self._post(
                pod,
                lambda current: containers.ended(
                    current, now=now, exit_code=containers.KILLED_BY_TERM
                ),
            )
        self._release(pod["metadata"]["uid"])
        namespace, name = key_of(pod)
        target = Target(kinds.PODS, namespace, name, user=kubelet_of(pod["spec"]["nodeName"]))
        await requests.delete(self._api, target, pod, gracePeriodSeconds=0)

    async def _pause(self, span_s: float) -> None:
        if span_s > 0:
            await self._api.clock.sleep(span_s)

    def _refusal(self, wants: Demand, node: Object) -> tuple[str, str] | None:
        """Reason and message when the node doesn't take the pod."""
        name = node["metadata"]["name"]
        usage = self._usage.setdefault(name, Usage())
        if not demand.affinity_matches(wants, node):
            return "NodeAffinity", "Predicate NodeAffinity failed: " + demand.AFFINITY
        offered, most_pods = demand.allocatable(node)
        if usage.pods + 1 > most_pods:
            return "OutOfpods", _not_enough("pods", 1, usage.pods, most_pods)
        for short in demand.lacking(wants.requests, offered, usage):
            if "/" in short:
                left = offered.get(short) - usage.resources.get(short)
                return (
                    "UnexpectedAdmissionError",
                    "Allocate failed due to requested number of devices unavailable for "
                    f"{short}. Requested: {wants.requests.get(short)}, Available: {left}, which "
                    "is unexpected",
                )
            amounts = [_amount(one, short) for one in (wants.requests, usage.resources, offered)]
            return f"OutOf{short}", _not_enough(short, *amounts)
        return None

    def _hold(self, pod: Object, wants: Demand) -> None:
        node = pod["spec"]["nodeName"]
        self._held[pod["metadata"]["uid"]] = (node, wants)
        usage = self._usage.setdefault(node, Usage())
        usage.resources += wants.requests
        usage.pods += 1

    def _release(self, uid: str) -> None:
        held = self._held.pop(uid, None)
        if held is not None:
            usage = self._usage[held[0]]
            usage.resources -= held[1].requests
            usage.pods -= 1

    async def _post(self, pod: Object, change: Callable[[Object], Object]) -> None:
        """Write the pod's status, unless it is another pod by now or gone."""
        namespace, name = key_of(pod)
        uid = pod["metadata"]["uid"]

        def changed(current: Object) -> Object:
            if current["metadata"]["uid"] != uid:
                return current
            return {**current, "status": change(current)}

        try:
            user = kubelet_of(pod["spec"]["nodeName"])
            target = Target(kinds.PODS, namespace, name, "status", user)
            await self._api.patch(target, changed)
        except ApiFailure as problem:
            if problem.code != 404:
                raise

    async def _post_ready(self, name: str) -> None:
        now = self._api.now()

        def ready(node: Object) -> Object:
            status = dict(node.get("status") or {})
            status["conditions"] = merged(
                status.get("conditions"), {**_READY, "lastHeartbeatTime": now}, now=now
            )
            return {**node, "status": status}

        try:
            await self._api.patch(Target(kinds.NODES, "", name, "status", kubelet_of(name)), ready)
        except ApiFailure as problem:
            if problem.code != 404:
                raise

    async def _renew(self, name: str) -> None:
        moment = timestamp(self._api.clock.time(), micro=True)
        spec = {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": moment}
        user = kubelet_of(name)
        target = Target(kinds.LEASES, LEASE_NAMESPACE, name, user=user)
        try:
            if self._api.store.get(kinds.LEASES.table, (LEASE_NAMESPACE, name)) is None:
                lease = {"metadata": {"name": name}, "spec": spec}
                await self._api.create(Target(kinds.LEASES, LEASE_NAMESPACE, user=user), lease)
            else:
                await self._api.patch(target, lambda lease: {**lease, "spec": spec})
        except ApiFailure as problem:
            if problem.code not in (404, 409):
                raise

    def _pod_ip(self) -> str:
        self._next_ip += 1
        number = self._next_ip
        return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def _seconds(pod: Object, name: str) -> float | None:
    text = (pod["metadata"].get("annotations") or {}).get(PREFIX + name)
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _dying_s(pod: Object) -> float:
    annotations = pod["metadata"].get("annotations") or {}
    if annotations.get(PREFIX + "die-seconds") == "grace":
        return float(pod["metadata"].get("deletionGracePeriodSeconds") or 0)
    return _seconds(pod, "die-seconds") or 0.0


def _host_ip(node: Object) -> str:
    for address in (node.get("status") or {}).get("addresses") or ():
        if address.get("type") == "InternalIP":
            return str(address["address"])
    return "127.0.0.1"


def _amount(resources: Resources, name: str) -> int:
    match name:
        case "cpu":
            return resources.cpu_milli
        case "memory":
            return resources.memory_bytes
    return resources.ephemeral_bytes


def _not_enough(name: str, asked: int, used: int, capacity: int) -> str:
    return (
        f"Node didn't have enough resource: {name}, requested: {asked}, used: {used}, "
        f"capacity: {capacity}"
    )
