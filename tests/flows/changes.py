"""What users and failures do to workloads in the stories of kinds."""

from collections.abc import Callable
from typing import Any

from tests.arena.api import Object, wait_for
from tests.arena.arena import NAMESPACE, Arena, phase

Change = Callable[[Arena], None]


def resume_job(name: str) -> Change:
    """A suspended Job has no pod and nothing in Slurm; then somebody resumes it."""

    def resume(arena: Arena) -> None:
        def suspended() -> bool:
            status = arena.kubernetes.get(_job(name)).get("status") or {}
            return any(one["type"] == "Suspended" for one in status.get("conditions") or ())

        wait_for("the Job is suspended", suspended)
        assert not arena.kubernetes.pods(NAMESPACE)
        assert not arena.slurm.live_jobs()
        arena.kubernetes.patch(_job(name), {"spec": {"suspend": False}})

    return resume


def grow_job(name: str, count: int) -> Change:
    """An elastic Indexed Job gets more indexes."""
    spec = {"parallelism": count, "completions": count}
    return lambda arena: _ignore(arena.kubernetes.patch(_job(name), {"spec": spec}))


def roll_out(name: str) -> Change:
    """A Deployment gets another template: every pod is replaced."""

    def roll(arena: Arena) -> None:
        before = _uids(arena)
        template = {"metadata": {"annotations": {"version": "2"}}}
        path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{name}"
        arena.kubernetes.patch(path, {"spec": {"template": template}})
        _wait_replaced(arena, before, len(before))

    return roll


def fail_one_and_see_all_replaced(count: int) -> Change:
    """A container fails, and its controller begins all pods anew."""

    def fail(arena: Arena) -> None:
        before = _uids(arena)
        victim = arena.kubernetes.pods(NAMESPACE)[0]["metadata"]["name"]
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{victim}/status"
        arena.kubernetes.patch(path, {"status": {"phase": "Failed"}})
        _wait_replaced(arena, before, count)

    return fail


def restart_group(lws: str, pod: str, count: int) -> Change:
    """A pod of a ready group is deleted, and its controller begins the whole group anew."""
    path = f"/apis/leaderworkerset.x-k8s.io/v1/namespaces/{NAMESPACE}/leaderworkersets/{lws}"

    def is_ready(arena: Arena) -> bool:
        status = arena.kubernetes.get(path).get("status") or {}
        return bool(status.get("readyReplicas"))

    def delete(arena: Arena) -> None:
        wait_for("the group is ready", lambda: is_ready(arena))
        before = _uids(arena)
        arena.delete_pod(pod)
        _wait_replaced(arena, before, count)

    return delete


def running(arena: Arena) -> list[Object]:
    """The namespace's pods that run and that nobody has deleted."""
    return [
        pod
        for pod in arena.kubernetes.pods(NAMESPACE)
        if phase(pod) == "Running" and "deletionTimestamp" not in pod["metadata"]
    ]


def _wait_replaced(arena: Arena, before: set[str], count: int) -> None:
    def replaced() -> bool:
        now = _uids(arena)
        return len(now) == count and not now & before

    wait_for("all pods are others and run", replaced, seconds=60)


def _uids(arena: Arena) -> set[str]:
    return {pod["metadata"]["uid"] for pod in running(arena)}


def _job(name: str) -> str:
    return f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs/{name}"


def _ignore(_: Any) -> None:
    """For a lambda that has nothing to say."""
