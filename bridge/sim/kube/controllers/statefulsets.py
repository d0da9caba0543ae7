"""The StatefulSet controller: pods with numbers, in order unless they may come at once.

Not done: rolling updates (a pod gets the template of the day it is created).
"""

import hashlib
from typing import Final

from bridge.sim.kube import requests
from bridge.sim.kube.apiserver import kinds
from bridge.sim.kube.apiserver.core import ApiServer, Target
from bridge.sim.kube.apiserver.objects import Object, copy, encode
from bridge.sim.kube.controllers import pods
from bridge.sim.kube.controllers.owners import OwnerController

POD_NAME: Final = "statefulset.kubernetes.io/pod-name"
POD_INDEX: Final = "apps.kubernetes.io/pod-index"
REVISION: Final = "controller-revision-hash"


class StatefulSetController(OwnerController):
    """One for the whole cluster."""

    def __init__(self, api: ApiServer) -> None:
        super().__init__(api, kinds.STATEFUL_SETS, kinds.PODS, name="statefulset-controller")

    def takes(self, owner: Object, child: Object) -> bool:
        """A pod whose name is not one of its own is none of its own, whatever its labels."""
        parent, _, number = child["metadata"]["name"].rpartition("-")
        named = parent == owner["metadata"]["name"] and number.isascii() and number.isdigit()
        return named and super().takes(owner, child)

    async def sync(self, owner: Object, children: list[Object]) -> None:
        """1. A pod that has ended is deleted; its successor has the same name.
        2. The missing ones are created, in order: the next when all before it are ready.
        3. Those beyond the count go, the highest first.
        """
        spec = owner["spec"]
        start = (spec.get("ordinals") or {}).get("start", 0)
        numbers = range(start, start + spec["replicas"])
        there = {pod["metadata"]["name"]: pod for pod in children}
        for pod in children:
            if not pods.is_active(pod) and "deletionTimestamp" not in pod["metadata"]:
                await self.delete(pod)
        ordered = spec["podManagementPolicy"] == "OrderedReady"
        for number in numbers:
            name = _name(owner, number)
            if name not in there:
                await self._claim(owner, name)
                await self.create(owner, _pod(owner, number))
            if ordered and not (name in there and pods.is_ready(there[name])):
                break
        wanted = {_name(owner, number) for number in numbers}
        surplus = [pod for pod in children if pod["metadata"]["name"] not in wanted]
        surplus.sort(key=_number, reverse=True)
        for pod in surplus[:1] if ordered else surplus:
            await self.delete(pod)
        ready = sum(1 for pod in children if pods.is_ready(pod))
        counts = {"replicas": len(children), "readyReplicas": ready, "availableReplicas": ready}
        await self.report(owner, {**counts, "currentRevision": _revision(owner)})

    async def _claim(self, owner: Object, pod: str) -> None:
        """The claims of one pod; it finds those of its predecessor."""
        for template in _claim_templates(owner):
            metadata = {**template["metadata"], "name": _claim_name(template, pod)}
            claim = {
                **template,
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": metadata,
            }
            target = Target(kinds.CLAIMS, owner["metadata"]["namespace"], user=self._user)
            await requests.create_once(self._api, target, claim)


def _claim_templates(owner: Object) -> list[Object]:
    return [copy(one) for one in owner["spec"].get("volumeClaimTemplates") or ()]


def _claim_name(template: Object, pod: str) -> str:
    return f"{template['metadata']['name']}-{pod}"


def _name(owner: Object, number: int) -> str:
    return f"{owner['metadata']['name']}-{number}"


def _mounted(template: Object, pod: str) -> Object:
    source = {"claimName": _claim_name(template, pod)}
    return {"name": template["metadata"]["name"], "persistentVolumeClaim": source}


def _number(pod: Object) -> int:
    return int(pod["metadata"]["name"].rpartition("-")[2])


def _revision(owner: Object) -> str:
    digest = hashlib.sha256(encode(owner["spec"]["template"])).hexdigest()[:10]
    return f"{owner['metadata']['name']}-{digest}"


def _pod(owner: Object, number: int) -> Object:
    made = pods.from_template(owner)
    metadata, spec = made["metadata"], made["spec"]
    name = _name(owner, number)
    labels = {
        **(metadata.get("labels") or {}),
        POD_NAME: name,
        POD_INDEX: str(number),
        REVISION: _revision(owner),
    }
    spec["hostname"] = name
    templates = _claim_templates(owner)
    if templates:
        own = {one["metadata"]["name"] for one in templates}
        others = [one for one in spec.get("volumes") or () if one["name"] not in own]
        spec["volumes"] = [*others, *(_mounted(one, name) for one in templates)]
    if owner["spec"].get("serviceName"):
        spec["subdomain"] = owner["spec"]["serviceName"]
    del metadata["generateName"]
    return {"metadata": {**metadata, "name": name, "labels": labels}, "spec": spec}
