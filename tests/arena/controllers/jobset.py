"""JobSet (kubernetes-sigs/jobset): a Job for each replica of each replicated job.

Played: names, labels and annotations; subdomain; `dependsOn`, startup order, coordinator,
suspension; failure policies (`jobset_failures`); exclusive placement, whose webhook lets followers
in only when their leader has a node, and sends them to its domain. Not played: success policies,
the node selector way of exclusive placement.
"""

import hashlib
from collections.abc import Iterator

from tests.arena.api import Object
from tests.arena.controllers import jobset_failures
from tests.arena.controllers import world as seen
from tests.arena.controllers.world import JOB, POD, SERVICE, Kind, World, labels

JOBSET = Kind("jobset.x-k8s.io/v1alpha2", "JobSet", "jobsets")
NAME = "jobset.sigs.k8s.io/jobset-name"
REPLICATED = jobset_failures.REPLICATED
RESTART = "jobset.sigs.k8s.io/restart-attempt"
JOB_KEY = "jobset.sigs.k8s.io/job-key"
EXCLUSIVE = "alpha.jobset.sigs.k8s.io/exclusive-topology"
INDEX = "batch.kubernetes.io/job-completion-index"


def reconcile(world: World) -> None:
    """Every JobSet a step further."""
    for jobset in world.live(JOBSET):
        _step(world, jobset)


def _step(world: World, jobset: Object) -> None:
    """1. When the JobSet is over, the Jobs go that still run.
    2. Jobs of the attempts before go, with their pods.
    3. A failed Job begins a new attempt, or ends the JobSet.
    4. What may start by now and is not there is created.
    5. Jobs sleep and wake with the JobSet; its status says how far they are, and when all are.
    """
    jobs = world.children(JOB, jobset)
    attempt = (jobset.get("status") or {}).get("restarts", 0)
    present = [job for job in jobs if labels(job).get(RESTART) == str(attempt)]
    failed = [job for job in present if seen.is_true(job, "Failed")]
    if (jobset.get("status") or {}).get("terminalState"):
        _end(world, [job for job in present if job not in failed and not _succeeded(job)])
        return
    _end(world, [job for job in jobs if job not in present])
    if failed:
        change = jobset_failures.status(jobset, failed)
        world.change(JOBSET, jobset, subresource="status", status=change)
        return
    subdomain = (jobset["spec"].get("network") or {}).get("subdomain") or jobset["metadata"]["name"]
    world.create(
        SERVICE,
        jobset,
        {
            "metadata": {"name": subdomain},
            "spec": {"clusterIP": "None", "selector": {NAME: jobset["metadata"]["name"]}},
        },
    )
    there = {job["metadata"]["name"] for job in jobs}
    for manifest in _due(jobset, present, subdomain):
        if manifest["metadata"]["name"] not in there:
            world.create(JOB, jobset, manifest)
    for job in present:
        world.change(JOB, job, spec={"suspend": bool(jobset["spec"].get("suspend"))})
    statuses = [_status(one["name"], present) for one in jobset["spec"]["replicatedJobs"]]
    status: Object = {"restarts": attempt, "replicatedJobsStatus": statuses}
    wanted = [one.get("replicas", 1) for one in jobset["spec"]["replicatedJobs"]]
    if wanted == [one["succeeded"] for one in statuses]:
        over = {"type": "Completed", "status": "True", "reason": "AllJobsCompleted"}
        status |= {"terminalState": "Completed", "conditions": [over]}
    world.change(JOBSET, jobset, subresource="status", status=status)


def _end(world: World, jobs: list[Object]) -> None:
    """The Jobs are deleted; each is gone when its pods are."""
    for job in jobs:
        if not seen.is_ending(job):
            world.delete(JOB, job, propagation="Foreground")


def _due(jobset: Object, jobs: list[Object], subdomain: str) -> Iterator[Object]:
    """The Jobs that may exist by now."""
    order = (jobset["spec"].get("startupPolicy") or {}).get("startupPolicyOrder")
    for number, replicated in enumerate(jobset["spec"]["replicatedJobs"]):
        conditions = list(replicated.get("dependsOn") or ())
        if order == "InOrder" and number:
            before = jobset["spec"]["replicatedJobs"][number - 1]["name"]
            conditions.append({"name": before, "status": "Ready"})
        if not all(_holds(jobset, one, jobs) for one in conditions):
            return
        for index in range(replicated.get("replicas", 1)):
            yield _job(jobset, replicated, index, subdomain)


def _holds(jobset: Object, condition: Object, jobs: list[Object]) -> bool:
    wanted = next(
        one.get("replicas", 1)
        for one in jobset["spec"]["replicatedJobs"]
        if one["name"] == condition["name"]
    )
    status = _status(condition["name"], jobs)
    if condition["status"] == "Complete":
        return bool(status["succeeded"] == wanted)
    return bool(status["ready"] + status["failed"] + status["succeeded"] == wanted)


