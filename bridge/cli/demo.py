"""`slurm-bridge demo`: see it work, without a cluster."""

from typing import Annotated

import typer


def demo(
    as_json: Annotated[
        bool, typer.Option("--json", help="End with one line of JSON, for programs.")
    ] = False,
    quick: Annotated[bool, typer.Option("--quick", help="16 nodes and a few seconds.")] = False,
) -> None:
    """Watch 64 GPU nodes at work, all in this process: half a minute, no cluster needed."""
    from bridge.cli import demonstration  # here, so that --help does not load the world

    raise typer.Exit(demonstration.run(quick=quick, as_json=as_json))
