"""Label and field selectors, in the text form of queries and the object form of specs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from bridge.sim.kube.apiserver.failure import bad_request
from bridge.sim.kube.apiserver.objects import Object

_SET_FORM = re.compile(r"^(\S+)\s+(in|notin)\s*\(([^)]*)\)$")
_SPLIT = re.compile(r",(?![^(]*\))")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one key."""

    key: str
    operator: str
    """In, NotIn, Exists, DoesNotExist, Gt, Lt."""
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Kubernetes' rule: NotIn and DoesNotExist also match what lacks the key."""
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value is not None and value in self.values
            case "NotIn":
                return value is None or value not in self.values
            case "Exists":
                return value is not None
            case "DoesNotExist":
                return value is None
            case "Gt" | "Lt":
                return self._compares(value)
        return False

    def _compares(self, value: str | None) -> bool:
        try:
            actual, bound = int(value or ""), int(self.values[0])
        except (ValueError, IndexError):
            return False
        return actual > bound if self.operator == "Gt" else actual < bound


@dataclass(frozen=True, slots=True)
class Selector:
    """All requirements must match; none match everything."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        """Whether an object with these labels (or field values) is meant."""
        given = labels or {}
        return all(requirement.matches(given) for requirement in self.requirements)

    def __bool__(self) -> bool:
        return bool(self.requirements)


EVERYTHING = Selector()


def parse_labels(text: str) -> Selector:
    """`a=b,c!=d,e in (f,g),h notin (i),j,!k`. Raises a 400 for anything else."""
    pieces = [piece.strip() for piece in _SPLIT.split(text) if piece.strip()]
    return Selector(tuple(_label_requirement(piece) for piece in pieces))


def parse_fields(text: str) -> Selector:
    """`metadata.name=a,status.phase!=Running`. Raises a 400 for anything else."""
    requirements = []
    for piece in filter(None, (part.strip() for part in text.split(","))):
        found = re.match(r"^([^=!]+)(==|=|!=)(.*)$", piece)
        if found is None:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{piece}'")
        key, operator, value = found.groups()
        requirements.append(
            Requirement(key.strip(), "NotIn" if operator == "!=" else "In", (value.strip(),))
        )
    return Selector(tuple(requirements))


def from_object(selector: Object | None) -> Selector:
    """A LabelSelector (`matchLabels`, `matchExpressions`). None matches everything here."""
    if not selector:
        return EVERYTHING
    requirements = [
        Requirement(key, "In", (str(value),))
        for key, value in (selector.get("matchLabels") or {}).items()
    ]
    requirements += [
        Requirement(entry["key"], entry["operator"], tuple(entry.get("values") or ()))
        for entry in selector.get("matchExpressions") or ()
    ]
    return Selector(tuple(requirements))


def _label_requirement(piece: str) -> Requirement:
    found = _SET_FORM.match(piece)
    if found:
        key, operator, values = found.groups()
        options = tuple(value.strip() for value in values.split(","))
        return Requirement(key, "In" if operator == "in" else "NotIn", options)
    found = re.match(r"^([^=!\s]+)\s*(==|=|!=)\s*([^=!\s]*)$", piece)
    if found:
        key, operator, value = found.groups()
        return Requirement(key, "NotIn" if operator == "!=" else "In", (value,))
    if re.match(r"^!\s*\S+$", piece):
        return Requirement(piece[1:].strip(), "DoesNotExist")
    if re.match(r"^[^\s=!()]+$", piece):
        return Requirement(piece, "Exists")
    raise bad_request(f"unable to parse requirement: {piece!r} is not a label selector")
