"""The tree of settings as a flat list of keys: what the sources, the reference and `show` walk."""

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from pydantic.fields import FieldInfo

from bridge.config.section import Section
from bridge.config.settings import Settings

ENVIRONMENT_PREFIX = "SLURM_BRIDGE_"
ENVIRONMENT_SEPARATOR = "__"

FieldPath = tuple[str, ...]
"""Names of the fields from the root to a setting: ("slurm", "poll_interval_s")."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting; `key` is how the file says it (slurm.pollIntervalS)."""

    path: FieldPath
    key: str
    info: FieldInfo

    @property
    def variable(self) -> str:
        """How the environment says it."""
        return ENVIRONMENT_PREFIX + ENVIRONMENT_SEPARATOR.join(self.path).upper()

    @property
    def is_text(self) -> bool:
        """Whether its value is one string."""
        return isinstance(self.info.default, str)

    @property
    def is_list(self) -> bool:
        """Whether it holds values in a row."""
        return isinstance(self.info.default, tuple)


@functools.cache
def settings() -> tuple[Setting, ...]:
    """Every setting, in the order of the reference: the root's own first, then the sections'."""
    return tuple(_walk(Settings, (), ()))


@functools.cache
def sections() -> dict[FieldPath, type[Section]]:
    """Every section by its path; the root's is ()."""
    found: dict[FieldPath, type[Section]] = {(): Settings}
    for name, info in Settings.model_fields.items():
        if section := _section(info):
            found[(name,)] = section
    return found


def key_of(path: tuple[str | int, ...]) -> str:
    """How the file says the setting at `path`; an index into a list stays behind it in brackets."""
    known = {setting.path: setting.key for setting in settings()}
    for length in range(len(path), 0, -1):
        fields = tuple(part for part in path[:length] if isinstance(part, str))
        if len(fields) == length and fields in known:
            return known[fields] + "".join(f"[{part}]" for part in path[length:])
    return ".".join(str(part) for part in path)


def nearest(wrong: str, candidates: list[str]) -> str:
    """The candidate that was probably meant, "" if none is near.

    The last part decides: `pollInterval` at the root means `slurm.pollIntervalS`.
    """
    by_form: dict[str, str] = {}
    for candidate in candidates:
        by_form.setdefault(_form(candidate), candidate)
        by_form.setdefault(_form(candidate.rpartition(".")[2]), candidate)
    for form in (_form(wrong), _form(wrong.rpartition(".")[2])):
        if close := get_close_matches(form, by_form, n=1, cutoff=0.7):
            return by_form[close[0]]
    return ""


def _form(key: str) -> str:
    """The key without what people get wrong: case, - and _."""
    return re.sub(r"[-_]", "", key).lower()


def _walk(model: type[Section], path: FieldPath, keys: tuple[str, ...]) -> Iterator[Setting]:
    for name, info in model.model_fields.items():
        if not _section(info):
            yield Setting((*path, name), ".".join((*keys, info.alias or name)), info)
    for name, info in model.model_fields.items():
        if section := _section(info):
            yield from _walk(section, (*path, name), (*keys, info.alias or name))


def _section(info: FieldInfo) -> type[Section] | None:
    annotation = info.annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, Section) else None
