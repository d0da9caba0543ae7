"""v1 Namespace → row."""

from collections.abc import Mapping
from typing import Any

from bridge.kube import metadata, wire
from bridge.model.namespace import Namespace

PATH = "/api/v1/namespaces"
"""List and watch."""

_SCHEMA = wire.Schema(wire.NamespaceWire, kind="namespace")


def parse(raw: Mapping[str, Any]) -> Namespace:
    """The row of a namespace. Raises BadInput with the field."""
    return _SCHEMA.parse(raw, _row)


def _row(namespace: wire.NamespaceWire) -> Namespace:
    meta: wire.Meta = namespace.get("metadata") or {}
    return Namespace(
        name=meta.get("name", ""),
        uid=meta.get("uid", ""),
        labels=metadata.every(meta.get("labels")),
        annotations=metadata.annotations(meta),
    )
