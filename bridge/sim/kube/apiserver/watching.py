"""One watcher's view: the store's changes seen through its namespace and selectors.

An object that begins to match is ADDED for this watcher, one that ceases to match is DELETED,
whatever happened to it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from bridge.sim.kube.apiserver.kinds import Kind
from bridge.sim.kube.apiserver.objects import Object
from bridge.sim.kube.apiserver.selectors import EVERYTHING, Selector
from bridge.sim.kube.apiserver.store import Change, EventType, Store, Stored


@dataclass(frozen=True, slots=True)
class View:
    """What of a kind somebody wants to see."""

    kind: Kind
    namespace: str = ""
    labels: Selector = EVERYTHING
    fields: Selector = EVERYTHING

    def holds(self, obj: Object) -> bool:
        """Whether an object belongs to the view."""
        metadata = obj["metadata"]
        if self.namespace and metadata.get("namespace") != self.namespace:
            return False
        if self.labels and not self.labels.matches(metadata.get("labels")):
            return False
        if not self.fields:
            return True
        values = {
            "metadata.name": metadata["name"],
            "metadata.namespace": metadata.get("namespace", ""),
            **self.kind.rules.fields(obj),
        }
        return self.fields.matches(values)

    def scan(self, store: Store) -> Iterator[Stored]:
        """What of it there is now, in the order of the keys."""
        return (
            one for one in store.scan(self.kind.table, self.namespace) if self.holds(one.object)
        )

    def event(self, change: Change) -> tuple[EventType, Stored] | None:
        """What `change` is to this view; None when it is nothing."""
        now = change.type != "DELETED" and self.holds(change.current.object)
        before = change.previous is not None and self.holds(change.previous)
        if now:
            return ("MODIFIED" if before else "ADDED"), change.current
        if not before or change.previous is None:
            return None
        if change.type == "DELETED":
            return "DELETED", change.current
        version = str(change.version)
        last = {
            **change.previous,
            "metadata": {**change.previous["metadata"], "resourceVersion": version},
        }
        return "DELETED", Stored(last, change.version)
