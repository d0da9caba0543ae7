"""The namespaces of the cluster, whose labels the node table has to know too."""

from collections.abc import Iterator, MutableMapping

from bridge.model.namespace import Namespace
from bridge.placement.table import NodeTable


class NamespaceRows(MutableMapping[str, Namespace]):
    """Namespaces by name; the table is told their labels."""

    def __init__(self, table: NodeTable) -> None:
        self._rows: dict[str, Namespace] = {}
        self._table = table

    def __getitem__(self, name: str) -> Namespace:
        return self._rows[name]

    def __setitem__(self, name: str, row: Namespace) -> None:
        self._rows[name] = row
        self._table.set_namespace(name, row.labels)

    def __delitem__(self, name: str) -> None:
        del self._rows[name]
        self._table.remove_namespace(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)
