"""The root command and its exit codes."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

import bridge
from bridge.cli import version


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run `slurm-bridge`; leaves by SystemExit."""
    application()(args=list(sys.argv[1:] if arguments is None else arguments))
    raise SystemExit(0)


def application() -> typer.Typer:
    """The tree of commands."""
    root = typer.Typer(
        name="slurm-bridge",
        help="Kubernetes pods wait in Slurm's queue and run where Slurm says.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    root.callback()(_root)
    return root


def _root(
    version_wanted: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=lambda on: _say_version(wanted=on))
    ] = False,
) -> None:
    pass


def _say_version(*, wanted: bool) -> None:
    if wanted:
        package = Path(bridge.__file__).parent
        print(version.describe(slurm_api_versions=["v0.0.44"], commit=version.commit(package)))
        raise typer.Exit
