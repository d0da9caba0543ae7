"""Makes and withdraws the requests for new nodes.

A pass withdraws what is not needed any more, or else has the nodes marked that are counted as
present, and only then asks. An autoscaler follows pods and nodes by separate watches: if it saw a
node marked before it has seen that the pod is gone which stood for that node, it would buy another.
So nodes are marked a pass later than pods were withdrawn.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import structlog

from bridge import names
from bridge.capacity import plan as planning
from bridge.capacity import requests, sentences
from bridge.capacity.node_marks import NodeMarks
from bridge.capacity.present import PresentNodes
from bridge.capacity.requests import Requests
from bridge.clock import Clock
from bridge.errors import BridgeError
from bridge.kube.api import errors as kube_errors
from bridge.kube.api.client import KubeClient
from bridge.kube.api.reflector import Reflector
from bridge.kube.objects import placeholders
from bridge.kube.objects import pods as kube_pods
from bridge.model.capacity import GangNeed, Part
from bridge.model.ids import GangId, NodeName
from bridge.model.pod import Pod
from bridge.retry import Backoff
from bridge.state.kube_state import KubeState
from bridge.state.slurm_state import SlurmState

log = structlog.get_logger(__name__)

_PASS_S = 1.0
_PAUSED_FIRST_S, _PAUSED_MOST_S = 60.0, 3600.0
"""After a request that was of no use."""
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings of the part. `asks` is False if nothing is to be asked for, `most_nodes` is the
    most that are asked for at a time, `timeout_s` how long a request stays."""

    asks: bool
    form: placeholders.Form
    most_nodes: int
    timeout_s: float


class Tell(Protocol):
    """Tells the pods of a gang of its new nodes."""

    def __call__(self, gang_id: GangId, note: str, *, event: str, here: bool) -> None:
        """`note` is what they read from now on. `event` is the reason of an event with the same
        note; "" for none. `here`: the nodes that the gang lacked are there now."""


