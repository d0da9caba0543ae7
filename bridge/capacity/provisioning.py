"""Asks Cluster Autoscaler for nodes by ProvisioningRequests: one for each gang, all or nothing.

A request can't be changed. While the autoscaler has not taken it, it is replaced when another
number is missing. From then on it is only replaced when more is missing than it asks for, or in
another form: its nodes join one after the other, and a smaller request would be one more. The
hostnames of the nodes that are counted are in the PodTemplates, but do not count as a change.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import structlog

from bridge import names
from bridge.capacity.rows import Rows
from bridge.capacity.writer import Standing, Wanted, run_all
from bridge.errors import BridgeError
from bridge.kube.api import discovery, errors
from bridge.kube.api.client import KubeClient
from bridge.kube.api.reflector import Change, Reflector, Replaced
from bridge.kube.objects import placeholders, provisioning_requests
from bridge.kube.objects.provisioning_requests import ProvisioningRequest
from bridge.model.ids import GangId

log = structlog.get_logger(__name__)

_LOOK_AGAIN_S = 5.0
_SELECTOR = {"labelSelector": names.CAPACITY_LABEL}


@dataclass(frozen=True, slots=True)
class ProvisioningForm:
    """What all requests have in common."""

    pods: placeholders.Form
    class_name: str
    parameters: Mapping[str, str] = field(default_factory=dict)


class ProvisioningRequests:
    """The requests of all gangs: a `RequestWriter`."""

    def __init__(self, form: ProvisioningForm, *, kube: KubeClient) -> None:
        self._form = form
        self._kube = kube
        self._rows: Rows[ProvisioningRequest] = Rows()
        self._served: discovery.Served | None = None
        self._problem = ""
        """Why nothing can be asked for."""
        self._knows = asyncio.Event()
        self._is_tidy = False
        """No PodTemplate is left that no request names."""
        self._is_unsure = False
        """A creation was not answered: there may be requests of which the watch has not told."""

    async def follow(self) -> None:
        """As `RequestWriter`. While the kind is not served, this is told once in the log, and to
        each gang that lacks nodes."""
        while True:
            try:
                self._served = await self._find()
                await self._watch(self._served)
            except (errors.NotFound, errors.Forbidden) as error:
                self._lost(str(error))
            except BridgeError as error:
                log.info("capacity.retrying", error=str(error))
            await self._kube.clock.sleep(_LOOK_AGAIN_S)

    async def wait_for_sync(self) -> None:
        """As `RequestWriter`."""
        await self._knows.wait()

    def standing(self) -> Mapping[GangId, Standing]:
        """As `RequestWriter`. Of two requests of a gang the older one is the request."""
        found: dict[GangId, Standing] = {}
        for row in self._rows.oldest_first():
            if row.gang not in found and not row.is_deleting:
                found[row.gang] = Standing(
                    _counts(row), row.created_s, sum(row.counts), self._said(row), row.is_over
                )
        return found

    async def withdraw(self, wanted: Mapping[GangId, Wanted]) -> bool:
        """Deletes requests that are not needed, out of date, or of another size, and PodTemplates
        that nothing names."""
        if self._served is None:
            return False
        if self._is_unsure:
            for row in await self._list(self._served):
                self._rows.put_new(row)
            self._is_unsure = False
        surplus, kept = [], set()
        for row in self._rows.oldest_first():
            asked = wanted.get(row.gang)
            if asked and row.gang not in kept and self._is_good(row, asked):
                kept.add(row.gang)
            else:
                surplus.append(row)
        new = [row for row in surplus if not row.is_deleting]
        if new:
            log.info("capacity.withdrawn", requests=len(new))
        await run_all([partial(self._delete, row) for row in new])
        if not self._is_tidy:
            await self._tidy(self._served)
        return bool(new)

    async def ask(self, wanted: Mapping[GangId, Wanted]) -> Mapping[GangId, str]:
        """Creates the requests that are missing."""
        there = self.standing()
        missing = {gang: one for gang, one in wanted.items() if gang not in there}
        if self._served is None:
            return dict.fromkeys(missing, self._problem)
        problems: dict[GangId, str] = {}

        async def one(served: discovery.Served, gang: GangId, asked: Wanted) -> None:
            try:
                await self._create(served, gang, asked)
            except BridgeError as error:
                self._is_unsure = True
                problems[gang] = str(error)

        await run_all([partial(one, self._served, *item) for item in missing.items()])
        return problems

    async def clear(self) -> None:
        """As `RequestWriter`."""
        self._served = served = await self._find()
        for row in await self._list(served):
            await self._delete(row)
        await self._tidy(served)

    # -- what is there -----------------------------------------------------------------------------

    async def _find(self) -> discovery.Served:
        """Where the kind is served: in v1, else in the version that there is (v1beta1)."""
        version, kind = provisioning_requests.API_VERSION, provisioning_requests.KIND
        try:
            return await discovery.find(self._kube, version, kind)
        except errors.NotServed:
            raise errors.NotServed(
                f"the API server has no {kind} of autoscaling.x-k8s.io; install the "
                "CustomResourceDefinition of Cluster Autoscaler, or set capacity.mode to another "
                "value",
                status=404,
                reason="NotFound",
            ) from None

    async def _watch(self, served: discovery.Served) -> None:
        """Until the kind is not served or not allowed any more, which is raised."""
        reflector = Reflector(
            self._kube,
            path=self._path(served),
            params=_SELECTOR,
            parse=provisioning_requests.parse,
            key=lambda row: row.uid,
            sink=self._take,
            clock=self._kube.clock,
            name="provisioningrequests",
            may_give_up=True,
        )
        await reflector.run()

    def _take(self, change: Change[ProvisioningRequest]) -> None:
        self._rows.take(change)
        if isinstance(change, Replaced):
            self._problem, self._is_tidy = "", False
            self._knows.set()

    def _lost(self, problem: str) -> None:
        if problem != self._problem:
            log.warning("capacity.not_served", error=problem)
        self._problem, self._served = problem, None
        self._rows.clear()
        self._knows.set()

    def _said(self, row: ProvisioningRequest) -> str:
        which = f"ProvisioningRequest {self._form.pods.namespace}/{row.name}"
        if not row.state:
            return f"{which} is not taken by Cluster Autoscaler yet"
        return f"{which} is {row.state}{f': {_end(row.message)}' if row.message else ''}"

    # -- what is written ---------------------------------------------------------------------------

    def _is_good(self, row: ProvisioningRequest, asked: Wanted) -> bool:
        marks = dict(enumerate(self._marks(asked)))
        have = dict(zip(row.marks, row.counts, strict=False))
        need = {marks[part]: count for part, count in enumerate(asked.counts) if count}
        if row.is_deleting or not have.keys() <= set(marks.values()):
            return False
        if not row.state:
            return have == need
        return all(have.get(mark, 0) >= count for mark, count in need.items())

    def _marks(self, asked: Wanted) -> list[str]:
        """What each part is, whatever nodes are present."""
        return [
            placeholders.mark(number, placeholders.spec(self._form.pods, asked.need.gang, part, ()))
            for number, part in enumerate(asked.need.parts)
        ]

    async def _create(self, served: discovery.Served, gang: GangId, asked: Wanted) -> None:
        form, marks = self._form, self._marks(asked)
        parts = [part for part, count in enumerate(asked.counts) if count]
        pod_sets = []
        self._is_tidy = False
        for part in parts:
            spec = placeholders.spec(form.pods, gang, asked.need.parts[part], asked.hostnames[part])
            name = provisioning_requests.template_name(gang, part, spec)
            template = provisioning_requests.template(form.pods.namespace, gang, name, spec)
            with contextlib.suppress(errors.AlreadyExists):  # of an attempt that ended half-way
                await self._kube.create(self._templates, template)
            pod_sets.append((name, asked.counts[part]))
        asks = [marks[part] for part in parts]
        body = provisioning_requests.body(
            api_version=served.api_version,
            namespace=form.pods.namespace,
            gang=gang,
            name=provisioning_requests.name_of(gang, asks, [count for _, count in pod_sets]),
            class_name=form.class_name,
            parameters=form.parameters,
            marks=asks,
            pod_sets=pod_sets,
        )
        try:
            made = await self._kube.create(self._path(served), body)
        except errors.AlreadyExists:  # the watch has not told of it yet, or it is just going
            made = await self._kube.get(f"{self._path(served)}/{body['metadata']['name']}")
        self._rows.put_new(provisioning_requests.parse(made))

    async def _delete(self, row: ProvisioningRequest) -> None:
        assert self._served is not None
        self._is_tidy = False
        with contextlib.suppress(errors.NotFound):
            await self._kube.delete(f"{self._path(self._served)}/{row.name}", uid=row.uid)
        self._rows.drop(row)

    async def _tidy(self, served: discovery.Served) -> None:
        """Deletes the PodTemplates that no request names: requests do not take theirs along. The
        requests are listed after the templates: one whose creation was not answered may be there.
        """
        found = await self._kube.get(self._templates, _SELECTOR)
        used = {name for row in await self._list(served) for name in row.templates}
        for one in found.get("items") or ():
            name = str((one.get("metadata") or {}).get("name") or "")
            if name and name not in used:
                with contextlib.suppress(errors.NotFound):
                    await self._kube.delete(f"{self._templates}/{name}")
        self._is_tidy = True

    async def _list(self, served: discovery.Served) -> list[ProvisioningRequest]:
        found = await self._kube.get(self._path(served), _SELECTOR)
        return [provisioning_requests.parse(one) for one in found.get("items") or ()]

    @property
    def _templates(self) -> str:
        return f"/api/v1/namespaces/{self._form.pods.namespace}/podtemplates"

    def _path(self, served: discovery.Served) -> str:
        namespace = self._form.pods.namespace
        return f"/apis/{served.api_version}/namespaces/{namespace}/{served.plural}"


def _counts(row: ProvisioningRequest) -> tuple[int, ...]:
    """(parts,) what it asks for of each part of its gang."""
    found = {
        provisioning_requests.part_of(mark): count
        for mark, count in zip(row.marks, row.counts, strict=False)
    }
    return tuple(found.get(part, 0) for part in range(max(found, default=-1) + 1))


def _end(message: str) -> str:
    return message.rstrip(". ")
