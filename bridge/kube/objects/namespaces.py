"""v1 Namespace → row."""

from bridge.kube.api import decode
from bridge.kube.objects import metadata, wire
from bridge.model.namespace import Namespace

PATH = "/api/v1/namespaces"
"""List and watch."""


def _row(namespace: wire.NamespaceWire) -> Namespace:
    meta: wire.Meta = namespace.get("metadata") or {}
    return Namespace(
        name=meta.get("name", ""),
        uid=meta.get("uid", ""),
        labels=metadata.every(meta.get("labels")),
        annotations=metadata.annotations(meta),
    )


parse = decode.Parser(wire.NamespaceWire, _row, kind="namespace")
"""The row of a namespace. Raises BadInput with the field."""
