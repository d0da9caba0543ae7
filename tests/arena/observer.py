"""Watches both sides from outside while a story runs, and judges every sample.

Ten times a second it reads Slurm's jobs, Kubernetes' pods, and the jobs once more, and holds:

- a bound, unfinished pod is on a node that its job holds (at one of the two reads), unless the
  job has ended less than `reaction_s` ago and the pod is being ended for it, or an admin has taken
  the node off the job (`taken_off`) less than `shrink_reaction_s` ago; pods that end after
  others of their gang (`spares`) have more time;
- on no node do such pods use more GPUs than Slurm's running jobs hold there;
- where neither side is on the move (the jobs were the same at both reads and every task of each
  has its bound pod), the GPUs are equal, node by node (but for exclusive jobs, which hold all);
- on no node do pods, terminating ones included, use more GPUs than it has.
"""

import contextlib
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import httpx2

from bridge import names
from bridge.model.job import JobIdentity
from bridge.slurm import identity
from tests.arena.api import Kubernetes, Object, Slurm, gpus_by_node, state

_JOB_NAME = "batch.kubernetes.io/job-name"


@dataclass
class Report:
    """What was seen."""

    samples: int = 0
    compared: int = 0
    """Node comparisons in which neither side was on the move."""
    compared_busy: int = 0
    """Those of them with GPUs in use."""
    faults: list[str] = field(default_factory=list)
    jobs: set[int] = field(default_factory=set)
    bound: set[str] = field(default_factory=set)
    """uids of pods seen bound."""
    gang_of: dict[int, str] = field(default_factory=dict)
    """Gang of each job of the bridge's."""
    used: set[int] = field(default_factory=set)
    """Jobs that some pod was bound under."""

    @property
    def most_unused(self) -> int:
        """Jobs that no pod was ever bound under, of the gang that had the most of them."""
        unused = Counter(gang for job, gang in self.gang_of.items() if job not in self.used)
        return max(unused.values(), default=0)


class Observer:
    """Samples in a thread between `start` and `stop`."""

    def __init__(
        self,
        kubernetes: Kubernetes,
        slurm: Slurm,
        *,
        scheduler_name: str = names.SCHEDULER_NAME,
        reaction_s: float = 5.0,
        shrink_reaction_s: float = 20.0,
        every_s: float = 0.1,
    ) -> None:
        """Nothing but reading a job, every ten seconds, tells the bridge that it was shrunk."""
        self.report = Report()
        self._kubernetes = kubernetes
        self._slurm = slurm
        self._selector = f"spec.schedulerName={scheduler_name}"
        self._reaction_s = reaction_s
        self._shrink_reaction_s = shrink_reaction_s
        self._spared_s: dict[str | None, float] = {}
        self._taken_off: set[tuple[int, str]] = set()
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._unrunning_since: dict[str, float] = {}
        self._error: BaseException | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def taken_off(self, job_id: int, node: str) -> None:
        """An admin is about to take this node off the job."""
        self._taken_off.add((job_id, node))

    def spares(self, kubernetes_job: str, spared_s: float) -> None:
        """The pods of this Job end after those of others, so much later at the most."""
        self._spared_s[kubernetes_job] = spared_s

    def stop(self) -> Report:
        """End; the report. Fails if anything was wrong at any sample."""
        self._stop.set()
        assert self._thread is not None
        self._thread.join(timeout=60)
        if self._error is not None:
            raise self._error
        assert not self.report.faults, "\n".join(self.report.faults[:20])
        return self.report

    def _run(self) -> None:
        try:
            while not self._stop.wait(self._every_s):
                with contextlib.suppress(httpx2.TransportError):  # a story took a side away
                    self.sample()
        except BaseException as error:  # told by stop()
            self._error = error

    def sample(self) -> None:
        """One look at both sides."""
        before = {int(job["job_id"]): job for job in self._slurm.jobs()}
        pods = self._kubernetes.get("/api/v1/pods", fieldSelector=self._selector)["items"]
        after = {int(job["job_id"]): job for job in self._slurm.jobs()}
        nodes = {
            node["metadata"]["name"]: node
            for node in self._kubernetes.get("/api/v1/nodes")["items"]
        }
        self.judge(before, pods, after, nodes)

    def judge(
        self,
        before: dict[int, Object],
        pods: list[Object],
        after: dict[int, Object],
        nodes: dict[str, Object],
    ) -> None:
        """Hold one sample against the rules."""
        report = self.report
        report.samples += 1
        report.jobs |= before.keys() | after.keys()
        for job_id, job in {**before, **after}.items():
            whose = identity.parse(str(job.get("admin_comment") or ""))
            if job_id not in report.gang_of and isinstance(whose, JobIdentity):
                report.gang_of[job_id] = whose.gang.partition("#")[0]
        held_before, held_after = _held(before), _held(after)
        used: Counter[str] = Counter()
        all_used: Counter[str] = Counter()
        tasks: dict[int, int] = defaultdict(int)
        for pod in pods:
            node = pod["spec"].get("nodeName")
            if not node or pod["status"].get("phase") in ("Succeeded", "Failed"):
                continue
            report.bound.add(pod["metadata"]["uid"])
            all_used[node] += _gpus(pod)
            job_id = int(pod["metadata"].get("labels", {}).get(names.JOB_ID_LABEL, -1))
            report.used.add(job_id)
            slurm_name = _slurm_name(nodes.get(node), node)
            job_id = _component({**before, **after}, held_before, job_id, slurm_name)
            job_id = _component({**before, **after}, held_after, job_id, slurm_name)
            if slurm_name in held_before.get(job_id, {}) or slurm_name in held_after.get(
                job_id, {}
            ):
                self._unrunning_since.pop(pod["metadata"]["uid"], None)
                used[node] += _gpus(pod)
                tasks[job_id] += 1
            elif (job_id, slurm_name) in self._taken_off:
                self._without_job(pod, job_id, node, self._shrink_reaction_s)
            elif job_id in held_before or job_id in held_after:
                self._fault(f"pod {_name(pod)} runs on {node}, off the allocation of job {job_id}")
            else:
                self._without_job(pod, job_id, node, self._reaction_s)
        for node, count in all_used.items():
            if node not in nodes:
                continue  # a story took it away
            has = int(nodes[node]["status"]["allocatable"].get("nvidia.com/gpu", 0))
            if count > has:
                self._fault(f"node {node} has {has} GPUs, its pods use {count}")
        self._compare(before, after, used, tasks, nodes)

    def _compare(
        self,
        before: dict[int, Object],
        after: dict[int, Object],
        used: Counter[str],
        tasks: dict[int, int],
        nodes: dict[str, Object],
    ) -> None:
        ours = {_slurm_name(node, name): name for name, node in nodes.items()}
        held_before, held_after = _held(before), _held(after)
        for slurm_name, name in ours.items():
            here = {job for job, held in held_before.items() if slurm_name in held}
            here_after = {job for job, held in held_after.items() if slurm_name in held}
            most = max(
                sum(held_before[job][slurm_name] for job in here),
                sum(held_after[job][slurm_name] for job in here_after),
                sum(
                    held.get(job, {}).get(slurm_name, 0)
                    for job in here | here_after
                    for held in [held_before if job in held_before else held_after]
                ),
            )
            if used[name] > most:
                self._fault(f"node {name}: pods use {used[name]} GPUs, Slurm gave {most}")
            settled = here == here_after and all(tasks[job] == _tasks(job, before) for job in here)
            unlike = any(_exclusive(before[job]) or _shares_tasks(before[job]) for job in here)
            if settled and not unlike:
                self.report.compared += 1
                self.report.compared_busy += bool(most)
                if used[name] != most:
                    self._fault(f"node {name}: pods use {used[name]} GPUs, Slurm holds {most}")

    def _without_job(self, pod: Object, job_id: int, node: str, reaction_s: float) -> None:
        """Its job is over, or off its node: the pod must be on its way out, soon."""
        since = self._unrunning_since.setdefault(pod["metadata"]["uid"], time.monotonic())
        late_s = time.monotonic() - since
        spared_s = self._spared_s.get(pod["metadata"].get("labels", {}).get(_JOB_NAME), 0.0)
        if late_s > reaction_s + spared_s and "deletionTimestamp" not in pod["metadata"]:
            self._fault(f"pod {_name(pod)} runs on {node} {late_s:.1f} s after job {job_id} ended")

    def _fault(self, text: str) -> None:
        self.report.faults.append(f"sample {self.report.samples}: {text}")


