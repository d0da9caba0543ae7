"""The root command: global options, exit codes, and errors as one readable line.

| code | |
|---|---|
| 0 | done |
| 1 | failed |
| 2 | wrong usage or settings |
| 3 | Slurm or Kubernetes does not answer |
| 130 | interrupted |
"""

import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, NoReturn, Protocol, runtime_checkable

import typer

import bridge
from bridge import config, errors
from bridge.cli import config as config_commands
from bridge.cli import demo, nodes, preflight, run, version
from bridge.cli import explain as explain_commands
from bridge.cli import invocation as invocations
from bridge.cli import slurm as slurm_commands

FAILED: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3
INTERRUPTED: Final = 130


def main(
    arguments: Sequence[str] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    default_config: Path = invocations.DEFAULT_CONFIG,
    start: invocations.Start | None = None,
    program: str = "slurm-bridge",
) -> NoReturn:
    """Run `slurm-bridge`; leaves by SystemExit with the exit code.

    Everything but `arguments` and `program` is for tests: the environment, the default file, and
    what `run` runs.
    """
    words = invocations.global_first(sys.argv[1:] if arguments is None else arguments)
    invocation = invocations.Invocation(
        environ=os.environ if environ is None else environ,
        default_config=default_config,
        start=start or _start,
    )
    try:
        code = application(asks_only=program != "slurm-bridge")(
            args=words or ["--help"],
            obj=invocation,
            prog_name=program,
            standalone_mode=False,
        )
    except (KeyboardInterrupt, typer.Abort):
        raise SystemExit(INTERRUPTED) from None
    except Exception as error:
        if "--debug" in words:
            traceback.print_exc()
        message, code = explain(error)
        for line in message.splitlines():
            print(f"{program}: {line}", file=sys.stderr)
    raise SystemExit(code if isinstance(code, int) else 0)


def kubectl() -> NoReturn:
    """`kubectl slurm …`: the commands for people who run workloads."""
    main(program="kubectl slurm")


@runtime_checkable
class _WrongUsage(Protocol):
    """What typer raises for words it does not understand (its class has moved between versions)."""

    ctx: typer.Context | None

    def format_message(self) -> str: ...


def explain(error: Exception) -> tuple[str, int]:
    """What to tell of an error that ended a command, and the exit code."""
    match error:
        case _WrongUsage():
            command = error.ctx.command_path if error.ctx else "slurm-bridge"
            told = " ".join(error.format_message().split()).rstrip(".")
            return f"{told}; see `{command} --help`", USAGE
        case errors.ConfigError():
            return str(error), USAGE
        case errors.Unreachable():
            return str(error), UNREACHABLE
        case errors.BridgeError():
            return str(error), FAILED
        case _:
            told = " ".join(str(error).split())
            return (
                f"this should not have happened: {type(error).__name__}: {told}; "
                "--debug shows where. Please report it with the output of --version",
                FAILED,
            )


def application(*, asks_only: bool = False) -> typer.Typer:
    """The tree of commands; `asks_only`: those that ask a bridge at work."""
    root = typer.Typer(
        name="slurm-bridge",
        help="Kubernetes pods wait in Slurm's queue and run where Slurm says.",
        epilog="The options above may stand behind a command too.",
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    root.callback()(_root)
    root.command("explain")(explain_commands.explain)
    root.command("queue")(explain_commands.queue)
    if asks_only:
        return root
    root.command("run")(run.run)
    root.command("controller")(run.controller)
    root.command("extender")(run.extender)
    root.command("webhook")(run.webhook)
    root.command("demo")(demo.demo)
    root.command("nodes")(nodes.nodes)
    root.command("topology")(nodes.topology)
    root.command("preflight")(preflight.preflight)
    root.add_typer(config_commands.commands())
    root.add_typer(slurm_commands.commands())
    return root


def _root(
    context: typer.Context,
    config_file: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="Settings file (YAML).")
    ] = None,
    kubeconfig: Annotated[
        str | None, typer.Option(metavar="FILE", help="How to reach the API server.")
    ] = None,
    kube_context: Annotated[
        str | None, typer.Option("--context", metavar="NAME", help="Context of the kubeconfig.")
    ] = None,
    log_level: Annotated[
        str | None, typer.Option(metavar="LEVEL", help="debug, info, warning or error.")
    ] = None,
    log_format: Annotated[
        str | None, typer.Option(metavar="FORMAT", help="json or console.")
    ] = None,
    assigned: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Any other setting; may be repeated."),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version_wanted: Annotated[  # acts by its callback
        bool,
        typer.Option(
            "--version",
            is_eager=True,
            callback=lambda wanted: _say_version(wanted=wanted),
            help="Print the versions of bridge, Python and Slurm's REST API.",
        ),
    ] = False,
) -> None:
    invocation = invocations.of(context)
    invocation.config_file = config_file
    flags = {
        "kubernetes.kubeconfig": kubeconfig,
        "kubernetes.context": kube_context,
        "logLevel": log_level,
        "logFormat": log_format,
    }
    invocation.overrides = invocations.assignments(assigned or []) | {
        key: value for key, value in flags.items() if value is not None
    }


def _say_version(*, wanted: bool) -> None:
    if wanted:
        from bridge.slurm import wire  # here, so that --help does not load the world

        versions = sorted(one.version for one in wire.VERSIONS)
        here = Path(bridge.__file__).parent
        print(version.describe(slurm_api_versions=versions, commit=version.commit(here)))
        raise typer.Exit


def _start(settings: config.Settings, role: str) -> int:
    from bridge import app  # here too

    return app.run(settings, app.Role(role))
