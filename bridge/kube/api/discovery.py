"""Which path serves a kind: what `kubectl api-resources` asks.

An owner reference names an apiVersion, which may be one that the cluster serves no more; the
object is the same in every version, so another one of its group will do.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridge.kube.api import errors
from bridge.kube.api.client import KubeClient

_NEEDED = ("list", "watch")


@dataclass(frozen=True, slots=True)
class Served:
    """Where objects of a kind are."""

    api_version: str
    plural: str

    @property
    def path(self) -> str:
        """List and watch, all namespaces."""
        return f"{_root(self.api_version)}/{self.plural}"

    @property
    def resource(self) -> str:
        """As RBAC and `kubectl auth can-i` name it: jobsets.jobset.x-k8s.io."""
        group, slash, _ = self.api_version.rpartition("/")
        return f"{self.plural}.{group}" if slash else self.plural


_VERSION = re.compile(r"([a-z0-9][a-z0-9.-]{0,252}/)?v[a-z0-9]{1,62}")
"""group/version, or the version alone of the core group."""


async def find(client: KubeClient, api_version: str, kind: str) -> Served:
    """Where `kind` is served: in the version that is named, else in another of its group.

    Raises NotServed when nowhere, and the other KubeErrors. A version is what some object says of
    its owner: one that can't be a version is asked for nowhere.
    """
    if not _VERSION.fullmatch(api_version):
        raise _not_served(api_version, kind)
    found = await _in(client, api_version, kind)
    if found is not None:
        return found
    for version in await _versions(client, api_version):
        found = await _in(client, version, kind)
        if found is not None:
            return found
    raise _not_served(api_version, kind)


def _not_served(api_version: str, kind: str) -> errors.NotServed:
    return errors.NotServed(
        f"the API server has no {kind} of {api_version} that can be listed and watched; if pods "
        "of that kind belong together, install its CRD or say so by annotation",
        status=404,
        reason="NotFound",
    )


async def _in(client: KubeClient, api_version: str, kind: str) -> Served | None:
    for resource in await _listed(client, _root(api_version), "resources"):
        name = str(resource.get("name") or "")
        if resource.get("kind") == kind and "/" not in name:
            verbs = resource.get("verbs") or ()
            return Served(api_version, name) if all(one in verbs for one in _NEEDED) else None
    return None


async def _versions(client: KubeClient, api_version: str) -> list[str]:
    """The group's other versions, in the API server's order; the core group has none."""
    group, slash, _ = api_version.rpartition("/")
    listed = await _listed(client, f"/apis/{group}", "versions") if slash else []
    versions = [str(one.get("groupVersion") or "") for one in listed]
    return [version for version in versions if version not in ("", api_version)]


async def _listed(client: KubeClient, path: str, field: str) -> list[Mapping[str, Any]]:
    """A discovery document's list; empty where there is no such document."""
    try:
        found = (await client.get(path, urgent=True)).get(field)
    except errors.NotFound:
        return []
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _root(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
