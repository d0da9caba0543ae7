"""What follows from a change of a namespace: who its pods are in Slurm may have changed.

An annotation that can't be read is told where its author, an admin, looks: an event on the
namespace and a line in the log. (Pods of that namespace are refused meanwhile, with the same
sentence.)
"""

from collections.abc import Callable, MutableMapping

import structlog

from bridge.errors import BadInput
from bridge.jobs import allowance
from bridge.kube.api.events import EventRecorder, ObjectRef
from bridge.kube.api.reflector import Change, Deleted, Replaced, Upserted
from bridge.model.namespace import Namespace

log = structlog.get_logger(__name__)


class NamespaceKeeper:
    """Keeps `rows` as the reflector tells; `changed` is called when a namespace came or says
    something else of its user."""

    def __init__(
        self,
        rows: MutableMapping[str, Namespace],
        *,
        recorder: EventRecorder,
        changed: Callable[[frozenset[str]], None],
    ) -> None:
        self._rows = rows
        self._recorder = recorder
        self._changed = changed

    def take(self, change: Change[Namespace]) -> None:
        """The reflector's news."""
        before = dict(self._rows)
        match change:
            case Replaced(listed):
                self._rows.clear()
                self._rows.update({row.name: row for row in listed})
                news = list(listed)
            case Upserted(row):
                self._rows[row.name] = row
                news = [row]
            case Deleted(row):
                self._rows.pop(row.name, None)
                return
        fresh = [row for row in news if _says_else(row, before.get(row.name))]
        for row in fresh:
            self._check(row)
        if fresh:
            self._changed(frozenset(row.name for row in fresh))

    def _check(self, namespace: Namespace) -> None:
        try:
            allowance.of(namespace)
        except BadInput as error:
            log.warning("namespace.identity_unreadable", namespace=namespace.name, error=str(error))
            self._recorder.emit(
                regarding=ObjectRef("Namespace", "v1", "", namespace.name, namespace.uid),
                type="Warning",
                reason="IdentityUnreadable",
                note=str(error),
                action="ReadingIdentity",
            )


def _says_else(row: Namespace, before: Namespace | None) -> bool:
    return before is None or row.annotations != before.annotations
