"""What clients ask before they ask for anything: version, groups, resources, a bit of OpenAPI."""

import re
from typing import Final

from bridge.sim.kube.apiserver.kinds import Kind, Kinds
from bridge.sim.kube.apiserver.objects import Object

VERSION: Final[Object] = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.3",
    "gitCommit": "embedded",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "none",
    "compiler": "none",
    "platform": "python",
}
_VERBS: Final = (
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
)


def core_versions() -> Object:
    """`/api`."""
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def groups(table: Kinds) -> Object:
    """`/apis`."""
    names = sorted({kind.group for kind in table if kind.group})
    return {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [group(table, name) for name in names],
    }


def group(table: Kinds, name: str) -> Object:
    """`/apis/GROUP`."""
    versions = sorted({kind.version for kind in table if kind.group == name}, key=_rank)
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {
        "kind": "APIGroup",
        "apiVersion": "v1",
        "name": name,
        "versions": listed,
        "preferredVersion": listed[0],
    }


def _rank(version: str) -> tuple[int, int, int]:
    """Stable before beta before alpha, newer before older, as Kubernetes prefers them."""
    found = re.fullmatch(r"v(\d+)(?:(alpha|beta)(\d+))?", version)
    if found is None:
        return (3, 0, 0)
    major, stage, minor = found.groups()
    return (("", "beta", "alpha").index(stage or ""), -int(major), -int(minor or 0))


def resources(table: Kinds, group_name: str, version: str) -> Object | None:
    """`/api/v1`, `/apis/GROUP/VERSION`; None when there is nothing."""
    rows = [kind for kind in table if (kind.group, kind.version) == (group_name, version)]
    if not rows:
        return None
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": rows[0].api_version,
        "resources": [entry for kind in rows for entry in _entries(kind)],
    }


def openapi_index(table: Kinds) -> Object:
    """`/openapi/v3`: where the documents are."""
    roots = sorted({kind.root.lstrip("/") for kind in table})
    return {"paths": {root: {"serverRelativeURL": f"/openapi/v3/{root}"} for root in roots}}


def openapi(table: Kinds, root: str) -> Object | None:
    """`/openapi/v3/ROOT`: no schemas, but what kubectl needs to leave validation to the server."""
    rows = [kind for kind in table if kind.root == root]
    if not rows:
        return None
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": VERSION["gitVersion"]},
        "paths": {_object_path(kind): _operations(kind) for kind in rows},
        "components": {"schemas": {}},
    }


def _entries(kind: Kind) -> list[Object]:
    entry: Object = {
        "name": kind.plural,
        "singularName": kind.kind.lower(),
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": list(_VERBS),
    }
    if kind.short_names:
        entry["shortNames"] = list(kind.short_names)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    below = []
    if kind.has_status:
        below.append(_below(kind, "status", kind.kind, ("get", "patch", "update")))
    if kind.is_scaled:
        scale = _below(kind, "scale", "Scale", ("get", "patch", "update"))
        below.append({**scale, "group": "autoscaling", "version": "v1"})
    if kind.plural == "pods" and not kind.group:
        below.append(_below(kind, "binding", "Binding", ("create",)))
        eviction = _below(kind, "eviction", "Eviction", ("create",))
        below.append({**eviction, "group": "policy", "version": "v1"})
    return [entry, *below]


def _below(kind: Kind, name: str, body: str, verbs: tuple[str, ...]) -> Object:
    return {
        "name": f"{kind.plural}/{name}",
        "singularName": "",
        "namespaced": kind.namespaced,
        "kind": body,
        "verbs": list(verbs),
    }


def _object_path(kind: Kind) -> str:
    scope = "namespaces/{namespace}/" if kind.namespaced else ""
    return f"{kind.root}/{scope}{kind.plural}/{{name}}"


def _operations(kind: Kind) -> Object:
    parameter = {"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}
    operation = {
        "operationId": f"write{kind.kind}",
        "parameters": [parameter],
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-group-version-kind": {
            "group": kind.group,
            "version": kind.version,
            "kind": kind.kind,
        },
    }
    return {
        "patch": {**operation, "x-kubernetes-action": "patch"},
        "put": {**operation, "x-kubernetes-action": "put"},
    }
