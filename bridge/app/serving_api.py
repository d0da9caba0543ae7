"""Where people ask: the controller's gRPC server for callers with a Kubernetes token."""

from functools import partial
from typing import Any

from grpc_health.v1 import health, health_pb2, health_pb2_grpc  # type: ignore[import-untyped]
from grpc_reflection.v1alpha import reflection  # type: ignore[import-untyped]

from bridge import config
from bridge.app import leading, rules
from bridge.app.connections import Connections
from bridge.app.controlling import Controlling
from bridge.app.parts import Begin, Tools
from bridge.kube.api.lease import Lease
from bridge.rpc import channels
from bridge.rpc.answers import Answers
from bridge.rpc.bridge_service import BridgeService
from bridge.rpc.callers import Callers
from bridge.rpc.slurmbridge.v1 import bridge_pb2 as pb
from bridge.rpc.slurmbridge.v1 import bridge_pb2_grpc as pb_grpc
from bridge.server import addresses

_LOOK_S = 0.5
_MOST_CALLS = 200
_OPTIONS = (
    ("grpc.max_receive_message_length", 64 << 10),  # a request is a few names
    ("grpc.max_concurrent_streams", 50),
    ("grpc.max_connection_age_ms", 3_600_000),
)
SERVICE = pb.DESCRIPTOR.services_by_name["BridgeService"].full_name


class ApiSide:
    """The server. `lease` is that of a controller among several; None leads always."""

    def __init__(
        self,
        settings: config.Settings,
        connections: Connections,
        tools: Tools,
        controlling: Controlling,
        lease: Lease | None,
    ) -> None:
        self._controlling = controlling
        self._lease = lease
        self._clock = tools.clock
        folder = connections.files.certificate.parent
        self.server = channels.RpcServer(
            address=str(addresses.parse(settings.api.listen)),
            certificate=channels.Certificate(folder, is_caller=False, is_mutual=False),
            setting="api.listen",
            options=_OPTIONS,
            most_calls=_MOST_CALLS,
        )
        service = BridgeService(
            answers=Answers(
                cluster=controlling.cluster,
                slurm_state=controlling.slurm_state,
                controller=controlling.controller,
                client=connections.client,
                watcher=controlling.watcher,
                registration=rules.registration(settings, connections.cluster_uid),
                scheduler_name=settings.scheduler_name,
                clock=tools.clock,
            ),
            callers=Callers(connections.kube, clock=tools.clock),
            absence=self.absence,
            listen=controlling.controller.gangs.listen,
        )
        add: Any = pb_grpc.add_BridgeServiceServicer_to_server
        add(service, self.server.server)
        self._health: Any = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self.server.server)
        names = (SERVICE, "grpc.health.v1.Health", reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self.server.server)

    @property
    def port(self) -> int:
        """The port it listens on, once started."""
        return self.server.port

    def absence(self) -> tuple[str, str]:
        """Why this controller can't answer ("" if it can), and where the one listens that leads."""
        if self._lease is not None and not self._lease.leading:
            return self._who_leads()
        if not self._controlling.controller.recovered:
            return "slurm-bridge has started a moment ago and is reading both sides; ask again", ""
        return "", ""

    def _who_leads(self) -> tuple[str, str]:
        assert self._lease is not None
        leader = leading.api_address(self._lease.holder)
        if not leader:
            return "no controller of slurm-bridge leads at the moment; ask again in a moment", ""
        return f"this controller does not lead; ask the one that does, at {leader}", leader

    def watch(self, begin: Begin) -> None:
        """Follow the certificate's files, and whether we answer."""
        begin("api certificate", partial(self.server.watch_certificate, self._clock))
        begin("api health", self._tell_health)

    async def _tell_health(self) -> None:
        while True:
            status = health_pb2.HealthCheckResponse.SERVING
            if self.absence()[0]:
                status = health_pb2.HealthCheckResponse.NOT_SERVING
            for name in ("", SERVICE):
                await self._health.set(name, status)
            await self._clock.sleep(_LOOK_S)
