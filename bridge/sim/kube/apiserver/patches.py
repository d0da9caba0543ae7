"""JSON merge patch (RFC 7386) and JSON patch (RFC 6902)."""

from collections.abc import Sequence
from typing import Any

from bridge.sim.kube.apiserver.failure import ApiFailure, bad_request
from bridge.sim.kube.apiserver.objects import Object, copy


def merge(target: Any, patch: Any) -> Any:
    """A new document: `patch` laid over `target`; null removes, lists are replaced whole."""
    if not isinstance(patch, dict):
        return copy(patch)
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def apply_json(target: Object, operations: Sequence[Object]) -> Object:
    """A new document: `operations` applied in order.

    Raises a 422 when a path doesn't exist or a test fails, a 400 for an unknown operation.
    """
    document = copy(target)
    for operation in operations:
        document = _apply_one(document, operation)
    if not isinstance(document, dict):
        raise _refused("the patched document is not an object")
    return document


def _apply_one(document: Any, operation: Object) -> Any:
    kind, path = operation.get("op"), _pointer(operation.get("path", ""))
    match kind:
        case "add":
            return _add(document, path, copy(operation.get("value")))
        case "remove":
            return _remove(document, path)[0]
        case "replace":
            if not path:
                return copy(operation.get("value"))
            _find(document, path)
            without, _ = _remove(document, path)
            return _add(without, path, copy(operation.get("value")))
        case "test":
            if _find(document, path) != operation.get("value"):
                raise _refused(f"testing path {operation['path']} failed")
            return document
        case "move" | "copy":
            source = _pointer(operation.get("from", ""))
            value = copy(_find(document, source))
            if kind == "move":
                document, _ = _remove(document, source)
            return _add(document, path, value)
    raise bad_request(f"unknown JSON patch operation {kind!r}")


def _pointer(text: str) -> list[str]:
    if text == "":
        return []
    if not text.startswith("/"):
        raise bad_request(f"JSON patch path {text!r} does not start with /")
    return [part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/")]


def _find(document: Any, path: Sequence[str]) -> Any:
    value = document
    for part in path:
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and _index(value, part) < len(value):
            value = value[_index(value, part)]
        else:
            raise _refused(f"doc is missing path: /{'/'.join(path)}: missing value")
    return value


def _add(document: Any, path: Sequence[str], value: Any) -> Any:
    if not path:
        return value
    parent, last = _find(document, path[:-1]), path[-1]
    if isinstance(parent, dict):
        parent[last] = value
    elif isinstance(parent, list):
        where = len(parent) if last == "-" else _index(parent, last)
        if where > len(parent):
            raise _refused(f"unable to access invalid index {last}")
        parent.insert(where, value)
    else:
        raise _refused(f"cannot add below /{'/'.join(path[:-1])}")
    return document


def _remove(document: Any, path: Sequence[str]) -> tuple[Any, Any]:
    value = _find(document, path)
    if not path:
        return None, value
    parent, last = _find(document, path[:-1]), path[-1]
    if isinstance(parent, dict):
        del parent[last]
    else:
        del parent[_index(parent, last)]
    return document, value


def _index(items: list[Any], part: str) -> int:
    if not part.isdigit():
        raise _refused(f"unable to access invalid index {part!r}")
    return int(part)


def _refused(message: str) -> ApiFailure:
    """As the real one: it doesn't say what (the cause stands in the exception only)."""
    failure = ApiFailure(
        422, "Invalid", "the server rejected our request due to an error in our request"
    )
    failure.add_note(message)
    return failure
