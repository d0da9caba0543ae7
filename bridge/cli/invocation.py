"""What a command is run with: the global options and the surroundings of the process."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import typer

from bridge import config
from bridge.errors import ConfigError

DEFAULT_CONFIG = Path("/etc/slurm-bridge/config.yaml")
"""Where images and the Go bridge have the settings."""

_GLOBAL_OPTIONS = frozenset(
    {"--config", "--kubeconfig", "--context", "--log-level", "--log-format", "--set"}
)
_GLOBAL_SWITCHES = frozenset({"--debug"})
Start: TypeAlias = Callable[[config.Settings, str], int]


@dataclass(slots=True)
class Invocation:
    """One run of the command. The first three are handed in, the rest is read from the options."""

    environ: Mapping[str, str]
    default_config: Path
    start: Start
    """Runs the bridge, or one part of it by the command's name, until it is told to stop; returns
    the exit code."""
    config_file: Path | None = None
    overrides: dict[str, object] = field(default_factory=dict)
    """Settings said by flags, by key."""

    @property
    def settings_file(self) -> Path | None:
        """The file that settings are read from; None when there is none."""
        if self.config_file is not None:
            return self.config_file
        if named := self.environ.get(config.FILE_VARIABLE):
            return Path(named)
        return self.default_config if self.default_config.is_file() else None

    def load(self) -> config.Loaded:
        """The settings that hold for this run. Raises ConfigError."""
        return config.load(self.settings_file, environ=self.environ, overrides=self.overrides)


def of(context: typer.Context) -> Invocation:
    """The invocation that this command belongs to."""
    invocation = context.obj
    assert isinstance(invocation, Invocation)
    return invocation


def assignments(texts: Sequence[str]) -> dict[str, object]:
    """`--set KEY=VALUE` as a mapping. Raises ConfigError for one without `=`."""
    found: dict[str, object] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--set {text}: write it like --set slurm.pollIntervalS=0.2")
        found[key.strip()] = value
    return found


def global_first(arguments: Sequence[str]) -> list[str]:
    """The arguments with global options in front, wherever they stood, as kubectl takes them.

    `run --context=a` becomes `--context=a run`. What follows `--` is left alone. An option that
    lacks its value comes back alone, for the parser to complain of.
    """
    front: list[str] = []
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word in _GLOBAL_SWITCHES or word.partition("=")[0] in _GLOBAL_OPTIONS:
            front.append(word)
            if word in _GLOBAL_OPTIONS:
                value = next(words, None)
                if value is None:
                    return [word]
                front.append(value)
        else:
            rest.append(word)
    return front + rest
