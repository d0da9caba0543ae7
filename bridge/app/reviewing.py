"""The webhook: reviews pods. It needs namespaces, and of Slurm nothing that it could not do
without."""

import socket
from collections.abc import Mapping

from bridge import config, names
from bridge.admission.associations import Associations
from bridge.admission.identity_validator import IdentityValidator
from bridge.admission.namespaces import NamespaceKeeper
from bridge.admission.reader_process import ReaderProcess
from bridge.admission.review import MOST_BYTES, Reviewer
from bridge.admission.scope import Scope
from bridge.admission.turns import ReviewTurns
from bridge.app import identities
from bridge.app.connections import Connections
from bridge.app.parts import Begin, Checks, Tools
from bridge.kube.api.events import EventRecorder
from bridge.kube.api.reflector import Reflector
from bridge.kube.objects import namespaces as kube_namespaces
from bridge.model.namespace import Namespace
from bridge.server.https import Route


class Reviewing:
    """`namespaces`: those that somebody else in this process follows; None follows them here."""

    def __init__(
        self,
        settings: config.Settings,
        connections: Connections,
        tools: Tools,
        *,
        namespaces: Mapping[str, Namespace] | None,
    ) -> None:
        own: dict[str, Namespace] = {}
        known = own if namespaces is None else namespaces
        self.associations = Associations(
            connections.client,
            namespaces=known,
            interval_s=settings.identity.associations_interval_s,
            clock=tools.clock,
        )
        self.reader_process = ReaderProcess()
        self._reviewer = Reviewer(
            pods=Scope.from_settings(settings),
            namespaces=known,
            identity_validator=IdentityValidator(
                rules=identities.rules(settings.identity),
                partition=settings.partition,
                associations=self.associations,
            ),
            bridge_users=frozenset({connections.user}),
            turns=ReviewTurns(self.reader_process, clock=tools.clock),
        )
        self._recorder: EventRecorder | None = None
        self._reflector: Reflector[Namespace] | None = None
        if namespaces is None:
            self._follow(own, connections, tools)

    def _follow(self, rows: dict[str, Namespace], connections: Connections, tools: Tools) -> None:
        self._recorder = EventRecorder(
            connections.kube, clock=tools.clock, instance=socket.gethostname()
        )
        keeper = NamespaceKeeper(
            rows, recorder=self._recorder, changed=lambda _: self.associations.trigger()
        )
        self._reflector = Reflector(
            connections.kube,
            path="/api/v1/namespaces",
            parse=kube_namespaces.parse,
            name="namespaces",
            key=lambda row: row.name,
            sink=keeper.take,
            clock=tools.clock,
            outage=tools.kubernetes_outage,
        )

    @property
    def routes(self) -> list[Route]:
        """Its paths."""
        return [
            Route(names.MUTATE_PATH, self._reviewer.mutate, max_body_bytes=MOST_BYTES),
            Route(names.VALIDATE_PATH, self._reviewer.validate, max_body_bytes=MOST_BYTES),
            Route(
                names.MANAGED_NODES_PATH,
                self._reviewer.validate_use_of_nodes,
                max_body_bytes=MOST_BYTES,
            ),
        ]

    @property
    def checks(self) -> Checks:
        """Readiness: namespaces must have been listed. Slurm may be away."""
        return {"namespaces": self._missing} if self._reflector is not None else {}

    def _missing(self) -> str:
        if self._reflector is None or self._reflector.synced:
            return ""
        problem = f": {self._reflector.problem}" if self._reflector.problem else ""
        return f"not listed yet: namespaces{problem}"

    def watch(self, begin: Begin) -> None:
        """Follow namespaces, where nobody else in this process does."""
        if self._reflector is not None and self._recorder is not None:
            begin("feeds", self._reflector.run)
            begin("events", self._recorder.run)

    async def drive(self, begin: Begin) -> None:
        """Ask slurmdbd for the namespaces' users, once namespaces are known."""
        if self._reflector is not None:
            await self._reflector.wait_for_sync()
        begin("associations", self.associations.run)

    async def close(self) -> None:
        """End the process that reads."""
        await self.reader_process.close()
