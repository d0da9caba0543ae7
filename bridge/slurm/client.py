"""One Slurm cluster over REST: what can be asked of it, in our words.

A submit is never sent twice: a lost answer is looked for by the job's identity (see submissions).
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Self
from urllib.parse import quote

import structlog

from bridge.clock import Clock
from bridge.model.ids import SlurmJobId, SlurmNodeName
from bridge.slurm import answers, errno
from bridge.slurm.answers import Operation
from bridge.slurm.at_once import DEFERRED, AtOnce, startable
from bridge.slurm.auth import TokenSource
from bridge.slurm.errno import Kind
from bridge.slurm.errors import (
    InvalidRequest,
    JobEnded,
    JobNotFound,
    MalformedAnswer,
    NotAuthorised,
    NotFound,
    ServerTooOld,
    SlurmError,
    Unavailable,
)
from bridge.slurm.http import AsyncTransport, Request
from bridge.slurm.jobs import Job, JobChanges, JobDescription, Submitted
from bridge.slurm.nodes import NodeDefinition, SlurmNode
from bridge.slurm.partitions import Partition
from bridge.slurm.session import Session
from bridge.slurm.submissions import Attempt, Submissions
from bridge.slurm.wire import Wire

log = structlog.get_logger(__name__)

_LOOK_AGAIN_S = (0.0, 0.2, 0.5, 1.0)
"""Pauses before each look for a lost job: a slurmctld that hung may list jobs before it has
carried out the submit that waited."""

_UPDATE_AGAIN_S = (0.1, 0.2, 0.3, 0.4, 0.5, 0.5)


class SlurmClient:
    """Async; one for a process. Raises only `bridge.slurm.errors` (and BadInput for definitions
    that can't be written)."""

    def __init__(
        self,
        *,
        endpoints: Sequence[str],
        token: TokenSource,
        user: str = "",
        timeout_s: float = 10.0,
        clock: Clock,
        transport: AsyncTransport | None = None,
    ) -> None:
        if not endpoints:
            raise ValueError("at least one endpoint of slurmrestd is needed")
        self._session = Session(
            endpoints=endpoints,
            token=token,
            user=user,
            timeout_s=timeout_s,
            clock=clock,
            transport=transport,
        )
        self._clock = clock
        self._submissions = Submissions()
        self._at_once = AtOnce()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of the connections."""
        await self._session.close()

    # -- the cluster ---------------------------------------------------------------------------

    async def negotiate(self) -> str:
        """The REST version that is spoken from now on. Raises ServerTooOld."""
        operation = Operation("agreeing on a REST version")

        async def agree(endpoint: str) -> str:
            return (await self._session.negotiate(endpoint, operation)).version

        return await self._session.on_some_endpoint(agree, operation)

    async def ping(self) -> None:
        """Returns when slurmctld answers and accepts our token; raises otherwise."""
        operation = Operation("pinging slurmctld")
        answer, _ = await self._session.ask(operation, lambda _: Request("GET", "/ping/"))
        pings = answers.read(answer, operation, lambda body: list(answers.parsed(body)["pings"]))
        if any(isinstance(ping, Mapping) and ping.get("responding") for ping in pings):
            return
        said = "; ".join(
            f"{ping.get('hostname')}: {ping.get('status') or 'does not respond'}"
            for ping in pings
            if isinstance(ping, Mapping)
        )
        if "authentication" in said.lower():
            raise NotAuthorised(
                f"{operation.tried}: {said}; look whether the token is valid and not expired"
            )
        raise Unavailable(
            f"{operation.tried}: {said or 'no controller is configured'}; look whether slurmctld "
            "runs",
            by_slurm=True,
        )

    async def list_partitions(self) -> tuple[Partition, ...]:
        """All partitions."""
        operation = Operation("listing partitions", about="partition")
        answer, wire = await self._session.ask(operation, lambda _: Request("GET", "/partitions/"))
        return answers.read(answer, operation, lambda body: wire.partitions(answers.parsed(body)))

    # -- jobs ----------------------------------------------------------------------------------

    async def submit(
        self, job: JobDescription, *, recover: bool = True, at_once: bool = False
    ) -> SlurmJobId:
        """Submit a job; its id. The same as `submission`, without Slurm's words."""
        return (await self.submission(job, recover=recover, at_once=at_once)).id

    async def submission(
        self, job: JobDescription, *, recover: bool = True, at_once: bool = False
    ) -> Submitted:
        """Submit a job; its id, and what Slurm said of it.

        With `at_once` Slurm is asked to start it in this very call, where that is likely (see
        the module at_once); where it doesn't, the job is queued as any other.

        With `recover`, a lost answer is looked for by `admin_comment`, which must then be this
        job's alone; what is not found raises Unavailable, and the next submit with the same
        admin_comment looks again before it sends. So a caller may simply submit again until it
        succeeds: there is never a second job. Without `recover` (or without an admin_comment)
        Unavailable leaves open whether there is a job.
        """
        operation = Operation(f"submitting job {job.name!r}", about="job", safe=False)
        identity = (job.admin_comment or "") if recover else ""
        if not identity:
            return await self._make(job, operation, at_once=at_once)
        if self._submissions.blind:
            await self.job_states()
        if (before := self._submissions.lost_before(identity)) is not None:
            found = await self._look_for(before)
            if found is not None:
                return Submitted(found)
        attempt = self._submissions.begin(identity)
        try:
            made = await self._make(job, operation, at_once=at_once)
        except Unavailable as error:
            if error.nothing_done:
                raise
            return Submitted(await self._recover(attempt, error))
        except asyncio.CancelledError:
            self._submissions.lost(attempt)
            raise
        self._submissions.answered(made.id, identity)
        return made

    async def _make(self, job: JobDescription, operation: Operation, *, at_once: bool) -> Submitted:
        """The job, running or queued."""
        if at_once and startable(job) and self._at_once.worth_asking(self._clock.monotonic()):
            try:
                made = await self._submit(
                    operation, lambda wire: Request("POST", "/job/allocate", wire.allocation(job))
                )
            except Unavailable:
                raise
            except SlurmError as error:  # whatever it is, the queue has the last word
                never = error.number == DEFERRED or isinstance(error, ServerTooOld)
                self._at_once.refused(self._clock.monotonic(), always=never)
                log.debug("job.not_started_at_once", job=job.name, error=str(error))
            else:
                self._at_once.granted()
                return made
        return await self._submit(
            operation, lambda wire: Request("POST", "/job/submit", wire.submission(job))
        )

    async def _submit(self, operation: Operation, request: Callable[[Wire], Request]) -> Submitted:
        answer, _ = await self._session.call(operation, request)
        found = answers.envelope(answer, operation)
        job_id = SlurmJobId(found.job_id or 0)
        if answers.queued_all_the_same(found):
            return Submitted(job_id, found.caveats)
        problem = answers.judge(found, answer, operation)
        if problem is not None and job_id > 0:
            # Slurm takes jobs with a flag or field it does not know, and runs them without.
            await self._withdraw(job_id, problem)
        if problem is not None:
            raise problem
        if found.warnings:
            raise InvalidRequest(
                f"{operation.tried}: Slurm made no job of it: {'; '.join(found.words)}",
                warnings=found.words,
            )
        raise MalformedAnswer(f"{operation.tried}: {answer.url} answered without a job id")

    async def _withdraw(self, job_id: SlurmJobId, problem: SlurmError) -> None:
        try:
            await self.cancel_job(job_id)
        except SlurmError as error:
            problem.args = (
                f"{problem}; it made job {job_id} of it all the same, which could not be "
                f"cancelled ({error}): do that",
            )

    async def _recover(self, attempt: Attempt, error: Unavailable) -> SlurmJobId:
        """The job of a lost answer. Raises Unavailable when it can't be found now."""
        self._submissions.lost(attempt)
        try:
            found = await self._look_for(attempt)
        except SlurmError as second:
            raise Unavailable(
                f"{error}; whether there is a job now can't be said ({second}). Submitting it "
                "again looks for it first",
                number=error.number,
                by_slurm=error.by_slurm,
            ) from error
        if found is not None:
            return found
        raise Unavailable(
            f"{error}; there is no job of it so far. Submitting it again looks for it first",
            number=error.number,
            by_slurm=error.by_slurm,
        ) from error

    async def _look_for(self, attempt: Attempt) -> SlurmJobId | None:
        for pause_s in _LOOK_AGAIN_S:
            if pause_s:
                await self._clock.sleep(pause_s)
            ids = frozenset(await self.job_states())
            found = self._submissions.match(attempt, ids)
            for job_id in self._submissions.unread(attempt, ids):
                if found is not None:
                    break
                try:
                    await self.get_job(job_id)  # which notes its admin_comment
                except JobNotFound:
                    continue
                found = self._submissions.match(attempt, ids)
            if found is not None:
                self._submissions.answered(found, attempt.identity)
                log.info("submission.found_again", slurm_job=found)
                return found
        return None

    async def get_job(self, job_id: SlurmJobId) -> Job:
        """The whole job, with `raw`. Raises JobNotFound only when a healthy Slurm says so."""
        operation = Operation(f"reading job {job_id}", about="job")
        answer, wire = await self._session.ask(
            operation, lambda _: Request("GET", f"/job/{job_id:d}")
        )
        job = answers.read(answer, operation, lambda body: wire.job(answers.parsed(body), job_id))
        # A start at once that was refused leaves its identity to the job that is queued for it.
        never_was = job.state == "FAILED" and job.reason == "BadConstraints"
        self._submissions.read(job.id, "" if never_was else job.admin_comment)
        return job

    async def job_states(self) -> dict[SlurmJobId, frozenset[str]]:
        """Every job's states, cheaply: the only list of jobs that is ever read."""
        return (await self.job_states_if_changed(b""))[0] or {}

    async def job_states_if_changed(
        self, before: bytes
    ) -> tuple[dict[SlurmJobId, frozenset[str]] | None, bytes]:
        """The same, and the answer's bytes; None for states when they are those of `before`.

        At rest the answer is the same to the byte, and needn't be parsed.
        """
        operation = Operation("listing the states of jobs")
        answer, wire = await self._session.ask(
            operation, lambda _: Request("GET", "/jobs/state/"), unless=before
        )
        if before and answer.body == before:
            return None, before
        states = answers.read(answer, operation, wire.states)
        self._submissions.listed(frozenset(states))
        self._at_once.listed(states.values())
        return states, answer.body

    async def update_job(self, job_id: SlurmJobId, changes: JobChanges) -> None:
        """Change a job. Raises JobNotFound, JobEnded, InvalidRequest …

        While backfill plans, slurmctld refuses changes of partition and account for a moment
        (EAGAIN): they are tried again for two seconds.
        """
        operation = Operation(f"updating job {job_id}", about="job")
        for pause_s in (*_UPDATE_AGAIN_S, None):
            try:
                await self._session.ask(
                    operation,
                    lambda wire: Request("POST", f"/job/{job_id:d}", wire.changes(changes)),
                )
            except Unavailable as error:
                if error.number != errno.TRY_AGAIN or pause_s is None:
                    raise
                await self._clock.sleep(pause_s)
            else:
                return

    async def cancel_job(self, job_id: SlurmJobId) -> None:
        """End a job; one that has ended or is unknown is no error.

        The token must be an operator's or the job's user's: slurmctld 26.05.5 hangs for ever when
        anybody else cancels over REST.
        """
        operation = Operation(f"cancelling job {job_id}", about="job")
        answer, _ = await self._session.ask(
            operation, lambda _: Request("DELETE", f"/job/{job_id:d}")
        )
        problem = answers.killed(answers.envelope(answer, operation), answer, operation)
        if problem is not None and not isinstance(problem, JobNotFound | JobEnded):
            raise problem

    # -- nodes ---------------------------------------------------------------------------------

    async def list_nodes(self, *, raw: bool = False) -> tuple[SlurmNode, ...]:
        """All nodes; with `raw`, each with all that Slurm sent (2 KB a node)."""
        operation = Operation("listing nodes")
        answer, wire = await self._session.ask(operation, lambda _: Request("GET", "/nodes/"))
        return answers.read(answer, operation, lambda body: wire.nodes(body, raw=raw))

    async def get_node(self, name: SlurmNodeName) -> SlurmNode:
        """One node, with `raw`. Raises NotFound."""
        operation = Operation(f"reading node {name}", about="node")
        answer, wire = await self._session.ask(
            operation, lambda _: Request("GET", f"/node/{_in_path(name)}")
        )
        nodes = answers.read(answer, operation, lambda body: wire.nodes(body, raw=True))
        for node in nodes:
            if node.name == name:
                return node
        raise MalformedAnswer(f"{operation.tried}: {answer.url} told of other nodes only")

    async def create_node(self, node: NodeDefinition) -> None:
        """Register an external node. Raises AlreadyExists, InvalidRequest, BadInput."""
        operation = Operation(f"registering node {node.name}", safe=False, unspecified=Kind.INVALID)
        await self._session.ask(
            operation, lambda wire: Request("POST", "/new/node/", wire.new_node(node))
        )

    async def delete_node(self, name: SlurmNodeName) -> None:
        """Remove a node. Raises NodeBusy while it has jobs, NotFound."""
        operation = Operation(f"deleting node {name}", about="node")
        await self._session.ask(operation, lambda _: Request("DELETE", f"/node/{_in_path(name)}"))

    async def update_node(
        self,
        name: SlurmNodeName,
        *,
        features: Sequence[str] | None = None,
        state: str | None = None,
        reason: str | None = None,
        comment: str | None = None,
        weight: int | None = None,
        topology: str | None = None,
    ) -> None:
        """Change a live node; None is left alone. CPUs, memory and GRES can't be changed.

        `state`: DRAIN and DOWN want a reason; UNDRAIN ends a drain, RESUME a DOWN.
        """
        operation = Operation(f"updating node {name}", about="node")
        await self._session.ask(
            operation,
            lambda wire: Request(
                "POST",
                f"/node/{_in_path(name)}",
                wire.node_changes(
                    features=features,
                    state=state,
                    reason=reason,
                    comment=comment,
                    weight=weight,
                    topology=topology,
                ),
            ),
        )


def _in_path(name: str) -> str:
    """A name as one piece of a path. Raises NotFound for one that can't be any node's."""
    if not name or "/" in name or name in (".", ".."):
        raise NotFound(f"{name!r} can't be the name of a node")
    return quote(name, safe="")