class CapacityController:
    """Asks an autoscaler for the nodes that gangs lack.

    `needs` says which gangs lack nodes in Slurm, given those that nodes were asked for; None while
    that is not known yet.
    """

    def __init__(
        self,
        rules: Rules,
        *,
        cluster: KubeState,
        slurm_state: SlurmState,
        kube: KubeClient,
        needs: Callable[[Collection[GangId]], Sequence[GangNeed] | None],
        tell: Tell,
        clock: Clock,
    ) -> None:
        self._rules = rules
        self._cluster = cluster
        self._slurm_state = slurm_state
        self._kube = kube
        self._needs = needs
        self._tell = tell
        self._clock = clock
        self._requests = Requests()
        self._marks = NodeMarks(
            cluster=cluster, kube=kube, clock=clock, by_label=not rules.form.by_hostname
        )
        self._pauses: dict[GangId, Backoff] = {}
        self._told: dict[GangId, sentences.Note] = {}

    async def run(self) -> None:
        """Pass after pass until cancelled; if nothing is to be asked for, one pass that withdraws
        what was asked for under other settings."""
        reflector = Reflector(
            self._kube,
            path=f"/api/v1/namespaces/{self._rules.form.namespace}/pods",
            params={"labelSelector": names.CAPACITY_LABEL},
            parse=placeholders.parse,
            key=lambda pod: pod.uid,
            sink=self._requests.take,
            clock=self._clock,
            name="capacity",
        )
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(reflector.run())
            await reflector.wait_for_sync()
            while self._rules.asks:
                await self.look()
                await self._clock.sleep(_PASS_S)
            await self._withdraw(self._requests.by_gang(), planning.Plan(), {})
            watch.cancel()

    async def look(self) -> None:
        """One pass."""
        pods = self._requests.by_gang()
        needs = self._needs(pods.keys())
        if needs is None or not (needs or pods or self._told or self._marks.any_held):
            return
        if not self._slurm_state.partitions.known:
            return  # which nodes Slurm has is not known yet either
        known = {need.gang: need for need in needs}
        now_s = self._clock.monotonic()
        self._end_old_requests(pods, now_s)
        for gang in self._pauses.keys() - known.keys():
            del self._pauses[gang]
        paused = {gang for gang, one in self._pauses.items() if one.due_s > now_s}
        present = PresentNodes(self._cluster, self._slurm_state)
        plan = planning.plan(
            needs,
            present,
            asked={gang: requests.counts(mine) for gang, mine in pods.items()},
            paused=paused,
            most_nodes=self._rules.most_nodes,
        )
        specs = {
            gang: [self._spec(known[gang], part, present) for part in known[gang].parts]
            for gang in plan.wanted
        }
        problems: dict[GangId, str] = {}
        try:
            counted, to_label = self._counted([known[gang] for gang in plan.wanted], present)
            await self._all(self._marks.release(counted))
            if not await self._withdraw(pods, plan, specs):
                await self._all(self._marks.set(counted, to_label))
                problems = await self._ask(plan, specs)
        except BridgeError as error:
            log.warning("capacity.pass_failed", error=str(error))
        self._tell_all(known, plan, problems)

    def _spec(self, need: GangNeed, part: Part, present: PresentNodes) -> Mapping[str, Any]:
        rows = present.able(part, need.partition).count
        nodes = (self._cluster.nodes.get(NodeName(name)) for name in present.names[rows])
        hostnames = {
            node.labels.get(names.HOSTNAME_LABEL, node.name) for node in nodes if node is not None
        }
        return placeholders.spec(self._rules.form, need.gang, part, hostnames)

    # -- steps of a pass -------------------------------------------------------------------------

    def _end_old_requests(self, pods: Mapping[GangId, list[Pod]], now_s: float) -> None:
        """A request that has stayed too long is of no use: it is withdrawn, and made again after a
        pause that grows."""
        for gang, mine in pods.items():
            if self._clock.time() < mine[0].created_s + self._rules.timeout_s:
                continue
            pause = self._pauses.setdefault(
                gang, Backoff(first_s=_PAUSED_FIRST_S, most_s=_PAUSED_MOST_S)
            )
            if pause.due_s <= now_s:
                pause.failed(now_s)
                log.warning("capacity.not_come", gang=gang, pods=len(mine))

    async def _withdraw(
        self,
        pods: Mapping[GangId, list[Pod]],
        plan: planning.Plan,
        specs: Mapping[GangId, Sequence[Mapping[str, Any]]],
    ) -> bool:
        """Deletes pods that are too many, out of date, or have a node after all; the newest first:
        the request is as old as its oldest pod. Returns whether there were any."""
        surplus = []
        for gang, mine in pods.items():
            left = dict(enumerate(plan.wanted.get(gang, ())))
            marks = [placeholders.mark(at, one) for at, one in enumerate(specs.get(gang, ()))]
            for pod in mine:
                part = placeholders.part_of(pod)
                is_good = (
                    left.get(part, 0) > 0
                    and pod.labels.get(names.CAPACITY_PART_LABEL) == marks[part]
                    and not (pod.node_name or pod.ended or pod.deleting)
                )
                if is_good:
                    left[part] -= 1
                else:
                    surplus.append(pod)
        if surplus:
            log.info("capacity.withdrawn", pods=len(surplus))
        await self._all([partial(self._delete, pod) for pod in surplus])
        return bool(surplus)

    async def _delete(self, pod: Pod) -> None:
        await kube_pods.delete(self._kube, pod, grace_s=0)
        self._requests.drop(pod)

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

    async def _ask(
        self, plan: planning.Plan, specs: Mapping[GangId, Sequence[Mapping[str, Any]]]
    ) -> dict[GangId, str]:
        """Creates the pods that are missing, and shows all of them to the autoscaler. Returns the
        gangs for which that failed, with the error."""
        pods = self._requests.by_gang()
        works = []
        for gang, wanted in plan.wanted.items():
            mine = pods.get(gang, [])
            taken = {pod.name for pod in mine}
            works += [(gang, partial(self._show, pod)) for pod in mine if not pod.unschedulable]
            have = (*requests.counts(mine), *([0] * len(wanted)))
            for part, count in enumerate(wanted):
                free = (
                    name
                    for number in range(len(taken) + count)
                    if (name := f"{placeholders.group(gang)}-{part}-{number}") not in taken
                )
                for _ in range(count - have[part]):
                    name = next(free)
                    works.append((gang, partial(self._create, gang, part, name, specs[gang][part])))
        problems: dict[GangId, str] = {}

        async def one(gang: GangId, work: Callable[[], Any]) -> None:
            try:
                await work()
            except BridgeError as error:
                problems[gang] = str(error)

        await self._all([partial(one, gang, work) for gang, work in works])
        for gang, problem in problems.items():
            log.warning("capacity.not_asked", gang=gang, error=problem)
        return problems

    async def _create(self, gang: GangId, part: int, name: str, spec: Mapping[str, Any]) -> None:
        try:
            pod = await placeholders.create(
                self._kube,
                self._rules.form,
                gang,
                name=name,
                marked=placeholders.mark(part, spec),
                spec=spec,
            )
        except kube_errors.AlreadyExists:
            return  # one by that name is just going; the next pass makes it
        self._requests.put(pod)
        await self._show(pod)

    async def _show(self, pod: Pod) -> None:
        message = "slurm-bridge asks for a new node: the pod stands for one that waits in Slurm"
        try:
            shown = await placeholders.show_as_unschedulable(self._kube, pod, message=message)
        except kube_errors.NotFound:
            self._requests.drop(pod)
            return
        self._requests.put(shown)

    async def _all(self, works: Sequence[Callable[[], Any]]) -> None:
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(work: Callable[[], Any]) -> None:
            async with gate:
                await work()

        results = await asyncio.gather(*(one(work) for work in works), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    # -- what pods are told ----------------------------------------------------------------------

    def _tell_all(
        self,
        known: Mapping[GangId, GangNeed],
        plan: planning.Plan,
        problems: Mapping[GangId, str],
    ) -> None:
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
        if gang in problems:
            return sentences.failed(problems[gang])
        if gang in plan.too_many:
            return sentences.too_many(plan.too_many[gang], self._rules.most_nodes)
        pause = self._pauses.get(gang)
        if pause is not None and pause.due_s > self._clock.monotonic():
            return sentences.paused(pause.due_s - self._clock.monotonic() + self._clock.time())
        mine = self._requests.by_gang().get(gang, [])
        if gang not in plan.wanted or not mine:
            return sentences.NOTHING
        since_s = mine[0].created_s
        return sentences.asked(len(mine), since_s, since_s + self._rules.timeout_s)
