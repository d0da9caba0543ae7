"""The rules of every kind, which kinds with more to say extend."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from bridge.sim.kube.apiserver.failure import Cause
from bridge.sim.kube.apiserver.objects import Object
from bridge.sim.kube.apiserver.rules import omission


class Rules:
    """A kind without rules of its own (also: every custom resource).

    The methods are called in the order in which the API server has them: `default` before
    admission, `prepare_*` after the mutating webhooks, `validate_*` after that. They may change
    `obj`/`new` in place, which is never the stored version.
    """

    blank: Mapping[str, Any] = MappingProxyType({})
    """What an object without content has besides metadata: bookmarks are such objects."""
    named_as_label = False
    """Whether its name is a DNS label (63 characters), not a subdomain (253)."""
    creates_on_update = False
    """Whether a PUT of an object that isn't there creates it."""
    updates_unconditionally = True
    """Whether a PUT without resourceVersion is taken."""
    orphans_by_default = False
    """Whether a DELETE without a propagation policy leaves the dependents (only batch/v1 Job)."""
    keeps_status_on_create = False
    """Whether a client may set status with the POST (only Node)."""
    metadata_by_status = False
    """Whether labels and annotations can be changed through the status subresource."""

    def default(self, obj: Object) -> None:
        """Fill in what the user left out."""

    def prepare_create(self, obj: Object, *, now: str) -> None:
        """Set what only the server may set."""

    def prepare_update(self, new: Object, old: Object) -> None:
        """Put back what an update may not touch."""

    def validate(self, obj: Object) -> list[Cause]:
        """What is wrong with a new object."""
        del obj
        return []

    def validate_update(self, new: Object, old: Object) -> list[Cause]:
        """What is wrong with a change; unless overridden, what is wrong with the result."""
        del old
        return self.validate(new)

    def validate_status(self, new: Object, old: Object) -> list[Cause]:
        """What is wrong with a change through the status subresource."""
        del new, old
        return []

    def tidy(self, obj: Object, before: Object | None = None) -> Object:
        """The object without what the server leaves out when it is empty.

        What is as it was in `before` (its present version) is tidy already.
        """
        known = before or {}
        return {
            name: known[name] if name in known and known[name] == part else omission.prune(part)
            for name, part in obj.items()
        }

    def stored(self, obj: Object) -> Object:
        """A client's object in the form in which it is kept (events have two APIs)."""
        return obj

    def shown(self, obj: Object) -> Object:
        """A kept object as this API shows it; `obj` itself when nothing differs."""
        return obj

    def grace_period(self, obj: Object, asked: int | None) -> int | None:
        """Seconds between the DELETE and the removal; None where deletion knows no grace."""
        del obj, asked
        return None

    def holds(self, obj: Object) -> bool:
        """Whether something besides finalizers keeps a deleted object (a namespace's content)."""
        del obj
        return False

    def fields(self, obj: Object) -> dict[str, str]:
        """What field selectors may name, besides metadata.name and metadata.namespace."""
        del obj
        return {}

    @property
    def field_names(self) -> frozenset[str]:
        """The keys of `fields`."""
        return frozenset(self.fields({"metadata": {}}))
