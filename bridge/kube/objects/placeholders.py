"""Pods that can never run, by which an autoscaler is asked for new nodes.

What the autoscalers look at, in their sources: Karpenter (`IsProvisionable`) takes any pod without
a node whose condition PodScheduled has the reason Unschedulable, Cluster Autoscaler
(`isUnschedulable`) the same with status False; neither asks which scheduler the pod names. A gated
pod has the reason SchedulingGated instead. So these pods have no gate, name a scheduler that nobody
serves, and the bridge itself writes the condition.

Both first try such a pod on the present nodes, so it is kept off those that are counted already.
Karpenter refuses requirements on kubernetes.io/hostname, so it gets a label that these nodes have
and new ones have not. Cluster Autoscaler copies the labels of a present node to the new nodes that
it imagines, all but the hostname, so it gets the hostnames.
"""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from bridge import names
from bridge.kube.api import times
from bridge.kube.api.client import KubeClient
from bridge.kube.objects import affinity, pods
from bridge.model import capacity
from bridge.model.capacity import Part
from bridge.model.ids import GangId
from bridge.model.pod import Pod
from bridge.model.resources import Resources
from bridge.model.scheduling import NodeSelectorTerm, Requirement, Toleration

_HASH_DIGITS = 12
parse = pods.parser(frozenset({names.CAPACITY_PART_LABEL}))
"""The row of a placeholder pod. Raises BadInput."""
_UNPRIVILEGED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "runAsUser": 65534,
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""Every namespace takes such a container, however strict it is."""


@dataclass(frozen=True, slots=True)
class Form:
    """What all placeholder pods have in common. `by_hostname`: the present nodes are named."""

    namespace: str
    image: str
    priority_class: str
    scheduler_name: str
    by_hostname: bool


def group(gang: GangId) -> str:
    """The value of the label on all placeholder pods of a gang."""
    return hashlib.sha256(gang.encode()).hexdigest()[:_HASH_DIGITS]


def spec(form: Form, gang: GangId, part: Part, hostnames: Collection[str]) -> dict[str, Any]:
    """spec of a placeholder pod for one task; `hostnames` are those of the present nodes."""
    if form.by_hostname:
        away = Requirement(names.HOSTNAME_LABEL, "NotIn", tuple(sorted(hostnames)))
        kept_off = [away] if hostnames else []
    else:
        kept_off = [Requirement(names.PRESENT_NODE_LABEL, "DoesNotExist", ())]
    shape = part.shape
    amounts = _amounts(shape.requests)
    tolerations = dict.fromkeys((*shape.tolerations, Toleration.managed(form.scheduler_name)))
    terms = _terms(shape.affinity_terms, shape.volume_terms, kept_off)
    placed: dict[str, Any] = affinity.to_wire(terms) if terms else {}
    if part.per_node == 1:
        placed["podAntiAffinity"] = {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {
                    "topologyKey": names.HOSTNAME_LABEL,
                    "labelSelector": {"matchLabels": {names.CAPACITY_LABEL: group(gang)}},
                }
            ]
        }
    written: dict[str, Any] = {
        "schedulerName": names.CAPACITY_SCHEDULER_NAME,
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "tolerations": [_toleration(one) for one in tolerations],
        "containers": [
            {
                "name": "placeholder",
                "image": form.image,
                "securityContext": _UNPRIVILEGED,
                "resources": {"requests": amounts, "limits": _limits(shape.requests)},
            }
        ],
    }
    if shape.node_selector:
        written["nodeSelector"] = dict(shape.node_selector)
    if placed:
        written["affinity"] = placed
    if form.priority_class:
        written["priorityClassName"] = form.priority_class
    return written


def digest(spec: Mapping[str, Any]) -> str:
    """The mark of pods that are made from this spec."""
    text = json.dumps(spec, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_DIGITS]


def mark(part: int, spec: Mapping[str, Any]) -> str:
    """The label that says what a placeholder pod stands for."""
    return f"{part}.{digest(spec)}"


def part_of(pod: Pod) -> int:
    """The part of its gang that the pod stands for; -1 if it does not say so."""
    text, _, _ = pod.labels.get(names.CAPACITY_PART_LABEL, "").partition(".")
    return int(text) if text.isdecimal() and len(text) < 4 else -1


async def create(
    client: KubeClient,
    form: Form,
    gang: GangId,
    *,
    name: str,
    marked: str,
    spec: Mapping[str, Any],
) -> Pod:
    """Creates one placeholder pod. It asks for nothing before `show_as_unschedulable`."""
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": form.namespace,
            "labels": {
                names.CAPACITY_LABEL: group(gang),
                names.CAPACITY_PART_LABEL: marked,
                "app.kubernetes.io/managed-by": "slurm-bridge",
            },
            "annotations": {names.GANG_ID_ANNOTATION: gang},
        },
        "spec": spec,
    }
    return parse(await client.create(f"/api/v1/namespaces/{form.namespace}/pods", body))


async def show_as_unschedulable(client: KubeClient, pod: Pod, *, message: str) -> Pod:
    """Writes the condition that autoscalers look for."""
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": message,
        "lastTransitionTime": times.seconds(client.clock.time()),
    }
    body = {"metadata": {"uid": pod.uid}, "status": {"conditions": [condition]}}
    where = pods.path(pod.namespace, pod.name, "status")
    return parse(await client.patch(where, body, kind="strategic"))


def _terms(
    own: Sequence[NodeSelectorTerm] | None,
    volumes: Sequence[Sequence[NodeSelectorTerm]],
    added: Sequence[Requirement],
) -> list[NodeSelectorTerm]:
    """One list of ORed terms that says all of it: one term of each list, in every combination."""
    alternatives = [[one for one in terms if capacity.is_general(one)] for terms in volumes]
    if own is not None:
        alternatives.insert(0, [one for one in own if capacity.is_general(one)])
    combined = []
    for choice in product(*alternatives):
        expressions = [one for term in choice for one in term.expressions]
        combined.append(NodeSelectorTerm(tuple(dict.fromkeys((*expressions, *added)))))
    return [one for one in combined if one.expressions]


def _amounts(requests: Resources) -> dict[str, str]:
    """As a resource list."""
    found = {
        "cpu": f"{requests.cpu_milli}m" if requests.cpu_milli else "",
        "memory": str(requests.memory_bytes) if requests.memory_bytes else "",
        "ephemeral-storage": str(requests.ephemeral_bytes) if requests.ephemeral_bytes else "",
        **{name: str(count) for name, count in requests.extended},
    }
    return {name: text for name, text in found.items() if text}


def _limits(requests: Resources) -> dict[str, str]:
    """Extended resources have to be limited to what is requested."""
    return _amounts(replace(requests, cpu_milli=0, memory_bytes=0, ephemeral_bytes=0))


def _toleration(one: Toleration) -> dict[str, str]:
    written = {"key": one.key, "operator": one.operator, "value": one.value, "effect": one.effect}
    return {key: text for key, text in written.items() if text}
