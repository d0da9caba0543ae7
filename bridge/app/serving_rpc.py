"""What controllers tell extenders: the server."""

from functools import partial
from typing import Any

from bridge import config
from bridge.app.connections import Connections
from bridge.app.controlling import Controlling
from bridge.app.parts import Begin, Tools
from bridge.kube.api.lease import Lease
from bridge.rpc import channels
from bridge.rpc.leader import PlacementsService
from bridge.rpc.placement_feed import PlacementFeed
from bridge.rpc.placement_ledger import PlacementLedger
from bridge.rpc.slurmbridge.v1 import placements_pb2_grpc as pb_grpc
from bridge.server import addresses


class RpcSide:
    """The controller's gRPC server."""

    def __init__(
        self,
        settings: config.Settings,
        connections: Connections,
        tools: Tools,
        controlling: Controlling,
        lease: Lease,
    ) -> None:
        watcher, clock = controlling.watcher, tools.clock
        self._clock = clock
        self._feed = PlacementFeed(
            cluster=controlling.cluster,
            placements=controlling.controller.placements,
            watcher=watcher,
            ledger=PlacementLedger(lease.identity),
            clock=clock,
        )
        controlling.controller.gangs.listen(self._feed.mark)
        folder = connections.files.certificate.parent
        self.server = channels.RpcServer(
            address=str(addresses.parse(settings.rpc.listen)),
            certificate=channels.Certificate(folder, is_caller=False),
        )
        service = PlacementsService(
            feed=self._feed,
            leads=lambda: lease.leading and controlling.controller.recovered,
            slurm_age_s=lambda: clock.monotonic() - watcher.seen_s,
        )
        add: Any = pb_grpc.add_PlacementsServiceServicer_to_server
        add(service, self.server.server)

    def watch(self, begin: Begin) -> None:
        """Take in what changes of placements, and of the certificate's files."""
        begin("placements", self._feed.run)
        begin("rpc certificate", partial(self.server.watch_certificate, self._clock))
