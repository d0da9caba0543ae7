"""The subresource scale of custom resources: spec.replicas, as an autoscaling/v1 Scale."""

from bridge.sim.kube.apiserver import failure
from bridge.sim.kube.apiserver.objects import Object, copy
from bridge.sim.kube.apiserver.store import Stored

_SHOWN = ("name", "namespace", "uid", "creationTimestamp")


def of(stored: Stored) -> Object:
    """The scale of an object."""
    return _of(stored.object, str(stored.version))


def apply(current: Object, change: Object) -> Object:
    """The object after a merge patch of its scale; all but the number stays as it is."""
    spec, meta = change.get("spec") or {}, change.get("metadata") or {}
    replicas = spec.get("replicas", (current.get("spec") or {}).get("replicas", 0))
    if not isinstance(replicas, int) or replicas < 0:
        raise failure.bad_request("spec.replicas of a Scale is a number that is not negative")
    new: Object = copy(current)
    new.setdefault("spec", {})["replicas"] = replicas
    if meta.get("resourceVersion"):
        new["metadata"]["resourceVersion"] = meta["resourceVersion"]
    return new


def _of(obj: Object, version: str) -> Object:
    meta = {key: obj["metadata"][key] for key in _SHOWN if key in obj["metadata"]}
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {**meta, "resourceVersion": version},
        "spec": {"replicas": (obj.get("spec") or {}).get("replicas", 0)},
        "status": {"replicas": (obj.get("status") or {}).get("replicas", 0)},
    }
