"""The Job controller, against pods that end when their annotations say so."""

from typing import Any

import pytest

from bridge.sim.kube.apiserver import kinds
from bridge.sim.kube.apiserver.objects import Object, condition, condition_is_true
from bridge.sim.kube.controllers import failure_policy, indexes
from bridge.sim.kube.controllers.job_state import INDEX, TRACKING
from bridge.sim.kube.embedded import EmbeddedKubernetes
from tests.unit.sim.kube.builders import a_job, a_node, a_pod
from tests.unit.sim.kube.clocks import ManualClock


async def _started(k8s: EmbeddedKubernetes, clock: ManualClock, job: Any) -> None:
    await k8s.create(a_node(cpu="100"))
    await k8s.create(job)
    await clock.advance(1)


def _job(k8s: EmbeddedKubernetes, name: str = "j") -> Object:
    job = k8s.get(kinds.JOBS, name)
    assert job is not None
    return job


def _pods(k8s: EmbeddedKubernetes) -> list[Object]:
    return list(k8s.observe().pods.values())


async def test_completes(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """A Job whose pods succeed becomes Complete, with its counts and times."""
    await _started(k8s, clock, a_job(runs_s=5, parallelism=2, completions=2))
    assert _job(k8s)["status"]["active"] == 2
    assert _job(k8s)["status"]["ready"] == 2
    await clock.advance(10)
    status = _job(k8s)["status"]
    assert condition_is_true(_job(k8s), "Complete")
    assert status["succeeded"] == 2
    assert "active" not in status
    assert status["completionTime"] > status["startTime"]


async def test_a_job_of_somebody_else_is_left_alone(
    k8s: EmbeddedKubernetes, clock: ManualClock
) -> None:
    """`managedBy` names who makes its pods and writes its status."""
    await _started(k8s, clock, a_job(managedBy="example.org/foreman"))
    assert _pods(k8s) == []
    assert _job(k8s)["status"] == {}


async def test_runs_in_waves(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """Never more pods than parallelism, in all as many as completions."""
    await _started(k8s, clock, a_job(runs_s=5, parallelism=2, completions=5))
    most = 0
    for _ in range(30):
        await clock.advance(1)
        running = [pod for pod in _pods(k8s) if pod["status"]["phase"] == "Running"]
        most = max(most, len(running))
    assert most == 2
    assert len(_pods(k8s)) == 5
    assert condition_is_true(_job(k8s), "Complete")


async def test_indexed_pods_know_their_number(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """Index stands in label, annotation, host name, pod name and environment."""
    job = a_job(completionMode="Indexed", parallelism=3, completions=3)
    await _started(k8s, clock, job)
    for pod in _pods(k8s):
        index = pod["metadata"]["labels"][INDEX]
        assert pod["metadata"]["annotations"][INDEX] == index
        assert pod["spec"]["hostname"] == f"j-{index}"
        assert pod["metadata"]["name"].startswith(f"j-{index}-")
        assert pod["spec"]["containers"][0]["env"][0]["name"] == "JOB_COMPLETION_INDEX"
    assert sorted(pod["metadata"]["labels"][INDEX] for pod in _pods(k8s)) == ["0", "1", "2"]


async def test_indexed_counts_indexes(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """completedIndexes names the indexes that have succeeded."""
    job = a_job(runs_s=5, completionMode="Indexed", parallelism=4, completions=4)
    await _started(k8s, clock, job)
    await clock.advance(10)
    assert _job(k8s)["status"]["completedIndexes"] == "0-3"


async def test_failed_index_comes_again(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """A failed pod is replaced by one of the same index, after the back-off."""
    job = a_job(completionMode="Indexed", parallelism=2, completions=2)
    await _started(k8s, clock, job)
    victim = next(pod for pod in _pods(k8s) if pod["metadata"]["labels"][INDEX] == "1")
    await k8s.patch(
        kinds.PODS,
        victim["metadata"]["name"],
        lambda pod: {**pod, "status": {**pod["status"], "phase": "Failed"}},
        subresource="status",
    )
    await clock.advance(5)
    assert len(_pods(k8s)) == 2, "the back-off of ten seconds is not over"
    await clock.advance(10)
    alive = [pod for pod in _pods(k8s) if pod["status"]["phase"] == "Running"]
    assert sorted(pod["metadata"]["labels"][INDEX] for pod in alive) == ["0", "1"]
    assert _job(k8s)["status"]["failed"] == 1


async def test_backoff_limit(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """More failures than backoffLimit end the Job, and its other pods."""
    await _started(k8s, clock, a_job(fails_s=1, backoffLimit=1))
    await clock.advance(60)
    failed = condition(_job(k8s), "Failed")
    assert failed is not None
    assert failed["reason"] == "BackoffLimitExceeded"
    assert len(_pods(k8s)) == 2
    assert condition_is_true(_job(k8s), "FailureTarget")


async def test_deleted_pod_counts_as_failed(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """A pod deleted from outside is a failure, and is replaced."""
    await _started(k8s, clock, a_job())
    first = _pods(k8s)[0]["metadata"]["name"]
    await k8s.delete(kinds.PODS, first)
    await clock.advance(20)
    assert _job(k8s)["status"]["failed"] == 1
    assert [pod["status"]["phase"] for pod in _pods(k8s)] == ["Running"]
    assert _pods(k8s)[0]["metadata"]["name"] != first


async def test_disruption_can_be_ignored(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """A podFailurePolicy that ignores DisruptionTarget does not count such a pod."""
    policy = {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]}
    await _started(k8s, clock, a_job(podFailurePolicy=policy, backoffLimit=0))
    name = _pods(k8s)[0]["metadata"]["name"]
    disrupted = {"type": "DisruptionTarget", "status": "True", "reason": "SlurmJobEnded"}
    await k8s.patch(
        kinds.PODS,
        name,
        lambda pod: {
            **pod,
            "status": {
                **pod["status"],
                "conditions": [*pod["status"]["conditions"], disrupted],
            },
        },
        subresource="status",
    )
    await k8s.delete(kinds.PODS, name)
    await clock.advance(30)
    assert "failed" not in _job(k8s)["status"]
    assert [pod["status"]["phase"] for pod in _pods(k8s)] == ["Running"]


async def test_a_pod_deleted_before_it_had_a_node_is_replaced(
    k8s: EmbeddedKubernetes, clock: ManualClock
) -> None:
    """No kubelet ends it; where the Job waits for its end, it must still have one."""
    await k8s.create(a_job(runs_s=5, podReplacementPolicy="Failed"))
    await clock.advance(1)
    (before,) = _pods(k8s)
    assert not before["spec"].get("nodeName")
    await k8s.delete(kinds.PODS, before["metadata"]["name"])
    await clock.advance(30)
    (after,) = _pods(k8s)
    assert after["metadata"]["uid"] != before["metadata"]["uid"]


async def test_fail_job_rule(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """An exit code named by a FailJob rule ends the Job at once."""
    codes = {"operator": "In", "values": [42]}
    policy = {"rules": [{"action": "FailJob", "onExitCodes": codes}]}
    marks = {"kwok.x-k8s.io/exit-code": "42"}
    job = a_job(fails_s=1, annotations=marks, podFailurePolicy=policy)
    await _started(k8s, clock, job)
    await clock.advance(5)
    failed = condition(_job(k8s), "Failed")
    assert failed is not None
    assert failed["reason"] == "PodFailurePolicy"
    name = _pods(k8s)[0]["metadata"]["name"]
    assert failed["message"] == (
        f"Container main for pod default/{name} failed with exit code 42 matching FailJob rule at "
        "index 0"
    )


async def test_suspended(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """A suspended Job has no pods; resumed it has; suspended again it loses them."""
    await _started(k8s, clock, a_job(suspend=True, parallelism=2, completions=2))
    assert _pods(k8s) == []
    assert condition_is_true(_job(k8s), "Suspended")
    assert "startTime" not in _job(k8s)["status"]
    await _set(k8s, suspend=False)
    await clock.advance(1)
    assert len(_pods(k8s)) == 2
    assert not condition_is_true(_job(k8s), "Suspended")
    await _set(k8s, suspend=True)
    await clock.advance(1)
    assert _pods(k8s) == []
    assert "failed" not in _job(k8s)["status"]


async def test_parallelism_can_shrink(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """Fewer at once: the surplus pods go, without being counted as failures."""
    await _started(k8s, clock, a_job(parallelism=4, completions=8))
    await _set(k8s, parallelism=1)
    await clock.advance(1)
    assert len(_pods(k8s)) == 1
    assert "failed" not in _job(k8s)["status"]


async def test_elastic(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """An Indexed Job scaled down loses its highest indexes, scaled up it gets them back."""
    job = a_job(completionMode="Indexed", parallelism=4, completions=4)
    await _started(k8s, clock, job)
    await _set(k8s, parallelism=2, completions=2)
    await clock.advance(1)
    assert sorted(pod["metadata"]["labels"][INDEX] for pod in _pods(k8s)) == ["0", "1"]
    await _set(k8s, parallelism=3, completions=3)
    await clock.advance(1)
    assert sorted(pod["metadata"]["labels"][INDEX] for pod in _pods(k8s)) == ["0", "1", "2"]


async def test_active_deadline(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """activeDeadlineSeconds ends the Job while its pods still run."""
    await _started(k8s, clock, a_job(activeDeadlineSeconds=30))
    await clock.advance(20)
    assert not condition_is_true(_job(k8s), "Failed")
    await clock.advance(20)
    failed = condition(_job(k8s), "Failed")
    assert failed is not None
    assert failed["reason"] == "DeadlineExceeded"
    assert _pods(k8s) == []


async def test_work_queue(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """Without completions the Job is done when one pod succeeded and all have ended."""
    await _started(k8s, clock, a_job(parallelism=2))
    await _set_phase(k8s, _pods(k8s)[0], "Succeeded")
    await clock.advance(1)
    assert not condition_is_true(_job(k8s), "Complete")
    assert len(_pods(k8s)) == 2, "no pod is started any more"
    await _set_phase(k8s, _pods(k8s)[1], "Succeeded")
    await clock.advance(1)
    assert condition_is_true(_job(k8s), "Complete")


async def test_pods_are_tracked_until_counted(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """A running pod carries the tracking finalizer, a counted one does not."""
    await _started(k8s, clock, a_job(runs_s=5))
    assert _pods(k8s)[0]["metadata"]["finalizers"] == [TRACKING]
    await clock.advance(10)
    assert "finalizers" not in _pods(k8s)[0]["metadata"]


async def test_deleted_job_takes_its_pods_along(
    k8s: EmbeddedKubernetes, clock: ManualClock
) -> None:
    """Job deleted in the background: pods go, though their finalizer was on."""
    await _started(k8s, clock, a_job(parallelism=3, completions=3))
    await k8s.delete(kinds.JOBS, "j")
    await clock.advance(1)
    assert _pods(k8s) == []


async def test_time_to_live(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """ttlSecondsAfterFinished removes the finished Job and its pods."""
    await _started(k8s, clock, a_job(runs_s=1, ttlSecondsAfterFinished=60))
    await clock.advance(30)
    assert condition_is_true(_job(k8s), "Complete")
    await clock.advance(60)
    assert k8s.get(kinds.JOBS, "j") is None
    assert _pods(k8s) == []


async def test_events_tell_the_story(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """Events for each pod made, and for the end."""
    await _started(k8s, clock, a_job(runs_s=1))
    await clock.advance(5)
    reasons = [
        stored.object["reason"]
        for stored in k8s.api.store.scan(kinds.EVENTS.table)
        if stored.object["involvedObject"]["kind"] == "Job"
    ]
    assert sorted(reasons) == ["Completed", "SuccessfulCreate"]


@pytest.mark.parametrize(
    ("numbers", "text"),
    [([], ""), ([0], "0"), ([0, 1], "0,1"), ([0, 1, 2], "0-2"), ([3, 1, 0, 7, 8, 9], "0,1,3,7-9")],
)
def test_indexes(numbers: list[int], text: str) -> None:
    """Sets of indexes are written as Kubernetes writes them, and read back."""
    assert indexes.text(numbers) == text
    assert indexes.parse(text) == frozenset(numbers)


@pytest.mark.parametrize(
    ("operator", "values", "code", "action"),
    [
        ("In", [1, 2], 1, "FailJob"),
        ("In", [1, 2], 3, "Count"),
        ("NotIn", [1, 2], 3, "FailJob"),
        ("NotIn", [1, 2], 1, "Count"),
        ("NotIn", [1], 0, "Count"),
    ],
)
def test_exit_codes(operator: str, values: list[int], code: int, action: str) -> None:
    """A rule on exit codes never matches success."""
    rule = {"action": "FailJob", "onExitCodes": {"operator": operator, "values": values}}
    job = {"spec": {"podFailurePolicy": {"rules": [rule]}}}
    ended = {"name": "main", "state": {"terminated": {"exitCode": code}}}
    pod = {"metadata": {}, "status": {"containerStatuses": [ended]}}
    assert failure_policy.verdict(job, pod).action == action


async def _set(k8s: EmbeddedKubernetes, **fields: Any) -> None:
    await k8s.patch(kinds.JOBS, "j", lambda job: {**job, "spec": {**job["spec"], **fields}})


async def _set_phase(k8s: EmbeddedKubernetes, pod: Object, phase: str) -> None:
    await k8s.patch(
        kinds.PODS,
        pod["metadata"]["name"],
        lambda now: {**now, "status": {**now["status"], "phase": phase}},
        subresource="status",
    )


async def test_long_names_are_cut(k8s: EmbeddedKubernetes, clock: ManualClock) -> None:
    """The pod's name keeps index and random part, and stays within 63 characters."""
    name = "n" * 60
    job = a_job(name, completionMode="Indexed", parallelism=1, completions=1, pod=a_pod())
    await _started(k8s, clock, job)
    created = _pods(k8s)[0]["metadata"]["name"]
    assert len(created) <= 63
    assert "-0-" in created
