"""Asks for nodes by pods that can never run: one for each task that finds no place."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import structlog

from bridge import names
from bridge.capacity.rows import Rows
from bridge.capacity.writer import Standing, Wanted, run_all
from bridge.errors import BridgeError
from bridge.kube.api import errors as kube_errors
from bridge.kube.api.client import KubeClient
from bridge.kube.api.reflector import Reflector
from bridge.kube.objects import placeholders
from bridge.kube.objects import pods as kube_pods
from bridge.model.ids import GangId
from bridge.model.pod import Pod

log = structlog.get_logger(__name__)

_Specs = Sequence[Mapping[str, Any]]


class PlaceholderPods:
    """The pods of all gangs: a `RequestWriter`."""

    def __init__(self, form: placeholders.Form, *, kube: KubeClient) -> None:
        self._form = form
        self._kube = kube
        self._pods: Rows[Pod] = Rows()
        self._reflector = Reflector(
            kube,
            path=self._path,
            params={"labelSelector": names.CAPACITY_LABEL},
            parse=placeholders.parse,
            key=lambda pod: pod.uid,
            sink=self._pods.take,
            clock=kube.clock,
            name="capacity",
        )

    @property
    def _path(self) -> str:
        return f"/api/v1/namespaces/{self._form.namespace}/pods"

    async def follow(self) -> None:
        """As `RequestWriter`."""
        await self._reflector.run()

    async def wait_for_sync(self) -> None:
        """As `RequestWriter`."""
        await self._reflector.wait_for_sync()

    def standing(self) -> Mapping[GangId, Standing]:
        """As `RequestWriter`. A request is as old as its oldest pod."""
        return {
            gang: Standing(_counts(mine), mine[0].created_s, len(mine))
            for gang, mine in self._by_gang().items()
        }

    async def withdraw(self, wanted: Mapping[GangId, Wanted]) -> bool:
        """Deletes pods that are too many, out of date, or have a node after all; the newest first:
        the request is as old as its oldest pod."""
        surplus = []
        for gang, mine in self._by_gang().items():
            asked = wanted.get(gang)
            left = dict(enumerate(asked.counts if asked else ()))
            specs = self._specs(asked) if asked else ()
            marks = [placeholders.mark(at, one) for at, one in enumerate(specs)]
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
        await run_all([partial(self._delete, pod) for pod in surplus])
        return bool(surplus)

    async def clear(self) -> None:
        """As `RequestWriter`."""
        found = await self._kube.get(self._path, {"labelSelector": names.CAPACITY_LABEL})
        for one in found.get("items") or ():
            await kube_pods.delete(self._kube, placeholders.parse(one), grace_s=0)

    async def ask(self, wanted: Mapping[GangId, Wanted]) -> Mapping[GangId, str]:
        """Creates the pods that are missing, and shows all of them to the autoscaler."""
        pods = self._by_gang()
        works = []
        for gang, asked in wanted.items():
            mine = pods.get(gang, [])
            taken = {pod.name for pod in mine}
            works += [(gang, partial(self._show, pod)) for pod in mine if not pod.unschedulable]
            have = (*_counts(mine), *([0] * len(asked.counts)))
            specs = self._specs(asked)
            for part, count in enumerate(asked.counts):
                free = (
                    name
                    for number in range(len(taken) + count)
                    if (name := f"{placeholders.group(gang)}-{part}-{number}") not in taken
                )
                for _ in range(count - have[part]):
                    name = next(free)
                    works.append((gang, partial(self._create, gang, part, name, specs[part])))
        problems: dict[GangId, str] = {}

        async def one(gang: GangId, work: partial[Any]) -> None:
            try:
                await work()
            except BridgeError as error:
                problems[gang] = str(error)

        await run_all([partial(one, gang, work) for gang, work in works])
        return problems

    def _by_gang(self) -> Mapping[GangId, list[Pod]]:
        """The pods of each gang, the oldest first. Pods that name no gang are those of ""."""
        found: dict[GangId, list[Pod]] = defaultdict(list)
        for pod in self._pods.oldest_first():
            found[GangId(pod.annotations.get(names.GANG_ID_ANNOTATION, ""))].append(pod)
        return found

    def _specs(self, asked: Wanted) -> _Specs:
        need = asked.need
        return [
            placeholders.spec(self._form, need.gang, part, hostnames)
            for part, hostnames in zip(need.parts, asked.hostnames, strict=True)
        ]

    async def _delete(self, pod: Pod) -> None:
        await kube_pods.delete(self._kube, pod, grace_s=0)
        self._pods.drop(pod)

    async def _create(self, gang: GangId, part: int, name: str, spec: Mapping[str, Any]) -> None:
        try:
            pod = await placeholders.create(
                self._kube,
                self._form,
                gang,
                name=name,
                marked=placeholders.mark(part, spec),
                spec=spec,
            )
        except kube_errors.AlreadyExists:
            return  # one by that name is just going; the next pass makes it
        self._pods.put(pod)
        await self._show(pod)

    async def _show(self, pod: Pod) -> None:
        message = "slurm-bridge asks for a new node: the pod stands for one that waits in Slurm"
        try:
            shown = await placeholders.show_as_unschedulable(self._kube, pod, message=message)
        except kube_errors.NotFound:
            self._pods.drop(pod)
            return
        self._pods.put(shown)


def _counts(pods: list[Pod]) -> tuple[int, ...]:
    """(parts,) how many of a gang's pods stand for each part."""
    parts = [part for pod in pods if (part := placeholders.part_of(pod)) >= 0]
    return tuple(parts.count(part) for part in range(max(parts, default=-1) + 1))
