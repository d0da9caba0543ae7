"""The API server without a socket: create, read, change and delete objects by their rules.

The controllers of the embedded stack call it directly; `http` translates requests into the same
calls. A change is read, decided (admission may wait for a webhook) and then written only if the
object is still the one that was read, as etcd's transaction does it.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from bridge.clock import Clock
from bridge.sim.kube.apiserver import deletion, failure, kinds, metadata
from bridge.sim.kube.apiserver.admission import Admission, Webhooks
from bridge.sim.kube.apiserver.failure import ApiFailure
from bridge.sim.kube.apiserver.kinds import Kind, Kinds
from bridge.sim.kube.apiserver.objects import Object, copy, encode, key_of, timestamp
from bridge.sim.kube.apiserver.request import ADMIN, Operation, Review, User
from bridge.sim.kube.apiserver.rules.equality import same
from bridge.sim.kube.apiserver.store import Store, Stored

_ATTEMPTS: Final = 5
_MOST_STORED: Final = 1_572_864
"""Bytes: etcd's --max-request-bytes."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a change came to."""

    stored: Stored
    warnings: tuple[str, ...] = ()
    created: bool = False
    """By a PUT of what was not there."""
    removed: bool = False
    """The object is gone now (a DELETE without grace or finalizer, or the last of them)."""

    @property
    def object(self) -> Object:
        """The object after the change."""
        return self.stored.object


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is about, who asks, and how."""

    kind: Kind
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    user: User = field(default=ADMIN)
    dry_run: bool = False


class ApiServer:
    """All state and all rules. Every method may raise ApiFailure."""

    def __init__(
        self,
        *,
        clock: Clock,
        webhooks: Webhooks,
        store: Store | None = None,
        table: Kinds | None = None,
        seed: int = 0,
    ) -> None:
        self.clock = clock
        self.store = store or Store()
        self.kinds = table or Kinds()
        self.rng = random.Random(seed)
        self._admission = Admission(self.store, webhooks)

    def now(self) -> str:
        """The time as it stands in metadata."""
        return timestamp(self.clock.time())

    def get(self, target: Target) -> Stored:
        """One object."""
        return self._existing(target)

    async def create(self, target: Target, obj: Object) -> Answer:
        """Store a new object. `obj` is handed over."""
        kind = target.kind
        obj = metadata.decode(obj, kind)
        metadata.check_place(obj, kind, target.namespace)
        obj = kind.rules.stored(obj)
        kind.rules.default(obj)
        review = self._review(target, "CREATE", obj, None)
        review.name = obj["metadata"].get("name", "")
        await self._admission.mutate(review)
        if review.obj is not obj:
            obj = self._from_webhook(review)
        metadata.begin(obj, now=self.now(), rng=self.rng)
        self._prepare_create(kind, obj)
        obj = kind.rules.tidy(obj)
        causes = metadata.validate(obj, kind) + kind.rules.validate(obj)
        if causes:
            name = obj["metadata"].get("name", "")
            raise failure.invalid(kind.kind, kind.group, name, causes)
        review.obj = obj
        await self._admission.validate(review)
        key = (obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        if self.store.get(kind.table, key):
            raise failure.already_exists(kind.plural, kind.group, key[1])
        stored = self._dry(obj) if target.dry_run else self._put(kind, obj)
        if kind is kinds.DEFINITIONS and not target.dry_run:
            self._serve_definition(obj)
        return Answer(stored, tuple(review.warnings))

    async def update(self, target: Target, obj: Object) -> Answer:
        """Replace an object (or, by `target.subresource`, its status)."""
        obj = metadata.decode(obj, target.kind)
        metadata.check_place(obj, target.kind, target.namespace)
        if obj["metadata"].setdefault("name", target.name) != target.name:
            raise failure.bad_request(
                f"the name of the object ({obj['metadata']['name']}) does not match the name on "
                f"the URL ({target.name})"
            )
        kind = target.kind
        key = (target.namespace if kind.namespaced else "", target.name)
        existing = self.store.get(kind.table, key)
        if existing is None and kind.rules.creates_on_update and not target.subresource:
            return replace(await self.create(target, obj), created=True)
        current = self._existing(target).object["metadata"]["uid"]
        uid = obj["metadata"].get("uid")
        if uid and uid != current:
            raise failure.stale_precondition(
                kind.plural,
                kind.group,
                target.namespace,
                target.name,
                what="UID",
                given=uid,
                actual=current,
            )
        if not obj["metadata"].get("resourceVersion") and not kind.rules.updates_unconditionally:
            cause = failure.invalid_value(
                "metadata.resourceVersion", 0, "must be specified for an update"
            )
            raise failure.invalid(kind.plural, kind.group, target.name, [cause])
        return await self._change(target, lambda _: copy(obj))

    async def patch(self, target: Target, change: Callable[[Object], Object]) -> Answer:
        """Change an object by a function of its current version, which may share parts with it."""

        def checked(current: Object) -> Object:
            obj = metadata.decode(change(current), target.kind)
            metadata.check_place(obj, target.kind, target.namespace)
            if obj["metadata"].get("name") != target.name:
                raise failure.bad_request(
                    f"the name of the object ({obj['metadata'].get('name', '')}) does not match "
                    f"the name on the URL ({target.name})"
                )
            return obj

        return await self._change(target, checked)

    async def delete(self, target: Target, options: Object) -> Answer:
        """Begin or finish the deletion of an object, by the DeleteOptions `options`."""
        kind = target.kind
        for _ in range(_ATTEMPTS):
            before = self._existing(target)
            deletion.check_preconditions(before.object, kind, options)
            review = self._review(target, "DELETE", None, before.object)
            await self._admission.mutate(review)
            await self._admission.validate(review)
            if self.store.get(kind.table, (target.namespace, target.name)) is not before:
                continue
            decided = deletion.decide(before.object, kind, options, now_s=self.clock.time())
            if target.dry_run:
                return Answer(self._dry(decided.object), removed=decided.remove)
            if decided.object is not before.object:
                before = self.store.put(kind.table, decided.object)
            if not decided.remove:
                return Answer(before, (*review.warnings, *decided.warnings))
            return Answer(
                self._remove(kind, before.object),
                (*review.warnings, *decided.warnings),
                removed=True,
            )
        raise failure.modified(kind.plural, kind.group, target.name)

    async def commit(self, target: Target, obj: Object, before: Stored) -> Answer:
        """Write a change that needs no admission nor validation (binding), if still current."""
        if self.store.get(target.kind.table, (target.namespace, target.name)) is not before:
            raise failure.modified(target.kind.plural, target.kind.group, target.name)
        return Answer(self._dry(obj) if target.dry_run else self._write(target.kind, obj))

    async def admit(self, target: Target, operation: Operation, obj: Object) -> Review:
        """Admission alone, for subresources whose object is not stored (binding, eviction)."""
        review = self._review(target, operation, obj, None)
        await self._admission.mutate(review)
        await self._admission.validate(review)
        return review

    async def _change(self, target: Target, change: Callable[[Object], Object]) -> Answer:
        kind = target.kind
        for _ in range(_ATTEMPTS):
            before = self._existing(target)
            new = kind.rules.stored(change(kind.rules.shown(before.object)))
            asked = new["metadata"].get("resourceVersion") or ""
            if asked and asked != str(before.version):
                raise failure.modified(kind.plural, kind.group, target.name)
            new = self._shaped(target, new, before.object)
            review = self._review(target, "UPDATE", new, before.object)
            await self._admission.mutate(review)
            if review.obj is not new:
                new = self._shaped(target, self._from_webhook(review), before.object)
            new = kind.rules.tidy(new, before.object)
            self._check_update(target, new, before.object)
            review.obj = new
            await self._admission.validate(review)
            if self.store.get(kind.table, (target.namespace, target.name)) is not before:
                continue
            if target.dry_run:
                return Answer(self._dry(new), tuple(review.warnings))
            if new == before.object:
                return Answer(before, tuple(review.warnings))
            stored = self._write(kind, new)
            if kind is kinds.DEFINITIONS and not target.subresource:
                self._serve_definition(new)
            removed = self.store.get(kind.table, (target.namespace, target.name)) is None
            return Answer(stored, tuple(review.warnings), removed=removed)
        raise failure.modified(kind.plural, kind.group, target.name)

    def _shaped(self, target: Target, new: Object, old: Object) -> Object:
        """`new` with all that this request may not touch taken from `old`."""
        kind = target.kind
        if target.subresource == "status":
            after = new["metadata"] if not kind.custom else old["metadata"]
            meta = {**after, "ownerReferences": old["metadata"].get("ownerReferences")}
            if meta["ownerReferences"] is None:
                del meta["ownerReferences"]
            status = new.get("status") or {}
            new = {**old, "metadata": meta, "status": status}
        else:
            if kind.has_status:
                new.pop("status", None)
                new.update({"status": old["status"]} if "status" in old else {})
            if _wanted(new) != _wanted(old):
                new = copy(new)
                kind.rules.default(new)
            kind.rules.prepare_update(new, old)
        metadata.keep(new, old)
        new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
        if kind.has_generation and not same(_wanted(new), _wanted(old)):
            metadata.bump_generation(new)
        return new

    def _check_update(self, target: Target, new: Object, old: Object) -> None:
        rules = target.kind.rules
        causes = metadata.validate_update(new, old, target.kind)
        if target.subresource == "status":
            causes += rules.validate_status(new, old)
        else:
            causes += rules.validate_update(new, old)
        if causes:
            raise failure.invalid(target.kind.kind, target.kind.group, target.name, causes)

    def _prepare_create(self, kind: Kind, obj: Object) -> None:
        if kind.has_generation:
            obj["metadata"]["generation"] = 1
        if kind.has_status and not kind.rules.keeps_status_on_create:
            obj.pop("status", None)
        kind.rules.prepare_create(obj, now=self.now())

    def _write(self, kind: Kind, obj: Object) -> Stored:
        """Store a change; the last finalizer gone from a deleted object removes it."""
        if metadata.may_go(obj, kind):
            self._remove(kind, obj)
            return Stored(obj, self.store.version)
        return self._put(kind, obj)

    def _put(self, kind: Kind, obj: Object) -> Stored:
        """Store an object that etcd has room for: its limit is on the request, in protobuf, ours
        on the JSON, which is close enough for objects that are much smaller or much larger."""
        if len(encode(obj)) > _MOST_STORED:
            raise failure.object_too_large()
        return self.store.put(kind.table, obj)

    def _remove(self, kind: Kind, obj: Object) -> Stored:
        if kind is kinds.DEFINITIONS:
            self._end_definition(obj)
        key = (obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        return self.store.remove(kind.table, key)

    def _serve_definition(self, definition: Object) -> None:
        for row in kinds.from_definition(definition):
            self.kinds.add(row)
        established = {
            "status": {
                "acceptedNames": definition["spec"]["names"],
                "storedVersions": [one["name"] for one in definition["spec"]["versions"]],
                "conditions": [
                    {
                        "type": kind,
                        "status": "True",
                        "reason": reason,
                        "message": "",
                        "lastTransitionTime": self.now(),
                    }
                    for kind, reason in (
                        ("NamesAccepted", "NoConflicts"),
                        ("Established", "InitialNamesAccepted"),
                    )
                ],
            }
        }
        self.store.put(kinds.DEFINITIONS.table, {**copy(definition), **established})

    def _end_definition(self, definition: Object) -> None:
        """A definition takes its objects along."""
        spec = definition["spec"]
        for row in kinds.from_definition(definition)[:1]:
            for stored in self.store.every(row.table):
                self.store.remove(row.table, key_of(stored.object))
        self.kinds.drop(spec["group"], spec["names"]["plural"])

    def _existing(self, target: Target) -> Stored:
        kind = target.kind
        namespace = target.namespace if kind.namespaced else ""
        stored = self.store.get(kind.table, (namespace, target.name))
        if stored is None:
            raise failure.not_found(kind.plural, kind.group, target.name)
        return stored

    def _review(
        self, target: Target, operation: Operation, obj: Object | None, old: Object | None
    ) -> Review:
        return Review(
            operation=operation,
            kind=target.kind,
            namespace=target.namespace,
            name=target.name,
            obj=obj,
            old=old,
            user=target.user,
            subresource=target.subresource,
            dry_run=target.dry_run,
        )

    def _from_webhook(self, review: Review) -> Object:
        """What the webhooks made of an object, decoded and defaulted like a client's."""
        if review.obj is None:
            raise ApiFailure(500, "InternalError", "admission lost the object")
        rules = review.kind.rules
        obj = rules.stored(metadata.decode(rules.shown(review.obj), review.kind))
        rules.default(obj)
        return obj

    def _dry(self, obj: Object) -> Stored:
        return Stored(obj, self.store.version)


def _wanted(obj: Object) -> Any:
    """What generation counts: everything but metadata and status."""
    return {key: value for key, value in obj.items() if key not in ("metadata", "status")}
