"""What every Kubernetes object has: metadata, owners, timestamps."""

import json
import random
import uuid
from datetime import UTC, datetime
from typing import Any, NewType

Object = dict[str, Any]
"""A Kubernetes object as it stands on the wire. Kept ones are read-only by convention."""

Key = tuple[str, str]
"""Namespace ("" for cluster-wide kinds) and name."""

Uid = NewType("Uid", str)

_SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_MAX_GENERATED_PREFIX = 58


def key_of(obj: Object) -> Key:
    """Namespace and name of an object."""
    metadata = obj["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def copy(obj: Any) -> Any:
    """A deep copy of JSON data (several times faster than copy.deepcopy)."""
    if isinstance(obj, dict):
        return {key: copy(value) for key, value in obj.items()}
    if isinstance(obj, list):
        return [copy(value) for value in obj]
    return obj


def encode(obj: Any) -> bytes:
    """Compact JSON."""
    return json.dumps(obj, separators=(",", ":")).encode()


def timestamp(seconds: float, *, micro: bool = False) -> str:
    """RFC 3339 in UTC; whole seconds (metav1.Time) unless `micro` (metav1.MicroTime)."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if micro else "%Y-%m-%dT%H:%M:%SZ")


def seconds(text: str) -> float:
    """The moment that `timestamp` wrote, in seconds since the epoch."""
    return datetime.fromisoformat(text).timestamp()


def new_uid(rng: random.Random) -> str:
    """A random uid."""
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def generated_name(prefix: str, rng: random.Random) -> str:
    """`prefix` (cut so that the name stays within 63 characters) and five random characters."""
    return prefix[:_MAX_GENERATED_PREFIX] + "".join(rng.choices(_SUFFIX_ALPHABET, k=5))


def controller_of(obj: Object) -> Object | None:
    """The owner reference of the managing controller."""
    for reference in obj["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            return dict(reference)
    return None


def owner_reference(owner: Object, *, controller: bool = True) -> Object:
    """A reference to `owner`, as controllers put it on what they create."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": controller,
        "blockOwnerDeletion": True,
    }


def condition(obj: Object, kind: str) -> Object | None:
    """The condition of type `kind` in an object's status."""
    for entry in (obj.get("status") or {}).get("conditions") or ():
        if entry.get("type") == kind:
            return dict(entry)
    return None


def condition_is_true(obj: Object, kind: str) -> bool:
    """Whether the condition `kind` stands at "True"."""
    found = condition(obj, kind)
    return found is not None and found.get("status") == "True"


def with_condition(conditions: list[Object] | None, new: Object, *, now: str) -> list[Object]:
    """`conditions` with `new` in place of its type; lastTransitionTime moves only with status."""
    merged = []
    stamped = {"lastTransitionTime": now, **new}
    for entry in conditions or ():
        if entry.get("type") != new["type"]:
            merged.append(entry)
        elif entry.get("status") == new.get("status") and entry.get("lastTransitionTime"):
            stamped["lastTransitionTime"] = entry["lastTransitionTime"]
    return [*merged, stamped]
