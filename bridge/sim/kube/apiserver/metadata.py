"""metadata: what the server sets, what a request may not change, what deletion leaves there."""

import random

from bridge.sim.kube.apiserver import failure
from bridge.sim.kube.apiserver.failure import Cause
from bridge.sim.kube.apiserver.kinds import Kind
from bridge.sim.kube.apiserver.objects import Object, generated_name, new_uid
from bridge.sim.kube.apiserver.rules import ownership, shapes, syntax

_SERVER_SET = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "selfLink",
    "managedFields",
)
_IMMUTABLE = ("uid", "deletionTimestamp", "deletionGracePeriodSeconds")
_KEPT = ("creationTimestamp", "selfLink")
"""What an update can't change, and is not refused for trying."""


def decode(obj: Object, kind: Kind) -> Object:
    """A client's document as an object of `kind`, with what it left out of its type.

    Raises a 400 for a document of another kind, or of no kind at all.
    """
    version = obj.get("apiVersion") or kind.api_version
    given = obj.get("kind") or kind.kind
    if not isinstance(version, str) or not isinstance(given, str):
        raise failure.bad_request(
            f"the object provided is unrecognized (must be of type {kind.kind}): couldn't get "
            "version/kind; json parse error: they are no strings"
        )
    if version != kind.api_version:
        raise failure.bad_request(
            f'{given} in version "{version.rpartition("/")[2]}" cannot be handled as a '
            f'{kind.kind}: no kind "{given}" is registered for version "{version}"'
        )
    if given != kind.kind:
        raise failure.bad_request(
            f'{given} in version "{kind.version}" cannot be handled as a {kind.kind}: converting '
            f"({kind.version}.{given}) to ({kind.group or 'core'}.{kind.kind}): unknown conversion"
        )
    named = {**obj, "kind": given, "apiVersion": version}
    return shapes.decode(named, kind=kind.kind, version=kind.version)


def check_place(obj: Object, kind: Kind, namespace: str) -> None:
    """Refuse (400) an object whose namespace is not that of the path; fill it in."""
    metadata = obj["metadata"]
    if not kind.namespaced:
        metadata.pop("namespace", None)
    elif metadata.setdefault("namespace", namespace) != namespace:
        raise failure.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )


def begin(obj: Object, *, now: str, rng: random.Random) -> None:
    """A new object's own: uid and creation time; a name where only a prefix was given."""
    metadata = obj["metadata"]
    if metadata.pop("resourceVersion", ""):
        raise failure.ApiFailure(
            500, "", "resourceVersion should not be set on objects to be created"
        )
    for name in _SERVER_SET:
        metadata.pop(name, None)
    metadata["uid"] = new_uid(rng)
    metadata["creationTimestamp"] = now
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = generated_name(metadata["generateName"], rng)


def validate(obj: Object, kind: Kind) -> list[Cause]:
    """What is wrong with the metadata of a new object."""
    fields = obj["metadata"]
    form = syntax.dns_label if kind.rules.named_as_label else syntax.dns_subdomain
    name, prefix = fields.get("name"), fields.get("generateName")
    causes = form("metadata.generateName", prefix, prefix=True) if prefix else []
    if name:
        causes += form("metadata.name", name)
    else:
        causes.append(failure.required_value("metadata.name", "name or generateName is required"))
    causes += _common(fields) + ownership.finalizers(fields.get("finalizers") or ())
    if not kind.custom:
        causes += ownership.built_in_finalizers(fields.get("finalizers") or ())
    return causes


def keep(new: Object, old: Object) -> None:
    """Put what the server set back where an update left it out."""
    before, after = old["metadata"], new["metadata"]
    for name in _IMMUTABLE:
        if name in before and after.get(name) is None:
            after[name] = before[name]
    for name in _KEPT:
        after.pop(name, None)
        if name in before:
            after[name] = before[name]
    after.pop("managedFields", None)
    after.pop("generation", None)
    if "generation" in before:
        after["generation"] = before["generation"]


def validate_update(new: Object, old: Object, kind: Kind) -> list[Cause]:
    """What is wrong with a change of metadata."""
    before, after = old["metadata"], new["metadata"]
    causes = [
        failure.invalid_value(f"metadata.{name}", after.get(name), "field is immutable")
        for name in _IMMUTABLE
        if before.get(name) != after.get(name)
    ]
    if before.get("deletionTimestamp"):
        added = [
            finalizer
            for finalizer in after.get("finalizers") or ()
            if finalizer not in (before.get("finalizers") or ())
        ]
        if added:
            causes.append(
                failure.forbidden_value(
                    "metadata.finalizers",
                    "no new finalizers can be added if the object is being deleted, found new "
                    "finalizers []string{" + ", ".join(f'"{one}"' for one in added) + "}",
                )
            )
    causes += _common(after)
    if not kind.custom:
        causes += ownership.built_in_finalizers(after.get("finalizers") or ())
    return causes


def bump_generation(obj: Object) -> None:
    """One more change of what is wanted."""
    if "generation" in obj["metadata"]:
        obj["metadata"]["generation"] += 1


def may_go(obj: Object, kind: Kind) -> bool:
    """Whether a deleted object has nothing left to wait for: no finalizer, no grace."""
    metadata = obj["metadata"]
    return (
        bool(metadata.get("deletionTimestamp"))
        and not metadata.get("finalizers")
        and not metadata.get("deletionGracePeriodSeconds")
        and not kind.rules.holds(obj)
    )


def _common(fields: Object) -> list[Cause]:
    """What holds for new objects and for changes."""
    return [
        *syntax.labels("metadata.labels", fields.get("labels")),
        *syntax.annotations("metadata.annotations", fields.get("annotations")),
        *ownership.references(fields.get("ownerReferences") or ()),
    ]
