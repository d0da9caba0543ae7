"""How an object ends: preconditions, grace, finalizers, and what becomes of its dependents.

Follows BeforeDelete and the generic store's Delete of k8s.io/apiserver 1.36.
"""

from dataclasses import dataclass
from typing import Final

from bridge.sim.kube.apiserver import failure, metadata
from bridge.sim.kube.apiserver.kinds import Kind
from bridge.sim.kube.apiserver.objects import Object, seconds, timestamp

ORPHAN: Final = "orphan"
FOREGROUND: Final = "foregroundDeletion"
_KEPT_CHILDREN: Final = (
    "child pods are preserved by default when jobs are deleted; set "
    "propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress "
    "this warning"
)


@dataclass(frozen=True, slots=True)
class Decision:
    """`object` as it is to be stored (the same one: no change), and whether it goes at once."""

    object: Object
    remove: bool
    warnings: tuple[str, ...] = ()


def check_preconditions(obj: Object, kind: Kind, options: Object) -> None:
    """Refuse (409) a DELETE that means another object or version."""
    wanted = options.get("preconditions") or {}
    fields = obj["metadata"]
    uid, version = wanted.get("uid"), wanted.get("resourceVersion")
    if uid and uid != fields["uid"]:
        raise failure.conflict(
            kind.kind,
            kind.group,
            fields["name"],
            f"the UID in the precondition ({uid}) does not match the UID in record "
            f"({fields['uid']}). The object might have been deleted and then recreated",
        )
    if version and version != fields["resourceVersion"]:
        raise failure.conflict(
            kind.kind,
            kind.group,
            fields["name"],
            f"the ResourceVersion in the precondition ({version}) does not match the "
            f"ResourceVersion in record ({fields['resourceVersion']}). The object might have "
            "been modified",
        )


def decide(obj: Object, kind: Kind, options: Object, *, now_s: float) -> Decision:
    """What a DELETE with `options` does to `obj` at `now_s` (seconds since the epoch)."""
    warnings = _warnings(kind, options)
    asked = options.get("gracePeriodSeconds")
    asked = 1 if asked is not None and asked < 0 else asked
    if obj["metadata"].get("deletionTimestamp"):
        changed, graceful = _again(obj, asked, now_s=now_s)
        if changed is None:
            return Decision(obj, remove=False, warnings=warnings)
    else:
        grace = kind.rules.grace_period(obj, asked)
        changed, graceful = obj, grace is not None
        if grace is not None:
            changed = _with(
                obj,
                deletionTimestamp=timestamp(now_s + grace),
                deletionGracePeriodSeconds=grace,
            )
            metadata.bump_generation(changed)
    finalizers = _finalizers(changed, kind, options)
    if finalizers != (changed["metadata"].get("finalizers") or []):
        changed = _with(changed, finalizers=finalizers)
    held = bool(finalizers) or kind.rules.holds(changed)
    if held and not graceful:
        changed = _marked(changed, now_s=now_s)
    waits = held or (graceful and changed["metadata"]["deletionGracePeriodSeconds"] > 0)
    return Decision(changed, remove=not waits, warnings=warnings)


def _again(obj: Object, asked: int | None, *, now_s: float) -> tuple[Object | None, bool]:
    """A DELETE of what is being deleted: only a shorter grace changes anything.

    The object to go on with (None: nothing to do) and whether its grace is still running.
    """
    fields = obj["metadata"]
    running = fields.get("deletionGracePeriodSeconds") or 0
    if running == 0:
        return obj, False
    if asked is None or asked >= running:
        return None, True
    when = seconds(fields["deletionTimestamp"]) - running + asked
    if when < now_s:
        when = now_s
        asked = 1 if asked else 0
    return _with(obj, deletionTimestamp=timestamp(when), deletionGracePeriodSeconds=asked), True


def _marked(obj: Object, *, now_s: float) -> Object:
    """Deleted, but held by its finalizers."""
    fields = obj["metadata"]
    if fields.get("deletionTimestamp") and fields.get("deletionGracePeriodSeconds") == 0:
        return obj
    marked = _with(obj, deletionGracePeriodSeconds=0)
    if not fields.get("deletionTimestamp"):
        marked["metadata"]["deletionTimestamp"] = timestamp(now_s)
        metadata.bump_generation(marked)
    return marked


def _finalizers(obj: Object, kind: Kind, options: Object) -> list[str]:
    """The finalizers with `orphan` or `foregroundDeletion` as the propagation policy says."""
    before: list[str] = obj["metadata"].get("finalizers") or []
    policy = _policy(before, kind, options)
    kept = [one for one in before if one not in (ORPHAN, FOREGROUND)]
    if policy == "Orphan":
        return [*kept, ORPHAN]
    if policy == "Foreground":
        return [*kept, FOREGROUND]
    return kept


def _policy(finalizers: list[str], kind: Kind, options: Object) -> str:
    if options.get("orphanDependents") is not None:
        return "Orphan" if options["orphanDependents"] else "Background"
    if options.get("propagationPolicy"):
        return str(options["propagationPolicy"])
    if ORPHAN in finalizers:
        return "Orphan"
    if FOREGROUND in finalizers:
        return "Foreground"
    return "Orphan" if kind.rules.orphans_by_default else "Background"


def _warnings(kind: Kind, options: Object) -> tuple[str, ...]:
    said = options.get("propagationPolicy") or options.get("orphanDependents") is not None
    return (_KEPT_CHILDREN,) if kind.rules.orphans_by_default and not said else ()


def _with(obj: Object, **fields: object) -> Object:
    return {**obj, "metadata": {**obj["metadata"], **fields}}
