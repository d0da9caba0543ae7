"""`slurm-bridge explain` and `slurm-bridge queue`: why pods wait, and who else does."""

import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli import asking
from bridge.cli.asking import CaFile, Caller, Namespace, Server, ServerName, TokenFile, Watch
from bridge.cli.slurm import Json

if TYPE_CHECKING:
    from google.protobuf.message import Message


def explain(
    context: typer.Context,
    what: Annotated[
        list[str],
        typer.Argument(metavar="[KIND] NAME", help="pod, job, jobset …; or KIND/NAME. A pod."),
    ],
    namespace: Namespace = "",
    watch: Watch = False,
    as_json: Json = False,
    server: Server = "",
    ca: CaFile = "",
    server_name: ServerName = "",
    token_file: TokenFile = "",
) -> None:
    """Say why a workload waits and until when, what has happened so far, and what to do."""
    kind, name = _named(what)

    async def go(caller: Caller) -> None:
        from bridge.rpc.slurmbridge.v1 import bridge_pb2 as pb

        request = pb.ExplainRequest(namespace=caller.namespace, kind=kind, name=name)

        async def look() -> tuple[Sequence[str], object]:
            answer = await caller.ask("Explain", request)
            if as_json:
                return [_as_json(answer)], answer
            return _stories(answer), _standing(answer)

        await asking.show(look, watch=watch)

    asking.run(
        context, go, server=server, ca=ca, server_name=server_name, token_file=token_file,
        namespace=namespace,
    )  # fmt: skip


def queue(
    context: typer.Context,
    namespace: Namespace = "",
    everything: Annotated[
        bool,
        typer.Option("--all-namespaces", "-A", help="All namespaces, and Slurm's own jobs too."),
    ] = False,
    watch: Watch = False,
    as_json: Json = False,
    server: Server = "",
    ca: CaFile = "",
    server_name: ServerName = "",
    token_file: TokenFile = "",
) -> None:
    """List the queue as squeue does, with the workloads that the jobs are for."""

    async def go(caller: Caller) -> None:
        from bridge.rpc.slurmbridge.v1 import bridge_pb2 as pb

        request = pb.GetQueueRequest(namespace="" if everything else caller.namespace)

        async def look() -> tuple[Sequence[str], object]:
            answer = await caller.ask("GetQueue", request)
            if as_json:
                return [_as_json(answer)], answer
            lines = _table(answer)
            return lines, (answer if not watch else lines)

        await asking.show(look, watch=watch)

    asking.run(
        context, go, server=server, ca=ca, server_name=server_name, token_file=token_file,
        namespace=namespace,
    )  # fmt: skip


def _named(what: Sequence[str]) -> tuple[str, str]:
    """(kind, name) of `pod NAME`, `pod/NAME` or `NAME`."""
    match what:
        case [one]:
            kind, slash, name = one.partition("/")
            if slash and name:
                return kind, name
            return "pod", one
        case [kind, name]:
            return kind, name
    raise typer.BadParameter("name one workload, like `job train`", param_hint="'[KIND] NAME'")


def _stories(answer: Any) -> list[str]:
    from bridge.explain import text
    from bridge.rpc import explain_wire

    lines: list[str] = [*asking.safe(iter((answer.warning, "")))] if answer.warning else []
    for at, message in enumerate(answer.stories):
        if at:
            lines += ["", "-" * 60, ""]
        story = explain_wire.story_row(message)
        lines += asking.safe(text.lines(story, now_s=time.time()))
    if answer.more:
        lines += ["", f"and {answer.more} more of its gangs: ask for one of their pods"]
    return lines


def _standing(answer: Any) -> object:
    """What makes a story another one; that time passes does not."""
    return [
        (
            one.gang.state, one.job.job_id, one.job.reason, one.job.start_s // 60, one.place.ahead,
            len(one.steps), [(pod.name, pod.phase, pod.node) for pod in one.pods],
        )
        for one in answer.stories
    ]  # fmt: skip


def _table(answer: Any) -> list[str]:
    from bridge.cli import listing
    from bridge.explain import table
    from bridge.rpc import explain_wire

    rows = [explain_wire.queue_row(entry) for entry in answer.entries]
    lines = table.lines(rows, unread=answer.unread, now_s=time.time())
    warned = (answer.warning,) if answer.warning else ()
    return [listing.printable(line) for line in (*lines, *warned)]


def _as_json(answer: "Message") -> str:
    from google.protobuf import json_format

    told = json_format.MessageToDict(
        answer, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return json.dumps(_numbers(told), indent=1)


def _numbers(told: Any, key: str = "") -> Any:
    """protobuf's JSON writes large numbers as texts; times and priorities are numbers here."""
    if isinstance(told, dict):
        return {name: _numbers(value, name) for name, value in told.items()}
    if isinstance(told, list):
        return [_numbers(value) for value in told]
    if isinstance(told, str) and (key.endswith("_s") or key == "priority"):
        return int(told)
    return told
