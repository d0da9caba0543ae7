"""One observer for all schedulers alike: when each pod was seen, pinned and bound.

A single watch on all pods, read in a thread, stamped with this process's monotonic clock as each
event arrives. Whoever creates the pods notes the moment before the call on the same clock, so
that a time is never the difference of two clocks.
"""

import contextlib
import http.client
import socket
import threading
import time
from dataclasses import dataclass

from pydantic_core import from_json

from bridge import names
from tests.e2e.stack.access import Access

_SILENCE_S = 600.0
_READ = 1 << 16


@dataclass(slots=True)
class Marks:
    """Monotonic seconds at which the watch first told something of a pod; None: not yet."""

    name: str
    seen_s: float
    pinned_s: float | None = None
    """It carries a job id (the patch that pins and ungates). Never with the stock scheduler."""
    bound_s: float | None = None
    """It has a node."""


class Bindings:
    """The marks of the pods of each namespace, by uid, between `start` and `stop`."""

    def __init__(self, cluster: Access) -> None:
        self.error: Exception | None = None
        self.dropped = 0
        """How often the API server ended the watch (it does when it has no time for it)."""
        self._cluster = cluster
        self._version = ""
        self._marks: dict[str, dict[str, Marks]] = {}
        self._bound: dict[str, int] = {}
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._connection = self._connect()

    def __enter__(self) -> "Bindings":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        with contextlib.suppress(OSError):
            self._connection.sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(timeout=5)
        self._connection.close()

    def begin(self, namespace: str) -> None:
        """From now on only pods that come are counted there."""
        with self._changed:
            self._marks[namespace] = {}
            self._bound[namespace] = 0

    def wait_bound(self, namespace: str, count: int, *, timeout_s: float) -> bool:
        """Until so many pods have a node; False when the time is over before."""
        deadline_s = time.monotonic() + timeout_s
        with self._changed:
            while self._bound[namespace] < count:
                if self.error is not None:
                    raise self.error
                left_s = deadline_s - time.monotonic()
                if left_s <= 0:
                    return False
                self._changed.wait(left_s)
        return True

    def marks(self, namespace: str) -> list[Marks]:
        """What was noted since `begin`."""
        with self._changed:
            return list(self._marks[namespace].values())

    def _connect(self) -> http.client.HTTPSConnection:
        connection = self._cluster.connect()
        connection.timeout = _SILENCE_S
        return connection

    def _run(self) -> None:
        try:
            while True:
                self._watch()
                self.dropped += 1
                self._connection = self._connect()
        except Exception as error:
            if not self._stopping:
                with self._changed:
                    self.error = error
                    self._changed.notify_all()

    def _watch(self) -> None:
        """One watch, from the last version on, until the API server ends it."""
        after = f"&resourceVersion={self._version}" if self._version else ""
        self._connection.request("GET", f"/api/v1/pods?watch=1&allowWatchBookmarks=1{after}")
        response = self._connection.getresponse()
        if response.status != http.client.OK:
            raise RuntimeError(f"watching pods: the API server answered {response.status}")
        rest = b""
        while chunk := response.read1(_READ):
            now_s = time.monotonic()
            *lines, rest = (rest + chunk).split(b"\n")
            with self._changed:
                for line in lines:
                    self._note(line, now_s)
                self._changed.notify_all()

    def _note(self, line: bytes, now_s: float) -> None:
        event = from_json(line)
        if event["type"] == "ERROR":
            raise RuntimeError(f"the watch on pods failed: {event['object']}")
        meta = event["object"]["metadata"]
        self._version = meta["resourceVersion"]
        marks = self._marks.get(meta.get("namespace"))
        if marks is None:
            return
        pod = marks.get(meta["uid"])
        if pod is None:
            if event["type"] != "ADDED":
                return  # left over from before
            pod = marks[meta["uid"]] = Marks(meta["name"], now_s)
        if pod.pinned_s is None and names.JOB_ID_LABEL in meta.get("labels", ()):
            pod.pinned_s = now_s
        if pod.bound_s is None and event["object"]["spec"].get("nodeName"):
            pod.bound_s = now_s
            self._bound[meta["namespace"]] += 1
