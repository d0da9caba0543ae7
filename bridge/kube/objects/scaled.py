"""Objects of any kind that have a scale subresource: replicas, and a note about them.

The scale subresource takes nothing but replicas, so the note is an annotation of the object.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridge.kube.api import errors
from bridge.kube.api.client import KubeClient


@dataclass(frozen=True, slots=True)
class Scale:
    """The scale of an object at one version."""

    replicas: int
    resource_version: str


async def annotation(client: KubeClient, path: str, key: str) -> str:
    """The object's annotation; "" if it has none. Raises KubeErrors."""
    meta = (await client.get(path)).get("metadata") or {}
    return str((meta.get("annotations") or {}).get(key) or "")


async def annotate(client: KubeClient, path: str, key: str, text: str) -> None:
    """Writes the annotation; "" takes it away. Raises KubeErrors."""
    await client.patch(path, {"metadata": {"annotations": {key: text or None}}})


async def read(client: KubeClient, path: str) -> Scale:
    """The scale of the object at `path`. Raises KubeErrors."""
    found = await client.get(f"{path}/scale")
    meta: Mapping[str, Any] = found.get("metadata") or {}
    replicas = (found.get("spec") or {}).get("replicas") or 0
    if not isinstance(replicas, int):
        raise errors.Garbled(f"GET {path}/scale: an answer whose spec.replicas is no number")
    return Scale(replicas, str(meta.get("resourceVersion") or ""))


async def set_replicas(client: KubeClient, path: str, scale: Scale, replicas: int) -> None:
    """Sets the replicas, unless the object has changed since `scale` was read: raises Conflict."""
    body = {
        "metadata": {"resourceVersion": scale.resource_version},
        "spec": {"replicas": replicas},
    }
    await client.patch(f"{path}/scale", body)
