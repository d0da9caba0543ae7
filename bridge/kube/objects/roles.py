"""Kinds of several roles (MPIJob, PyTorchJob …) → row, by the table of the settings.

The table says where the map of roles is, so these specs are walked by path; all else about them
(conditions, `spec.runPolicy.suspend`) is the same in the whole family.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bridge.config import RoleKind
from bridge.errors import BadInput
from bridge.kube.objects import metadata, owner_wire, templates, wire
from bridge.model import bounds, texts
from bridge.model.owner import RoleSet, RoleSpec

_FINISHED = frozenset({"Succeeded", "Failed"})


def row(found: owner_wire.RoleSetWire, api_version: str, kind: str, where: RoleKind) -> RoleSet:
    """The row of such an object. Raises BadInput with the offending field."""
    meta: wire.Meta = found.get("metadata") or {}
    status: owner_wire.Status = found.get("status") or {}
    raw = {"spec": found.get("spec") or {}}
    suspended = _at(raw, "spec.runPolicy.suspend"), _at(raw, "spec.suspend")
    return RoleSet(
        **metadata.owner_fields(meta),
        api_version=api_version,
        kind=kind,
        suspended=True in suspended,
        finished=not _FINISHED.isdisjoint(metadata.holding(status.get("conditions"))),
        roles=_roles(raw, where, meta.get("namespace", "")),
        role_label=where.role_label,
        index_label=where.index_label,
        elastic=bool(where.elastic) and _at(raw, where.elastic) not in (None, False),
    )


def _roles(raw: Mapping[str, Any], where: RoleKind, namespace: str) -> tuple[RoleSpec, ...]:
    found = _at(raw, where.roles)
    if found is None:
        return ()
    if not isinstance(found, Mapping):
        raise BadInput(f"{where.roles}: no map from role to replicas", field=where.roles)
    bounds.check_count(len(found), bounds.MOST_ROLES, "roles", field=where.roles)
    late = _late(raw, where)
    ranks = {name.lower(): rank for rank, name in enumerate(where.order)}
    names = sorted(found, key=lambda name: (ranks.get(name.lower(), len(ranks)), name.lower()))
    return tuple(
        replace(_role(name, found[name], where, namespace), late=name.lower() in late)
        for name in names
        if found[name] is not None
    )


def _late(raw: Mapping[str, Any], where: RoleKind) -> frozenset[str]:
    """The roles, in lower case, whose pods come only when those of the others are ready."""
    path, _, value = where.late_if.partition("=")
    if path and _at(raw, path) != value:
        return frozenset()
    return frozenset(name.lower() for name in where.late)


def _role(key: str, found: object, where: RoleKind, namespace: str) -> RoleSpec:
    name = texts.printable(key, bounds.LONGEST_LABEL)
    at = f"{where.roles}.{name}"
    if not isinstance(found, Mapping):
        raise BadInput(f"{at}: no object", field=at)
    count = _at(found, where.replicas)
    field = f"{at}.{where.replicas}"
    if count is None:
        count = 1
    is_whole = isinstance(count, int) and not isinstance(count, bool)
    if not is_whole or not 0 <= count <= bounds.MOST_PODS:
        said = f"{bounds.shown(count)} is no count from 0 to {bounds.MOST_PODS}"
        raise BadInput(f"{field}: {said}", field=field)
    template = _at(found, where.template)
    return RoleSpec(
        name=name.lower(),
        replicas=count,
        template=templates.parse(
            {} if template is None else template, namespace=namespace, at=f"{at}.{where.template}"
        ),
    )


def _at(raw: object, path: str) -> Any:
    """What is at the dotted path; None where something on the way is missing."""
    for name in path.split("."):
        raw = raw.get(name) if isinstance(raw, Mapping) else None
    return raw