def _status(name: str, jobs: list[Object]) -> Object:
    mine = [job for job in jobs if labels(job)[REPLICATED] == name]
    succeeded = sum(1 for job in mine if _succeeded(job))
    failed = sum(1 for job in mine if seen.is_true(job, "Failed"))
    running = [job for job in mine if not _succeeded(job)]
    ready = sum(1 for job in running if not seen.is_true(job, "Failed") and _is_ready(job))
    return {"name": name, "ready": ready, "succeeded": succeeded, "failed": failed}


def _succeeded(job: Object) -> bool:
    return seen.is_true(job, "Complete")


def _is_ready(job: Object) -> bool:
    status, spec = job.get("status") or {}, job["spec"]
    up = status.get("ready", 0) + status.get("succeeded", 0)
    return bool(up >= min(spec["parallelism"], spec.get("completions") or spec["parallelism"]))


def _job(jobset: Object, replicated: Object, index: int, subdomain: str) -> Object:
    name = f"{jobset['metadata']['name']}-{replicated['name']}-{index}"
    template = replicated["template"]
    marks = _marks(jobset, replicated, index, name)
    spec = {"completionMode": "Indexed", **template["spec"]}
    pods = seen.marked(spec["template"], names=marks, notes=marks | _exclusive(jobset, template))
    pods["spec"] = {"restartPolicy": "OnFailure", **pods["spec"], "subdomain": subdomain}
    spec |= {"template": pods, "suspend": bool(jobset["spec"].get("suspend"))}
    head = seen.marked(
        {"metadata": template.get("metadata") or {}},
        names=marks,
        notes=marks | _exclusive(jobset, template),
    )
    return {"metadata": {**head["metadata"], "name": name}, "spec": spec}


def _marks(jobset: Object, replicated: Object, index: int, job: str) -> dict[str, str]:
    """On Jobs and pods, as labels and as annotations."""
    names = [one["name"] for one in jobset["spec"]["replicatedJobs"]]
    counts = [one.get("replicas", 1) for one in jobset["spec"]["replicatedJobs"]]
    before = sum(counts[: names.index(replicated["name"])])
    namespace = jobset["metadata"]["namespace"]
    marks = {
        NAME: jobset["metadata"]["name"],
        REPLICATED: replicated["name"],
        RESTART: str((jobset.get("status") or {}).get("restarts", 0)),
        JOB_KEY: hashlib.sha1(f"{namespace}/{job}".encode(), usedforsecurity=False).hexdigest(),
        "jobset.sigs.k8s.io/replicatedjob-replicas": str(replicated.get("replicas", 1)),
        "jobset.sigs.k8s.io/global-replicas": str(sum(counts)),
        "jobset.sigs.k8s.io/job-index": str(index),
        "jobset.sigs.k8s.io/job-global-index": str(before + index),
    }
    coordinator = jobset["spec"].get("coordinator")
    if coordinator:
        place = [coordinator["replicatedJob"]]
        place += [str(coordinator.get(part, 0)) for part in ("jobIndex", "podIndex")]
        host = "-".join([jobset["metadata"]["name"], *place])
        marks["jobset.sigs.k8s.io/coordinator"] = f"{host}.{jobset['metadata']['name']}"
    return marks


def _exclusive(jobset: Object, template: Object) -> dict[str, str]:
    known = seen.annotations(jobset) | ((template.get("metadata") or {}).get("annotations") or {})
    return {EXCLUSIVE: known[EXCLUSIVE]} if EXCLUSIVE in known else {}


def mutate(world: World, pod: Object) -> Object:
    """Its pod webhook: rank 0 of an exclusive Job chooses the domain, the others follow.

    Raises PermissionError for a follower whose leader has no node yet.
    """
    topology = seen.annotations(pod).get(EXCLUSIVE)
    if topology is None:
        return pod
    if seen.annotations(pod)[INDEX] == "0":
        key = labels(pod)[JOB_KEY]
        return seen.exclusive(pod, JOB_KEY, key, topology, namespaceSelector={})
    job = (seen.controller(pod) or {}).get("uid")
    siblings = world.all(POD, labelSelector=f"{JOB_KEY}={labels(pod)[JOB_KEY]}")
    leaders = [
        one
        for one in siblings
        if labels(one).get(INDEX) == "0" and (seen.controller(one) or {}).get("uid") == job
    ]
    if len(leaders) != 1 or not leaders[0]["spec"].get("nodeName"):
        raise PermissionError("leader pod not yet scheduled, not creating follower pod")
    domain = labels(world.node(leaders[0]["spec"]["nodeName"]))[topology]
    selector = {**(pod["spec"].get("nodeSelector") or {}), topology: domain}
    return {**pod, "spec": {**pod["spec"], "nodeSelector": selector}}
