"""The edge: the body of kube-scheduler's call in, the body of our answer out."""

import json
from typing import Final

from bridge import telemetry
from bridge.clock import Clock
from bridge.errors import BadInput
from bridge.extender import bind, filter, prioritize, wire  # noqa: A004 - the verbs' own names
from bridge.extender.contracts import Binder, Placements, Scores
from bridge.model.ids import PodUid
from bridge.model.pod_placement import PodPlacement

KNOWN_WITHIN_S: Final = 0.3
"""No longer: kube-scheduler asks for one pod at a time."""
_LOOK_S = 0.02
Reply = tuple[int, bytes]
"""HTTP status and JSON body."""


class Extender:
    """Answers the three verbs. A body that can't be read gets 400, which kube-scheduler treats
    as an error of the extender: the pod is tried again, nothing is bound."""

    def __init__(
        self,
        *,
        placements: Placements,
        binder: Binder,
        clock: Clock,
        scores: Scores | None = None,
        metrics: telemetry.Metrics | None = None,
    ) -> None:
        self._clock = clock
        self._metrics = metrics
        self._placements = placements
        self._binding = bind.Binding(placements=placements, binder=binder, clock=clock)
        self._scores = scores

    async def filter(self, body: bytes) -> Reply:
        """Answers `filter`: only the node that the pod's allocation gives it passes."""
        try:
            call = wire.filter_call(body)
        except BadInput as error:
            return _bad_request(error)
        return 200, filter.answer(call, await self._known(call.uid))

    async def _known(self, uid: PodUid) -> PodPlacement | None:
        """The pod's placement. kube-scheduler may have seen a pod sooner than we have, and would
        send it into its back-off: so one that is not known yet is waited for a moment."""
        until_s = self._clock.monotonic() + KNOWN_WITHIN_S
        while (found := self._placements.of(uid)) is None and self._clock.monotonic() < until_s:
            await self._clock.sleep(_LOOK_S)
        return found

    async def prioritize(self, body: bytes) -> Reply:
        """Answers `prioritize`, with the scores handed in."""
        try:
            uid, candidates = wire.prioritize_call(body)
        except BadInput as error:
            return _bad_request(error)
        if self._scores is not None:
            return 200, prioritize.answer(candidates, self._scores(uid, candidates))
        placement = self._placements.of(uid)
        granted = placement.node if placement else None
        return 200, prioritize.answer(candidates, prioritize.by_grant(candidates, granted))

    async def bind(self, body: bytes) -> Reply:
        """Answers `bind`."""
        try:
            call = wire.bind_call(body)
        except BadInput as error:
            return _bad_request(error)
        begin_s = self._clock.monotonic()
        reason = await self._binding.bind(call)
        if self._metrics is not None:
            outcome = "refused" if reason else "bound"
            seconds = self._clock.monotonic() - begin_s
            self._metrics.bind_seconds.labels(outcome).observe(seconds)
        return 200, wire.error(reason) if reason else wire.bound()


def _bad_request(error: BadInput) -> Reply:
    return 400, json.dumps({"Error": str(error)}).encode()
