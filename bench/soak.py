"""Hours of churn in minutes: users, admins and failures at work, and then nothing lost or leaked.

Whoever uses a cluster does so without end: creates Jobs, gangs and pods, deletes them, suspends
them, cancels them in Slurm; nodes are cordoned, pods evicted. In the first half of the time the
bridge is also killed, slurmrestd goes away, the API server restarts. Then everybody stops. What
must hold:

- at every moment, as the stories' observer judges it: no pod is off its job's allocation, no node
  gives more GPUs than it has, no pod outlives its job;
- in the end every Job that was not deleted is complete, and Slurm holds nothing;
- no gang is submitted again and again for nothing;
- the bridge's memory and open files do not grow in the second half, where it is not killed.

    python -m bench.soak --minutes 3 --seed 10 --stack embedded
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from bench.flood import stack
from bench.report import Report
from tests.arena import manifests
from tests.arena.api import Object, wait_for
from tests.arena.arena import NAMESPACE, Arena, Nodes, node_of, phase

JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
_PATIENT = 10_000
"""A backoffLimit: pods that somebody has deleted count. For each index on its own, else a Job whose
six pods were ended at once waits five minutes before its next try (docs/workloads.md)."""
_IGNORE_DISRUPTIONS = {
    "rules": [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    ]
}
_MOST_PODS = 150
_CALM_S = 400.0
_GROWTH = 1.3
_MOST_UNUSED = 10
"""Jobs of one gang that no pod ran under. Some are cancelled, suspended or lose their node before
that; a gang that is submitted again and again for nothing has many more."""


class Soak:
    """One run of it."""

    def __init__(self, arena: Arena, chance: random.Random) -> None:
        self.arena = arena
        self.acts: Counter[str] = Counter()
        self.samples: list[dict[str, float]] = []
        self._chance = chance
        self._born = 0
        self._kubernetes, self._slurm = arena.kubernetes, arena.slurm

    # -- what people do ------------------------------------------------------------------------

    def a_job(self) -> None:
        """Independent pods, some of them in waves."""
        count = self._chance.randint(1, 6)
        self._create_job(count=count, parallelism=self._chance.randint(1, count))

    def a_gang(self) -> None:
        """Pods that address each other."""
        self._create_job(count=self._chance.randint(2, 6), gang=True)

    def a_pod(self) -> None:
        """It runs until it is deleted."""
        name = self._name("pod")
        self.arena.create(manifests.pod(name, NAMESPACE, gpus=self._gpus()))

    def deletes_something(self) -> None:
        """A Job or a pod, whatever it is doing."""
        jobs = [job["metadata"]["name"] for job in self._jobs()]
        bare = [pod["metadata"]["name"] for pod in self._pods() if _is_bare(pod)]
        if jobs and self._chance.random() < 0.3:
            self.arena.delete_job(self._chance.choice(jobs))
        elif bare:
            self.arena.delete_pod(self._chance.choice(bare))

    def suspends_or_resumes(self) -> None:
        """A Job."""
        going = [job for job in self._jobs() if not _is_complete(job)]
        if going:
            job = self._chance.choice(going)
            self._suspend(job, not job["spec"].get("suspend"))

    def cancels_in_slurm(self) -> None:
        """scancel, of a job that waits or runs."""
        jobs = self._slurm.live_jobs()
        if jobs:
            self._slurm.cancel(int(self._chance.choice(jobs)["job_id"]))

    def evicts_a_pod(self) -> None:
        """Somebody deletes a pod that runs; its Job replaces it."""
        running = [p for p in self._pods() if phase(p) == "Running" and not _is_bare(p)]
        if running:
            self.arena.delete_pod(self._chance.choice(running)["metadata"]["name"])

    def cordons_a_node(self) -> None:
        """Or uncordons it."""
        node = self._chance.choice(self._nodes())
        self.arena.cordon(node["metadata"]["name"], not node["spec"].get("unschedulable"))

    # -- what goes wrong -----------------------------------------------------------------------

    def the_bridge_is_killed(self) -> None:
        """At any moment."""
        self.arena.bridge.kill()
        self.arena.bridge.start()

    def slurmrestd_goes_away(self) -> None:
        """For a second."""
        self.arena.stop_slurm()
        time.sleep(1)
        self.arena.start_slurm()

    def the_api_server_restarts(self) -> None:
        """All watches end."""
        self.arena.restart_kubernetes()

    # -- the run -------------------------------------------------------------------------------

    def churn(self, seconds: float, *, faults: bool) -> None:
        """Acts in drawn order for so long; about five a second."""
        often: list[tuple[int, Callable[[], None]]] = [
            (12, self.a_job),
            (6, self.a_gang),
            (6, self.a_pod),
            (8, self.deletes_something),
            (3, self.suspends_or_resumes),
            (4, self.cancels_in_slurm),
            (3, self.evicts_a_pod),
            (2, self.cordons_a_node),
        ]
        if faults:
            often += [
                (3, self.the_bridge_is_killed),
                (1, self.slurmrestd_goes_away),
                (1, self.the_api_server_restarts),
            ]
        weights = [weight for weight, _ in often]
        end_s = time.monotonic() + seconds
        tell_s = 0.0
        while (now_s := time.monotonic()) < end_s:
            if now_s >= tell_s:
                self.sample(end_s - now_s)
                tell_s = now_s + 5
            (act,) = self._chance.choices([act for _, act in often], weights)
            name = act.__name__
            if name in ("a_job", "a_gang", "a_pod") and len(self._pods()) > _MOST_PODS:
                act = self.deletes_something
            self._do(act)
            time.sleep(self._chance.uniform(0.05, 0.3))

    def calm(self) -> list[str]:
        """Everybody stops. How those Jobs stand that are not complete all the same."""
        for node in self._nodes():
            self.arena.cordon(node["metadata"]["name"], False)
        for pod in self._pods():
            if _is_bare(pod):
                self.arena.delete_pod(pod["metadata"]["name"])
        for job in self._jobs():
            if job["spec"].get("suspend"):
                self._suspend(job, False)

        def unfinished() -> list[Object]:
            return [job for job in self._jobs() if not _is_complete(job)]

        try:
            wait_for("all Jobs are complete", lambda: not unfinished(), seconds=_CALM_S)
        except AssertionError:
            return [self._story(job) for job in unfinished()]
        return []

    def refusals(self) -> int:
        """Events of pods that a kubelet did not take: nodes that were fuller than anybody knew."""
        events = self._kubernetes.events(NAMESPACE)
        return sum("the kubelet of" in str(event.get("note")) for event in events)

    def _story(self, job: Object) -> str:
        """What its author can read of it."""
        name = job["metadata"]["name"]
        head = f"{name} is not complete: spec {job['spec']}, status {job.get('status')}"
        return "\n  ".join([head, *self.arena.story(of_job=name)])

    def _do(self, act: Callable[[], None]) -> None:
        self.acts[act.__name__] += 1
        act()

    def sample(self, left_s: float) -> None:
        """How it stands, for whoever waits and for the comparison in the end."""
        pods = self._pods()
        bound = sum(bool(node_of(pod)) for pod in pods)
        pid = self.arena.bridge.pid
        assert pid is not None, f"the bridge has ended:\n{self.arena.bridge.log()[-3000:]}"
        sample = {"rss_mib": _rss_mib(pid), "files": len(list(Path(f"/proc/{pid}/fd").iterdir()))}
        self.samples.append(sample)
        assert self.arena.observer is not None
        seen = self.arena.observer.report
        print(
            f"{left_s:4.0f} s to go: {sum(self.acts.values())} acts, {len(pods)} pods,"
            f" {bound} bound, {len(seen.jobs)} Slurm jobs so far, {len(seen.faults)} faults,"
            f" bridge {sample['rss_mib']:.0f} MiB, {sample['files']:.0f} files",
            flush=True,
        )

    def _create_job(self, **fields: object) -> None:
        job = manifests.job(
            self._name("job"),
            NAMESPACE,
            run_s=self._chance.uniform(0.5, 6),
            backoff_limit=_PATIENT,
            gpus=self._gpus(),
            **fields,  # type: ignore[arg-type]
        )
        job["spec"] |= {
            "completionMode": "Indexed",
            "backoffLimitPerIndex": _PATIENT,
            "podFailurePolicy": _IGNORE_DISRUPTIONS,
        }
        self.arena.create(job)

    def _name(self, kind: str) -> str:
        self._born += 1
        return f"{kind}-{self._born}"

    def _gpus(self) -> int:
        return self._chance.choice((1, 1, 2, 4, 8))

    def _jobs(self) -> list[Object]:
        jobs: list[Object] = self._kubernetes.get(JOBS)["items"]
        return [job for job in jobs if "deletionTimestamp" not in job["metadata"]]

    def _pods(self) -> list[Object]:
        return self._kubernetes.pods(NAMESPACE)

    def _nodes(self) -> list[Object]:
        nodes: list[Object] = self._kubernetes.get("/api/v1/nodes")["items"]
        return nodes

    def _suspend(self, job: Object, suspended: bool) -> None:
        path = f"{JOBS}/{job['metadata']['name']}"
        if self._kubernetes.find(path) is not None:
            self._kubernetes.patch(path, {"spec": {"suspend": suspended}})


def _is_bare(pod: Object) -> bool:
    return not pod["metadata"].get("ownerReferences")


def _is_complete(job: Object) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "Complete" and one["status"] == "True" for one in conditions)


def _rss_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def run(arena: Arena, *, minutes: float, seed: int) -> Report:
    """The whole soak on a stack; its report."""
    report = Report("soak", seed)
    soak = Soak(arena, random.Random(seed))
    half_s = minutes * 30
    with tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as folder:
        arena.begin(Path(folder), Nodes(count=8, per_leaf=4))
        observer = arena.observer
        assert observer is not None
        soak.churn(half_s, faults=True)
        soak.samples.clear()
        soak.churn(half_s, faults=False)
        unfinished = soak.calm()
        soak.sample(0)
        leaked, refused = _leaked(arena), soak.refusals()
        print("\n".join([*observer.report.faults[:20], *unfinished]))
        seen = observer.report
        faults = len(seen.faults)
        seen.faults.clear()  # told above and below; `finish` would stop at them
        arena.finish()
    for name, count in sorted(soak.acts.items()):
        report.row(act=name.replace("_", " "), times=count)
    report.row(act="Slurm jobs seen", times=len(seen.jobs))
    report.row(act="pods seen bound", times=len(seen.bound))
    report.row(act="pods refused by a kubelet", times=refused)
    report.row(act="looks at both sides", times=seen.samples)
    report.at_most("faults seen (pods off their allocation, GPUs given twice)", faults, 0)
    report.at_most("Jobs not complete in the end", len(unfinished), 0)
    report.at_most("jobs left in Slurm", leaked, 0)
    report.at_most("jobs of one gang that no pod ran under", seen.most_unused, _MOST_UNUSED)
    for what, unit in (("rss_mib", "MiB"), ("files", "files")):
        grown = _growth([sample[what] for sample in soak.samples])
        report.at_most(f"bridge, {unit}: last third per first third", grown, _GROWTH, "x")
    report.at_least("looks at both sides", seen.samples, 1)
    return report


def _leaked(arena: Arena) -> int:
    try:
        arena.wait_idle(seconds=60)
    except AssertionError:
        return len(arena.slurm.live_jobs())
    return 0


def _growth(values: list[float]) -> float:
    """The largest of the last third in terms of the largest of the first."""
    third = max(1, len(values) // 3)
    return max(values[-third:]) / max(values[:third])


def main(arguments: list[str] | None = None) -> int:
    """Run it; the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        prog="python -m bench.soak",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=3.0, help="of churn")
    parser.add_argument("--seed", type=int, default=10)
    parser.add_argument("--stack", choices=("embedded", "real"), default="embedded")
    asked = parser.parse_args(arguments)
    arena = stack(asked.stack)
    try:
        report = run(arena, minutes=asked.minutes, seed=asked.seed)
    finally:
        arena.close()
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
