"""`slurm-bridge slurm …`: jobs and nodes of the Slurm that the settings name."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from bridge.cli import invocation as invocations
from bridge.errors import BadInput, ConfigError

if TYPE_CHECKING:
    from bridge.slurm import Job, SlurmClient

T = TypeVar("T")
Json = Annotated[bool, typer.Option("--json", help="JSON for programs, times in epoch seconds.")]
_ID = "JOB_ID"


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
    job_ids: Annotated[list[int] | None, typer.Argument(metavar=_ID, help="Only these.")] = None,
    state: Annotated[
        list[str] | None, typer.Option(help="Only jobs in this state; may be repeated.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Ended jobs too.")] = False,
    as_json: Json = False,
) -> None:
    """List jobs: those that wait, run or are suspended."""
    from bridge.cli import listing  # here, so that --help does not load the world
    from bridge.model.ids import SlurmJobId
    from bridge.slurm import BASE_STATES, over

    wanted = {one.upper() for one in state or ()}
    if unknown := wanted - {*BASE_STATES, *_FLAGS}:
        raise typer.BadParameter(
            f"{min(unknown)} is no state of a job; those are {', '.join((*BASE_STATES, *_FLAGS))}",
            param_hint="'--state'",
        )

    def shown(states: frozenset[str]) -> bool:
        return bool(states & wanted) if wanted else everything or not over(states)

    async def read(client: "SlurmClient") -> "list[Job]":
        if job_ids:
            return [await client.get_job(SlurmJobId(job_id)) for job_id in job_ids]
        return [job async for job in client.each_job(shown)]

    found = with_client(context, read)
    listing.show([listing.job_row(job) for job in found], noun="job", as_json=as_json)


_FLAGS = ("COMPLETING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "RESIZING", "STAGE_OUT")
"""Of a job's states, those beside the base state that somebody may look for."""


def nodes(context: typer.Context, as_json: Json = False) -> None:
    """List nodes."""
    from bridge.cli import listing

    found = with_client(context, lambda client: client.list_nodes())
    rows = [listing.node_row(node) for node in sorted(found, key=lambda node: node.name)]
    listing.show(rows, noun="node", as_json=as_json)


def submit(
    context: typer.Context,
    script: Annotated[
        typer.FileText | None, typer.Argument(help="A batch script; none: an external job.")
    ] = None,
    name: Annotated[str, typer.Option(help="Of the job.")] = "slurm-bridge",
    partition: Annotated[str | None, typer.Option(help="None: Slurm's default.")] = None,
    account: Annotated[str | None, typer.Option(help="Whom it is charged to.")] = None,
    qos: Annotated[str | None, typer.Option(help="None: Slurm's default.")] = None,
    tasks: Annotated[int, typer.Option(min=1, help="How many.")] = 1,
    cpus_per_task: Annotated[int, typer.Option(min=1, help="CPUs of each.")] = 1,
    memory_per_cpu: Annotated[str, typer.Option(help="Like 500M or 2G.")] = "1G",
    tres_per_task: Annotated[str | None, typer.Option(help="Like gres/gpu:2.")] = None,
    node_count: Annotated[
        str | None, typer.Option("--nodes", help="A count or a range: 2, 2-4.")
    ] = None,
    time_limit: Annotated[
        str | None, typer.Option("--time", help="Like 90, 1:30:00, 2-12:00 or UNLIMITED.")
    ] = None,
    constraints: Annotated[str | None, typer.Option(help="Features of nodes: a|b.")] = None,
    hold: Annotated[bool, typer.Option("--hold", help="Wait until it is released.")] = False,
    as_json: Json = False,
) -> None:
    """Submit a job. Prints its id, and on stderr what Slurm says of it."""
    from bridge.cli import listing
    from bridge.slurm import EXTERNAL_JOB, JobDescription, memory, timelimit

    job = JobDescription(
        name=name,
        partition=partition,
        account=account,
        qos=qos,
        tasks=tasks,
        cpus_per_task=cpus_per_task,
        memory_per_cpu_mib=_parsed("--memory-per-cpu", memory.parse, memory_per_cpu),
        tres_per_task=tres_per_task,
        nodes=node_count,
        time_limit_min=None
        if time_limit is None
        else _parsed("--time", timelimit.parse, time_limit),
        constraints=constraints,
        hold=hold or None,
        script=script.read() if script else "",
        flags=() if script else (EXTERNAL_JOB,),
    )
    made = with_client(context, lambda client: client.submission(job, recover=False))
    if as_json:
        print(json.dumps({"job_id": made.id, "warnings": made.warnings}))
        return
    print(made.id)
    for warning in made.warnings:
        typer.echo(f"slurm-bridge: job {made.id}: {listing.printable(warning)}", err=True)


def _parsed(option: str, parse: Callable[[str], int], text: str) -> int:
    try:
        return parse(text)
    except BadInput as error:
        raise typer.BadParameter(str(error), param_hint=f"'{option}'") from error


def cancel(
    context: typer.Context,
    job_ids: Annotated[list[int], typer.Argument(min=1, metavar=_ID)],
    signal: Annotated[
        str, typer.Option(help="Send this signal (TERM, USR1 …) instead of ending the job.")
    ] = "",
) -> None:
    """End jobs; one that has ended or is unknown is no error, but an unknown one is told."""
    from bridge.model.ids import SlurmJobId

    ids = [SlurmJobId(job_id) for job_id in job_ids]

    async def end(client: "SlurmClient") -> None:
        for job_id in ids if signal else ():
            await client.signal_job(job_id, signal)
        if signal:
            return
        failed = await client.cancel_jobs(ids)
        known = await client.job_states()
        for job_id in ids:
            if job_id not in known:
                typer.echo(f"slurm-bridge: job {job_id}: Slurm does not know it", err=True)
        for problem in failed.values():
            raise problem

    with_client(context, end)


def with_client(context: typer.Context, do: "Callable[[SlurmClient], Awaitable[T]]") -> T:
    """What `do` gives, with a client as the settings say. Raises ConfigError."""
    from bridge import slurm

    invocation = invocations.of(context)
    settings = invocation.load().settings
    endpoints = settings.slurm_endpoints
    if not endpoints:
        raise ConfigError(
            "no Slurm to talk to: set slurm.endpoints to slurmrestd's URL "
            "(--set slurm.endpoints=http://host:6820)"
        )
    path, word = settings.slurm.token_file, invocation.environ.get("SLURM_JWT", "")
    token = slurm.TokenSource.from_file(path) if path else slurm.TokenSource.fixed(word)

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

    try:
        return asyncio.run(go())
    except slurm.NotAuthorised as error:
        if path or word:
            raise
        raise ConfigError(
            f"{error}. No token was sent: name its file in SLURM_JWT_FILE or slurm.tokenFile, or "
            "`export $(scontrol token)`, which sets SLURM_JWT"
        ) from error
