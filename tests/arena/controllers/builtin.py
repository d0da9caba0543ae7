"""CronJob, where the stack has no controller for it (the embedded one); and the controller that
some Jobs name in `managedBy`, on both.

The CronJob's schedule is not read: its first Job comes at once, and no other.
"""

import copy
import time

from tests.arena.controllers.world import JOB, POD, Kind, World

CRON_JOB = Kind("batch/v1", "CronJob", "cronjobs")
FOREMAN = "example.org/foreman"
SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"


def cronjobs(world: World) -> None:
    """A Job, called after the minute."""
    for cron in world.live(CRON_JOB):
        if world.children(JOB, cron):
            continue
        made = copy.deepcopy(cron["spec"]["jobTemplate"])
        minute = int(time.time()) // 60
        made.setdefault("metadata", {}).setdefault("annotations", {})
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(minute * 60))
        made["metadata"]["annotations"][SCHEDULED] = moment
        made["metadata"]["name"] = f"{cron['metadata']['name']}-{minute}"
        world.create(JOB, cron, made)


def foreman(world: World) -> None:
    """Makes the pods of the Jobs that are given to it, all of them at once."""
    for job in world.live(JOB):
        if job["spec"].get("managedBy") == FOREMAN:
            there = {pod["metadata"]["name"] for pod in world.children(POD, job)}
            for number in range(job["spec"]["parallelism"]):
                pod = copy.deepcopy(job["spec"]["template"])
                pod["metadata"]["name"] = f"{job['metadata']['name']}-{number}"
                if pod["metadata"]["name"] not in there:
                    world.create(POD, job, pod)
