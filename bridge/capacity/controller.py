"""Makes and withdraws the requests for new nodes.

A pass withdraws what is not needed any more, or else has the nodes marked that are counted as
present, and only then asks. An autoscaler follows pods and nodes by separate watches: if it saw a
node marked before it has seen that the pod is gone which stood for that node, it would buy another.
So nodes are marked a pass later than requests were withdrawn.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from bridge import names
from bridge.capacity import plan as planning
from bridge.capacity import sentences
from bridge.capacity.node_marks import NodeMarks
from bridge.capacity.present import JoinedNodes, PresentNodes
from bridge.capacity.writer import RequestWriter, Standing, Wanted, run_all
from bridge.clock import Clock, sleep_until_triggered
from bridge.errors import BridgeError
from bridge.kube.api import errors as kube_errors
from bridge.kube.api.client import KubeClient
from bridge.model.capacity import GangNeed, Part
from bridge.model.ids import GangId, NodeName
from bridge.retry import Backoff
from bridge.state.kube_state import KubeState
from bridge.state.slurm_state import SlurmState

log = structlog.get_logger(__name__)

_PASS_S = 1.0
_PAUSED_FIRST_S, _PAUSED_MOST_S = 60.0, 3600.0
"""After a request that was of no use."""
_CLEAR_FIRST_S, _CLEAR_MOST_S = 1.0, 60.0


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings of the part. `most_nodes` is the most that are asked for at a time, `timeout_s`
    how long a request stays. `by_label`: present nodes get the label that placeholder pods avoid,
    and are held by Karpenter's annotation, not by Cluster Autoscaler's."""

    most_nodes: int
    timeout_s: float
    by_label: bool


class Tell(Protocol):
    """Tells the pods of a gang of its new nodes."""

    def __call__(self, gang_id: GangId, note: str, *, event: str, here: bool) -> None:
        """`note` is what they read from now on. `event` is the reason of an event with the same
        note; "" for none. `here`: the nodes that the gang lacked are there now."""


