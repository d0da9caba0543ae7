"""Whether Slurm has lost nodes that it told something in vain."""

import time

from tests.arena.arena import Arena

_LOST_S = 11.0
"""After that long Slurm has lost a node that it told something in vain."""


def all_respond(arena: Arena) -> bool:
    """Whether Slurm has lost no node."""
    return not any("NOT_RESPONDING" in node["state"] for node in arena.slurm.nodes().values())


def wait_lost(arena: Arena, since_s: float) -> None:
    """Nothing is lost, so long after Slurm has told nodes something."""
    arena.hold_for(max(0.0, since_s + _LOST_S - time.monotonic()), lambda: all_respond(arena))
    assert all_respond(arena)
