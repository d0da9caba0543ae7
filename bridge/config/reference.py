"""Settings as people read them: the reference of all keys, and what is in force."""

import textwrap
from typing import Any

import yaml

from bridge.config import sources, tree
from bridge.config.section import Section
from bridge.config.settings import Settings

_INTRODUCTION = f"""\
# Configuration

<!-- Written by `slurm-bridge config reference` from the docstrings under the fields in
bridge/config/settings.py. -->

Settings come from a YAML file, the environment and flags; a later one wins over an earlier one.

- **File**: `--config FILE`, else the file that `{sources.FILE_VARIABLE}` names, else
  `/etc/slurm-bridge/config.yaml` if that file exists. Keys are nested as the headings below say:
  `slurm.pollIntervalS` is the key `pollIntervalS` in the section `slurm`. The Go bridge's file
  (`schedulerName`, `slurmRestApi`, `managedNamespaces`, `managedNamespaceSelector`, `mcsLabel`,
  `partition`) is valid.
- **Environment**: the variable shown with each key. A list may be written `a,b`, a map as
  `{{key: value}}`. `{sources.TOKEN_FILE_VARIABLE}` sets `slurm.tokenFile`. Variables that
  Kubernetes makes for a Service whose name begins with `slurm-bridge` are ignored.
- **Flags**: {", ".join(f"`{flag}`" for flag in sources.FLAGS.values())}, and `--set KEY=VALUE` for
  every other key.

If a key does not exist or a value cannot be used, the program ends with exit code 2 and prints one
line for each mistake: where it is, what is wrong, what was probably meant.
`slurm-bridge config validate` checks the settings without starting anything,
`slurm-bridge config show` prints the settings in use and where each value comes from.
"""


def reference() -> str:
    """The text of docs/configuration.md."""
    schema = Settings.model_json_schema(by_alias=False)
    parts = [_INTRODUCTION]
    section: tree.FieldPath = ()
    for setting in tree.settings():
        if setting.path[:-1] != section:
            section = setting.path[:-1]
            about = tree.sections()[section].__doc__ or ""
            parts.append(f"## `{'.'.join(section)}`\n\n{about.strip()}\n")
        parts.append(_paragraph(setting, _schema_of(schema, setting.path)))
    return "\n".join(parts)


def show(loaded: sources.Loaded) -> str:
    """Every setting in force as a settings file, with the place each was said at as a comment."""
    lines: list[str] = []
    section: tree.FieldPath = ()
    for setting in tree.settings():
        if setting.path[:-1] != section:
            section = setting.path[:-1]
            lines.append(f"{'.'.join(section)}:")
        value: Any = loaded.settings
        for name in setting.path:
            value = getattr(value, name)
        key = setting.key.rpartition(".")[2]
        source = loaded.sources.get(setting.key, "default")
        lines.append(f"{'  ' * len(section)}{key}: {_inline(value)}  # {source}")
    return "\n".join(lines) + "\n"


def _paragraph(setting: tree.Setting, schema: dict[str, Any]) -> str:
    facts = [_kind(schema), f"default `{_inline(setting.info.default)}`", f"`{setting.variable}`"]
    if flag := sources.FLAGS.get(setting.key):
        facts.append(f"`{flag}`")
    text = textwrap.fill(" ".join((setting.info.description or "").split()), width=98)
    return f"### `{setting.key}`\n\n{' · '.join(facts)}\n\n{text}\n"


def _schema_of(schema: dict[str, Any], path: tree.FieldPath) -> dict[str, Any]:
    """The JSON schema of one setting."""
    here = schema
    for name in path:
        if "$ref" in here:
            here = schema["$defs"][here["$ref"].rpartition("/")[2]]
        here = here["properties"][name]
    return here


def _kind(schema: dict[str, Any]) -> str:
    """What values a setting takes, in words."""
    if choices := schema.get("enum"):
        return " or ".join(f"`{choice}`" for choice in choices)
    if several := schema.get("anyOf"):
        return " or ".join(_kind(one) for one in several)
    kind = {
        "string": "text",
        "number": "number",
        "integer": "whole number",
        "boolean": "`true` or `false`",
        "array": "list",
        "object": "map",
        "null": "nothing",
    }[schema["type"]]
    if "exclusiveMinimum" in schema:
        return f"{kind} above {schema['exclusiveMinimum']:g}"
    if "minimum" in schema:
        return f"{kind}, at least {schema['minimum']:g}"
    return kind


def _inline(value: object) -> str:
    """The value as YAML in one line."""
    text = yaml.safe_dump(
        _plain(value), default_flow_style=True, width=10**6, allow_unicode=True, sort_keys=False
    )
    return text.removesuffix("...\n").strip()


def _plain(value: object) -> object:
    """The value as a settings file says it; of a section, what is not its default."""
    match value:
        case Section():
            said = value.model_dump(by_alias=True, exclude_defaults=True)
            return _plain(said)
        case dict():
            return {key: _plain(one) for key, one in value.items()}
        case tuple():
            return [_plain(one) for one in value]
    return value
