"""What is kept of an object's metadata, each distinct value once.

100,000 pods repeat a few hundred owners, label sets and names. What is equal is the same object
here: the caches are keyed by value and bounded, so they never show and never grow.

Of a user's texts only what the bridge reads is kept, and no more of it than anything accepts: an
object may have 256 KiB of annotations, and an owner reference any text for name, kind, version
and uid. None of that ever refuses the object: what is too long is cut, or told apart by a hash.
"""

import re
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import TypedDict

from bridge import names
from bridge.errors import BadInput
from bridge.kube.objects import wire
from bridge.model import bounds, texts
from bridge.model.pod import OwnerReference
from bridge.model.pod_identity import NUMBERING, LabelSet, PodIdentity

NOTHING: Mapping[str, str] = MappingProxyType({})

_NUMBERS = frozenset(
    {
        "jobset.sigs.k8s.io/replicatedjob-replicas",
        "jobset.sigs.k8s.io/job-index",
        "jobset.sigs.k8s.io/restart-attempt",
        "leaderworkerset.sigs.k8s.io/group-index",
        "leaderworkerset.sigs.k8s.io/worker-index",
        "apps.kubernetes.io/pod-index",
        "training.kubeflow.org/replica-index",
    }
)
"""Those of the labels below whose values are counts and indexes: anything else is left out."""

_LABELS = _NUMBERS | {
    names.JOB_ID_LABEL,
    "batch.kubernetes.io/job-name",
    "jobset.sigs.k8s.io/jobset-name",
    "jobset.sigs.k8s.io/jobset-uid",
    "jobset.sigs.k8s.io/replicatedjob-name",
    "leaderworkerset.sigs.k8s.io/name",
    "leaderworkerset.sigs.k8s.io/group-key",
    "scheduling.x-k8s.io/pod-group",
    "training.kubeflow.org/job-name",
    "training.kubeflow.org/job-role",
    "training.kubeflow.org/replica-type",
}
"""The one that we write, and those of controllers that say which pods belong together, and in what
order."""

_ANNOTATIONS = (
    names.PARAMETERS
    | dict(names.DO_NOT_DISRUPT).keys()
    | {
        names.NODE_ANNOTATION,
        names.GANG_ID_ANNOTATION,
        names.EXTERNAL_NODE_PARTITIONS_ANNOTATION,
        names.TOPOLOGY_ANNOTATION,
        names.CORDONED_ANNOTATION,
        names.HELD_NODE_ANNOTATION,
        names.KARPENTER_DO_NOT_DISRUPT,
        names.CLUSTER_AUTOSCALER_NO_SCALE_DOWN,
        names.MIRROR_POD_ANNOTATION,
        "alpha.jobset.sigs.k8s.io/exclusive-topology",
        "alpha.jobset.sigs.k8s.io/node-selector",
        "leaderworkerset.sigs.k8s.io/exclusive-topology",
        "leaderworkerset.sigs.k8s.io/leader-name",
        "leaderworkerset.sigs.k8s.io/size",
        "leaderworkerset.sigs.k8s.io/subgroup-exclusive-topology",
    }
)

_CACHED = 2048
"""Characters of the texts of one object, up to which equal ones are one object."""
_API_VERSION = re.compile(r"(?:[a-z0-9][a-z0-9.-]*/)?[a-z0-9][a-z0-9-]*")
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9-]*")


def labels(meta: wire.Meta, *, also: frozenset[str] = frozenset()) -> Mapping[str, str]:
    """Our label, those that say which pods belong together, and those of `also`."""
    found = _kept(meta.get("labels"), _LABELS | also if also else _LABELS, bounds.LONGEST_LABEL)
    return _mapping_of([item for item in found if item[0] not in _NUMBERS or _is_number(item[1])])


def identity(meta: wire.Meta) -> PodIdentity:
    """Who a pod is to the selectors of others. A label that no selector can meet, and those beyond
    what is read, count as absent.
    """
    values = meta.get("labels") or {}
    if len(values) > bounds.MOST_LABELS:
        values = {key: values[key] for key in sorted(values)[: bounds.MOST_LABELS]}
    labels: list[tuple[str, str]] = []
    own: list[tuple[str, str]] = []
    for key, text in sorted(values.items()):
        if len(key) <= bounds.LONGEST_KEY and len(text) <= bounds.LONGEST_LABEL:
            (own if key in NUMBERING else labels).append((sys.intern(key), _value(text)))
    namespace = sys.intern(meta.get("namespace", ""))
    return _identity(namespace, _label_set(tuple(labels)), _label_set(tuple(own)))