def _held(jobs: dict[int, Object]) -> dict[int, dict[str, int]]:
    """GPUs by node of each running job; a het job's under its first component."""
    found: dict[int, dict[str, int]] = {}
    for job_id, job in jobs.items():
        if state(job) == "RUNNING" and (job.get("job_resources") or {}).get("nodes"):
            first = job["het_job_id"]["number"] or job_id
            found.setdefault(first, {}).update(gpus_by_node(job))
    return found


def _tasks(job_id: int, jobs: dict[int, Object]) -> int:
    """Of a job, or of all components of a het job."""
    return sum(
        int(job["tasks"]["number"])
        for number, job in jobs.items()
        if number == job_id or job["het_job_id"]["number"] == job_id
    )


def _shares_tasks(job: Object) -> bool:
    """Its tasks are larger than its pods, or fewer: what they hold says nothing pod by pod."""
    return "ride along" in job["comment"] or "largest pod" in job["comment"]


def _component(
    jobs: dict[int, Object], held: dict[int, dict[str, int]], job_id: int, node: str
) -> int:
    """Of a het job, the component that holds the node; any other job is its own."""
    for one, there in held.items():
        if node in there and int(jobs[one]["het_job_id"]["number"]) == job_id:
            return one
    return job_id


def _exclusive(job: Object) -> bool:
    """Such a job holds all that its nodes have, whatever its pods use.

    Slurm does not say it of a job; but then it has more CPUs than its tasks asked for.
    """
    asked = job["tasks"]["number"] * job["cpus_per_task"]["number"]
    return bool(job["cpus"]["number"] > asked)


def _gpus(pod: Object) -> int:
    containers = pod["spec"]["containers"]
    return sum(
        int((c.get("resources", {}).get("limits") or {}).get("nvidia.com/gpu", 0))
        for c in containers
    )


def _slurm_name(node: Object | None, name: str) -> str:
    labels = node["metadata"].get("labels", {}) if node else {}
    return str(labels.get(names.SLURM_NODE_NAME_LABEL) or name)


def _name(pod: Object) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
