"""A JobSet whose failure policy tells disruptions from failures: only failures cost a restart.

Its workers need a second to end and its driver ends at once; the driver's Job says nothing of
disruptions, so it must not be the first to fail.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.arena import manifests
from tests.arena.api import Object, documents, wait_for
from tests.arena.arena import NAMESPACE, Arena, Nodes, condition, gated
from tests.arena.controllers import Controllers
from tests.arena.fixtures import Begin
from tests.flows.conftest import MANIFESTS
from tests.flows.members import ends, is_running, slurm_id, uid, waiting_job

DOCS = Path(__file__).parents[2] / "docs" / "workloads.md"
MANIFEST = MANIFESTS / "jobset-failure-rules.yaml"
JOBSET = f"/apis/jobset.x-k8s.io/v1alpha2/namespaces/{NAMESPACE}/jobsets/spot"
PODS = 3
ROUNDS = 2
"""The first disruption that counts would be forgiven (maxRestarts), the next would not."""
SPARED_S = 5 + 2 * 2.0
"""The workers' grace period, and twice the moment in which they are judged."""
AGAIN_S = 75.0
"""The garbage collectors of pods without a node and of Jobs look only every 20 s or 30 s."""


@pytest.fixture
def jobset(defined: None, arena: Arena, begin: Begin, created: list[Path]) -> Iterator[Object]:
    """The JobSet to create, one node for it, and its controller."""
    begin(Nodes(count=1))
    assert arena.observer is not None
    arena.observer.spares("spot-driver-0", SPARED_S)
    (made,) = documents(MANIFEST, NAMESPACE)
    workers = made["spec"]["replicatedJobs"][1]["template"]["spec"]["template"]
    workers["metadata"] = {"annotations": {manifests.DIE_SECONDS: "1"}}
    created.append(MANIFEST)
    with Controllers(arena.kubernetes, NAMESPACE, ("jobset",), tls=arena.loopback_tls()):
        yield made
        arena.delete_file(MANIFEST)
        wait_for("its pods are gone", lambda: not _pods(arena), seconds=AGAIN_S)


def _pods(arena: Arena) -> list[Object]:
    pods = arena.kubernetes.pods(NAMESPACE)
    return [pod for pod in pods if pod["metadata"]["name"].startswith("spot-")]


def all_run(
    arena: Arena, *, besides: tuple[Object, ...] = (), seconds: float = AGAIN_S
) -> tuple[Object, ...]:
    """The JobSet's pods, once all of them run and all are others than those `besides`."""
    return _all(arena, "run", is_running, besides=besides, seconds=seconds)


def _all(
    arena: Arena,
    what: str,
    test: Callable[[Object], bool],
    *,
    besides: tuple[Object, ...] = (),
    seconds: float = AGAIN_S,
) -> tuple[Object, ...]:
    known = {uid(pod) for pod in besides}

    def found() -> tuple[Object, ...] | None:
        pods = [pod for pod in _pods(arena) if uid(pod) not in known and test(pod)]
        return tuple(pods) if len(pods) == PODS else None

    pods: tuple[Object, ...] = _wait(arena, f"all pods of spot {what}", found, seconds=seconds)
    return pods


def _is_queued(pod: Object) -> bool:
    return gated(pod) and condition(pod) is not None


def _wait(arena: Arena, what: str, found: Callable[[], Any], *, seconds: float = AGAIN_S) -> Any:
    """As `wait_for`; a wait that fails says how the JobSet and its pods stood then."""
    try:
        return wait_for(what, found, seconds=seconds)
    except AssertionError as problem:
        for line in (f"spot: {status(arena)}", *arena.story()[:30]):
            problem.add_note(line)
        raise


def status(arena: Arena) -> dict[str, Any]:
    """The JobSet's status."""
    return dict(arena.kubernetes.get(JOBSET).get("status") or {})


def restarts(arena: Arena) -> tuple[int, int]:
    """How often it was restarted, and how many of these restarts count."""
    told = status(arena)
    return told.get("restarts", 0), told.get("restartsCountTowardsMax", 0)


