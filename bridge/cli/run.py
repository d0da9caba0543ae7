"""`slurm-bridge run`: the whole bridge in one process."""

import typer

from bridge.cli import invocation as invocations


def run(context: typer.Context) -> None:
    """Run webhook, controller and extender in one process, until SIGTERM."""
    invocation = invocations.of(context)
    settings = invocation.load().settings
    raise typer.Exit(invocation.start(settings))
