"""Jobs that are not the bridge's are read a few at a time, and only for who asks."""

from dataclasses import dataclass, field
from typing import Any, cast

from bridge import slurm
from bridge.model.ids import SlurmJobId
from bridge.rpc.native_jobs import NativeJobs
from bridge.slurm.jobs import Job
from tests.unit.kube.apiserver import JumpClock

PENDING, RUNNING = frozenset({"PENDING"}), frozenset({"RUNNING"})


@dataclass
class Slurm:
    """The watcher's list, and the client behind it."""

    states: dict[SlurmJobId, frozenset[str]] = field(default_factory=dict)
    jobs: dict[SlurmJobId, object] = field(default_factory=dict)
    read: list[int] = field(default_factory=list)
    is_away: bool = False

    async def get_job(self, job_id: SlurmJobId) -> Job:
        if self.is_away:
            raise slurm.Unavailable("away")
        self.read.append(job_id)
        return Job(job_id, f"job-{job_id}", self.states[job_id])


def a_reader(states: dict[int, frozenset[str]]) -> tuple[Slurm, NativeJobs, JumpClock]:
    there = Slurm({SlurmJobId(number): said for number, said in states.items()})
    clock = JumpClock()
    reader = NativeJobs(client=cast("Any", there), watcher=cast("Any", there), clock=clock)
    return there, reader, clock


async def test_only_what_is_alive_and_not_ours() -> None:
    """A job is read again when its state changes, or after a while."""
    there, reader, clock = a_reader({1: PENDING, 2: RUNNING, 3: frozenset({"FAILED"}), 4: RUNNING})
    there.jobs[SlurmJobId(4)] = object()
    await reader.refresh()
    clock.now += 6
    await reader.refresh()
    assert sorted(there.read) == [1, 2]
    assert sorted(job.id for job in reader.jobs()) == [1, 2]
    there.states[SlurmJobId(1)] = RUNNING
    await reader.refresh()
    assert there.read[2:] == [], "who asks again at once costs nothing"
    clock.now += 6
    await reader.refresh()
    assert there.read[2:] == [1]
    clock.now += 31
    await reader.refresh()
    assert len(there.read) == 5
    del there.states[SlurmJobId(1)]
    clock.now += 6
    await reader.refresh()
    assert [job.id for job in reader.jobs()] == [2]


async def test_thousands_are_read_little_by_little() -> None:
    """Those that were never read come first; the others are counted."""
    _, reader, clock = a_reader(dict.fromkeys(range(1, 251), PENDING))
    unread = []
    for _ in range(3):
        await reader.refresh()
        clock.now += 6
        unread.append(reader.unread)
    assert unread == [150, 50, 0]


async def test_a_slurm_that_is_away_leaves_what_was_read() -> None:
    """And ends no answer."""
    there, reader, clock = a_reader({1: PENDING})
    await reader.refresh()
    there.is_away = True
    clock.now += 100
    await reader.refresh()
    assert [job.id for job in reader.jobs()] == [1]
