"""Whose gang has its turn."""

import asyncio

from bridge.controller.turns import Reasons, Turns
from bridge.model.ids import GangId
from tests.unit.slurm.clocks import ManualClock


async def test_a_gang_that_takes_long_keeps_others_waiting_as_long_as_they_take() -> None:
    """Looks at one tenant's large gang last 100 ms, those of another's small ones 1 ms: in the time
    of two of the former a hundred of the latter have their turn."""
    clock, looked = ManualClock(), list[str]()

    def look(gang_id: GangId, reasons: Reasons) -> None:
        looked.append(gang_id)
        clock.now_s += 0.1 if gang_id.startswith("large") else 0.0005

    turns = Turns(clock=clock)
    for number in range(3):
        turns.add(GangId(f"large-{number}"), None, tenant="hostile")
    for number in range(150):
        turns.add(GangId(f"small-{number}"), None, tenant="team")
    work = asyncio.create_task(turns.run(look))
    await clock.advance(0.01)
    for _ in range(200):
        await asyncio.sleep(0)
    assert len(looked) == 153
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    at = [number for number, one in enumerate(looked) if one.startswith("large")]
    assert at[1] - at[0] >= 99
