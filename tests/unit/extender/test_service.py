"""The edge: kube-scheduler's body in, our answer out."""

import json
from collections.abc import Sequence

from bridge import telemetry
from bridge.extender.service import KNOWN_WITHIN_S, Extender
from bridge.model.ids import NodeName, PodUid
from bridge.model.pod_placement import PodPlacement
from tests.unit.extender.calls import (
    UID,
    KnownPlacements,
    ManualClock,
    RecordingBinder,
    a_placement,
    bind_body,
    filter_body,
)
from tests.unit.slurm.clocks import ImpatientClock


def extender(*placements: PodPlacement, binder: RecordingBinder | None = None) -> Extender:
    return Extender(
        placements=KnownPlacements(*placements),
        binder=binder or RecordingBinder(),
        clock=ImpatientClock(),
    )


async def test_filter() -> None:
    """The placement of the pod's uid decides."""
    status, body = await extender(a_placement("n2")).filter(filter_body(["n1", "n2"]))
    assert (status, json.loads(body)["NodeNames"]) == (200, ["n2"])


class Late(KnownPlacements):
    """Knows its pods from the third look on."""

    looks = 0

    def of(self, uid: PodUid) -> PodPlacement | None:
        self.looks += 1
        return super().of(uid) if self.looks > 2 else None


async def test_a_pod_that_is_known_a_moment_later_passes_at_once() -> None:
    """Not after kube-scheduler's back-off, which is seconds long."""
    placements = Late(a_placement("n2"))
    late = Extender(placements=placements, binder=RecordingBinder(), clock=ImpatientClock())
    status, body = await late.filter(filter_body(["n1", "n2"]))
    assert (status, json.loads(body)["NodeNames"]) == (200, ["n2"])


async def test_a_pod_that_nobody_knows_is_waited_for_a_moment_only() -> None:
    """Other pods wait behind it in kube-scheduler."""
    clock = ImpatientClock()
    begin_s = clock.monotonic()
    late = Extender(placements=KnownPlacements(), binder=RecordingBinder(), clock=clock)
    status, body = await late.filter(filter_body(["n1"]))
    assert (status, set(json.loads(body))) == (200, {"Error"})
    assert clock.monotonic() - begin_s < KNOWN_WITHIN_S + 0.1


async def test_a_new_pod_under_an_old_name() -> None:
    """The same name with another uid is another pod: it has no placement."""
    status, body = await extender(a_placement("n2")).filter(filter_body(["n2"], uid="uid-new"))
    assert (status, set(json.loads(body))) == (200, {"Error"})


async def test_prioritize_with_scores() -> None:
    """Scores handed in are used, for this pod and these nodes."""

    def scores(uid: PodUid, names: Sequence[NodeName], /) -> list[int]:
        assert (uid, names) == (UID, ("n1", "n2"))
        return [2, 5]

    scored = Extender(
        placements=KnownPlacements(),
        binder=RecordingBinder(),
        clock=ManualClock(),
        scores=scores,
    )
    status, body = await scored.prioritize(filter_body(["n1", "n2"]))
    assert status == 200
    assert [one["Score"] for one in json.loads(body)] == [2, 5]


async def test_prioritize_without_scores() -> None:
    """Without scores the granted node is best; an unknown pod's nodes are alike."""
    _, body = await extender(a_placement("n2")).prioritize(filter_body(["n1", "n2"]))
    assert [one["Score"] for one in json.loads(body)] == [0, 10]
    _, body = await extender().prioritize(filter_body(["n1", "n2"]))
    assert [one["Score"] for one in json.loads(body)] == [0, 0]


async def test_bind() -> None:
    """A binding is made and answered with an empty error; a refusal is a sentence."""
    binder = RecordingBinder()
    assert await extender(a_placement("n1"), binder=binder).bind(bind_body(node="n1")) == (
        200,
        b'{"Error":""}',
    )
    assert len(binder.bound) == 1
    status, body = await extender(a_placement("n1")).bind(bind_body(node="n2"))
    assert status == 200
    assert "not n2" in json.loads(body)["Error"]


async def test_bindings_are_timed() -> None:
    """Bindings and refusals are counted apart."""
    metrics = telemetry.Metrics()
    at = Extender(
        placements=KnownPlacements(a_placement("n1")),
        binder=RecordingBinder(),
        clock=ManualClock(),
        metrics=metrics,
    )
    for node in ("n1", "n2", "n3"):
        await at.bind(bind_body(node=node))
    counted = {
        outcome: metrics.registry.get_sample_value(
            "bridge_bind_seconds_count", {"outcome": outcome}
        )
        for outcome in ("bound", "refused")
    }
    assert counted == {"bound": 1, "refused": 2}


async def test_a_body_that_can_not_be_read() -> None:
    """Every verb answers 400 with the reason."""
    at = extender()
    for call in (at.filter, at.prioritize, at.bind):
        status, body = await call(b"{}")
        assert status == 400
        assert "extender API v1" in json.loads(body)["Error"]
