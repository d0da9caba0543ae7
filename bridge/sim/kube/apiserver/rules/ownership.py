"""Owner references and finalizers: what the API server looks at, and what it does not.

Whether an owner exists, is of a kind that is served, or lies in the same namespace, how long its
name is and what its uid looks like: none of that is validated. The garbage collector judges it.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from bridge.sim.kube.apiserver.failure import Cause, invalid_value
from bridge.sim.kube.apiserver.objects import Object
from bridge.sim.kube.apiserver.rules import syntax

_STANDARD: Final = frozenset({"kubernetes", "orphan", "foregroundDeletion"})
"""The finalizers that need no domain."""
_OWNERS: Final = "metadata.ownerReferences"
_FINALIZERS: Final = "metadata.finalizers"


def references(given: Sequence[Object]) -> list[Cause]:
    """Every part of each reference is there, no owner is an Event, one controls at most."""
    causes: list[Cause] = []
    controller = ""
    for reference in given:
        causes += _reference(reference)
        if not reference.get("controller"):
            continue
        named = f"{reference.get('kind', '')}/{reference.get('name', '')}"
        if controller:
            message = (
                'Only one reference can have Controller set to true. Found "true" in references '
                f"for {controller} and {named}"
            )
            causes.append(invalid_value(_OWNERS, list(given), message))
        else:
            controller = named
    return causes


def finalizers(given: Sequence[str]) -> list[Cause]:
    """Those of a new object."""
    causes = [one for name in given for one in syntax.qualified_name(_FINALIZERS, name)]
    if "orphan" in given and "foregroundDeletion" in given:
        message = "finalizer orphan and foregroundDeletion cannot be both set"
        causes.append(invalid_value(_FINALIZERS, list(given), message))
    return causes


def built_in_finalizers(given: Iterable[str]) -> list[Cause]:
    """Those of a built-in kind, new or changed: a domain, or Kubernetes' own."""
    message = "name is neither a standard finalizer name nor is it fully qualified"
    return [
        invalid_value(f"{_FINALIZERS}[{index}]", name, message)
        for index, name in enumerate(given)
        if "/" not in name and name not in _STANDARD
    ]


def _reference(reference: Object) -> list[Cause]:
    causes = []
    group, version = _group_version(reference.get("apiVersion") or "")
    if not version:
        written = reference.get("apiVersion") or ""
        causes.append(invalid_value(f"{_OWNERS}.apiVersion", written, "version must not be empty"))
    causes += [
        invalid_value(f"{_OWNERS}.{name}", "", "must not be empty")
        for name in ("kind", "name", "uid")
        if not reference.get(name)
    ]
    if (group, version, reference.get("kind")) == ("", "v1", "Event"):
        message = "/v1, Kind=Event is disallowed from being an owner"
        causes.append(invalid_value(_OWNERS, reference, message))
    return causes


def _group_version(api_version: str) -> tuple[str, str]:
    """As schema.ParseGroupVersion; no version where there is more than one slash."""
    parts = api_version.split("/")
    if len(parts) > 2:
        return "", ""
    return ("", parts[0]) if len(parts) == 1 else (parts[0], parts[1])
