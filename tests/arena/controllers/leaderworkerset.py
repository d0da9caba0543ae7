"""LeaderWorkerSet (kubernetes-sigs/lws): groups of pods, each a leader and its workers.

A StatefulSet makes the leaders; each leader owns a StatefulSet that makes its workers, 1 and up.
Played: names, labels and annotations, `LeaderReady`, exclusive placement, the group's restart
when one of its pods goes. Not played: rollouts, subgroups, a subdomain for each replica.
"""

import hashlib
from collections import Counter

from tests.arena.api import Object
from tests.arena.controllers import world as seen
from tests.arena.controllers.world import POD, STATEFUL_SET, Kind, World, labels

LWS = Kind("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet", "leaderworkersets")
_PREFIX = "leaderworkerset.sigs.k8s.io/"
NAME = _PREFIX + "name"
GROUP_INDEX = _PREFIX + "group-index"
GROUP_KEY = _PREFIX + "group-key"
WORKER_INDEX = _PREFIX + "worker-index"
REVISION = _PREFIX + "template-revision-hash"
SIZE = _PREFIX + "size"
LEADER_NAME = _PREFIX + "leader-name"
EXCLUSIVE = _PREFIX + "exclusive-topology"


class LeaderWorkerSets:
    """Remembers which workers it has seen: one that is another now was deleted in between."""

    def __init__(self) -> None:
        self._workers: dict[tuple[str, str], str] = {}
        """By the leader's uid and the worker's name: the worker's uid."""

    def reconcile(self, world: World) -> None:
        """Every LeaderWorkerSet a step further."""
        for lws in world.live(LWS):
            leaders = _leaders(lws)
            world.create(STATEFUL_SET, lws, leaders)
            there = world.find(STATEFUL_SET, lws["metadata"]["name"])
            if there is not None:
                replicas = leaders["spec"]["replicas"]
                world.change(STATEFUL_SET, there, spec={"replicas": replicas})
            mine = world.all(POD, labelSelector=f"{NAME}={lws['metadata']['name']}")
            for leader in mine:
                if labels(leader)[WORKER_INDEX] == "0" and not seen.is_ending(leader):
                    self._group(world, lws, leader, mine)
            status = {"readyReplicas": _ready_groups(lws, mine)}
            world.change(LWS, lws, subresource="status", status=status)

    def _group(self, world: World, lws: Object, leader: Object, pods: list[Object]) -> None:
        policy = lws["spec"]["leaderWorkerTemplate"].get("restartPolicy")
        workers = world.find(STATEFUL_SET, leader["metadata"]["name"])
        if policy == "RecreateGroupOnPodRestart" and self._lost(leader, workers, pods):
            world.delete(POD, leader, propagation="Foreground")
            return
        size = lws["spec"]["leaderWorkerTemplate"]["size"]
        if size == 1 or (_waits_for_leader(lws) and not seen.is_true(leader, "Ready")):
            return
        made = _workers(lws, leader)
        topology = seen.annotations(lws).get(EXCLUSIVE)
        if topology is not None:
            if not leader["spec"].get("nodeName"):
                return
            domain = labels(world.node(leader["spec"]["nodeName"]))[topology]
            pod_spec = made["spec"]["template"]["spec"]
            selector = {**(pod_spec.get("nodeSelector") or {}), topology: domain}
            made["spec"]["template"]["spec"] = {**pod_spec, "nodeSelector": selector}
        world.create(STATEFUL_SET, leader, made)

    def _lost(self, leader: Object, workers: Object | None, pods: list[Object]) -> bool:
        """Whether a worker of this very leader is being deleted, or was."""
        uid = leader["metadata"]["uid"]
        if workers is None or (seen.controller(workers) or {}).get("uid") != uid:
            return False
        lost = False
        for pod in pods:
            if (seen.controller(pod) or {}).get("uid") == workers["metadata"]["uid"]:
                place, mine = (uid, pod["metadata"]["name"]), pod["metadata"]["uid"]
                lost |= seen.is_ending(pod) or self._workers.setdefault(place, mine) != mine
        return lost


def _ready_groups(lws: Object, pods: list[Object]) -> int:
    ready = Counter(labels(pod)[GROUP_INDEX] for pod in pods if seen.is_true(pod, "Ready"))
    size = lws["spec"]["leaderWorkerTemplate"]["size"]
    return sum(1 for count in ready.values() if count == size)


def _waits_for_leader(lws: Object) -> bool:
    return bool(lws["spec"].get("startupPolicy") == "LeaderReady")


def _leaders(lws: Object) -> Object:
    name, body = lws["metadata"]["name"], lws["spec"]["leaderWorkerTemplate"]
    template = seen.marked(
        body.get("leaderTemplate") or body["workerTemplate"],
        names={WORKER_INDEX: "0", NAME: name, REVISION: "1"},
        notes={SIZE: str(body["size"]), **_exclusive(lws)},
    )
    return {
        "metadata": {
            "name": name,
            "labels": {NAME: name, REVISION: "1"},
            "annotations": {_PREFIX + "replicas": str(lws["spec"]["replicas"])},
        },
        "spec": {
            "replicas": lws["spec"]["replicas"],
            "serviceName": name,
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": {NAME: name, WORKER_INDEX: "0"}},
            "template": template,
        },
    }


def _workers(lws: Object, leader: Object) -> Object:
    body, known = lws["spec"]["leaderWorkerTemplate"], labels(leader)
    marks = {key: known[key] for key in (GROUP_INDEX, NAME, GROUP_KEY)}
    notes = {SIZE: str(body["size"]), LEADER_NAME: leader["metadata"]["name"], **_exclusive(lws)}
    template = seen.marked(
        body["workerTemplate"], names={**marks, REVISION: known[REVISION]}, notes=notes
    )
    return {
        "metadata": {
            "name": leader["metadata"]["name"],
            "labels": {**marks, REVISION: known[REVISION]},
        },
        "spec": {
            "replicas": body["size"] - 1,
            "serviceName": lws["metadata"]["name"],
            "podManagementPolicy": "Parallel",
            "ordinals": {"start": 1},
            "selector": {"matchLabels": marks},
            "template": template,
        },
    }


def _exclusive(lws: Object) -> dict[str, str]:
    known = seen.annotations(lws)
    return {EXCLUSIVE: known[EXCLUSIVE]} if EXCLUSIVE in known else {}


def mutate(world: World, pod: Object) -> Object:
    """Its pod webhook: who a pod is in its group, from the number in its name."""
    name = pod["metadata"]["name"]
    number = name.rpartition("-")[2]
    known = labels(pod)
    if known.get(WORKER_INDEX) != "0":
        return _labelled(pod, {WORKER_INDEX: number})
    text = f"{world.namespace}/{name}".encode()
    key = hashlib.sha1(text, usedforsecurity=False).hexdigest()
    led = _labelled(pod, {GROUP_INDEX: number, GROUP_KEY: key})
    topology = seen.annotations(pod).get(EXCLUSIVE)
    return seen.exclusive(led, GROUP_KEY, key, topology) if topology else led


def _labelled(pod: Object, more: dict[str, str]) -> Object:
    return {**pod, "metadata": {**pod["metadata"], "labels": {**labels(pod), **more}}}
