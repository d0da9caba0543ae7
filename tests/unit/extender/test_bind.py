"""The last look before a pod starts."""

import asyncio
from collections.abc import Callable

import pytest

from bridge.errors import BridgeError, Unreachable
from bridge.extender import wire
from bridge.extender.bind import FRESH_S, Binding
from bridge.kube.api import errors as kube_errors
from bridge.model.ids import NodeName, PodUid
from bridge.model.pod_placement import PodPlacement
from tests.unit.extender.calls import (
    UID,
    KnownPlacements,
    ManualClock,
    RecordingBinder,
    a_placement,
    bind_body,
)

CALL = wire.bind_call(bind_body(node="n1"))
BOUND = [("team", "web", UID, "n1")]


def binding(
    placements: KnownPlacements,
    binder: RecordingBinder,
    *,
    now_s: float = 0.0,
    timeout_s: float = 3.0,
) -> Binding:
    clock = ManualClock(now_s)
    return Binding(placements=placements, binder=binder, clock=clock, timeout_s=timeout_s)


async def test_a_fresh_view_is_enough() -> None:
    """A job that was seen running within two seconds is not asked about again."""
    placements, binder = KnownPlacements(a_placement("n1", seen_s=10.0)), RecordingBinder()
    assert await binding(placements, binder, now_s=10.0 + FRESH_S).bind(CALL) == ""
    assert binder.bound == BOUND
    assert placements.asked == []


async def test_a_stale_view_is_confirmed() -> None:
    """An older view is confirmed by Slurm itself, then the pod is bound."""
    placements, binder = KnownPlacements(a_placement("n1", seen_s=10.0)), RecordingBinder()
    assert await binding(placements, binder, now_s=10.1 + FRESH_S).bind(CALL) == ""
    assert binder.bound == BOUND
    assert len(placements.asked) == 1


@pytest.mark.parametrize(
    ("placement", "said"),
    [
        (None, "waiting for Slurm"),
        (a_placement(None, waits_for="Priority"), "waiting in Slurm: Priority"),
        (a_placement("n2"), "Slurm job 7 holds node n2 for this pod, not n1"),
    ],
)
async def test_not_the_granted_node(placement: PodPlacement | None, said: str) -> None:
    """Without an allocation of exactly this node nothing is bound, and Slurm is not asked."""
    placements, binder = KnownPlacements(*([placement] if placement else [])), RecordingBinder()
    assert said in await binding(placements, binder, now_s=99.0).bind(CALL)
    assert binder.bound == []
    assert placements.asked == []


async def test_a_job_that_ended() -> None:
    """A job that Slurm does not run any more binds nothing."""
    placements, binder = KnownPlacements(a_placement()), RecordingBinder()
    placements.confirms = lambda: False
    assert "Slurm job 7 does not run any more" in await binding(placements, binder, now_s=9).bind(
        CALL
    )
    assert binder.bound == []


async def test_slurm_does_not_answer() -> None:
    """No answer of Slurm, no binding; the sentence says so and that it is retried."""
    placements, binder = KnownPlacements(a_placement()), RecordingBinder()
    placements.confirms = raising(Unreachable("GET job 7: connection refused"))
    reason = await binding(placements, binder, now_s=9).bind(CALL)
    assert "connection refused" in reason
    assert "retried automatically" in reason
    assert binder.bound == []


async def test_slurm_answers_too_late() -> None:
    """kube-scheduler has its own time limit; the question to Slurm ends before it."""

    class Silent(KnownPlacements):
        async def confirm(self, placement: PodPlacement) -> bool:
            await asyncio.Event().wait()
            return True

    placements, binder = Silent(a_placement()), RecordingBinder()
    reason = await binding(placements, binder, now_s=9, timeout_s=0.001).bind(CALL)
    assert "did not say within 0.001 s" in reason
    assert binder.bound == []


async def test_the_allocation_changes_while_slurm_is_asked() -> None:
    """A grant that moved meanwhile is not bound to its old node."""

    class Moving(KnownPlacements):
        async def confirm(self, placement: PodPlacement) -> bool:
            self.by_uid[UID] = a_placement("n2", job_id=8)
            return True

    placements, binder = Moving(a_placement()), RecordingBinder()
    assert "its allocation changed" in await binding(placements, binder, now_s=9).bind(CALL)
    assert binder.bound == []


class Slow(KnownPlacements):
    """Confirms when it is let go."""

    def __init__(self, *placements: PodPlacement) -> None:
        super().__init__(*placements)
        self.go = asyncio.Event()

    async def confirm(self, placement: PodPlacement) -> bool:
        self.asked.append(placement)
        await self.go.wait()
        return self.confirms()


