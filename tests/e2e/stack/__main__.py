"""`python -m tests.e2e.stack up|down|status|nodes|scheduler|restart`: the stack by hand."""

import argparse
import pathlib
import signal
import sys
from collections import abc

from tests.e2e.stack import errors, layout, nodes, progress, stack


def main(arguments: abc.Sequence[str] | None = None) -> int:
    """Run one command; give the exit code."""
    options = _parser().parse_args(arguments)
    # A `timeout` or a closed terminal ends us as Ctrl-C does: with the traceback's clean-up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        code: int = options.command(options)
    except errors.StackError as error:
        print(f"stack: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stack: interrupted; `down` removes what is there", file=sys.stderr)
        return 130
    return code


def _up(options: argparse.Namespace) -> int:
    settings = layout.Settings(options.name, options.dir, options.port_base)
    real = stack.Stack.up(settings, say=progress.lines())
    print(f"state folder   {real.layout.root}")
    print(f"KUBECONFIG     {real.kubeconfig}")
    print(f"Slurm REST     {real.slurm_url}  (token in {real.slurm_token_file})")
    print(f"to use it      . {real.layout.env}")
    return 0


def _down(options: argparse.Namespace) -> int:
    root = _root(options)
    if not root.exists():
        print(f"no stack in {root}")
        return 0
    stack.Stack.in_folder(root).down()
    print(f"ended; {root} is removed")
    return 0


def _status(options: argparse.Namespace) -> int:
    real = stack.Stack.in_folder(_root(options))
    for name, pid in real.status().items():
        print(f"{name:<24} {pid or 'does not run'}")
    return 0 if real.is_up() else 3


def _nodes(options: argparse.Namespace) -> int:
    pool = nodes.Pool(
        count=options.count,
        prefix=options.prefix,
        suffix=options.suffix,
        first=options.first,
        cpus=options.cpus,
        memory_gib=options.memory_gib,
        gpus=options.gpus,
        efa=options.efa,
        gpu_product=options.gpu_product,
        instance_type=options.instance_type,
        zones=tuple(options.zones.split(",")),
        nodes_per_leaf=options.nodes_per_leaf,
        leaves_per_block=options.leaves_per_block,
        partitions=options.partitions,
        external=not options.not_external,
        seed=options.seed,
    )
    names = stack.Stack.attach(_root(options)).create_nodes(pool)
    print(f"{len(names)} nodes are ready, {names[0]} to {names[-1]}")
    return 0


def _scheduler(options: argparse.Namespace) -> int:
    stack.Stack.attach(_root(options)).start_bridge_scheduler(
        extender_url=options.extender_url,
        ca=options.ca,
        certificate=options.cert,
        key=options.key,
    )
    print("slurm-bridge-scheduler runs")
    return 0


def _restart(options: argparse.Namespace) -> int:
    stack.Stack.in_folder(_root(options)).restart(options.component, kill=options.kill)
    print(f"{options.component} is back")
    return 0


def _root(options: argparse.Namespace) -> pathlib.Path:
    settings = layout.Settings(options.name, options.dir)
    return layout.Layout.of(settings).root


def _parser() -> argparse.ArgumentParser:
    which = argparse.ArgumentParser(add_help=False)
    which.add_argument("--name", default="default", help="which stack (default: %(default)s)")
    which.add_argument("--dir", type=pathlib.Path, help="its state folder (default: by name)")

    parser = argparse.ArgumentParser(prog="python -m tests.e2e.stack", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    up = commands.add_parser("up", parents=[which], help="start it; builds its parts if needed")
    up.add_argument(
        "--port-base",
        type=int,
        default=layout.DEFAULT_PORT_BASE,
        help="first of the 20 ports it takes (default: %(default)s)",
    )
    up.set_defaults(command=_up)

    down = commands.add_parser("down", parents=[which], help="end it and remove all it has made")
    down.set_defaults(command=_down)

    status = commands.add_parser("status", parents=[which], help="list its processes")
    status.set_defaults(command=_status)

    pool = nodes.Pool()
    create = commands.add_parser("nodes", parents=[which], help="create kwok nodes")
    for name in ("count", "first", "cpus", "memory_gib", "gpus", "efa", "seed"):
        _option(create, name, int, getattr(pool, name))
    for name in ("nodes_per_leaf", "leaves_per_block"):
        _option(create, name, int, getattr(pool, name))
    for name in ("prefix", "suffix", "gpu_product", "instance_type", "partitions"):
        _option(create, name, str, getattr(pool, name))
    _option(create, "zones", str, ",".join(pool.zones))
    create.add_argument("--not-external", action="store_true", help="without the external label")
    create.set_defaults(command=_nodes)

    scheduler = commands.add_parser(
        "scheduler", parents=[which], help="start the kube-scheduler with the bridge's profile"
    )
    scheduler.add_argument("--extender-url", default="", help="default: this stack's port for it")
    for name in ("ca", "cert", "key"):
        scheduler.add_argument(f"--{name}", type=pathlib.Path, help="default: the stack's own")
    scheduler.set_defaults(command=_scheduler)

    restart = commands.add_parser("restart", parents=[which], help="end and start a component")
    restart.add_argument("component")
    restart.add_argument("--kill", action="store_true", help="by SIGKILL")
    restart.set_defaults(command=_restart)
    return parser


def _option(
    parser: argparse.ArgumentParser, name: str, kind: type[int] | type[str], default: int | str
) -> None:
    flag = "--" + name.replace("_", "-")
    parser.add_argument(flag, type=kind, default=default, help="default: %(default)s")


if __name__ == "__main__":
    sys.exit(main())
