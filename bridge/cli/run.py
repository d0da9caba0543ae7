"""`slurm-bridge run`: the whole bridge in one process."""

import typer

from bridge.cli.invocation import Invocation


def run(context: typer.Context) -> None:
    """Run webhook, controller and extender in one process, until SIGTERM."""
    invocation = context.obj
    assert isinstance(invocation, Invocation)
    settings = invocation.load().settings
    raise typer.Exit(invocation.start(settings))