class CapacityController:
    """Asks an autoscaler for the nodes that gangs lack.

    `writer` makes the requests; None if nothing is to be asked for. `others` are the ways that are
    not used: what was asked for by them, under other settings, is withdrawn once. `needs` says
    which gangs lack nodes in Slurm, given those that nodes were asked for; None while that is not
    known yet.
    """

    def __init__(
        self,
        rules: Rules,
        *,
        writer: RequestWriter | None,
        others: Sequence[RequestWriter] = (),
        cluster: KubeState,
        slurm_state: SlurmState,
        kube: KubeClient,
        needs: Callable[[Collection[GangId]], Sequence[GangNeed] | None],
        tell: Tell,
        clock: Clock,
    ) -> None:
        self._rules = rules
        self._writer = writer
        self._others = others
        self._cluster = cluster
        self._slurm_state = slurm_state
        self._needs = needs
        self._tell = tell
        self._clock = clock
        self._marks = NodeMarks(cluster=cluster, kube=kube, clock=clock, by_label=rules.by_label)
        self._joined = JoinedNodes()
        self._pauses: dict[GangId, Pause] = {}
        self._told: dict[GangId, sentences.Note] = {}
        self._due = asyncio.Event()

    async def run(self) -> None:
        """Pass after pass until cancelled; returns if nothing is to be asked for."""
        async with asyncio.TaskGroup() as group:
            for other in self._others:
                group.create_task(self._clear(other))
            if self._writer is not None:
                group.create_task(self._writer.follow())
                await self._writer.wait_for_sync()
                while True:
                    self._due.clear()
                    await self.look()
                    await sleep_until_triggered(self._clock, _PASS_S, self._due)

    def waits_no_longer(self, gang_id: GangId) -> None:
        """The gang has got its nodes, or is gone. If nodes were asked for, the request is withdrawn
        now: once the gang's pods fill the new nodes, the autoscaler would buy others for it."""
        if gang_id in self._told:
            self._due.set()

    async def _clear(self, writer: RequestWriter) -> None:
        backoff = Backoff(first_s=_CLEAR_FIRST_S, most_s=_CLEAR_MOST_S)
        while True:
            try:
                return await writer.clear()
            except (kube_errors.Forbidden, kube_errors.NotFound):
                return None  # there is nothing that we have made, or we may not take it back
            except BridgeError as error:
                log.info("capacity.not_cleared", error=str(error))
                await self._clock.sleep(backoff.next_s())

    async def look(self) -> None:
        """One pass."""
        assert self._writer is not None
        standing = self._writer.standing()
        needs = self._needs(standing.keys())
        if needs is None or not (needs or standing or self._told or self._marks.any_held):
            return
        if not self._slurm_state.partitions.known:
            return  # which nodes Slurm has is not known yet either
        known = {need.gang: need for need in needs}
        now_s = self._clock.monotonic()
        self._end_old_requests(standing, now_s)
        for gang in self._pauses.keys() - known.keys():
            del self._pauses[gang]
        paused = {gang for gang, one in self._pauses.items() if one.backoff.due_s > now_s}
        lately = self._joined.look(self._cluster, self._slurm_state, now_s)
        present = PresentNodes(self._cluster, self._slurm_state, lately)
        plan = planning.plan(
            needs,
            present,
            asked={gang: one.counts for gang, one in standing.items()},
            paused=paused,
            most_nodes=self._rules.most_nodes,
        )
        wanted = {
            gang: self._wanted(known[gang], counts, present) for gang, counts in plan.wanted.items()
        }
        problems: Mapping[GangId, str] = {}
        try:
            counted, to_label = self._counted([known[gang] for gang in wanted], present)
            await run_all(self._marks.release(counted))
            if not await self._writer.withdraw(wanted):
                await run_all(self._marks.set(counted, to_label))
                problems = await self._writer.ask(wanted)
        except BridgeError as error:
            log.warning("capacity.pass_failed", error=str(error))
        self._tell_all(known, plan, problems)

    def _wanted(self, need: GangNeed, counts: planning.Counts, present: PresentNodes) -> Wanted:
        hostnames = [self._hostnames(need, part, present) for part in need.parts]
        return Wanted(need, counts, hostnames)

    def _hostnames(self, need: GangNeed, part: Part, present: PresentNodes) -> set[str]:
        rows = present.able(part, need.partition).count
        nodes = (self._cluster.nodes.get(NodeName(name)) for name in present.names[rows])
        return {
            node.labels.get(names.HOSTNAME_LABEL, node.name) for node in nodes if node is not None
        }

    # -- steps of a pass -------------------------------------------------------------------------

    def _end_old_requests(self, standing: Mapping[GangId, Standing], now_s: float) -> None:
        """A request that has stayed too long, or that the autoscaler has given up, is of no use: it
        is withdrawn, and made again after a pause that grows."""
        for gang, one in standing.items():
            if not one.is_over and self._clock.time() < one.since_s + self._rules.timeout_s:
                continue
            pause = self._pauses.setdefault(gang, Pause())
            if pause.backoff.due_s <= now_s:
                pause.backoff.failed(now_s)
                pause.why = one.said if one.is_over else ""
                log.warning("capacity.not_come", gang=gang, pods=one.size, said=one.said)

    def _counted(
        self, needs: Sequence[GangNeed], present: PresentNodes
    ) -> tuple[set[NodeName], set[NodeName]]:
        """(the nodes that count for some of the gangs, those of them that no other one awaits)."""
        counted: set[NodeName] = set()
        awaited: set[NodeName] = set()
        for need in needs:
            for part in need.parts:
                able = present.able(part, need.partition)
                counted.update(map(NodeName, present.names[able.count].tolist()))
                awaited.update(map(NodeName, present.names[able.awaited].tolist()))
        return counted, counted - awaited

    # -- what pods are told ----------------------------------------------------------------------

    def _tell_all(
        self,
        known: Mapping[GangId, GangNeed],
        plan: planning.Plan,
        problems: Mapping[GangId, str],
    ) -> None:
        for gang, problem in problems.items():
            if sentences.failed(problem) != self._told.get(gang):
                log.warning("capacity.not_asked", gang=gang, error=problem)
        notes = {gang: self._note(gang, plan, problems) for gang in known}
        for gang in self._told.keys() | notes.keys():
            note = notes.get(gang, sentences.NOTHING)
            before = self._told.get(gang, sentences.NOTHING)
            if note == before:
                continue
            event = note.reason if note.reason != before.reason else ""
            self._tell(gang, note.text, event=event, here=not note.text and gang in known)
            self._told[gang] = note
            if not note.text:
                del self._told[gang]

    def _note(
        self, gang: GangId, plan: planning.Plan, problems: Mapping[GangId, str]
    ) -> sentences.Note:
        assert self._writer is not None
        if gang in problems:
            return sentences.failed(problems[gang])
        if gang in plan.too_many:
            return sentences.too_many(plan.too_many[gang], self._rules.most_nodes)
        pause = self._pauses.get(gang)
        if pause is not None and pause.backoff.due_s > self._clock.monotonic():
            again_s = pause.backoff.due_s - self._clock.monotonic() + self._clock.time()
            return sentences.paused(again_s, pause.why)
        mine = self._writer.standing().get(gang)
        if gang not in plan.wanted or mine is None:
            return sentences.NOTHING
        until_s = mine.since_s + self._rules.timeout_s
        return sentences.asked(mine.size, mine.since_s, until_s, mine.said)


class Pause:
    """Nothing is asked for a gang for a while, because its last request was of no use."""

    def __init__(self) -> None:
        self.backoff = Backoff(first_s=_PAUSED_FIRST_S, most_s=_PAUSED_MOST_S)
        self.why = ""
        """What the autoscaler said; "" if it said nothing."""
