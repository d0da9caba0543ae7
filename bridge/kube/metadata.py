"""What is kept of an object's metadata, each distinct value once.

100,000 pods repeat a few hundred owners, label sets and names. What is equal is the same object
here: the caches are keyed by value and bounded, so they never show and never grow.
"""

import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import TypedDict

from bridge import names
from bridge.errors import BadInput
from bridge.kube import wire
from bridge.model.pod import OwnerReference

NOTHING: Mapping[str, str] = MappingProxyType({})

_LABELS = frozenset(
    {
        "batch.kubernetes.io/job-name",
        "jobset.sigs.k8s.io/jobset-name",
        "jobset.sigs.k8s.io/jobset-uid",
        "jobset.sigs.k8s.io/replicatedjob-name",
        "jobset.sigs.k8s.io/replicatedjob-replicas",
        "jobset.sigs.k8s.io/job-index",
        "jobset.sigs.k8s.io/restart-attempt",
        "leaderworkerset.sigs.k8s.io/name",
        "leaderworkerset.sigs.k8s.io/group-index",
        "leaderworkerset.sigs.k8s.io/group-key",
        "leaderworkerset.sigs.k8s.io/worker-index",
        "apps.kubernetes.io/pod-index",
        "scheduling.x-k8s.io/pod-group",
        "training.kubeflow.org/job-name",
        "training.kubeflow.org/job-role",
        "training.kubeflow.org/replica-index",
        "training.kubeflow.org/replica-type",
    }
)
"""Labels of controllers that say which pods belong together, and in what order."""

_ANNOTATIONS = frozenset(
    {
        names.MIRROR_POD_ANNOTATION,
        "alpha.jobset.sigs.k8s.io/exclusive-topology",
        "alpha.jobset.sigs.k8s.io/node-selector",
        "leaderworkerset.sigs.k8s.io/exclusive-topology",
        "leaderworkerset.sigs.k8s.io/leader-name",
        "leaderworkerset.sigs.k8s.io/size",
        "leaderworkerset.sigs.k8s.io/subgroup-exclusive-topology",
    }
)


@lru_cache(maxsize=4096)
def is_ours(key: str) -> bool:
    """Whether the prefix of a label's or annotation's key is our domain or below it."""
    prefix, slash, _ = key.partition("/")
    return bool(slash) and (prefix == names.OUR_DOMAIN or prefix.endswith("." + names.OUR_DOMAIN))


def labels(meta: wire.Meta, *, also: frozenset[str] = frozenset()) -> Mapping[str, str]:
    """Our labels, those that say which pods belong together, and those of `also`."""
    return _kept(meta.get("labels"), _LABELS | also if also else _LABELS)


def annotations(meta: wire.Meta) -> Mapping[str, str]:
    """Our annotations and the few of Kubernetes that decide something."""
    return _kept(meta.get("annotations"), _ANNOTATIONS)


def every(values: Mapping[str, str] | None) -> Mapping[str, str]:
    """All of them: labels of nodes and namespaces, which selectors may name."""
    if not values:
        return NOTHING
    # No two nodes have the same labels, but nearly every key and value is on many of them.
    return MappingProxyType({sys.intern(key): sys.intern(text) for key, text in values.items()})


def controller(meta: wire.Meta) -> OwnerReference | None:
    """The owner that controls the object; at most one has `controller: true`."""
    for owner in meta.get("ownerReferences") or ():
        if owner.get("controller"):
            return _owner(
                owner.get("apiVersion", ""),
                owner.get("kind", ""),
                owner.get("name", ""),
                owner.get("uid", ""),
            )
    return None


class OwnerFields(TypedDict):
    """What rows of owners have in common, whatever their kind."""

    uid: str
    namespace: str
    name: str
    resource_version: str
    deleting: bool
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    owner: OwnerReference | None


def owner_fields(meta: wire.Meta) -> OwnerFields:
    """The part of an owner's row that its metadata says."""
    return {
        "uid": meta.get("uid", ""),
        "namespace": sys.intern(meta.get("namespace", "")),
        "name": meta.get("name", ""),
        "resource_version": meta.get("resourceVersion", ""),
        "deleting": bool(meta.get("deletionTimestamp")),
        "labels": labels(meta),
        "annotations": annotations(meta),
        "owner": controller(meta),
    }


def holding(conditions: Iterable[wire.ConditionWire] | None) -> tuple[str, ...]:
    """The types of the conditions that are True, in the status's order."""
    return tuple(one.get("type", "") for one in conditions or () if one.get("status") == "True")


def created_s(meta: wire.Meta) -> float:
    """metadata.creationTimestamp in seconds since the epoch, 0.0 when it has none yet."""
    text = meta.get("creationTimestamp")
    if not text:
        return 0.0
    try:
        return _seconds(text)
    except ValueError:
        field = "metadata.creationTimestamp"
        raise BadInput(f"{field}: {text!r} is not a time (RFC 3339)", field=field) from None


@lru_cache(maxsize=4096)
def _seconds(text: str) -> float:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("no time zone")
    return moment.timestamp()


def _kept(values: Mapping[str, str] | None, also: frozenset[str]) -> Mapping[str, str]:
    if not values:
        return NOTHING
    kept = tuple([item for item in values.items() if item[0] in also or is_ours(item[0])])
    return _mapping(kept) if kept else NOTHING


@lru_cache(maxsize=16384)
def _mapping(items: tuple[tuple[str, str], ...]) -> Mapping[str, str]:
    return MappingProxyType(dict(items))


@lru_cache(maxsize=16384)
def _owner(api_version: str, kind: str, name: str, uid: str) -> OwnerReference:
    return OwnerReference(api_version=api_version, kind=kind, name=name, uid=uid)
