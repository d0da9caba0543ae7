"""REST v0.0.45 (Slurm 26.05): partitions tell their flags, preemption and over-subscription."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bridge.slurm.partitions import Partition
from bridge.slurm.wire import models, v0_0_44


class Wire45(v0_0_44.Wire44):
    """v0.0.44, where nothing else is said here."""

    version = "v0.0.45"

    def _partition(self, found: models.Partition, raw: Mapping[str, Any]) -> Partition:
        return replace(
            super()._partition(found, raw),
            default="DEFAULT" in (found.flags or ()),
            preempt_modes=found.preempt_mode,
            over_subscribe=found.partition.oversubscribe,
            exclusive=found.partition.exclusive,
        )
