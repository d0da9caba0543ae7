"""What a Job's policies say of failed and succeeded pods, and what Slurm holds meanwhile."""

from typing import Any

import pytest

from bridge import names
from tests.arena import manifests
from tests.arena.api import Object, wait_for
from tests.arena.arena import NAMESPACE, Arena, Nodes, node_of, phase
from tests.arena.fixtures import Begin
from tests.flows.members import ends

JOB = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs/train"
TOGETHER = pytest.mark.parametrize("gang", [False, True], ids=["each-alone", "gang"])


def a_job(count: int, *, gang: bool, **spec: Any) -> Object:
    job = manifests.job("train", NAMESPACE, count=count, gpus=2, gang=gang, backoff_limit=2)
    job["spec"].update(completionMode="Indexed", **spec)
    return job


def running(arena: Arena, count: int) -> list[Object]:
    """The Job's pods, by index, once so many run."""

    def runs(pod: Object) -> bool:
        return bool(node_of(pod)) and phase(pod) == "Running"

    pods = arena.wait_pods(count, "run", runs, of_job="train")
    return sorted(pods, key=index)


def index(pod: Object) -> int:
    return int(pod["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"])


def over(arena: Arena, kind: str) -> Object:
    """The Job's status once it has this condition."""

    def found() -> Object | None:
        status: Object = arena.kubernetes.get(JOB).get("status") or {}
        types = [one["type"] for one in status.get("conditions") or ()]
        return status if kind in types else None

    status: Object = wait_for(f"the Job is {kind}", found)
    return status


def held(arena: Arena) -> int:
    return len(arena.slurm.live_jobs())


def replaced(arena: Arena, pod: Object) -> Object:
    """The pod that runs in its place."""

    def found() -> Object | None:
        now = arena.kubernetes.pods(NAMESPACE, of_job="train")
        others = [one for one in now if one["metadata"]["uid"] != pod["metadata"]["uid"]]
        same = [one for one in others if index(one) == index(pod) and phase(one) == "Running"]
        return same[0] if same else None

    other: Object = wait_for(f"index {index(pod)} runs again", found, seconds=40)
    return other


@TOGETHER
def test_a_job_cancelled_in_slurm_is_no_failure_of_its_pods(
    arena: Arena, begin: Begin, gang: bool
) -> None:
    """podFailurePolicy ignores DisruptionTarget, which the bridge sets; and a wrong argument, said
    by the exit code, ends the Job at once: Slurm holds nothing for it."""
    begin(Nodes(count=2))
    rules = [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [2]}},
    ]
    arena.create(a_job(2, gang=gang, podFailurePolicy={"rules": rules}))
    pods = running(arena, 2)
    arena.slurm.cancel(int(pods[0]["metadata"]["labels"][names.JOB_ID_LABEL]))
    again = [replaced(arena, pod) for pod in (pods if gang else pods[:1])]
    assert not arena.kubernetes.get(JOB)["status"].get("failed")
    ends(arena, again[0], exit_code=2)
    over(arena, "Failed")
    arena.wait_idle(seconds=40)


def _needs(arena: Arena, what: str) -> None:
    if arena.kind == "embedded":
        pytest.skip(f"the embedded Job controller has no {what}")


@TOGETHER
def test_an_index_that_is_given_up_does_not_hold_up_the_others(
    arena: Arena, begin: Begin, gang: bool
) -> None:
    """backoffLimitPerIndex: what it held is given back with the rest of its gang, or at once."""
    _needs(arena, "backoffLimitPerIndex")
    begin(Nodes(count=2))
    arena.create(a_job(2, gang=gang, backoffLimitPerIndex=1))
    first, second = running(arena, 2)
    ends(arena, second, exit_code=1)
    ends(arena, replaced(arena, second), exit_code=1)
    wait_for("the index is given up", lambda: _given_up(arena) == "1", seconds=30)
    if not gang:
        wait_for("only the other is held", lambda: held(arena) == 1)
    assert running(arena, 1)[0]["metadata"]["uid"] == first["metadata"]["uid"]
    ends(arena, first, exit_code=0)
    over(arena, "Failed")
    arena.wait_idle(seconds=40)


def _given_up(arena: Arena) -> str:
    return str((arena.kubernetes.get(JOB).get("status") or {}).get("failedIndexes") or "")


@TOGETHER
def test_what_runs_beside_the_index_that_counts_ends_with_it(
    arena: Arena, begin: Begin, gang: bool
) -> None:
    """successPolicy: the Job controller ends the others, and Slurm's jobs end with them."""
    _needs(arena, "successPolicy")
    begin(Nodes(count=2))
    policy = {"rules": [{"succeededIndexes": "0"}]}
    arena.create(a_job(3, gang=gang, successPolicy=policy))
    leader, *_ = running(arena, 3)
    ends(arena, leader, exit_code=0)
    over(arena, "Complete")
    arena.wait_idle(seconds=40)