def label_set(meta: wire.Meta) -> LabelSet:
    """All labels of a template that are read."""
    found = identity(meta)
    return LabelSet.of((*found.labels, *found.own)) if found.own else found.labels


def annotations(meta: wire.Meta, *, longest: int = bounds.LONGEST_VALUE) -> Mapping[str, str]:
    """Our annotations and the few of Kubernetes that decide something, each cut just beyond
    `longest` characters: whoever reads it sees that it is too long."""
    return _mapping_of(_kept(meta.get("annotations"), _ANNOTATIONS, longest))


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
            return reference(owner)
    return None


def reference(owner: wire.OwnerRef) -> OwnerReference:
    """An owner reference. The API server asks of its texts only that they are not empty."""
    return _owner(
        _word(owner.get("apiVersion", ""), bounds.LONGEST_API_VERSION, _API_VERSION),
        _word(owner.get("kind", ""), bounds.LONGEST_KIND, _KIND),
        texts.printable(owner.get("name", ""), bounds.LONGEST_OBJECT_NAME),
        texts.printable(owner.get("uid", ""), bounds.LONGEST_UID),
    )


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
        said = f"{field}: {bounds.shown(text)} is not a time (RFC 3339)"
        raise BadInput(said, field=field) from None


def seconds(value: int | None) -> int | None:
    """A deadline or a grace, between none and 68 years."""
    return None if value is None else min(max(value, 0), bounds.MOST_SECONDS)


@lru_cache(maxsize=4096)
def _seconds(text: str) -> float:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("no time zone")
    return moment.timestamp()


def _kept(
    values: Mapping[str, str] | None, wanted: frozenset[str], longest: int
) -> list[tuple[str, str]]:
    if not values:
        return []
    return [(key, text[: longest + 1]) for key, text in values.items() if key in wanted]


def _is_number(text: str) -> bool:
    return bounds.number_in(text) is not None


def _mapping_of(items: list[tuple[str, str]]) -> Mapping[str, str]:
    if not items:
        return NOTHING
    if sum(len(text) for _, text in items) > _CACHED:
        return MappingProxyType(dict(items))
    return _mapping(tuple(items))


@lru_cache(maxsize=16384)
def _mapping(items: tuple[tuple[str, str], ...]) -> Mapping[str, str]:
    return MappingProxyType(dict(items))


@lru_cache(maxsize=4096)
def _value(text: str) -> str:
    """The same object for the same value, as far as that is worth it: an object's uid is in two
    labels of one pod, and in none of most others."""
    return text


def _label_set(items: tuple[tuple[str, str], ...]) -> LabelSet:
    if sum(len(text) for _, text in items) > _CACHED:
        return LabelSet.of(items)
    return _few_labels(items)


@lru_cache(maxsize=4096)
def _few_labels(items: tuple[tuple[str, str], ...]) -> LabelSet:
    labels = LabelSet.of(items)
    return LabelSet(_keys(labels.names), labels.values)


@lru_cache(maxsize=4096)
def _keys(keys: tuple[str, ...]) -> tuple[str, ...]:
    """The same object for the same keys: labels of different pods differ in their values."""
    return keys


@lru_cache(maxsize=4096)
def _identity(namespace: str, labels: LabelSet, own: LabelSet) -> PodIdentity:
    return PodIdentity(namespace, labels, own)


def _word(text: str, longest: int, form: re.Pattern[str]) -> str:
    """One that goes into the path of a request: as it is, or as one component of a path."""
    if len(text) <= longest and form.fullmatch(text):
        return text
    return texts.component(text) if text else ""


@lru_cache(maxsize=16384)
def _owner(api_version: str, kind: str, name: str, uid: str) -> OwnerReference:
    return OwnerReference(api_version=api_version, kind=kind, name=name, uid=uid)
