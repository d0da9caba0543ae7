"""Pods and reviews as the API server sends them, built so that a test names only what matters."""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, Self

from bridge.admission import wire
from bridge.model.namespace import Namespace

Manifest = dict[str, Any]


class ManifestBuilder:
    """A pod of namespace `team` as it reaches the webhook: defaulted, with one container."""

    def __init__(self, name: str) -> None:
        self._pod: Manifest = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "team", "uid": f"uid-{name}"},
            "spec": {
                "schedulerName": "default-scheduler",
                "containers": [{"name": "main", "image": "busybox", "resources": {}}],
            },
        }

    @property
    def _spec(self) -> Manifest:
        spec: Manifest = self._pod["spec"]
        return spec

    def scheduled_by(self, scheduler: str) -> Self:
        self._spec["schedulerName"] = scheduler
        return self

    def ours(self) -> Self:
        return self.scheduled_by("slurm-bridge-scheduler")

    def on_node(self, node: str) -> Self:
        self._spec["nodeName"] = node
        return self

    def labelled(self, **labels: str) -> Self:
        return self.with_labels(labels)

    def with_labels(self, labels: Mapping[str, str]) -> Self:
        self._pod["metadata"].setdefault("labels", {}).update(labels)
        return self

    def annotated(self, annotations: Mapping[str, str]) -> Self:
        self._pod["metadata"].setdefault("annotations", {}).update(annotations)
        return self

    def wishing(self, **suffixes: str) -> Self:
        """Annotations slurmjob.slinky.slurm.net/<suffix>; `_` stands for `-`."""
        return self.annotated(
            {
                f"slurmjob.slinky.slurm.net/{key.replace('_', '-')}": text
                for key, text in suffixes.items()
            }
        )

    def owned_by(self, kind: str, *, controller: bool | None = True) -> Self:
        owner: Manifest = {"apiVersion": "apps/v1", "kind": kind, "name": "x", "uid": "u"}
        if controller is not None:
            owner["controller"] = controller
        self._pod["metadata"]["ownerReferences"] = [owner]
        return self

    def gated(self, *gates: str) -> Self:
        self._spec["schedulingGates"] = [{"name": gate} for gate in gates]
        return self

    def tolerating(self, *tolerations: Manifest) -> Self:
        self._spec["tolerations"] = list(tolerations)
        return self

    def limiting(self, **limits: str) -> Self:
        return self.with_limits(limits)

    def with_limits(self, limits: Mapping[str, str]) -> Self:
        self._spec["containers"][0]["resources"]["limits"] = dict(limits)
        return self

    def requesting(self, requests: Mapping[str, str]) -> Self:
        self._spec["containers"][0]["resources"]["requests"] = dict(requests)
        return self

    def init_requesting(self, requests: Mapping[str, str]) -> Self:
        self._spec["initContainers"] = [{"name": "init", "resources": {"requests": requests}}]
        return self

    def pod_level(self, requests: Mapping[str, str]) -> Self:
        self._spec["resources"] = {"requests": dict(requests)}
        return self

    def required_terms(self, *terms: Manifest) -> Self:
        required = {"nodeSelectorTerms": list(terms)}
        affinity = {"requiredDuringSchedulingIgnoredDuringExecution": required}
        self._spec["affinity"] = {"nodeAffinity": affinity}
        return self

    def spec_field(self, name: str, value: Any) -> Self:
        self._spec[name] = value
        return self

    def build(self) -> Manifest:
        """The raw object."""
        copied: Manifest = json.loads(json.dumps(self._pod))
        return copied

    def parsed(self) -> wire.Pod:
        """As the webhook reads it."""
        return wire.Pod.model_validate(self.build())


def a_manifest(name: str = "train-0") -> ManifestBuilder:
    """Start a pod."""
    return ManifestBuilder(name)


def pin_term(node: str, *expressions: Manifest) -> Manifest:
    """A node selector term that holds a pod to one node."""
    fields = [{"key": "metadata.name", "operator": "In", "values": [node]}]
    return {"matchFields": fields, "matchExpressions": list(expressions)}


def known(**labels: Mapping[str, str]) -> dict[str, Namespace]:
    """Namespaces with these labels, by name."""
    return {name: Namespace(name, f"uid-{name}", labels=its) for name, its in labels.items()}


def a_namespace(name: str = "team", **annotations: str) -> Namespace:
    """With annotations slurmjob.slinky.slurm.net/<suffix>."""
    said = {f"slurmjob.slinky.slurm.net/{key}": text for key, text in annotations.items()}
    return Namespace(name, f"uid-{name}", annotations=said)


def review(
    pod: Any,
    *,
    old: Any = None,
    operation: str = "CREATE",
    sub_resource: str = "",
    namespace: str = "team",
    user: str = "alice",
    groups: Sequence[str] = ("system:authenticated",),
    dry_run: bool = False,
) -> bytes:
    """The body of a call."""
    request: Manifest = {
        "uid": "review-1",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "operation": operation,
        "namespace": namespace,
        "userInfo": {"username": user, "groups": list(groups)},
        "object": pod,
        "oldObject": old,
        "dryRun": dry_run,
    }
    if sub_resource:
        request["subResource"] = sub_resource
    body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    return json.dumps(body).encode()


def response(reply: tuple[int, bytes]) -> Manifest:
    """The response of an answer, with its patch decoded."""
    status, body = reply
    assert status == 200, body
    answer: Manifest = json.loads(body)
    assert answer["apiVersion"] == "admission.k8s.io/v1"
    assert answer["kind"] == "AdmissionReview"
    told: Manifest = answer["response"]
    assert told["uid"] == "review-1"
    if "patch" in told:
        assert told["patchType"] == "JSONPatch"
        told["patch"] = json.loads(base64.b64decode(told["patch"]))
    return told


def patched(pod: Manifest, operations: list[Manifest]) -> Manifest:
    """The pod after a JSON patch of additions (all that we ever send)."""
    result: Manifest = json.loads(json.dumps(pod))
    for operation in operations:
        assert operation["op"] == "add"
        *parents, last = operation["path"].lstrip("/").split("/")
        place: Any = result
        for part in parents:
            place = place[part]
        if isinstance(place, list):
            assert last == "-"
            place.append(operation["value"])
        else:
            place[last] = operation["value"]
    return result
