"""A scenario: named requests that belong together, and how their answers are made comparable.

A request may name what an earlier answer brought: `{pod.uid}`, `{pod.rv}` where the earlier step
said `keep="pod"`; `{x*64}` is a text of 64 x. In answers uids and resourceVersions are replaced by
tokens in the order in which they appear, so that two servers' answers can be compared; moments
become "<time>".
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Json = Any

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
PATCH = "application/json-patch+json"

_UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_GENERATED = re.compile(r"(?<=-)[bcdfghjklmnpqrstvwxz2456789]{5}(?=$|[^a-z0-9-])")
_LONG = re.compile(r"\{x\*(\d+)\}")
_NOISE = ("managedFields", "selfLink", "remainingItemCount")


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: status, parsed body (a list of events for a watch), Warning headers."""

    status: int
    body: Json
    warnings: tuple[str, ...] = ()


class Server(Protocol):
    """Performs one request."""

    def __call__(
        self, method: str, path: str, body: Json, content_type: str
    ) -> "Reply | Callable[[], Reply]":
        """Give the reply."""


@dataclass(frozen=True, slots=True)
class Step:
    """One request of a scenario."""

    name: str
    method: str
    path: str
    body: Json = None
    content_type: str = "application/json"
    keep: str = ""
    """Under which name uid and resourceVersion of the answer are kept."""

    def as_json(self) -> Json:
        """As it stands in the recording."""
        request: dict[str, Json] = {"method": self.method, "path": self.path}
        if self.body is not None:
            request["body"] = self.body
        if self.content_type != "application/json":
            request["type"] = self.content_type
        return {"name": self.name, "request": request, **({"keep": self.keep} if self.keep else {})}

    @classmethod
    def from_json(cls, kept: Mapping[str, Json]) -> "Step":
        """From the recording."""
        request = kept["request"]
        return cls(
            kept["name"],
            request["method"],
            request["path"],
            request.get("body"),
            request.get("type", "application/json"),
            kept.get("keep", ""),
        )


class Thread:
    """What one pass through a scenario has seen: kept objects, tokens for uids and versions."""

    def __init__(self) -> None:
        self._kept: dict[str, str] = {}
        self._uids: dict[str, str] = {}
        self._versions: dict[str, str] = {}
        self.token = ""
        """The last continue token."""

    def fill(self, value: Json) -> Json:
        """A request with the names of earlier objects replaced by what they are here."""
        if isinstance(value, str):
            for name, actual in self._kept.items():
                value = value.replace("{" + name + "}", actual)
            value = _LONG.sub(lambda found: "x" * int(found.group(1)), value)
            return value.replace("{continue}", self.token)
        if isinstance(value, list):
            return [self.fill(one) for one in value]
        if isinstance(value, dict):
            return {key: self.fill(one) for key, one in value.items()}
        return value

    def keep(self, name: str, body: Json) -> None:
        """Remember uid and version of an answer under `name`."""
        metadata = body.get("metadata") or {}
        if name and metadata.get("resourceVersion"):
            self._kept[f"{name}.rv"] = metadata["resourceVersion"]
            self._kept[f"{name}.uid"] = metadata.get("uid", "")
            self._kept[f"{name}.name"] = metadata.get("name", "")

    def normal(self, value: Json, *, key: str = "") -> Json:
        """An answer without what differs from server to server and from day to day."""
        if isinstance(value, dict):
            if "items" in value or value.get("type") == "BOOKMARK":
                value = _without_version(value)
            return {
                name: self.normal(one, key=name)
                for name, one in value.items()
                if name not in _NOISE
            }
        if isinstance(value, list):
            return [self.normal(one) for one in value]
        if not isinstance(value, str):
            return value
        if key == "resourceVersion" and value != "<now>":
            return self._versions.setdefault(value, f"<rv {len(self._versions) + 1}>")
        if key == "continue" and value:
            self.token = value
            return "<token>"
        text = _UID.sub(lambda found: self._uid(found.group()), value)
        text = _TIME.sub("<time>", text)
        for name, actual in self._kept.items():
            if name.endswith(".rv"):
                text = re.sub(rf"\b{actual}\b", f"<{name}>", text)
        return _GENERATED.sub("?????", text) if key in ("name", "message") else text

    def _uid(self, uid: str) -> str:
        if uid.startswith("00000000-"):
            return uid
        return self._uids.setdefault(uid, f"<uid {len(self._uids) + 1}>")


def _without_version(value: Json) -> Json:
    """A list or bookmark: its version counts what others do in the cluster as well."""
    place = value if "items" in value else value["object"]
    metadata = {**place["metadata"], "resourceVersion": "<now>"}
    if place is value:
        return {**value, "metadata": metadata}
    return {**value, "object": {**place, "metadata": metadata}}


def shown(steps: list[Json]) -> str:
    """A recording's text: one line an answer would be unreadable in a diff, so indented."""
    return json.dumps(steps, indent=1, sort_keys=False) + "\n"
