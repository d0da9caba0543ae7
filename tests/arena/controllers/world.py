"""What a played controller sees and does: the objects of one namespace."""

from dataclasses import dataclass
from typing import Any

from tests.arena.api import Kubernetes, Object


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind and where its objects are."""

    api_version: str
    kind: str
    plural: str

    def path(self, namespace: str, name: str = "") -> str:
        """Of its collection, or of one object."""
        root = (
            f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        )
        return f"{root}/namespaces/{namespace}/{self.plural}" + (f"/{name}" if name else "")


POD = Kind("v1", "Pod", "pods")
SERVICE = Kind("v1", "Service", "services")
JOB = Kind("batch/v1", "Job", "jobs")
STATEFUL_SET = Kind("apps/v1", "StatefulSet", "statefulsets")

_PASSING = (403, 404, 409, 500, 503)
"""Answers to a POST that may be another one at the next look."""


class World:
    """One namespace of an API server, as an administrator sees it."""

    def __init__(self, kubernetes: Kubernetes, namespace: str) -> None:
        self._kubernetes = kubernetes
        self.namespace = namespace

    def all(self, kind: Kind, **params: str) -> list[Object]:
        """Every object of a kind, by name; those that are being deleted too."""
        found = self._kubernetes.get(kind.path(self.namespace), **params)["items"]
        head = {"apiVersion": kind.api_version, "kind": kind.kind}  # a list's items lack it
        return sorted(({**head, **one} for one in found), key=lambda one: one["metadata"]["name"])

    def live(self, kind: Kind) -> list[Object]:
        """Those that nobody has deleted."""
        return [one for one in self.all(kind) if not is_ending(one)]

    def children(self, kind: Kind, owner: Object) -> list[Object]:
        """What `owner` controls, with what is being deleted."""
        uid = owner["metadata"]["uid"]
        return [one for one in self.all(kind) if (controller(one) or {}).get("uid") == uid]

    def find(self, kind: Kind, name: str) -> Object | None:
        """One object; None when there is none."""
        return self._kubernetes.find(kind.path(self.namespace, name))

    def node(self, name: str) -> Object:
        """A node."""
        return self._kubernetes.get(f"/api/v1/nodes/{name}")

    def create(self, kind: Kind, owner: Object, manifest: Object) -> None:
        """Create what `owner` controls; there already is fine, a refusal is seen next time.

        A controller's POST that is refused (a webhook, a namespace that ends) is tried again at
        its next look, as real ones do.
        """
        metadata = {
            **manifest.get("metadata", {}),
            "namespace": self.namespace,
            "ownerReferences": [reference(owner)],
        }
        head = {"apiVersion": kind.api_version, "kind": kind.kind}
        body = {**head, **manifest, "metadata": metadata}
        answer = self._kubernetes.http.post(kind.path(self.namespace), json=body)
        is_refused = answer.status_code == 422 and "admission webhook" in answer.text
        if answer.is_error and not is_refused and answer.status_code not in _PASSING:
            raise AssertionError(f"creating {kind.kind} {metadata}: {answer.text}")

    def delete(self, kind: Kind, obj: Object, *, propagation: str = "Background") -> None:
        """Delete this very object; gone already is fine."""
        body = {
            "propagationPolicy": propagation,
            "preconditions": {"uid": obj["metadata"]["uid"]},
        }
        path = kind.path(self.namespace, obj["metadata"]["name"])
        answer = self._kubernetes.http.request("DELETE", path, json=body)
        if answer.is_error and answer.status_code not in (404, 409):
            raise AssertionError(f"deleting {path}: {answer.text}")

    def change(self, kind: Kind, obj: Object, *, subresource: str = "", **parts: Any) -> None:
        """A merge patch of an object's parts, if they differ; gone already is fine."""
        if all(_covers(obj.get(name) or {}, part) for name, part in parts.items()):
            return
        path = kind.path(self.namespace, obj["metadata"]["name"])
        if subresource:
            path += f"/{subresource}"
        answer = self._kubernetes.http.patch(
            path, json=parts, headers={"Content-Type": "application/merge-patch+json"}
        )
        if answer.is_error and answer.status_code not in (404, 409):
            raise AssertionError(f"changing {path}: {answer.text}")


def reference(owner: Object) -> Object:
    """As controllers put it on what they create."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def controller(obj: Object) -> Object | None:
    """The reference to what controls an object."""
    for one in obj["metadata"].get("ownerReferences") or ():
        if one.get("controller"):
            return dict(one)
    return None


def is_ending(obj: Object) -> bool:
    """Whether somebody has deleted it."""
    return "deletionTimestamp" in obj["metadata"]


def is_true(obj: Object, condition: str) -> bool:
    """Whether a condition of it stands at "True"."""
    return any(
        one["type"] == condition and one["status"] == "True"
        for one in (obj.get("status") or {}).get("conditions") or ()
    )


def labels(obj: Object) -> dict[str, str]:
    """Its labels."""
    return dict(obj["metadata"].get("labels") or {})


def annotations(obj: Object) -> dict[str, str]:
    """Its annotations."""
    return dict(obj["metadata"].get("annotations") or {})


def marked(template: Object, *, names: dict[str, str], notes: dict[str, str]) -> Object:
    """A pod template with more labels and annotations."""
    metadata = template.get("metadata") or {}
    return {
        **template,
        "metadata": {
            **metadata,
            "labels": {**(metadata.get("labels") or {}), **names},
            "annotations": {**(metadata.get("annotations") or {}), **notes},
        },
    }


def exclusive(pod: Object, key: str, value: str, topology: str, **everywhere: Any) -> Object:
    """A pod that shares its `topology` domain with those of its own `key`, and with no others.

    `everywhere` goes into both terms (a namespace selector).
    """

    def term(*expressions: Object) -> Object:
        return {
            "labelSelector": {"matchExpressions": list(expressions)},
            "topologyKey": topology,
            **everywhere,
        }

    mine = term({"key": key, "operator": "In", "values": [value]})
    others = term(
        {"key": key, "operator": "Exists"}, {"key": key, "operator": "NotIn", "values": [value]}
    )
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    affinity = dict(pod["spec"].get("affinity") or {})
    for name, one in (("podAffinity", mine), ("podAntiAffinity", others)):
        known = dict(affinity.get(name) or {})
        known[required] = [*(known.get(required) or ()), one]
        affinity[name] = known
    return {**pod, "spec": {**pod["spec"], "affinity": affinity}}


def _covers(whole: Any, part: Any) -> bool:
    """Whether a merge of `part` would change nothing."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(
            _covers(whole.get(name), one) for name, one in part.items()
        )
    return bool(whole == part)
