"""`slurm-bridge config …`: look at the settings without starting anything."""

import typer

from bridge.cli import invocation as invocations
from bridge.config import reference


def commands() -> typer.Typer:
    """The group."""
    group = typer.Typer(name="config", help="Look at the settings.")
    group.command("show")(show)
    group.command("validate")(validate)
    group.command("reference")(reference_)
    return group


def show(context: typer.Context) -> None:
    """Print the settings in force and where each comes from."""
    print(reference.show(invocations.of(context).load()), end="")


def validate(context: typer.Context) -> None:
    """Check file, environment and flags; exit code 2 tells of a mistake."""
    invocation = invocations.of(context)
    loaded = invocation.load()
    where = invocation.settings_file or "no file"
    count = len(loaded.sources)
    print(f"{where}: ok ({count} {'setting' if count == 1 else 'settings'} given)")


def reference_() -> None:
    """Print the reference of all settings (docs/configuration.md)."""
    print(reference.reference(), end="")
