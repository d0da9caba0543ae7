"""The settings file: YAML, read with the line of every value, so that a mistake is found by it.

yaml's own loaders forget where a value stood and let a repeated key win silently; so the node
tree is walked here, and only values below a setting are constructed by yaml.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from bridge.config import tree
from bridge.errors import ConfigError

_DEPTH_OF_LINES = 4
"""Below a setting, lines are kept this deep; an alias may point at its own parent."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One setting as the file says it; `lines` has the line of every part of the value."""

    path: tree.FieldPath
    value: object
    lines: dict[tuple[str | int, ...], int]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and in which line."""

    line: int
    message: str


def read(path: Path) -> list[Entry | Problem]:
    """Everything that the file at `path` says, in its order.

    Raises ConfigError when it can't be read or is not YAML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(f"{path}: the settings file can't be read: {reason}") from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        return [] if root is None else list(_walk(root, ()))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{line}: not valid YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error


def _walk(node: yaml.Node, path: tree.FieldPath) -> Iterator[Entry | Problem]:
    """The entries of one section, and of those inside it."""
    if _is_null(node):
        return
    if not isinstance(node, yaml.MappingNode):
        where = tree.key_of(path) if path else "the file"
        yield Problem(_line(node), f"{where} is not a value; write its keys as `key: value` lines")
        return
    seen: dict[str, int] = {}
    fields = {
        spelling: name
        for name, info in tree.sections()[path].model_fields.items()
        for spelling in (name, info.alias or name)
    }
    for key_node, value_node in node.value:
        key, line = str(key_node.value), _line(key_node)
        name = fields.get(key)
        if name is None:
            yield Problem(line, _unknown(".".join((*path, key))))
        elif name in seen:
            yield Problem(line, f"{tree.key_of((*path, name))} stands in line {seen[name]} too")
        elif (*path, name) in tree.sections():
            yield from _walk(value_node, (*path, name))
        elif not _is_null(value_node):  # `key:` with nothing behind it says nothing
            yield _entry((*path, name), value_node)
        seen.setdefault(name or key, line)


def _entry(path: tree.FieldPath, node: yaml.Node) -> Entry:
    value = yaml.SafeLoader("").construct_document(node)
    return Entry(path, value, dict(_lines(node, path, _DEPTH_OF_LINES)))


def _lines(
    node: yaml.Node, path: tuple[str | int, ...], depth: int
) -> Iterator[tuple[tuple[str | int, ...], int]]:
    yield path, _line(node)
    if depth and isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _lines(item, (*path, index), depth - 1)
    elif depth and isinstance(node, yaml.MappingNode):
        for key, item in node.value:
            yield from _lines(item, (*path, str(key.value)), depth - 1)


def _unknown(key: str) -> str:
    keys = [setting.key for setting in tree.settings()]
    headings = [".".join(path) for path in tree.sections() if path]
    near = tree.nearest(key, keys + headings)
    remedy = f"did you mean {near}?" if near else "`slurm-bridge config reference` lists them"
    return f"unknown key {key}; {remedy}"


def _is_null(node: yaml.Node) -> bool:
    return bool(node.tag == "tag:yaml.org,2002:null")


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
