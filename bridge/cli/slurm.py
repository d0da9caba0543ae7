"""`slurm-bridge slurm …`: jobs and nodes of the Slurm that the settings name."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from bridge.cli.invocation import Invocation
from bridge.errors import ConfigError

if TYPE_CHECKING:
    from bridge.slurm import Job, SlurmClient, SlurmNode

T = TypeVar("T")
Json = Annotated[bool, typer.Option("--json", help="JSON for programs, times in epoch seconds.")]


def commands() -> typer.Typer:
    """The group."""
    group = typer.Typer(name="slurm", help="Look at Slurm, submit and cancel.")
    group.command("jobs")(jobs)
    group.command("nodes")(nodes)
    group.command("submit")(submit)
    group.command("cancel")(cancel)
    return group


def jobs(
    context: typer.Context,
    state: Annotated[
        list[str] | None, typer.Option(help="Only jobs in this state; may be repeated.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Ended jobs too.")] = False,
    as_json: Json = False,
) -> None:
    """List jobs: those that wait, run or are suspended."""
    from bridge.slurm import over  # here, so that --help does not load the world

    wanted = {one.upper() for one in state or ()}

    def shown(states: frozenset[str]) -> bool:
        return bool(states & wanted) if wanted else everything or not over(states)

    async def read(client: "SlurmClient") -> "list[Job]":
        return [job async for job in client.each_job(shown)]

    found = _with_client(context, read)
    rows = [_job_row(job) for job in found]
    _show(rows, as_json=as_json, title=f"{len(rows)} jobs")


def nodes(context: typer.Context, as_json: Json = False) -> None:
    """List nodes."""
    found = _with_client(context, lambda client: client.list_nodes())
    rows = [_node_row(node) for node in sorted(found, key=lambda node: node.name)]
    _show(rows, as_json=as_json, title=f"{len(rows)} nodes")


def submit(
    context: typer.Context,
    script: Annotated[
        typer.FileText | None, typer.Argument(help="A batch script; none: an external job.")
    ] = None,
    name: Annotated[str, typer.Option(help="Of the job.")] = "slurm-bridge",
    partition: Annotated[str | None, typer.Option()] = None,
    account: Annotated[str | None, typer.Option()] = None,
    qos: Annotated[str | None, typer.Option()] = None,
    tasks: Annotated[int, typer.Option(min=1)] = 1,
    cpus_per_task: Annotated[int, typer.Option(min=1)] = 1,
    memory_per_cpu: Annotated[str, typer.Option(help="Like 500M or 2G.")] = "1G",
    tres_per_task: Annotated[str | None, typer.Option(help="Like gres/gpu:2.")] = None,
    node_count: Annotated[
        str | None, typer.Option("--nodes", help="A count or a range: 2, 2-4.")
    ] = None,
    time_limit: Annotated[
        str | None, typer.Option("--time", help="Like 90, 1:30:00, 2-12:00 or UNLIMITED.")
    ] = None,
    constraints: Annotated[str | None, typer.Option()] = None,
    hold: Annotated[bool, typer.Option("--hold")] = False,
    as_json: Json = False,
) -> None:
    """Submit a job. Prints its id, and on stderr what Slurm says of it."""
    from bridge.slurm import EXTERNAL_JOB, JobDescription, memory, timelimit

    job = JobDescription(
        name=name,
        partition=partition,
        account=account,
        qos=qos,
        tasks=tasks,
        cpus_per_task=cpus_per_task,
        memory_per_cpu_mib=memory.parse(memory_per_cpu),
        tres_per_task=tres_per_task,
        nodes=node_count,
        time_limit_min=None if time_limit is None else timelimit.parse(time_limit),
        constraints=constraints,
        hold=hold or None,
        script=script.read() if script else "",
        flags=() if script else (EXTERNAL_JOB,),
    )
    made = _with_client(context, lambda client: client.submission(job, recover=False))
    if as_json:
        print(json.dumps({"job_id": made.id, "warnings": made.warnings}))
        return
    print(made.id)
    for warning in made.warnings:
        typer.echo(f"slurm-bridge: job {made.id}: {warning}", err=True)


def cancel(
    context: typer.Context,
    job_ids: Annotated[list[int], typer.Argument(min=1)],
    signal: Annotated[
        str, typer.Option(help="Send this signal (TERM, USR1 …) instead of ending the job.")
    ] = "",
) -> None:
    """End jobs; one that has ended or is unknown is no error."""
    from bridge.model.ids import SlurmJobId

    ids = [SlurmJobId(job_id) for job_id in job_ids]

    async def end(client: "SlurmClient") -> None:
        for job_id in ids if signal else ():
            await client.signal_job(job_id, signal)
        for problem in (await client.cancel_jobs(() if signal else ids)).values():
            raise problem

    _with_client(context, end)


def _with_client(context: typer.Context, do: "Callable[[SlurmClient], Awaitable[T]]") -> T:
    """What `do` gives, with a client as the settings say. Raises ConfigError."""
    from bridge import slurm

    invocation = context.obj
    assert isinstance(invocation, Invocation)
    settings = invocation.load().settings
    endpoints = settings.slurm.endpoints or tuple(filter(None, [settings.slurm_rest_api]))
    if not endpoints:
        raise ConfigError(
            "no Slurm to talk to: set slurm.endpoints to slurmrestd's URL "
            "(--set slurm.endpoints=http://host:6820)"
        )
    path = settings.slurm.token_file or invocation.environ.get("SLURM_JWT_FILE", "")
    token = slurm.TokenSource.from_file(path) if path else slurm.TokenSource.fixed("")

    async def go() -> T:
        async with slurm.SlurmClient(
            endpoints=endpoints,
            token=token,
            user=settings.slurm.user,
            timeout_s=settings.slurm.request_timeout_s,
            tls=slurm.Tls(ca_file=settings.slurm.ca_file),
            proxy=settings.slurm.proxy,
        ) as client:
            return await do(client)

    return asyncio.run(go())


def _job_row(job: "Job") -> dict[str, Any]:
    from bridge.slurm import hostlist

    return {
        "id": job.id,
        "name": job.name,
        "user": job.user,
        "partition": job.partition,
        "state": job.state,
        "reason": job.reason,
        "nodes": hostlist.compress(job.nodes),
        "start": job.start_s,
        "end": job.end_s,
    }


def _node_row(node: "SlurmNode") -> dict[str, Any]:
    from bridge.slurm import gres

    return {
        "name": node.name,
        "state": "+".join(sorted(node.states)),
        "cpus": node.cpus,
        "allocated_cpus": node.allocated_cpus,
        "memory_mib": node.memory_mib,
        "gres": gres.format(node.gres),
        "gres_used": gres.format(one for one in node.gres_used if one.count),
        "partitions": ",".join(node.partitions),
        "reason": node.reason,
    }


_TIMES = frozenset({"start", "end"})


def _show(rows: Sequence[dict[str, Any]], *, as_json: bool, title: str) -> None:
    if as_json:
        print(json.dumps(list(rows), indent=1))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title)
    for key in rows[0] if rows else ():
        table.add_column(key.replace("_", " "))
    for row in rows:  # Slurm's words are shown as they are: brackets in them are no markup
        table.add_row(*(Text(_cell(key, value)) for key, value in row.items()))
    Console(width=None if os.isatty(1) else 200).print(table)


def _cell(key: str, value: Any) -> str:
    if value is None:
        return ""
    if key in _TIMES:
        return datetime.fromtimestamp(value, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(value)