def gang(size: int) -> list[PodPlacement]:
    """Placements of one job's pods, all on n1."""
    return [
        PodPlacement(PodUid(f"uid-{rank}"), NodeName("n1"), a_placement().job_id)
        for rank in range(size)
    ]


async def bind_all(at: Binding, placements: Slow) -> list[str]:
    """Bind all pods at once, then let Slurm answer."""
    calls = [
        asyncio.ensure_future(at.bind(wire.bind_call(bind_body(uid=uid))))
        for uid in placements.by_uid
    ]
    await asyncio.sleep(0)
    placements.go.set()
    return await asyncio.gather(*calls)


async def test_a_gang_asks_once() -> None:
    """Five hundred pods of one job, bound at once, cost one question to Slurm."""
    placements, binder = Slow(*gang(500)), RecordingBinder()
    assert await bind_all(binding(placements, binder), placements) == [""] * 500
    assert len(placements.asked) == 1
    assert len(binder.bound) == 500


async def test_a_confirmation_lasts_as_long_as_a_view() -> None:
    """What Slurm just said is not asked again, and is forgotten after two seconds."""
    placements, binder = Slow(*gang(1)), RecordingBinder()
    placements.go.set()
    clock = ManualClock()
    at = Binding(placements=placements, binder=binder, clock=clock)
    for now_s, asked in ((0.0, 1), (FRESH_S, 1), (FRESH_S + 0.1, 2)):
        clock.now_s = now_s
        assert await at.bind(wire.bind_call(bind_body(uid="uid-0"))) == ""
        assert len(placements.asked) == asked


async def test_a_gang_shares_the_error() -> None:
    """An outage is told to every pod that waited for the one question."""
    placements, binder = Slow(*gang(3)), RecordingBinder()
    placements.confirms = raising(Unreachable("no route"))
    reasons = await bind_all(binding(placements, binder), placements)
    assert all("no route" in reason for reason in reasons)
    assert len(placements.asked) == 1


async def test_a_call_that_is_given_up_does_not_hang_the_others() -> None:
    """When the caller that asked goes away, the others are told to try again."""
    placements, binder = Slow(*gang(2)), RecordingBinder()
    at = binding(placements, binder)
    first, second = (
        asyncio.ensure_future(at.bind(wire.bind_call(bind_body(uid=uid))))
        for uid in placements.by_uid
    )
    await asyncio.sleep(0)
    first.cancel()
    assert "given up" in await second
    with pytest.raises(asyncio.CancelledError):
        await first


def raising(error: BridgeError) -> Callable[[], bool]:
    def confirm() -> bool:
        raise error

    return confirm


CONFLICT = kube_errors.Conflict("binding: 409 Conflict, already assigned", status=409)


async def test_bound_already_to_this_node() -> None:
    """A 409 for a pod that an earlier try bound to this very node is success."""
    binder = RecordingBinder()
    binder.fails, binder.found = CONFLICT, NodeName("n1")
    assert await binding(KnownPlacements(a_placement()), binder).bind(CALL) == ""


@pytest.mark.parametrize(
    ("found", "said"), [("n2", "it is bound to n2"), (None, "it is now another pod")]
)
async def test_bound_elsewhere(found: str | None, said: str) -> None:
    """Any other 409 is an error that says where the pod is."""
    binder = RecordingBinder()
    binder.fails, binder.found = CONFLICT, NodeName(found) if found else None
    reason = await binding(KnownPlacements(a_placement()), binder).bind(CALL)
    assert said in reason
    assert "already assigned" in reason


async def test_conflict_that_can_not_be_looked_up() -> None:
    """A 409 whose cause can't be read is an error, told with both answers."""
    binder = RecordingBinder()
    binder.fails = CONFLICT
    binder.finding_fails = kube_errors.Unavailable("GET pod web: no connection")
    reason = await binding(KnownPlacements(a_placement()), binder).bind(CALL)
    assert "already assigned" in reason
    assert "no connection" in reason


@pytest.mark.parametrize(
    "error",
    [
        kube_errors.Unavailable("POST binding: 503"),
        kube_errors.Forbidden("POST binding: 403 Forbidden"),
        kube_errors.NotFound("POST binding: 404"),
        Unreachable("POST binding: no connection"),
    ],
)
async def test_a_binding_that_fails(error: BridgeError) -> None:
    """What the API server said is passed on, with pod and node."""
    binder = RecordingBinder()
    binder.fails = error
    reason = await binding(KnownPlacements(a_placement()), binder).bind(CALL)
    assert reason.startswith("binding pod team/web to node n1: POST binding")
