"""What a namespace allows its pods in Slurm: its annotations `user`, `group`, `accounts` …

User and group are always said together: told a user alone, slurmrestd gives the job the group of
the token's user, also where it knows the user (seen on 26.05). So a namespace names both.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from bridge import names
from bridge.errors import BadInput
from bridge.model import bounds
from bridge.model.namespace import Namespace

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.@\\+-]*\$?")
_KEYS = (
    names.NAMESPACE_USER,
    names.NAMESPACE_GROUP,
    names.NAMESPACE_ACCOUNTS,
    names.NAMESPACE_PARTITIONS,
    names.NAMESPACE_QOS,
)
_PERSON = (
    "write user:group, names or numbers that Slurm's hosts know, like alice:physics or 1001:1001; "
    f"or only the user, and its group in annotation {names.NAMESPACE_GROUP}"
)
_LIST = (
    f"write one or more names separated by commas (at most {bounds.MOST_CHOICES}, in "
    f"{bounds.LONGEST_VALUE} characters); the first is the default; or remove it"
)


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a namespace allows; "" and () if it says nothing, which restricts nothing."""

    user: str = ""
    group: str = ""
    accounts: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()
    qos: tuple[str, ...] = ()


def of(namespace: Namespace) -> Allowed:
    """What the namespace's annotations say. Raises BadInput for the first malformed one."""
    said = namespace.annotations
    return _read(namespace.name, tuple((key, said[key]) for key in _KEYS if key in said))


@lru_cache(maxsize=4096)
def _read(namespace: str, annotations: tuple[tuple[str, str], ...]) -> Allowed:
    """Asked for each pod that is created, and the same for all of a namespace."""
    said = _Said(namespace, dict(annotations))
    user, group = _person_of(said)
    return Allowed(
        user=user,
        group=group,
        accounts=_listed(said, names.NAMESPACE_ACCOUNTS),
        partitions=_listed(said, names.NAMESPACE_PARTITIONS),
        qos=_listed(said, names.NAMESPACE_QOS),
    )


@dataclass(frozen=True, slots=True)
class _Said:
    """The annotations of one namespace."""

    namespace: str
    texts: Mapping[str, str]

    def of(self, key: str) -> str:
        """The text of a user or a group; if too long, cut to a length that is never accepted."""
        text = self.texts.get(key, "")
        longest = bounds.LONGEST_PERSON
        return text.strip() if len(text) <= longest else text[: longest + 1]

    def malformed(self, key: str, advice: str) -> BadInput:
        shown = bounds.shown(self.texts[key])
        return BadInput(
            f"annotation {key} of namespace {self.namespace}: {shown}: {advice}. Until it is "
            f"corrected (kubectl annotate --overwrite namespace {self.namespace} …) its pods "
            "can't go to Slurm; ask the namespace's admin",
            field=f"metadata.annotations[{key}]",
        )


def _person_of(said: _Said) -> tuple[str, str]:
    whole, beside = said.of(names.NAMESPACE_USER), said.of(names.NAMESPACE_GROUP)
    user, colon, group = whole.partition(":")
    for key, text in ((names.NAMESPACE_USER, user), (names.NAMESPACE_GROUP, beside)):
        if key in said.texts and not is_id(text):
            raise said.malformed(key, _PERSON)
    if (colon and not is_id(group)) or (user and not (group or beside)):
        why = f"has no group. Slurm needs it: {_PERSON}"
        raise said.malformed(names.NAMESPACE_USER, why if not group else _PERSON)
    if group and beside and group != beside:
        raise said.malformed(names.NAMESPACE_GROUP, f"is not the group of {whole}")
    if beside and not user:
        raise said.malformed(names.NAMESPACE_GROUP, f"has no user beside it. {_PERSON}")
    return user, group or beside


def _listed(said: _Said, key: str) -> tuple[str, ...]:
    if key not in said.texts:
        return ()
    text = said.texts[key]
    if len(text) > bounds.LONGEST_VALUE or text.count(",") >= bounds.MOST_CHOICES:
        raise said.malformed(key, _LIST)
    found = [item.strip() for item in text.split(",")]
    if not all(_is_word(item) for item in found):
        raise said.malformed(key, _LIST)
    return tuple(dict.fromkeys(found))


def is_id(text: str) -> bool:
    """A user's or group's name, or its number."""
    if len(text) > bounds.LONGEST_NAME:
        return False
    if text.isascii() and text.isdigit():
        return len(text) < 11 and int(text) <= bounds.LARGEST_ID
    return _NAME.fullmatch(text) is not None


def _is_word(text: str) -> bool:
    return 0 < len(text) <= bounds.LONGEST_NAME and text.isprintable() and " " not in text
