"""The Job controller: makes a Job's pods, counts how they end, says when the Job is over.

As the real one: each pod carries a tracking finalizer until its end is counted; failures are
replaced after a growing back-off; a Job is Complete or Failed only when its last pod is gone.
Jobs that somebody else manages are left to them. Not done: backoffLimitPerIndex, successPolicy,
restarts of containers.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from bridge import retry
from bridge.sim.kube import requests
from bridge.sim.kube.apiserver import kinds
from bridge.sim.kube.apiserver.core import ApiServer, Target
from bridge.sim.kube.apiserver.failure import ApiFailure
from bridge.sim.kube.apiserver.objects import (
    Key,
    Object,
    condition_is_true,
    controller_of,
    key_of,
    owner_reference,
    seconds,
)
from bridge.sim.kube.apiserver.request import JOB_CONTROLLER
from bridge.sim.kube.apiserver.rules.jobs import CONTROLLER_UID
from bridge.sim.kube.apiserver.store import Change
from bridge.sim.kube.controllers import claims, job_pods, job_state, job_status, pods
from bridge.sim.kube.controllers.claims import Claims
from bridge.sim.kube.controllers.events import Recorder
from bridge.sim.kube.controllers.job_pods import JobPods
from bridge.sim.kube.controllers.job_state import INDEX, TRACKING, Tally
from bridge.sim.kube.controllers.queue import WorkQueue

_MYSELF: Final = "kubernetes.io/job-controller"
_MOST_AT_ONCE: Final = 500
_LONGEST_BACKOFF_S: Final = 600.0


class JobController:
    """One for the whole cluster."""

    def __init__(self, api: ApiServer, *, backoff_s: float = 10.0, batch_s: float = 0.05) -> None:
        """`backoff_s` after a first failure; changes of pods are gathered for `batch_s` (the real
        one: 1 s), so that a Job of 1,000 pods isn't counted 1,000 times.
        """
        self._api = api
        self._backoff_s = backoff_s
        self._batch_s = batch_s
        self._queue: WorkQueue[Key] = WorkQueue(api.clock)
        self._jobs = api.store.subscribe(kinds.JOBS.table, since=0)
        self._changed_pods = api.store.subscribe(kinds.PODS.table, since=0)
        self._pods = JobPods()
        self._claims = Claims(api, kinds.PODS, JOB_CONTROLLER, finalizer=TRACKING)
        self._strays: WorkQueue[Key] = WorkQueue(api.clock)
        """Pods without a controller that still carry the finalizer."""
        self._failures: dict[str, tuple[int, float]] = {}
        """By the Job's uid: failures since the last success, and when the last one was."""
        self._events = Recorder(api, "job-controller")

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_jobs())
            tasks.create_task(self._follow_pods())
            tasks.create_task(self._queue.work(self._sync))
            tasks.create_task(self._strays.work(self._let_go))

    async def _follow_jobs(self) -> None:
        while True:
            for change in await self._jobs.take():
                self._queue.add(key_of(change.current.object))

    async def _follow_pods(self) -> None:
        while True:
            await self._changed_pods.arrival()
            self._learn()
            await asyncio.sleep(0)

    def _learn(self) -> None:
        """Bring the index of pods up to what the store has now."""
        for change in self._changed_pods.take_now():
            self._note(change)

    def _note(self, change: Change) -> None:
        self._pods.note(change)
        pod = change.current.object
        for version in (change.previous, pod):
            named = job_pods.named_job(version) if version is not None else None
            if named is not None:
                self._queue.add_after(named, self._batch_s)
        if change.type != "DELETED" and controller_of(pod) is None:
            if job_state.is_tracked(pod):
                self._strays.add(key_of(pod))
            self._wake_adopters(pod)

    def _wake_adopters(self, pod: Object) -> None:
        """Queue the Job with a generated selector that takes a pod without a controller. (One
        that brings its own selector adopts when something else happens to it.)"""
        uid = (pod["metadata"].get("labels") or {}).get(CONTROLLER_UID)
        if uid is None:
            return
        for stored in self._api.store.scan(kinds.JOBS.table, pod["metadata"]["namespace"]):
            if stored.object["metadata"]["uid"] == uid:
                self._queue.add_after(key_of(stored.object), self._batch_s)

    async def _let_go(self, key: Key) -> None:
        """A pod that no Job counts loses the finalizer, unless one has adopted it meanwhile."""
        stored = self._api.store.get(kinds.PODS.table, key)
        if stored is not None and controller_of(stored.object) is None:
            await self._release([stored.object])

    async def _sync(self, key: Key) -> None:
        """Bring one Job and its pods together.

        1. Pods whose Job is gone only lose their finalizer; a finished Job needs nothing more.
        2. Release and adopt pods; count; note when the Job started.
        3. A Job that is decided ends its pods; any other gets the pods it lacks or loses those
           that are too many.
        4. Write the status, then take the finalizers off what has been counted.
        """
        self._learn()
        stored = self._api.store.get(kinds.JOBS.table, key)
        job = stored.object if stored else None
        await self._release_orphans(key, job)
        if job is None or job["spec"].get("managedBy", _MYSELF) != _MYSELF:
            return
        if job_state.is_finished(job):
            await self._release(self._pods.of(job))
            await self._expire(key, job)
            return
        candidates = [*self._pods.of(job), *self._pods.unowned(job)]
        await self._claims.settle(job, candidates, lambda pod: claims.selects(job, pod))
        counts = job_state.tally(job, self._claimed(job), now_s=self._api.clock.time())
        self._remember_failures(job, counts)
        if counts.outcome is not None:
            await self._delete(job, counts.active)
        elif not job["metadata"].get("deletionTimestamp"):
            excess = job_state.surplus(job, counts)
            if excess:
                await self._release(excess)
                await self._delete(job, excess)
            else:
                await self._create_missing(key, job, counts)
        await self._report(key, counts)
        await self._release(counts.uncounted)
        self._come_back(key, job)

    def _claimed(self, job: Object) -> list[Object]:
        """The Job's own pods as they are now."""
        self._learn()
        return [pod for pod in self._pods.of(job) if claims.selects(job, pod)]

    async def _create_missing(self, key: Key, job: Object, counts: Tally) -> None:
        lacking = job_state.missing(job, counts)[:_MOST_AT_ONCE]
        if not lacking:
            return
        wait_s = self._backoff_left(job)
        if wait_s > 0:
            self._queue.add_after(key, wait_s)
            return
        size = 1
        while lacking:
            batch, lacking = lacking[:size], lacking[size:]
            results = await asyncio.gather(
                *(self._create_pod(job, index) for index in batch), return_exceptions=True
            )
            for result in results:
                if isinstance(result, BaseException):
                    if isinstance(result, ApiFailure):
                        await self._events.warning(
                            job, "FailedCreate", f"Error creating: {result.message}"
                        )
                    raise result
            size *= 2

    async def _create_pod(self, job: Object, index: int) -> None:
        made = pods.from_template(job)
        metadata, spec = made["metadata"], made["spec"]
        metadata |= {
            "namespace": job["metadata"]["namespace"],
            "finalizers": list(dict.fromkeys([*metadata.get("finalizers", ()), TRACKING])),
            "ownerReferences": [owner_reference(job)],
        }
        if index >= 0:
            metadata["generateName"] = _pod_prefix(job["metadata"]["name"], index)
            metadata["annotations"] = {**(metadata.get("annotations") or {}), INDEX: str(index)}
            metadata["labels"] = {**(metadata.get("labels") or {}), INDEX: str(index)}
            spec["hostname"] = f"{job['metadata']['name']}-{index}"
            _add_index_variable(spec)
        answer = await self._api.create(
            Target(kinds.PODS, job["metadata"]["namespace"], user=JOB_CONTROLLER),
            {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": spec},
        )
        name = answer.object["metadata"]["name"]
        await self._events.normal(job, "SuccessfulCreate", f"Created pod: {name}")

    async def _report(self, key: Key, counts: Tally) -> None:
        """Write the Job's status. Pods created or deleted just now are in it already."""
        stored = self._api.store.get(kinds.JOBS.table, key)
        if stored is None:
            return
        mine, now = self._claimed(stored.object), self._api.now()
        target = Target(kinds.JOBS, key[0], key[1], "status", user=JOB_CONTROLLER)
        before = stored.object
        answer = await self._api.patch(
            target, lambda job: {**job, "status": job_status.status(job, mine, counts, now=now)}
        )
        await self._announce(before, answer.object)

    async def _announce(self, before: Object, after: Object) -> None:
        for kind, reason, message in (
            ("Complete", "Completed", "Job completed"),
            ("Suspended", "Suspended", "Job suspended"),
        ):
            if condition_is_true(after, kind) and not condition_is_true(before, kind):
                await self._events.normal(after, reason, message)
        if condition_is_true(before, "Suspended") and not condition_is_true(after, "Suspended"):
            await self._events.normal(after, "Resumed", "Job resumed")
        if condition_is_true(after, "Failed") and not condition_is_true(before, "Failed"):
            for one in after["status"]["conditions"]:
                if one["type"] == "Failed":
                    await self._events.warning(after, one["reason"], one["message"])

    async def _release_orphans(self, key: Key, job: Object | None) -> None:
        """Let go of pods whose Job is gone, or was replaced by one of the same name."""
        uid = job["metadata"]["uid"] if job else None
        await self._release(list(self._pods.of_others(key, uid)))

    async def _release(self, released: Sequence[Object]) -> None:
        for pod in released:
            if TRACKING not in (pod["metadata"].get("finalizers") or ()):
                continue
            namespace, name = key_of(pod)
            try:
                await self._api.patch(
                    Target(kinds.PODS, namespace, name, user=JOB_CONTROLLER), _untracked
                )
            except ApiFailure as problem:
                if problem.code != 404:
                    raise

    async def _delete(self, job: Object, surplus: Sequence[Object]) -> None:
        for pod in surplus:
            namespace, name = key_of(pod)
            target = Target(kinds.PODS, namespace, name, user=JOB_CONTROLLER)
            if await requests.delete(self._api, target, pod, propagationPolicy="Background"):
                await self._events.normal(job, "SuccessfulDelete", f"Deleted pod: {name}")

    def _remember_failures(self, job: Object, counts: Tally) -> None:
        uid = job["metadata"]["uid"]
        if counts.won:
            self._failures.pop(uid, None)
        elif counts.lost:
            count, _ = self._failures.get(uid, (0, 0.0))
            last = max(job_state.finished_s(pod) for pod in counts.lost)
            self._failures[uid] = (count + len(counts.lost), last)

    def _backoff_left(self, job: Object) -> float:
        count, last = self._failures.get(job["metadata"]["uid"], (0, 0.0))
        if not count:
            return 0.0
        pause = retry.pause_s(count, first_s=self._backoff_s, most_s=_LONGEST_BACKOFF_S)
        return max(0.0, last + pause - self._api.clock.time())

    def _come_back(self, key: Key, job: Object) -> None:
        """Look again when the active deadline has passed."""
        stored = self._api.store.get(kinds.JOBS.table, key)
        deadline = job["spec"].get("activeDeadlineSeconds")
        if stored is None or deadline is None:
            return
        started = (stored.object.get("status") or {}).get("startTime")
        if started and not job["spec"].get("suspend") and not job_state.is_finished(stored.object):
            left = seconds(started) + deadline - self._api.clock.time()
            self._queue.add_after(key, max(left, 0.001))

    async def _expire(self, key: Key, job: Object) -> None:
        """ttlSecondsAfterFinished: delete the Job once it has been over for so long."""
        self._failures.pop(job["metadata"]["uid"], None)
        ttl = job["spec"].get("ttlSecondsAfterFinished")
        if ttl is None or job["metadata"].get("deletionTimestamp"):
            return
        ended = max(
            seconds(one["lastTransitionTime"])
            for one in job["status"]["conditions"]
            if one["type"] in ("Complete", "Failed")
        )
        left = ended + ttl - self._api.clock.time()
        if left > 0:
            self._queue.add_after(key, left)
            return
        options = {
            "preconditions": {"uid": job["metadata"]["uid"]},
            "propagationPolicy": "Foreground",
        }
        await self._api.delete(Target(kinds.JOBS, key[0], key[1], user=JOB_CONTROLLER), options)


def _pod_prefix(job: str, index: int) -> str:
    tail = f"-{index}-"
    return job[: 58 - len(tail)] + tail


def _add_index_variable(spec: Object) -> None:
    source = {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.labels['{INDEX}']"}}
    for container in [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]:
        known = container.setdefault("env", [])
        if not any(one.get("name") == "JOB_COMPLETION_INDEX" for one in known):
            known.append({"name": "JOB_COMPLETION_INDEX", "valueFrom": source})


def _untracked(pod: Object) -> Object:
    kept = [one for one in pod["metadata"].get("finalizers") or () if one != TRACKING]
    fields = {key: value for key, value in pod["metadata"].items() if key != "finalizers"}
    if kept:
        fields["finalizers"] = kept
    return {**pod, "metadata": fields}
