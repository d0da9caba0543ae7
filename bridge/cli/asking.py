"""What commands that ask the bridge have in common: where it is, and who asks."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from bridge.cli import invocation as invocations
from bridge.errors import ConfigError, Unreadable

if TYPE_CHECKING:
    from bridge.config import Settings
    from bridge.kube.api.credentials import Access
    from bridge.rpc.asking import Asking

T = TypeVar("T")
Namespace = Annotated[
    str,
    typer.Option("--namespace", "-n", help='Of the workload; "": that of the kubeconfig.'),
]
Server = Annotated[
    str,
    typer.Option("--server", metavar="HOST:PORT", help="Of the bridge; else setting api.server."),
]
CaFile = Annotated[
    str, typer.Option("--ca", metavar="FILE", help="CA of the bridge; else setting api.caFile.")
]
ServerName = Annotated[
    str,
    typer.Option(help="Name in the bridge's certificate; else setting api.serverName, the host."),
]
TokenFile = Annotated[
    str,
    typer.Option(metavar="FILE", help="Kubernetes token; else that of the kubeconfig."),
]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Go on, and show what changes.")]
_EVERY_S = 2.0
_CLEAR = "\x1b[H\x1b[2J"


class Caller:
    """Who asks, in which namespace, and the way to the bridge."""

    def __init__(self, asking: "Asking", namespace: str) -> None:
        self.asking = asking
        self.namespace = namespace

    async def ask(self, question: str, request: Any) -> Any:
        """The answer to the call of that name. Raises BridgeError."""

        def call(stub: Any, request: Any, **options: Any) -> Awaitable[Any]:
            answer: Awaitable[Any] = getattr(stub, question)(request, **options)
            return answer

        return await self.asking.ask(call, request)


def run(
    context: typer.Context,
    do: Callable[[Caller], Awaitable[T]],
    *,
    server: str,
    ca: str,
    server_name: str,
    token_file: str,
    namespace: str,
) -> T:
    """What `do` gives. Raises ConfigError where it is not known whom to ask, or who asks."""
    settings = invocations.of(context).load().settings
    address = server or settings.api.server
    if not address:
        raise ConfigError(
            "where is slurm-bridge? Give --server HOST:PORT (or setting api.server, environment "
            "SLURM_BRIDGE_API__SERVER). From outside the cluster: `kubectl -n slurm-bridge "
            "port-forward deployment/slurm-bridge-controller 9445` and --server localhost:9445"
        )
    if not address.rpartition(":")[2].isdigit():
        raise ConfigError(f"--server {address}: write it like localhost:9445")
    from bridge.rpc.asking import Asking

    ca_pem, own_token = _ca(ca, settings), _token(token_file) if token_file else ""

    async def go() -> T:
        if own_token and namespace:
            token, of_context = own_token, namespace
        else:
            token, of_context = await _identity(context, settings, own_token)
        asking = Asking(
            server=address,
            ca=ca_pem,
            server_name=server_name or settings.api.server_name,
            token=token,
        )
        return await do(Caller(asking, namespace or of_context or "default"))

    return asyncio.run(go())


def _ca(named: str, settings: "Settings") -> bytes:
    folder = settings.server.certificate_dir
    path = named or settings.api.ca_file or (str(Path(folder) / "ca.crt") if folder else "")
    return _read(path, "--ca") if path else b""


def _token(path: str) -> str:
    token = _read(path, "--token-file").decode(errors="replace").strip()
    if not token or not token.isascii() or not token.isprintable():
        raise ConfigError(f"--token-file {path}: it holds no token")
    return token


async def _identity(
    context: typer.Context, settings: "Settings", own_token: str
) -> tuple[str, str]:
    """(token, namespace of the kubeconfig's context)."""
    if own_token:
        try:
            return own_token, (await _access(context, settings)).namespace
        except ConfigError:
            return own_token, ""  # it is not needed where there is no kubeconfig
    access = await _access(context, settings)
    scheme, _, token = access.authorization.partition(" ")
    if scheme != "Bearer" or not token:
        raise ConfigError(
            f"Kubernetes: {access.target}: its user has no token (but a certificate or a "
            "password), and slurm-bridge knows callers by their tokens: give --token-file, "
            "for example with the output of `kubectl create token SERVICEACCOUNT`"
        )
    return token, access.namespace


async def _access(context: typer.Context, settings: "Settings") -> "Access":
    import time

    from bridge.kube.api.credentials import Loader, Places

    places = Places(environ=invocations.of(context).environ)
    return await Loader(settings.kubernetes, places=places).load(now_s=time.time())


def _read(path: str, option: str) -> bytes:
    from bridge import files

    try:
        return files.read(Path(path).expanduser())
    except Unreadable as error:
        raise ConfigError(f"{option}: {error}") from error


async def show(look: Callable[[], Awaitable[tuple[Sequence[str], object]]], *, watch: bool) -> None:
    """Print lines; with `watch` again whenever the second of the pair is another one."""
    before: object = None
    is_first = True
    while True:
        lines, state = await look()
        if is_first or state != before:
            _print(lines, clear=watch and sys.stdout.isatty(), apart=not is_first)
        before, is_first = state, False
        if not watch:
            return
        await asyncio.sleep(_EVERY_S)


def _print(lines: Sequence[str], *, clear: bool, apart: bool) -> None:
    if clear:
        print(_CLEAR, end="")
    elif apart:
        print()
    for line in lines:
        print(line)
    sys.stdout.flush()


def safe(lines: Iterator[str]) -> list[str]:
    """The lines without what steers a terminal, folded to its width."""
    import shutil

    from bridge.cli import listing

    width = shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 0
    return [part for line in lines for part in _folded(listing.printable(line), width)]


def _folded(line: str, width: int) -> list[str]:
    import textwrap

    if not width or len(line) <= width:
        return [line]
    indent = " " * (len(line) - len(line.lstrip()))
    label, _, rest = line.lstrip().partition(":  ")
    if rest and len(label) < 16:
        indent = " " * 18
    return textwrap.wrap(
        line, max(width, 40), subsequent_indent=indent, drop_whitespace=True,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
