"""`slurm-bridge run`, and the parts of it as processes of their own."""

import typer

from bridge.cli import invocation as invocations


def run(context: typer.Context) -> None:
    """Run webhook, controller and extender in one process, until SIGTERM."""
    _start(context, "run")


def controller(context: typer.Context) -> None:
    """Run the controller, until SIGTERM. Of several, the one that holds the Lease acts."""
    _start(context, "controller")


def extender(context: typer.Context) -> None:
    """Run the scheduler extender, until SIGTERM. It follows the controller; run any number."""
    _start(context, "extender")


def webhook(context: typer.Context) -> None:
    """Run the admission webhook, until SIGTERM. It needs no controller; run any number."""
    _start(context, "webhook")


def _start(context: typer.Context, role: str) -> None:
    invocation = invocations.of(context)
    settings = invocation.load().settings
    raise typer.Exit(invocation.start(settings, role))
