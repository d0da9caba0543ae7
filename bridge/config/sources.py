"""From where settings come: the file, over it the environment, over that the flags.

Every problem of every source is told at once, each with the place where it stands: an admin who
fixes one typo per restart has a bad day.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pydantic
import yaml
from pydantic_core import ErrorDetails

from bridge import validation
from bridge.config import file, tree
from bridge.config.settings import Settings
from bridge.errors import ConfigError

FILE_VARIABLE = tree.ENVIRONMENT_PREFIX + "CONFIG"
"""Names the file where no flag does; the command line reads it."""
TOKEN_FILE_VARIABLE = "SLURM_JWT_FILE"
"""The Go bridge's variable for the token's file."""
FLAGS: Mapping[str, str] = {
    "kubernetes.kubeconfig": "--kubeconfig",
    "kubernetes.context": "--context",
    "logLevel": "--log-level",
    "logFormat": "--log-format",
}
"""Settings with a flag of their own; the others are said by `--set KEY=VALUE`."""

SERVICE_LINK = re.compile(
    r"_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$"
)
"""What kubelet puts into every container for a Service whose name begins with slurm-bridge."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, and for each key that was said where it was ("bridge.yaml:3").

    A key that `sources` lacks has its default.
    """

    settings: Settings
    sources: Mapping[str, str]


@dataclass(slots=True)
class _Reading:
    """What was read so far; a later source replaces a setting with all its places."""

    values: dict[tree.FieldPath, object] = field(default_factory=dict)
    places: dict[tuple[str | int, ...], str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def say(
        self, path: tree.FieldPath, value: object, places: Mapping[tuple[str | int, ...], str]
    ) -> None:
        for old in [place for place in self.places if place[: len(path)] == path]:
            del self.places[old]
        self.values[path] = value
        self.places.update(places)

    def place(self, location: tuple[str | int, ...]) -> str:
        """Where the value at `location`, or the nearest one around it, was said."""
        for length in range(len(location), 0, -1):
            if location[:length] in self.places:
                return self.places[location[:length]]
        return "default"


def load(
    path: Path | None, *, environ: Mapping[str, str], overrides: Mapping[str, object]
) -> Loaded:
    """The settings from the file at `path` (None: no file), `environ` and the flags.

    `overrides` has the flags' values by key (`kubernetes.context`). Raises ConfigError with one
    line for each problem: `place: what is wrong; what to do`.
    """
    reading = _Reading()
    if path is not None:
        _read_file(path, reading)
    _read_environment(environ, reading)
    _read_flags(overrides, reading)
    settings = _validated(reading)
    if settings is None or reading.problems:
        raise ConfigError("\n".join(_in_order(reading.problems, path)))
    if settings.slurm_rest_api and not settings.slurm.endpoints:
        slurm = settings.slurm.model_copy(update={"endpoints": settings.slurm_endpoints})
        settings = settings.model_copy(update={"slurm": slurm})
        reading.places["slurm", "endpoints"] = reading.place(("slurm_rest_api",))
    return Loaded(
        settings,
        {
            setting.key: reading.places[setting.path]
            for setting in tree.settings()
            if setting.path in reading.places
        },
    )


def _read_file(path: Path, reading: _Reading) -> None:
    for found in file.read(path):
        if isinstance(found, file.Problem):
            reading.problems.append(f"{path}:{found.line}: {found.message}")
        else:
            lines = {place: f"{path}:{line}" for place, line in found.lines.items()}
            reading.say(found.path, found.value, lines)


def _read_environment(environ: Mapping[str, str], reading: _Reading) -> None:
    by_variable = {setting.variable: setting for setting in tree.settings()}
    if token_file := environ.get(TOKEN_FILE_VARIABLE):
        path = ("slurm", "token_file")
        reading.say(path, token_file, {path: f"environment {TOKEN_FILE_VARIABLE}"})
    for variable in sorted(environ):
        if not variable.startswith(tree.ENVIRONMENT_PREFIX) or variable == FILE_VARIABLE:
            continue
        place = f"environment {variable}"
        if setting := by_variable.get(variable):
            _say_text(setting, environ[variable], place, reading)
        elif not SERVICE_LINK.search(variable):
            reading.problems.append(f"{place}: {_no_such('variable', variable, by_variable)}")


def _read_flags(overrides: Mapping[str, object], reading: _Reading) -> None:
    by_key = {setting.key: setting for setting in tree.settings()}
    by_spelling = by_key | {".".join(setting.path): setting for setting in by_key.values()}
    for key, value in overrides.items():
        place = FLAGS.get(key, f"--set {key}")
        setting = by_spelling.get(key)
        if setting is None:
            reading.problems.append(f"{place}: {_no_such('key', key, by_key)}")
        elif isinstance(value, str):
            _say_text(setting, value, place, reading)
        else:
            reading.say(setting.path, value, {setting.path: place})


def _no_such(noun: str, name: str, known: Iterable[str]) -> str:
    near = tree.nearest(name, list(known))
    remedy = f"did you mean {near}?" if near else "`slurm-bridge config reference` lists them"
    return f"unknown {noun} {name}; {remedy}"


def _say_text(setting: tree.Setting, text: str, place: str, reading: _Reading) -> None:
    """A value from outside a file: text as it is, a list also as `a,b`, the rest as YAML."""
    value: object = text
    if setting.is_list and not text.lstrip().startswith("["):
        value = [item for item in (piece.strip() for piece in text.split(",")) if item]
    elif not setting.is_text:
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            reading.problems.append(f"{place}: {setting.key}: {text!r} is not valid YAML")
            return
    reading.say(setting.path, value, {setting.path: place})


def _in_order(problems: list[str], path: Path | None) -> list[str]:
    """Problems of the file first, by line; the others keep their order."""

    def line(problem: str) -> float:
        match = re.match(r"(\d+): ", problem.removeprefix(f"{path}:"))
        return int(match[1]) if match else float("inf")

    return sorted(problems, key=line)


def _validated(reading: _Reading) -> Settings | None:
    nested: dict[str, object] = {}
    for path, value in reading.values.items():
        section = nested
        for name in path[:-1]:
            inner = section.setdefault(name, {})
            assert isinstance(inner, dict)
            section = inner
        section[path[-1]] = value
    try:
        return Settings.model_validate(nested)
    except pydantic.ValidationError as error:
        for detail in error.errors(include_url=False):
            place = reading.place(detail["loc"])
            reading.problems.append(f"{place}: {tree.key_of(detail['loc'])}: {_told(detail)}")
        return None


def _told(detail: ErrorDetails) -> str:
    """What is wrong with a value, as a person would say it."""
    shown = repr(detail["input"])
    shown = shown if len(shown) <= 80 else shown[:77] + "..."
    if detail["type"] == "string_type":
        return f"{shown} is not text; put it in quotes"
    return f"{shown}: {validation.words(detail)}"
