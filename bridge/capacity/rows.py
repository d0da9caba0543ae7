"""Objects of one kind: as the watch tells of them, and as the answers to what is written do."""

from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar

from bridge.kube.api.reflector import Change, Deleted, Replaced, Upserted


class _Object(Protocol):
    @property
    def uid(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def created_s(self) -> float: ...


Row = TypeVar("Row", bound=_Object)


class Rows(Generic[Row]):
    """Those that exist. What was deleted stays away, also while the watch still tells of it."""

    def __init__(self) -> None:
        self._by_uid: dict[str, Row] = {}
        self._gone: set[str] = set()
        """Uids of deleted ones, of which the watch may still tell."""

    def take(self, change: Change[Row]) -> None:
        """Takes in what the watch tells."""
        match change:
            case Replaced(rows):
                listed = {row.uid: row for row in rows}
                self._gone &= listed.keys()
                self._by_uid = {uid: row for uid, row in listed.items() if uid not in self._gone}
            case Upserted(row):
                self.put(row)
            case Deleted(row):
                self._by_uid.pop(row.uid, None)
                self._gone.discard(row.uid)

    def put(self, row: Row) -> None:
        """Takes in an object as it is now."""
        if row.uid not in self._gone:
            self._by_uid[row.uid] = row

    def put_new(self, row: Row) -> None:
        """Takes in an object that was made; what the watch has told of it already is not older."""
        if row.uid not in self._by_uid:
            self.put(row)

    def drop(self, row: Row) -> None:
        """Notes that the object was deleted."""
        if self._by_uid.pop(row.uid, None) is not None:
            self._gone.add(row.uid)

    def clear(self) -> None:
        """Forgets all of them."""
        self._by_uid.clear()

    def oldest_first(self) -> Iterable[Row]:
        """All of them."""
        return sorted(self._by_uid.values(), key=lambda row: (row.created_s, row.name))
