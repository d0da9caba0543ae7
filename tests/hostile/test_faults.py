"""A mistake of the bridge's own, met by one gang, is that gang's alone.

At every place where a gang is taken in, looked at, translated, placed or performed something is
made to raise for one pod; others come and go, and when the cause is gone the pod runs.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog

from bridge import names, slurm
from bridge.controller import placer
from bridge.controller.job_submitter import JobSubmitter
from bridge.controller.pod_writer import PodWriter
from bridge.gangs import demand, membership
from bridge.gangs.mounts import Mounts
from bridge.gangs.owners import Owners
from bridge.jobs import to_slurm
from bridge.jobs.builder import JobBuilder
from bridge.lifecycle import events as ev
from bridge.lifecycle import intake
from bridge.lifecycle.machine import GangMachine
from bridge.lifecycle.status import GangStatus
from bridge.sim.kube.apiserver import kinds
from bridge.state.kube_state import KubeState
from tests.hostile.inside import Inside, inside, until


class Mistake(Exception):
    """What nobody expects."""


@dataclass(frozen=True)
class Place:
    """Where something raises; `of` is the part of the call that shows whose it is."""

    on: Any
    name: str
    of: Callable[[tuple[Any, ...], dict[str, Any]], object] = lambda args, kwargs: args
    told: bool = True
    """Whether the pod can be told of it (not where the telling itself is what raises)."""


PLACES: dict[str, Place] = {
    # taken in
    "mounts": Place(Mounts, "add"),
    "room": Place(KubeState, "_hold_room"),
    "lineage": Place(Owners, "lineage", lambda args, kwargs: args[1]),
    "membership": Place(membership, "of"),
    # looked at
    "gang": Place(demand, "gang_of"),
    "members": Place(GangMachine, "handle", lambda args, kwargs: args[1]),
    "standing": Place(GangStatus, "condition"),
    # translated
    "build": Place(JobBuilder, "build", lambda args, kwargs: args[1]),
    "submit": Place(JobSubmitter, "_send"),
    "client": Place(slurm.SlurmClient, "submit"),
    # told by Slurm
    "facts": Place(to_slurm, "facts"),
    "seen": Place(
        GangMachine, "handle",
        lambda args, kwargs: args[1] if isinstance(args[1], ev.JobObserved) else "",
    ),
    # placed
    "assign": Place(placer, "assign", lambda args, kwargs: args[2]),
    "placed": Place(
        intake, "take",
        lambda args, kwargs: (
            [pod.name for pod in args[0].demand.pods] if isinstance(args[1], ev.Placed) else ""
        ),
    ),
    # performed
    "pin": Place(PodWriter, "pin"),
    "tell": Place(PodWriter, "set_condition", told=False),
}  # fmt: skip


class Breaker:
    """Makes a place raise for the pods whose names it is given."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self.broken: set[str] = set()
        self.raised: Counter[str] = Counter()

    def prepare(self, place: Place) -> None:
        """Whatever of this name comes by there from now on is looked at."""
        original = getattr(place.on, place.name)
        broken, raised = self.broken, self.raised

        def check(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            said = repr((place.of(args, kwargs), kwargs))
            for name in broken:
                if f"unlucky-{name}-" in said and PLACES[name].name == place.name:
                    raised[name] += 1
                    raise Mistake(name)

        if asyncio.iscoroutinefunction(original):

            async def called(*args: Any, **kwargs: Any) -> Any:
                check(args, kwargs)
                return await original(*args, **kwargs)

            self._patch.setattr(place.on, place.name, called)
            return

        def plain(*args: Any, **kwargs: Any) -> Any:
            check(args, kwargs)
            return original(*args, **kwargs)

        self._patch.setattr(place.on, place.name, plain)


def unlucky(place: str) -> str:
    return f"unlucky-{place}-0"


async def test_each_gangs_trouble_is_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All places at once, each for one pod: others run meanwhile, and all of them afterwards."""
    breaker = Breaker(monkeypatch)
    for one in PLACES.values():
        breaker.prepare(one)
    with structlog.testing.capture_logs() as logged:
        async with inside(tmp_path) as stack:
            breaker.broken.update(PLACES)
            for place in PLACES:
                await stack.create_pod(unlucky(place), gpus=1)
            await stack.create_pod("lucky", "elsewhere", gpus=1)
            await until("somebody else's pod runs", lambda: stack.runs("lucky", "elsewhere"))
            for place in PLACES:
                await until(f"{place} raises", lambda: breaker.raised[place])  # noqa: B023
            for name in (name for name, one in PLACES.items() if one.told):
                await until(f"{name} is told", lambda: is_told(stack, unlucky(name)))  # noqa: B023
            await stack.create_pod("later", "elsewhere", gpus=1)
            await until("a later one runs", lambda: stack.runs("later", "elsewhere"))
            assert stack.app.metrics.gang_faults._value.get() >= len(PLACES)
            breaker.broken.clear()
            for place in PLACES:
                await until(f"{place} runs", lambda: stack.runs(unlucky(place)), seconds=60)  # noqa: B023
            for namespace, name in list(stack.kubernetes.observe().pods):
                await stack.kubernetes.delete(kinds.PODS, name, namespace=namespace)
            await until("nothing is left in Slurm", lambda: not stack.live_jobs(), seconds=60)
    told = Counter(line["gang"] for line in logged if line["event"] == "gang.failed")
    assert len(told) == len(PLACES)
    assert max(told.values()) <= 2, "the same mistake is logged once for each gang"


def is_told(stack: Inside, name: str) -> bool:
    return stack.told(name).startswith("InternalError: slurm-bridge failed at this pod's gang")


ENDS: dict[str, Place] = {
    "end": Place(PodWriter, "end"),
    "over": Place(to_slurm, "facts"),
    "cancel": Place(slurm.SlurmClient, "cancel_job", lambda args, kwargs: f"job {args[1]};"),
}


async def test_a_mistake_at_the_end_loses_no_job_and_no_pod(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is to be ended is ended when the cause is gone: pods of jobs that Slurm ended, and jobs
    of pods that are gone."""
    broken: set[str] = set()
    jobs: dict[str, str] = {}

    def breaks(name: str, said: str) -> bool:
        return name in broken and (f"unlucky-{name}-" in said or jobs.get(name, "no job") in said)

    for name, one in ENDS.items():
        original = getattr(one.on, one.name)

        def plain(*args: Any, _n: str = name, _o: Any = original, **kwargs: Any) -> Any:
            if breaks(_n, repr(ENDS[_n].of(args, kwargs))):
                raise Mistake(_n)
            return _o(*args, **kwargs)

        monkeypatch.setattr(one.on, one.name, plain)
    with structlog.testing.capture_logs():  # a traceback on a terminal reads files in the loop
        await _end_amid_mistakes(tmp_path, broken, jobs)


async def _end_amid_mistakes(folder: Path, broken: set[str], jobs: dict[str, str]) -> None:
    async with inside(folder) as stack:
        for name in ENDS:
            await stack.create_pod(unlucky(name), gpus=1)
        for name in ENDS:
            await until(f"{name} runs", lambda: stack.runs(unlucky(name)))  # noqa: B023
            pod = stack.pod(unlucky(name))
            assert pod is not None
            jobs[name] = f"job {pod['metadata']['labels'][names.JOB_ID_LABEL]};"
        broken.update(ENDS)
        for name in ("end", "over"):
            stack.slurm.cluster.cancel(int(jobs[name][4:-1]), stack.slurm.now())
        await stack.kubernetes.delete(kinds.PODS, unlucky("cancel"), namespace="team")
        await until("its pod is gone", lambda: stack.pod(unlucky("cancel")) is None)
        await stack.create_pod("later", "elsewhere", gpus=1)
        await until("somebody else's runs", lambda: stack.runs("later", "elsewhere"))
        broken.clear()
        for name in ("end", "over"):
            await until(f"{name} is ended", lambda: stack.pod(unlucky(name)) is None, seconds=60)  # noqa: B023
        await until("one job is left", lambda: len(stack.live_jobs()) == 1, seconds=60)