def restarted(arena: Arena, times: int) -> None:
    """Waits until the JobSet was restarted so often; none of these restarts counts."""
    _wait(arena, f"restart {times}", lambda: restarts(arena)[0] >= times)
    assert restarts(arena) == (times, 0)


def worker(pods: tuple[Object, ...]) -> Object:
    """One of the workers."""
    return next(pod for pod in pods if pod["metadata"]["name"].startswith("spot-workers"))


def test_the_docs_say_how_this_jobset_is_written() -> None:
    """The policies of docs/workloads.md are those of the manifest, letter by letter."""
    section = DOCS.read_text().split("## When Slurm ends a Job's pods")[1].split("\n## ")[0]
    (block,) = [one for one in section.split("```yaml\n")[1:] if one.startswith("kind: JobSet\n")]
    told = yaml.safe_load(block.split("```")[0])["spec"]
    (made,) = documents(MANIFEST, NAMESPACE)
    assert told["failurePolicy"] == made["spec"]["failurePolicy"]
    (policy,) = (one["template"]["spec"]["podFailurePolicy"] for one in told["replicatedJobs"])
    jobs = {one["name"]: one["template"]["spec"] for one in made["spec"]["replicatedJobs"]}
    assert jobs["workers"]["podFailurePolicy"] == policy
    assert "podFailurePolicy" not in jobs["driver"]


def test_a_jobset_cancelled_in_slurm_restarts_at_no_cost(arena: Arena, jobset: Object) -> None:
    """However often an admin cancels its job."""
    arena.create(jobset)
    pods = all_run(arena)
    for number in range(ROUNDS):
        arena.slurm.cancel(slurm_id(pods[0]))
        pods = all_run(arena, besides=pods)
        assert restarts(arena) == (number + 1, 0)


def test_a_jobset_preempted_in_slurm_restarts_at_no_cost(arena: Arena, jobset: Object) -> None:
    """It waits behind whoever took its node, and runs again afterwards."""
    arena.create(jobset)
    pods = all_run(arena)
    for number in range(ROUNDS):
        high = {manifests.JOB + "partition": "high"}
        arena.create(manifests.pod("high", NAMESPACE, gpus=8, annotations=high))
        arena.wait_bound("high", seconds=30)
        arena.delete_pod("high")
        pods = all_run(arena, besides=pods)
        assert restarts(arena) == (number + 1, 0)


def test_a_jobset_whose_time_is_over_restarts_at_no_cost(arena: Arena, jobset: Object) -> None:
    """Its pods end before the limit, in the same order."""
    jobset["metadata"]["annotations"] = {manifests.JOB + "timelimit": "1"}
    arena.create(jobset)
    pods = all_run(arena)
    all_run(arena, besides=pods, seconds=150)  # Slurm may be a minute late
    assert restarts(arena) == (1, 0)


def test_a_jobset_cancelled_while_it_waits_restarts_at_no_cost(
    arena: Arena, jobset: Object
) -> None:
    """Pods that never had a node are judged late: the garbage collector has to find them."""
    arena.create(manifests.pod("first", NAMESPACE, gpus=8))
    arena.wait_bound("first")
    arena.create(jobset)
    pods: tuple[Object, ...] = ()
    for number in range(ROUNDS):
        pods = _all(arena, "are queued", _is_queued, besides=pods)
        arena.slurm.cancel(int(waiting_job(arena)["job_id"]))
        restarted(arena, number + 1)
    arena.delete_pod("first")
    all_run(arena, besides=pods)


def test_a_failure_of_its_own_costs_a_restart_and_the_next_is_the_end(
    arena: Arena, jobset: Object
) -> None:
    """maxRestarts is 1: Slurm holds nothing for a JobSet that has failed."""
    arena.create(jobset)
    pods = all_run(arena)
    ends(arena, worker(pods), exit_code=1)
    again = all_run(arena, besides=pods)
    assert restarts(arena) == (1, 1)
    ends(arena, worker(again), exit_code=1)
    wait_for("it has failed", lambda: status(arena).get("terminalState") == "Failed", seconds=30)
    assert status(arena)["conditions"][0]["reason"] == "ReachedMaxRestarts"
    arena.wait_idle(seconds=AGAIN_S)
