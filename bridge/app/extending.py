"""The extender: lets pods pass where the controller has placed them."""

from bridge import names
from bridge.app.binder import KubeBinder
from bridge.app.connections import Connections
from bridge.app.parts import Begin, Checks, Tools
from bridge.extender.contracts import Placements, Scores
from bridge.extender.service import Extender
from bridge.rpc.follower import PlacementFollower
from bridge.server.https import Route


class Extending:
    """`placements`: of the controller in this process, or what follows one elsewhere."""

    def __init__(
        self,
        connections: Connections,
        tools: Tools,
        *,
        placements: Placements | PlacementFollower,
        scores: Scores | None,
    ) -> None:
        self._follower = placements if isinstance(placements, PlacementFollower) else None
        self._extender = Extender(
            placements=placements,
            binder=KubeBinder(connections.kube),
            clock=tools.clock,
            scores=scores,
            metrics=tools.metrics,
        )

    @property
    def routes(self) -> list[Route]:
        """Its paths, for kube-scheduler alone."""
        return [
            Route(names.FILTER_PATH, self._extender.filter, client_certificate=True),
            Route(names.PRIORITIZE_PATH, self._extender.prioritize, client_certificate=True),
            Route(names.BIND_PATH, self._extender.bind, client_certificate=True),
        ]

    @property
    def checks(self) -> Checks:
        """Readiness: it must follow a controller, else it lets nothing pass."""
        follower = self._follower
        return {} if follower is None else {"controller": lambda: follower.problem}

    def watch(self, begin: Begin) -> None:
        """Follow the controller that leads, if it is not in this process."""
        if self._follower is not None:
            begin("placements", self._follower.run)
