"""JSON of slurmrestd ⇄ our own rows: one module per REST version.

May import pydantic and the rows; knows no HTTP. Partial models: only what is used is named, all
else stays reachable in the rows' `raw`. Values of the wrong type raise ValueError.
"""

from bridge.slurm.wire.v0_0_44 import Wire44
from bridge.slurm.wire.v0_0_45 import Wire45

Wire = Wire44
"""What a version can do; a later one overrides where it differs."""

VERSIONS: tuple[Wire, ...] = (Wire45(), Wire44())
"""Newest first."""
