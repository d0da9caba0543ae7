"""What follows from a change of a namespace."""

from typing import Any

import structlog

from bridge.admission.namespaces import NamespaceKeeper
from bridge.kube.api.events import EventRecorder
from bridge.kube.api.reflector import Deleted, Replaced, Upserted
from bridge.model.namespace import Namespace
from tests.unit.admission.manifests import a_namespace


class Heard(EventRecorder):
    """What would have been told."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def emit(self, **event: Any) -> None:
        self.events.append(event)


class Scene:
    """A keeper, its rows, and what it said."""

    def __init__(self) -> None:
        self.rows: dict[str, Namespace] = {}
        self.changed: list[frozenset[str]] = []
        self.heard = Heard()
        self.keeper = NamespaceKeeper(self.rows, recorder=self.heard, changed=self.changed.append)


def test_rows_follow() -> None:
    """A list replaces all, later news one by one."""
    scene = Scene()
    scene.keeper.take(Replaced((a_namespace("a"), a_namespace("b"))))
    scene.keeper.take(Replaced((a_namespace("b"), a_namespace("c"))))
    scene.keeper.take(Upserted(a_namespace("d", user="alice:hpc")))
    scene.keeper.take(Deleted(a_namespace("b")))
    assert sorted(scene.rows) == ["c", "d"]


def test_who_is_told_what_changed() -> None:
    """Namespaces that came, or say something else of their user; labels alone are no news."""
    scene = Scene()
    scene.keeper.take(Replaced((a_namespace("a"), a_namespace("b"))))
    scene.keeper.take(Upserted(a_namespace("a")))
    scene.keeper.take(Upserted(Namespace("a", "uid-a", labels={"x": "y"})))
    scene.keeper.take(Upserted(a_namespace("a", user="alice:hpc")))
    scene.keeper.take(Replaced((a_namespace("a", user="alice:hpc"), a_namespace("b", qos="x"))))
    assert scene.changed == [frozenset({"a", "b"}), frozenset({"a"}), frozenset({"b"})]


def test_what_can_not_be_read() -> None:
    """Is told on the namespace and in the log, once for each change, and is kept all the same."""
    scene = Scene()
    with structlog.testing.capture_logs() as lines:
        scene.keeper.take(Upserted(a_namespace("a", user="al ice")))
        scene.keeper.take(Upserted(a_namespace("a", user="al ice")))
        scene.keeper.take(Upserted(a_namespace("a", user="alice:hpc")))
    (event,) = scene.heard.events
    assert (event["type"], event["reason"]) == ("Warning", "IdentityUnreadable")
    assert (event["regarding"].kind, event["regarding"].name) == ("Namespace", "a")
    assert "write user:group" in event["note"]
    (line,) = lines
    assert (line["event"], line["log_level"]) == ("namespace.identity_unreadable", "warning")
    assert scene.rows["a"].annotations
