"""What became of each workload, told from one snapshot after the other (pure)."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

from bridge.sim.demo.scenario import Scenario, Workload
from bridge.sim.demo.snapshot import Node, Pod, SlurmJob, Snapshot


@dataclass(frozen=True, slots=True)
class Happening:
    """Something worth a line, in a full sentence and in a few words; `at_s` in the run's time."""

    at_s: float
    workload: str
    text: str
    short: str


@dataclass(slots=True)
class Story:
    """One workload so far; times in the run's seconds, None while it has not happened."""

    workload: Workload
    arrived_s: float | None = None
    started_s: float | None = None
    """When all pods of a gang had been bound, or the first of the others."""
    running_since_s: float | None = None
    """When its present Slurm job was first seen running."""
    done_s: float | None = None
    slurm_jobs: set[int] = field(default_factory=set)
    preempted: int = 0
    """How many of its Slurm jobs had to make way."""
    nodes: set[str] = field(default_factory=set)
    """Those of its last run."""
    waits: dict[str, float] = field(default_factory=dict)
    """Pod uid → seconds from its creation to its binding."""

    @property
    def waited_s(self) -> float | None:
        """What its pods waited: the median, None before one was bound."""
        return median(self.waits.values()) if self.waits else None


class Timeline:
    """All stories, and the happenings since anybody asked."""

    def __init__(self, scenario: Scenario, nodes: Iterable[Node]) -> None:
        self.scenario = scenario
        self.nodes = {node.name: node for node in nodes}
        leaves = dict.fromkeys(
            node.leaf for node in sorted(self.nodes.values(), key=lambda one: one.switches)
        )
        self.leaves = {leaf: number for number, leaf in enumerate(leaves, start=1)}
        """Leaf switches in the fabric's order, numbered for people."""
        self.stories = {one.name: Story(one) for one in scenario.workloads}
        self.snapshot = Snapshot(0.0, 0.0)
        """The last one."""
        self.busy_gpu_s = 0.0
        """GPUs that pods held, times seconds."""
        self._first_seen_s: dict[str, float] = {}
        self._states: dict[int, str] = {}
        self._news: list[Happening] = []

    def arrived(self, name: str, at_s: float) -> None:
        """Its author has submitted it."""
        story = self.stories[name]
        story.arrived_s = at_s
        kind = "gang of " if story.workload.gang else ""
        self._tell(
            at_s,
            name,
            f"submitted: {kind}{_counted(story.workload.pods, 'pod')} × {story.workload.gpus} GPU",
            f"submitted, {story.workload.wants} GPUs",
        )

    def take(self, snapshot: Snapshot) -> None:
        """The next snapshot."""
        held = sum(pod.gpus for pod in self.snapshot.pods if pod.holds)
        self.busy_gpu_s += held * (snapshot.at_s - self.snapshot.at_s)
        self.snapshot = snapshot
        by_workload: dict[str, list[Pod]] = {}
        for pod in snapshot.pods:
            by_workload.setdefault(pod.workload, []).append(pod)
            first_s = self._first_seen_s.setdefault(pod.uid, self._created_s(pod, snapshot.at_s))
            story = self.stories.get(pod.workload)
            if story is not None and pod.node and pod.uid not in story.waits:
                story.waits[pod.uid] = snapshot.at_s - first_s
        preempted: Counter[str] = Counter()
        for job in snapshot.after.values():
            preempted[job.workload] += self._take_job(job, snapshot.at_s)
        for name in +preempted:
            who = f"{preempted[name]} of its Slurm jobs make" if preempted[name] > 1 else "it makes"
            self._tell(
                snapshot.at_s, name, f"preempted: {who} way and will wait again", "preempted"
            )
        for name, pods in by_workload.items():
            if name in self.stories:
                self._take_pods(self.stories[name], pods, snapshot.at_s)
        for name in snapshot.complete & self.stories.keys():
            story = self.stories[name]
            if story.done_s is None:
                story.done_s = snapshot.at_s
                self._tell(snapshot.at_s, name, "complete", "complete")

    def news(self) -> list[Happening]:
        """What has happened since the last call."""
        news, self._news = self._news, []
        return news

    @property
    def pods_run(self) -> int:
        """How many pods came to their good end."""
        return sum(self.snapshot.succeeded.values())

    @property
    def nodes_per_leaf(self) -> int:
        """How many nodes hang on a leaf switch."""
        return max(Counter(node.leaf for node in self.nodes.values()).values(), default=1)

    @property
    def all_done(self) -> bool:
        """Every workload is complete."""
        return all(story.done_s is not None for story in self.stories.values())

    @property
    def done(self) -> int:
        """How many workloads are complete."""
        return sum(story.done_s is not None for story in self.stories.values())

    def counts(self) -> Counter[str]:
        """How many pods are gated, pinned, bound, ended, and how many have finished."""
        counts = Counter(_stage(pod) for pod in self.snapshot.pods if pod.phase != "Succeeded")
        counts["finished"] = self.pods_run
        return counts

    def leaves_of(self, nodes: Iterable[str]) -> list[int]:
        """Numbers of the leaf switches above these nodes."""
        return sorted({self.leaves[self.nodes[node].leaf] for node in nodes if node in self.nodes})

    def utilization(self) -> float:
        """Share of all GPU seconds in which a pod held the GPU, 0 to 1."""
        span_s = self.snapshot.at_s
        return self.busy_gpu_s / (self.scenario.gpus * span_s) if span_s else 0.0

    def _created_s(self, pod: Pod, at_s: float) -> float:
        """A pod is as old as its Job, unless it came in the place of another one."""
        story = self.stories.get(pod.workload)
        if story is None or story.arrived_s is None or story.preempted:
            return at_s
        return story.arrived_s

    def _take_job(self, job: SlurmJob, at_s: float) -> bool:
        """Whether it was preempted."""
        story = self.stories.get(job.workload)
        before = self._states.get(job.id, "")
        if story is None or before == job.state:
            return False
        self._states[job.id] = job.state
        story.slurm_jobs.add(job.id)
        if job.state == "RUNNING":
            story.running_since_s = at_s
        if job.state == "RUNNING" and story.workload.gang:
            story.nodes = set(job.gpus)
        elif job.state == "RUNNING":
            story.nodes |= job.gpus.keys()
        story.preempted += job.state == "PREEMPTED"
        return job.state == "PREEMPTED"

    def _take_pods(self, story: Story, pods: Sequence[Pod], at_s: float) -> None:
        bound = [pod for pod in pods if pod.node]
        enough = story.workload.pods if story.workload.gang else 1
        if story.started_s is not None or len(bound) < enough:
            return
        story.started_s = at_s
        story.nodes |= {pod.node for pod in bound}
        nodes = _counted(len(story.nodes), "node")
        leaves = len(self.leaves_of(story.nodes))
        where = f"on {nodes}, {leaves} {'leaf' if leaves == 1 else 'leaves'}"
        after = "" if story.waited_s is None else f", after {story.waited_s:.1f} s"
        what = f"Slurm job {bound[0].slurm_job}" if story.workload.gang else "its first pods"
        name = story.workload.name
        self._tell(at_s, name, f"started: {what} {where}{after}", f"runs {where}")

    def _tell(self, at_s: float, workload: str, text: str, short: str) -> None:
        self._news.append(Happening(at_s, workload, text, short))


def _stage(pod: Pod) -> str:
    if pod.ended or pod.ending:
        return "ended"
    if pod.node:
        return "bound"
    return "gated" if pod.gated else "pinned"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number != 1 else ''}"
