"""What stories say of a gang's pods."""

from bridge import names
from tests.arena.api import Object, wait_for
from tests.arena.arena import NAMESPACE, Arena, condition, node_of, phase

JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"


def rank(pod: Object) -> int:
    """The completion index of an Indexed Job's pod."""
    return int(pod["metadata"]["annotations"][names.COMPLETION_INDEX])


def slurm_id(pod: Object) -> int:
    """The Slurm job that a pinned pod names."""
    return int(pod["metadata"]["labels"][names.JOB_ID_LABEL])


def uid(pod: Object) -> str:
    """Its uid."""
    return str(pod["metadata"]["uid"])


def is_running(pod: Object) -> bool:
    """Whether it runs and nobody has deleted it."""
    ending = "deletionTimestamp" in pod["metadata"]
    return bool(node_of(pod)) and phase(pod) == "Running" and not ending


def by_rank(arena: Arena, count: int, *, job: str, seconds: float = 40.0) -> list[Object]:
    """The Job's pods in the order of their ranks, once just so many run."""
    return sorted(arena.wait_pods(count, "run", is_running, of_job=job, seconds=seconds), key=rank)


def replaced(arena: Arena, pod: Object, *, job: str, seconds: float = 40.0) -> Object:
    """The pod that runs in the place of this one, at its rank."""

    def found(other: Object) -> bool:
        return is_running(other) and uid(other) != uid(pod) and rank(other) == rank(pod)

    what = f"of rank {rank(pod)} runs again"
    (other,) = arena.wait_pods(1, what, found, of_job=job, seconds=seconds)
    return other


def tasks(arena: Arena) -> dict[int, int]:
    """Tasks of each live Slurm job."""
    return {int(job["job_id"]): int(job["tasks"]["number"]) for job in arena.slurm.live_jobs()}


def waiting_job(arena: Arena) -> Object:
    """The one Slurm job that waits, once there is one."""
    (job,) = wait_for(
        "a job waits",
        lambda: [one for one in arena.slurm.live_jobs() if one["job_state"] == ["PENDING"]],
    )
    found: Object = job
    return found


def notes(arena: Arena, reason: str, *, owner: str) -> list[str]:
    """What events of this reason say of the pods whose names begin with the owner's. (Events
    outlive their story.)"""
    return [
        str(one["note"])
        for one in arena.kubernetes.events(NAMESPACE)
        if one["reason"] == reason and one["regarding"].get("name", "").startswith(f"{owner}-")
    ]


def told(pod: Object) -> tuple[str, str]:
    """Reason and message of its `Allocated` condition."""
    found = condition(pod) or {}
    return str(found.get("reason", "")), str(found.get("message", ""))


def ends(arena: Arena, pod: Object, *, exit_code: int) -> None:
    """The pod's container ends."""
    ended = {"exitCode": exit_code, "reason": "Completed" if not exit_code else "Error"}
    container = {
        "name": pod["spec"]["containers"][0]["name"],
        "image": pod["spec"]["containers"][0]["image"],
        "imageID": "",
        "ready": False,
        "restartCount": 0,
        "state": {"terminated": ended},
    }
    status = {
        "phase": "Failed" if exit_code else "Succeeded",
        "containerStatuses": [container],
    }
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod['metadata']['name']}/status"
    arena.kubernetes.patch(path, {"status": status})


def done(arena: Arena, job: str, indexes: str) -> None:
    """The Job's status says that these indexes have succeeded."""

    def found() -> bool:
        status = arena.kubernetes.get(f"{JOBS}/{job}").get("status") or {}
        return bool(status.get("completedIndexes") == indexes)

    wait_for(f"indexes {indexes} of {job} are done", found)


def finish(arena: Arena, job: str, pod: Object) -> None:
    """The pod succeeds, its Job counts it, and somebody removes it."""
    ends(arena, pod, exit_code=0)
    done(arena, job, str(rank(pod)))
    arena.delete_pod(pod["metadata"]["name"])
    arena.wait_gone(pod["metadata"]["name"])


def why_disrupted(pod: Object) -> tuple[str, str]:
    """Reason and message of its `DisruptionTarget` condition."""
    found = condition(pod, names.DISRUPTION_TARGET) or {}
    return str(found.get("reason", "")), str(found.get("message", ""))
