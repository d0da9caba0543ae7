"""Bytes of the API server → rows, without making objects of what we do not read.

Nine tenths of a pod's JSON (managed fields, environment, mounts) is skipped before Python sees it:
pydantic reads the known parts straight from the bytes. An answer that does not fit as a whole (one
object is nonsense, or it is an error) is read again the slow way, object by object, so that one
bad object costs itself only, also one that is nested too deeply (`depth`).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from bridge import validation
from bridge.errors import BadInput
from bridge.kube.api import depth
from bridge.kube.api.errors import Garbled
from bridge.model import bounds, texts

Wire = TypeVar("Wire")
Row = TypeVar("Row")

_CHANGES = ("ADDED", "MODIFIED", "DELETED")

Parse = Callable[[Mapping[str, Any]], Row]


@dataclass(frozen=True, slots=True)
class Refused:
    """An object that is no row, and why; `raw` is all or a part of it, whatever it was."""

    raw: Any
    error: BadInput


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """A list or a page of one. `items` are made as they are taken; `next` "" is the last page."""

    items: Iterator[Row | Refused]
    version: str
    next: str


@dataclass(frozen=True, slots=True)
class Event(Generic[Row]):
    """One event of a watch. `status` is what an ERROR carries; a BOOKMARK has only a version."""

    type: str
    version: str = ""
    item: Row | Refused | None = None
    status: Mapping[str, Any] | None = None


_ListMeta = TypedDict(
    "_ListMeta", {"resourceVersion": str | None, "continue": str | None}, total=False
)


class _List(TypedDict, Generic[Wire], total=False):
    metadata: _ListMeta | None
    items: list[Wire] | None


class _Line(TypedDict, Generic[Wire], total=False):
    type: str
    object: Wire


class Parser(Generic[Wire, Row]):
    """Reads objects of one kind; calling it reads one that is parsed JSON already.

    `shape` is the typed dictionary of the parts that count, `row` makes a row of them or raises
    BadInput.
    """

    def __init__(self, shape: type[Wire], row: Callable[[Wire], Row], *, kind: str) -> None:
        self._row = row
        self._kind = kind
        self._object: TypeAdapter[Wire] = TypeAdapter(shape)
        self._list: TypeAdapter[_List[Wire]] = TypeAdapter(_List[shape])  # type: ignore[valid-type]
        self._line: TypeAdapter[_Line[Wire]] = TypeAdapter(_Line[shape])  # type: ignore[valid-type]

    def __call__(self, raw: Mapping[str, Any]) -> Row:
        """The row of an object.

        Raises BadInput, and nothing else, with the object's name and the first offending field.
        """
        try:
            return self._row(checked(self._object, raw))
        except BadInput as error:
            field, said = error.field, str(error)
        raise BadInput(f"{self._kind} {_name(raw)}: {said}", field=field)

    def page(self, data: bytes) -> Page[Row]:
        """A list answer. Raises Garbled when it is none."""
        try:
            found = self._list.validate_json(data, strict=True)
        except ValidationError:
            return plain_page(self, data)
        meta = found.get("metadata") or {}
        return Page(
            items=(self._item(one) for one in found.get("items") or ()),
            version=meta.get("resourceVersion") or "",
            next=meta.get("continue") or "",
        )

    def event(self, line: bytes) -> Event[Row]:
        """One line of a watch. Raises Garbled when it is no event."""
        try:
            found = self._line.validate_json(line, strict=True)
        except ValidationError:
            return plain_event(self, line)
        kind, raw = found.get("type"), found.get("object")
        if raw is None or kind not in _CHANGES:
            return plain_event(self, line)
        return Event(type=kind, version=_version(raw, line), item=self._item(raw))

    def _item(self, wire: Wire) -> Row | Refused:
        raw: Any = wire
        try:
            return self._row(wire)
        except BadInput as error:
            said = f"{self._kind} {_name(raw)}: {error}"
            return Refused(raw, BadInput(said, field=error.field))
        except Exception as error:  # our own mistake with one object must not cost the others
            return Refused(raw, _mistake(error))


def checked(adapter: TypeAdapter[Wire], raw: object, *, at: str = "") -> Wire:
    """The known parts of `raw`, which stands at the path `at` of its object.

    Raises BadInput with the first offending field.
    """
    try:
        return adapter.validate_python(raw, strict=True)
    except ValidationError as error:
        fault = validation.first_fault(error)
    field = ".".join(filter(None, (at, fault.path)))
    raise BadInput(f"{field or 'the object'}: {fault.words}", field=field)


def plain_page(parse: Parse[Row], data: bytes) -> Page[Row]:
    """A list answer, for any `parse`. Raises Garbled when it is none."""
    found = _json(data)
    items, meta = found.get("items"), found.get("metadata")
    if not isinstance(items, list | None) or not isinstance(meta, Mapping | None):
        raise Garbled(f"not a list of objects: {data[:80]!r}")
    meta = meta or {}
    return Page(
        items=(_plain_item(parse, one) for one in items or ()),
        version=str(meta.get("resourceVersion") or ""),
        next=str(meta.get("continue") or ""),
    )


def plain_event(parse: Parse[Row], line: bytes) -> Event[Row]:
    """One line of a watch, for any `parse`. Raises Garbled when it is no event."""
    found = _json(line)
    kind, raw = found.get("type"), found.get("object")
    if not isinstance(kind, str) or not isinstance(raw, Mapping):
        raise Garbled(f"not an event: {line[:80]!r}")
    if kind == "ERROR":
        return Event(type=kind, status=raw)
    item = _plain_item(parse, raw) if kind in _CHANGES else None
    return Event(type=kind, version=_version(raw, line), item=item)


def _plain_item(parse: Parse[Row], raw: Any) -> Row | Refused:
    try:
        return parse(raw)
    except BadInput as error:
        return Refused(raw, error)
    except Exception as error:  # as in Parser._item
        return Refused(raw, _mistake(error))


def _mistake(error: Exception) -> BadInput:
    said = f"{type(error).__name__}: {str(error)[:200]}"
    return BadInput(f"the bridge can't read it ({said}); please report it")


def _json(data: bytes) -> Mapping[str, Any]:
    try:
        found = depth.read(data)
    except ValueError as error:
        raise Garbled(f"not JSON ({error}): {data[:80]!r}") from None
    if not isinstance(found, Mapping):
        raise Garbled(f"a JSON {type(found).__name__}, not an object: {data[:80]!r}")
    return found


def _version(raw: Any, line: bytes) -> str:
    meta = raw.get("metadata")
    version = meta.get("resourceVersion") if isinstance(meta, Mapping) else None
    if not isinstance(version, str) or not version:
        raise Garbled(f"an event without a resource version: {line[:80]!r}")
    return version


def _name(raw: object) -> str:
    """namespace/name of whatever it is, for the message; never raises."""
    meta = raw.get("metadata") if isinstance(raw, Mapping) else None
    if not isinstance(meta, Mapping):
        return "without a name"
    name = _word(meta.get("name") or meta.get("generateName") or "without a name")
    return f"{_word(meta['namespace'])}/{name}" if meta.get("namespace") else name


def _word(text: object) -> str:
    if not isinstance(text, str):
        return bounds.shown(text)
    return texts.printable(text, bounds.LONGEST_OBJECT_NAME)
