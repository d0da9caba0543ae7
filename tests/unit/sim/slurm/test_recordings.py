"""The emulator answers what the real slurmctld and slurmrestd answered."""

import pytest

from tests.unit.sim.slurm import replay

NAMES = sorted(path.stem for path in replay.RECORDINGS.glob("*.json"))


@pytest.mark.parametrize("name", NAMES)
def test_recording(name: str) -> None:
    """Each recorded request gets the recorded status, errors, warnings and fields."""
    differences = list(replay.Player(replay.load(name)).play())
    assert not differences, "\n".join(map(str, differences))
