"""The bridge killed at any moment: each pod bound once, each gang one Slurm job, nothing lost."""

import json
import random
import threading
import time
from collections import Counter

import pytest

from bridge import names
from tests.arena import manifests
from tests.arena.api import Kubernetes, Slurm, wait_for
from tests.arena.arena import NAMESPACE, Arena, Nodes
from tests.arena.fixtures import Begin

JOBS, SEED, KILLS = 50, 20, 10


class Witness:
    """Counts, from outside, what was bound and which jobs were consumed for whom."""

    def __init__(self, kubernetes: Kubernetes, slurm: Slurm) -> None:
        self.bound: dict[str, set[str]] = {}
        """pod uid → nodes it was seen on."""
        self.started: dict[str, set[int]] = {}
        """gang → Slurm jobs of it that were seen running."""
        self._kubernetes, self._slurm = kubernetes, slurm
        self._of_others = {int(job["job_id"]) for job in slurm.jobs()}
        """Jobs of earlier stories, ended and not yet forgotten by Slurm."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.error: BaseException | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            while not self._stop.wait(0.05):
                self._look()
        except BaseException as error:  # told by stop()
            self.error = error

    def _look(self) -> None:
        for pod in self._kubernetes.pods(NAMESPACE):
            if pod["spec"].get("nodeName"):
                self.bound.setdefault(pod["metadata"]["uid"], set()).add(pod["spec"]["nodeName"])
        for job in self._slurm.jobs():
            if int(job["job_id"]) in self._of_others:
                continue
            comment = json.loads(job["admin_comment"] or "{}").get(names.ADMIN_COMMENT_KEY)
            if comment and (job["nodes"] or job["start_time"]["number"] < time.time()):
                if job["job_state"][0] == "PENDING" or not job["nodes"]:
                    continue
                self.started.setdefault(comment["gang"], set()).add(int(job["job_id"]))


@pytest.mark.timeout(300)  # ten starts, each with a Python that is loaded anew
def test_killed_at_ten_moments_amid_fifty_waiting_jobs(arena: Arena, begin: Begin) -> None:
    """Seeded SIGKILLs; in the end every gang ran exactly once, in exactly one Slurm job."""
    begin(Nodes(count=4))
    witness = Witness(arena.kubernetes, arena.slurm)
    witness.start()
    chance = random.Random(SEED)
    for number in range(JOBS):
        arena.create(manifests.job(f"job-{number:02}", NAMESPACE, gpus=8, cpu="1", run_s=1))
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.0, 1.0))
        arena.bridge.kill()
        arena.bridge.start(wait=bool(chance.getrandbits(1)))
    arena.bridge.wait_ready()

    def complete() -> bool:
        jobs = arena.kubernetes.get(f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs")["items"]
        return bool(sum(job["status"].get("succeeded", 0) for job in jobs) == JOBS)

    wait_for("all Jobs are complete", complete, seconds=120)
    arena.wait_idle()
    witness.stop()
    assert len(witness.bound) == JOBS
    assert set(Counter(map(len, witness.bound.values()))) == {1}, "a pod on two nodes"
    assert len(witness.started) == JOBS
    assert set(Counter(map(len, witness.started.values()))) == {1}, "two jobs for one gang"


def test_pods_deleted_while_the_bridge_is_down_leave_no_job(arena: Arena, begin: Begin) -> None:
    """The one that ran and the one that waited: both jobs are found without a gang, and ended."""
    begin(Nodes(count=1))
    arena.create(manifests.pod("runs", NAMESPACE, gpus=8))
    arena.wait_bound("runs")
    arena.create(manifests.pod("waits", NAMESPACE, gpus=8))
    wait_for("two jobs", lambda: len(arena.slurm.live_jobs()) == 2)
    arena.bridge.kill()
    arena.without_webhooks()
    for name in ("runs", "waits"):
        arena.delete_pod(name)
        arena.wait_gone(name)
    assert len(arena.slurm.live_jobs()) == 2
    arena.bridge.start()
    arena.wait_idle(seconds=40)


def test_only_jobs_of_this_cluster_are_ever_cancelled(arena: Arena, begin: Begin) -> None:
    """Other JSON in admin_comment, another cluster's, more than our key: somebody else's."""
    begin(Nodes(count=1))
    own = arena.kubernetes.get("/api/v1/namespaces/kube-system")["metadata"]["uid"]

    def comment(cluster: str, **more: object) -> str:
        ours = {"cluster": cluster, "gang": "nobody", "generation": 0, "owner": "Pod/x/y"}
        return json.dumps({names.ADMIN_COMMENT_KEY: ours, **more})

    others = [
        _somebodys(arena, text)
        for text in ("", "{}", '{"pods":["team/x"]}', comment("another"), comment(own, more=1))
    ]
    leak = _somebodys(arena, comment(own))
    wait_for("the leak is cancelled", lambda: arena.slurm.job(leak)["job_state"] == ["CANCELLED"],
             seconds=40)  # fmt: skip
    alive = {int(job["job_id"]) for job in arena.slurm.live_jobs()}
    for job_id in others:
        arena.slurm.cancel(job_id)
    assert set(others) <= alive


def _somebodys(arena: Arena, admin_comment: str) -> int:
    return arena.slurm.submit(
        name="somebody", partition="slurm-bridge", tasks=1, cpus_per_task=1,
        admin_comment=admin_comment,
        memory_per_node={"number": 64, "set": True, "infinite": False},
    )  # fmt: skip
