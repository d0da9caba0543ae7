"""`slurm-bridge run`: the whole bridge in one process."""

import typer

from bridge import telemetry
from bridge.cli.invocation import Invocation


def run(context: typer.Context) -> None:
    """Run webhook, controller and extender in one process, until SIGTERM."""
    invocation = context.obj
    assert isinstance(invocation, Invocation)
    settings = invocation.load().settings
    telemetry.configure(level=settings.log_level, log_format=settings.log_format)
    raise typer.Exit(invocation.start(settings))
