"""The labels of the namespaces, which selectors of pods may ask for."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from bridge.model.scheduling import Requirement
from bridge.placement.table.interning import Memo

Labels = Mapping[str, str]

_NONE: Labels = MappingProxyType({})


class Namespaces:
    """All namespaces at one moment: name → labels. It never changes, and keeps answers."""

    __slots__ = ("_labels", "_memo")

    def __init__(self, labels: Mapping[str, Labels]) -> None:
        self._labels = labels
        self._memo = Memo()

    def labels_of(self, name: str) -> Labels:
        """The labels of a namespace; none if Kubernetes does not have it (yet)."""
        return self._labels.get(name, _NONE)

    def selected(
        self, selector: tuple[Requirement, ...], holds: Callable[[Labels], bool]
    ) -> frozenset[str]:
        """The names of the namespaces for whose labels `holds` is True; worked out once for each
        selector.
        """
        return self._memo.remember(
            selector,
            lambda: frozenset(name for name, labels in self._labels.items() if holds(labels)),
        )


class NamespaceStore:
    """The writer's side."""

    def __init__(self) -> None:
        self._labels: dict[str, Labels] = {}
        self._published: Namespaces | None = None

    def set(self, name: str, labels: Labels) -> bool:
        """The namespace has these labels; False if it had the same."""
        if self._labels.get(name) == labels:
            return False
        self._labels[name] = labels
        self._published = None
        return True

    def remove(self, name: str) -> bool:
        """The namespace is gone; False if it was not known."""
        if self._labels.pop(name, None) is None:
            return False
        self._published = None
        return True

    def publish(self) -> Namespaces:
        """The namespaces as they are now; the same object until something changes."""
        if self._published is None:
            self._published = Namespaces(dict(self._labels))
        return self._published
