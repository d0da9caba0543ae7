"""Every setting is read by whoever starts the bridge.

A setting that nobody reads promises what does not happen. So the settings are wrapped, the parts of
the bridge are built from the wrapping, and it says which fields were asked for: an equal name in
another class misleads no one, as it would in a search through the code. What a setting does when it
was read is for the tests of the part that has read it.
"""

import logging
import resource
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
import structlog

from bridge import config
from bridge.app import process
from bridge.app.process import App, Role
from bridge.clock import SystemClock
from bridge.config import tree
from bridge.errors import ConfigError
from bridge.kube.objects import owners
from tests.unit.app.surroundings import surroundings

EACH = "*"
"""In a path: any key of a map, any place of a list."""


class Watched:
    """Stands for a section; `read` takes the path of each field that somebody asks for."""

    def __init__(
        self, section: config.Section, read: set[tuple[str, ...]], path: tuple[str, ...] = ()
    ) -> None:
        self._section, self._read, self._path = section, read, path

    def __getattr__(self, name: str) -> object:
        kind = type(self._section)
        if name in kind.model_fields:
            return self._value(getattr(self._section, name), (*self._path, name))
        made = getattr(kind, name)
        assert isinstance(made, property), f"{kind.__name__}.{name} is neither field nor property"
        assert made.fget is not None
        return made.fget(self)  # its own reading of fields is the asker's

    def _value(self, value: object, path: tuple[str, ...]) -> object:
        if isinstance(value, config.Section):
            return Watched(value, self._read, path)
        self._read.add(path)
        if isinstance(value, dict):
            return {key: self._value(one, (*path, EACH)) for key, one in value.items()}
        if isinstance(value, tuple):
            return tuple(self._value(one, (*path, EACH)) for one in value)
        return value


def leaves(section: type[config.Section], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every field that holds no section itself."""
    for name, info in section.model_fields.items():
        here, kind = (*path, name), info.annotation
        if isinstance(kind, type) and issubclass(kind, config.Section):
            yield from leaves(kind, here)
            continue
        yield here
        for part in typing.get_args(kind):
            if isinstance(part, type) and issubclass(part, config.Section):
                yield from leaves(part, (*here, EACH))


KIND = ("workloads", "kinds", EACH)
SCALED = {
    "apiVersion": "cluster.x-k8s.io/v1beta1",
    "kind": "MachineDeployment",
    "namespace": "machines",
    "name": "gpu",
    "max": 4,
    "allocatable": {"cpu": "64"},
    "labels": {"pool": "gpu"},
    "taints": [{"key": "gpu", "effect": "NoSchedule"}],
}
LOGS = {("log_level",), ("log_format",)}
COMMANDS = {("api", "server"), ("api", "ca_file"), ("api", "server_name")}
"""Read by commands that ask the bridge: tests/unit/cli/test_explain.py."""


def test_leaves() -> None:
    """The walk over the leaves sees all that the reference has, and what is inside of maps."""
    found = set(leaves(config.Settings))
    assert {one.path for one in tree.settings()} <= found
    assert {path for path in found if EACH not in path} == {one.path for one in tree.settings()}
    assert (*KIND, "roles") in found
    assert ("priority_classes", EACH, "nice") in found


async def test_every_setting_is_read(tmp_path: Path) -> None:
    """A start asks for every setting but those of the log and those of kinds of owners."""
    read: set[tuple[str, ...]] = set()
    async with surroundings(
        tmp_path,
        slurmRestApi="http://slurm:6820",
        slurm={"tokenFile": str(tmp_path / "token")},
        priorityClasses={"high": {"qos": "high"}},
        leader={"leaseNamespace": "slurm-bridge"},
        workloads={"kinds": {"MyJob.example.com": {"roles": "spec.roles"}}},
        capacity={"scaledObjects": [SCALED]},
    ) as settings:
        for role in Role:
            watched = cast("config.Settings", Watched(settings, read))
            app = await App.build(watched, clock=SystemClock(), role=role)
            await app.close()
    elsewhere = LOGS | COMMANDS | set(leaves(config.RoleKind, KIND))  # see the tests below
    assert set(leaves(config.Settings)) - read - elsewhere == set()


@pytest.fixture
def process_restored() -> Iterator[None]:
    """What a start does to its process, the log and the limit of files, is undone."""
    root, configured = logging.getLogger(), structlog.get_config()
    handlers, level = list(root.handlers), root.level
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    root.handlers, root.level = handlers, level
    structlog.configure(**configured)


@pytest.mark.usefixtures("process_restored")
def test_settings_of_the_log_are_read() -> None:
    """The log is set up before anything else can fail."""
    read: set[tuple[str, ...]] = set()
    with pytest.raises(ConfigError, match="no Slurm"):
        process.run(cast("config.Settings", Watched(config.Settings(), read)))
    assert read >= LOGS


def test_settings_of_kinds_are_read() -> None:
    """An object of a kind of several roles is read by all that the settings say of the kind."""
    read: set[tuple[str, ...]] = set()
    kind = config.RoleKind(roles="spec.roles", elastic="spec.elastic")
    watched = cast("config.RoleKind", Watched(kind, read))
    parse = owners.parser("example.com/v1", "MyJob", {"MyJob.example.com": watched})
    row = parse(
        {
            "metadata": {"name": "a", "namespace": "team", "uid": "u"},
            "spec": {"roles": {"Worker": {"replicas": 2, "template": {"spec": {}}}}},
        }
    )
    assert row.name == "a"
    assert read == set(leaves(config.RoleKind))
