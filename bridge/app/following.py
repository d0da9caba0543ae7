"""What controllers tell extenders: an extender's way to the one that leads."""

import grpc.aio

from bridge import config
from bridge.app import leading
from bridge.app.connections import Connections
from bridge.app.parts import Tools
from bridge.rpc import channels
from bridge.rpc.follower import PlacementFollower


def follower(
    settings: config.Settings, connections: Connections, tools: Tools, *, lease_namespace: str
) -> PlacementFollower:
    """A replica's view of the controller that holds the Lease."""
    folder = connections.files.certificate.parent
    certificate = channels.Certificate(folder, is_caller=True)

    lease_name, server_name = settings.leader.lease_name, settings.rpc.server_name

    async def dial() -> grpc.aio.Channel:
        found = await leading.address(connections.kube, namespace=lease_namespace, name=lease_name)
        return await channels.dial(found, certificate=certificate, server_name=server_name)

    return PlacementFollower(
        dial=dial,
        client=connections.client,
        cluster_uid=connections.cluster_uid,
        clock=tools.clock,
    )
