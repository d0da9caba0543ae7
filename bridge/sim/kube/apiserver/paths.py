"""Which kind, object and subresource a path means."""

from dataclasses import dataclass

from bridge.sim.kube.apiserver import failure
from bridge.sim.kube.apiserver.kinds import Kind, Kinds


@dataclass(frozen=True, slots=True)
class Place:
    """What a path points at; `name` is "" for a collection."""

    kind: Kind
    namespace: str = ""
    name: str = ""
    subresource: str = ""


def parse(path: str, table: Kinds) -> Place:
    """`/api/v1/…` or `/apis/GROUP/VERSION/…`. Raises a 404 for anything that isn't served."""
    parts = [part for part in path.split("/") if part]
    if parts[:1] == ["api"] and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        raise failure.no_such_path()
    if not any((row.group, row.version) == (group, version) for row in table):
        raise failure.no_such_group()
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    kind = table.at(group, version, rest[0])
    if kind is None or len(rest) > 3 or (namespace and not kind.namespaced):
        raise failure.no_such_path()
    name = rest[1] if len(rest) > 1 else ""
    if kind.namespaced and name and not namespace:
        raise failure.no_such_path()
    return Place(kind, namespace, name, rest[2] if len(rest) > 2 else "")
