"""Versioned storage: one counter, the current objects, the recent events, and who watches.

As etcd under a watch cache: every change gets the next number, an object's resourceVersion is
the number of its last change, and a watcher who asks for what came after a number that is no
longer remembered is told so (`Expired`).
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from bridge.errors import BridgeError
from bridge.sim.kube.apiserver.objects import Key, Object, encode, key_of

EventType = Literal["ADDED", "MODIFIED", "DELETED"]


class Expired(BridgeError):
    """The asked version is older than the remembered history."""

    def __init__(self, asked: int, oldest: int) -> None:
        super().__init__(f"too old resource version: {asked} ({oldest})")


@dataclass(slots=True)
class Stored:
    """One version of an object; its JSON is made once, however many read it."""

    object: Object
    version: int
    _raw: bytes = field(default=b"", repr=False)

    @property
    def raw_item(self) -> bytes:
        """The same without kind and apiVersion (which come first), as items of a list are."""
        head = encode({name: self.object[name] for name in ("kind", "apiVersion")})
        return b"{" + self.raw[len(head) :]

    @property
    def raw(self) -> bytes:
        """The object as compact JSON."""
        if not self._raw:
            self._raw = encode(self.object)
        return self._raw


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one object; `previous` is what it was (None when it is new)."""

    type: EventType
    table: str
    version: int
    current: Stored
    previous: Object | None


class Subscription:
    """What has changed in one table and was not taken yet. Made by `Store.subscribe`."""

    def __init__(self, pending: deque[Change]) -> None:
        self._pending = pending
        self._arrived = asyncio.Event()
        if pending:
            self._arrived.set()

    def put(self, change: Change) -> None:
        """Called by the store for every change."""
        self._pending.append(change)
        self._arrived.set()

    async def arrival(self) -> None:
        """Wait until there is something to take, or `wake`."""
        await self._arrived.wait()

    def wake(self) -> None:
        """Let whoever waits look around, though nothing has changed."""
        self._arrived.set()

    async def take(self) -> list[Change]:
        """All that has changed since the last call; waits until there is something."""
        await self._arrived.wait()
        return self.take_now()

    def take_now(self) -> list[Change]:
        """What is there, without waiting."""
        self._arrived.clear()
        changes = list(self._pending)
        self._pending.clear()
        return changes


@dataclass(slots=True)
class _Table:
    objects: dict[Key, Stored] = field(default_factory=dict)
    history: deque[Change] = field(default_factory=deque)
    forgotten: int = 0
    """Version of the newest change that is no longer in `history`."""
    subscriptions: list[Subscription] = field(default_factory=list)


class Store:
    """All objects of all kinds, by table (`group/plural`) and key."""

    def __init__(self, *, history: int = 20_000) -> None:
        self._tables: dict[str, _Table] = {}
        self._history = history
        self._everything: list[Subscription] = []
        self.version = 1

    def get(self, table: str, key: Key) -> Stored | None:
        """The current version of an object."""
        return self._table(table).objects.get(key)

    def scan(self, table: str, namespace: str = "") -> Iterator[Stored]:
        """Current objects in the order of their keys; of one namespace unless it is ""."""
        objects = self._table(table).objects
        for key in sorted(objects):
            if not namespace or key[0] == namespace:
                yield objects[key]

    def every(self, table: str) -> Iterator[Stored]:
        """Current objects in no order; the caller may change the store meanwhile."""
        return iter(list(self._table(table).objects.values()))

    def count(self, table: str) -> int:
        """How many objects the table holds."""
        return len(self._table(table).objects)

    def put(self, table: str, obj: Object) -> Stored:
        """Keep `obj` (which is handed over) as the newest version."""
        self.version += 1
        head = {"kind": obj["kind"], "apiVersion": obj["apiVersion"]}
        obj = head | {key: value for key, value in obj.items() if key not in head}
        obj["metadata"]["resourceVersion"] = str(self.version)
        entries = self._table(table)
        key = key_of(obj)
        before = entries.objects.get(key)
        stored = Stored(obj, self.version)
        entries.objects[key] = stored
        self._publish(
            entries,
            Change(
                "MODIFIED" if before else "ADDED",
                table,
                self.version,
                stored,
                before.object if before else None,
            ),
        )
        return stored

    def remove(self, table: str, key: Key) -> Stored:
        """Forget an object; its last version carries the number of the removal."""
        self.version += 1
        entries = self._table(table)
        before = entries.objects.pop(key)
        last = {
            **before.object,
            "metadata": {**before.object["metadata"], "resourceVersion": str(self.version)},
        }
        stored = Stored(last, self.version)
        self._publish(entries, Change("DELETED", table, self.version, stored, before.object))
        return stored

    def subscribe(self, table: str, *, since: int | None = None) -> Subscription:
        """Changes after version `since` (None: from now on). Raises Expired."""
        entries = self._table(table)
        pending: deque[Change] = deque()
        if since is not None:
            if since < entries.forgotten:
                raise Expired(since, entries.forgotten + 1)
            pending.extend(change for change in entries.history if change.version > since)
        subscription = Subscription(pending)
        entries.subscriptions.append(subscription)
        return subscription

    def unsubscribe(self, table: str, subscription: Subscription) -> None:
        """No more changes for this one."""
        entries = self._table(table)
        entries.subscriptions = [one for one in entries.subscriptions if one is not subscription]

    def subscribe_everything(self) -> Subscription:
        """Changes in all tables, also those that are still to come, from now on."""
        subscription = Subscription(deque())
        self._everything.append(subscription)
        return subscription

    def unsubscribe_everything(self, subscription: Subscription) -> None:
        """No more changes for this one."""
        self._everything = [one for one in self._everything if one is not subscription]

    @property
    def tables(self) -> list[str]:
        """The tables that have (had) objects."""
        return list(self._tables)

    def compact(self) -> None:
        """Forget all history, as etcd's compaction does: every older version is now expired."""
        for entries in self._tables.values():
            entries.history.clear()
            entries.forgotten = self.version

    def _publish(self, entries: _Table, change: Change) -> None:
        entries.history.append(change)
        if len(entries.history) > self._history:
            entries.forgotten = entries.history.popleft().version
        for subscription in (*entries.subscriptions, *self._everything):
            subscription.put(change)

    def _table(self, table: str) -> _Table:
        return self._tables.setdefault(table, _Table())
