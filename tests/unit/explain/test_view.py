"""Who is meant by a name, and what is said of them, from the bridge's own state."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import pytest

from bridge.explain.place import Lines
from bridge.explain.rows import Story
from bridge.explain.view import Past, Sources, View, normal
from bridge.lifecycle import events as ev
from bridge.lifecycle.machine import GangMachine
from bridge.lifecycle.tuning import Tuning
from bridge.model.gang import Shortfall
from bridge.model.ids import GangId, NodeName, SlurmJobId, SlurmNodeName
from bridge.model.job import JobIdentity, JobSpec
from bridge.model.pod import Pod
from bridge.slurm.jobs import Job
from bridge.state import gang_view
from bridge.state.kube_state import KubeState
from bridge.state.slurm_facts import Capacities
from tests.builders import SCHEDULER, a_gang_job, a_node, a_pod, facts

NOW_S = 1_796_042_455.0
SEVEN = SlurmJobId(7)


@dataclass
class Ground:
    """A cluster of two nodes, and gangs as far as a test drives them."""

    cluster: KubeState = field(default_factory=lambda: KubeState(scheduler_name=SCHEDULER))
    machines: dict[GangId, GangMachine] = field(default_factory=dict)
    jobs: dict[SlurmJobId, Job] = field(default_factory=dict)
    past: list[Past] = field(default_factory=list)
    faults: dict[GangId, str] = field(default_factory=dict)
    capacities: Capacities = Capacities()

    def __post_init__(self) -> None:
        for name in ("n1", "n2"):
            self.cluster.upsert_node(a_node(name))

    @property
    def view(self) -> View:
        return View(
            Sources(
                cluster=self.cluster,
                machines=self.machines,
                fault_of=lambda gang: self.faults.get(gang, ""),
                past=lambda: self.past,
                job=self.jobs.get,
                lines=lambda: Lines(job for job in self.jobs.values() if job.pending),
                ids_of=lambda namespace: [
                    gang_id
                    for gang_id in self.cluster.gangs
                    if any(pod.namespace == namespace for pod in self.cluster.pods_of(gang_id))
                ],
                capacities=lambda: self.capacities,
                notes_of=lambda _: ("a note",),
            ),
            epoch_s=NOW_S - 100.0,
            now_s=NOW_S,
        )

    def add(self, *pods: Pod, job: object = None) -> GangMachine:
        if job is not None:
            self.cluster.upsert_owner(job)  # type: ignore[arg-type]
        for pod in pods:
            self.cluster.upsert_pod(pod)
        gang_id = self.cluster.gang_of(pods[0].uid)
        assert gang_id is not None
        machine = GangMachine(gang_id, single=self.cluster.is_single(gang_id), tuning=Tuning())
        machine.release()
        self.machines[gang_id] = machine
        view = gang_view.of(self.cluster, gang_id)
        problem = str(view.problem or "")
        machine.handle(ev.MembersSeen(view.gang, view.pods, view.owner, problem, view.ranks), 90.0)
        return machine

    def submit(self, machine: GangMachine, *, reason: str = "", state: str = "PENDING") -> None:
        gang = machine.known.gang
        assert gang is not None
        spec = JobSpec(
            JobIdentity("c", gang.id, 0, gang.owner), gang.owner, tasks=gang.size,
            cpus_per_task=1, partition="slurm-bridge",
        )  # fmt: skip
        machine.handle(ev.Submitted(SEVEN, spec), 91.0)
        nodes = ("n1",) if state == "RUNNING" else ()
        seen = facts(7, state, gang=gang.id, reason=reason, nodes=nodes)
        machine.handle(ev.JobObserved(replace(seen, tasks=gang.size)), 92.0)
        self.jobs[SEVEN] = Job(
            SEVEN, "team/train", frozenset({state}), reason=reason, partition="slurm-bridge",
            priority=5, nodes=tuple(map(SlurmNodeName, nodes)), submit_s=int(NOW_S) - 9,
        )  # fmt: skip

    def story(self, name: str, kind: str = "pod") -> Story:
        (gang_id,) = self.view.find("team", kind, name).gangs
        story = self.view.story(gang_id)
        assert story is not None
        return story


def members(size: int) -> Iterable[Pod]:
    job = a_gang_job(size=size)
    return [a_pod(f"train-{at}").of(job, at).asking(gpu=8).build() for at in range(size)]


def a_gang(size: int = 3) -> tuple[Ground, GangMachine]:
    ground = Ground()
    return ground, ground.add(*members(size), job=a_gang_job(size=size))


@pytest.mark.parametrize(
    ("written", "meant"),
    [("", "pod"), ("Pods", "pod"), ("po", "pod"), ("JobSet", "jobset"), ("jobs.batch", "job"),
     ("deploy", "deployment"), ("leaderworkersets", "leaderworkerset")],
)  # fmt: skip
def test_kinds_are_written_as_kubectl_takes_them(written: str, meant: str) -> None:
    """In the plural, in short, with their group."""
    assert normal(written) == meant


def test_a_gang_is_found_by_its_pods_and_by_its_owner() -> None:
    """In its namespace only."""
    ground, machine = a_gang()
    for kind, name in (("pod", "train-1"), ("job", "train"), ("jobs", "train")):
        assert ground.view.find("team", kind, name).gangs == (machine.id,)
    for namespace, kind, name in (("else", "job", "train"), ("team", "jobset", "train")):
        assert ground.view.find(namespace, kind, name).gangs == ()


def test_a_waiting_gang() -> None:
    """Slurm's reason, its place, the nodes by count, and what has happened."""
    ground, machine = a_gang()
    ground.submit(machine, reason="Resources")
    ground.jobs[SlurmJobId(6)] = replace(ground.jobs[SEVEN], id=SlurmJobId(6))
    story = ground.story("train-0")
    assert (story.gang.kind, story.gang.name, story.gang.state) == ("Job", "train", "Queued")
    assert "(Slurm: Resources)" in story.gang.message
    assert story.starts_when
    assert story.place is not None
    assert (story.place.ahead, story.place.waiting) == (1, 2)
    assert [(one.nodes, one.able) for one in story.nodes] == [(2, 2)]
    assert story.notes == ("a note",)
    assert [step.at_s for step in story.steps] == sorted(step.at_s for step in story.steps)
    assert story.steps[-1].text == "Submitted as Slurm job 7, which waits (Resources)."
    assert story.steps[-1].at_s == NOW_S - 9


def test_a_gang_that_no_node_can_take() -> None:
    """It says so, and what each node lacks."""
    ground = Ground()
    machine = ground.add(a_pod("big").asking(gpu=99).build())
    machine.handle(ev.SubmitFailed("no node can ever take this pod", lasting=True), 93.0)
    story = ground.story("big")
    assert story.gang.state == "Known"
    assert story.gang.message == "It is not queued in Slurm: no node can ever take this pod."
    assert story.nodes[0].able == 0
    assert story.nodes[0].out == ((2, "8 nvidia.com/gpu in all, 99 asked"),)
    assert story.place is None


def test_a_grant_that_cannot_be_used() -> None:
    """What is in the way on the granted nodes, and what follows."""
    ground, machine = a_gang(1)
    ground.submit(machine, state="RUNNING")
    machine.handle(ev.NotPlaced(SEVEN, Shortfall("2 pods still end on n1", for_now=True)), 94.0)
    machine.handle(ev.NotPlaced(SEVEN, Shortfall("a pod still ends on n1", for_now=True)), 95.0)
    story = ground.story("train-0")
    assert story.gang.message == "Slurm job 7 holds its nodes, but a pod still ends on n1."
    assert "when that room is free" in story.starts_when
    assert "could not be used at once: a pod still ends on n1." in story.steps[-1].text
    assert "2 pods still end" not in str(story.steps)


def test_pods_stand_in_the_order_of_their_numbers() -> None:
    """The tenth comes after the ninth."""
    ground, _ = a_gang(12)
    story = ground.story("train-0")
    assert [pod.name for pod in story.pods[-3:]] == ["train-9", "train-10", "train-11"]


def test_nodes_that_only_slurm_keeps_away() -> None:
    """Kubernetes knows neither drained nodes nor native jobs."""
    ground, machine = a_gang(1)
    ground.submit(machine, reason="Resources")
    ground.capacities = Capacities(
        out_of_service=frozenset({SlurmNodeName("n1")}), busy_cpus={SlurmNodeName("n2"): 4}
    )
    assert ground.story("train-0").notes[0] == (
        "Of 2 nodes with room in Kubernetes 1 is out of service in Slurm (drained, down) and "
        "1 is in use by jobs in Slurm"
    )


def test_one_that_is_over_and_one_that_is_gone() -> None:
    """As long as its pods are there, and from memory after that."""
    ground = Ground()
    pod = replace(a_pod("short").build(), phase="Succeeded", node_name=NodeName("n1"))
    machine = ground.add(pod)
    del ground.machines[machine.id]
    story = ground.story("short")
    assert story.gang.state == "Done"
    assert story.gang.message == "It is over: of its pods 1 succeeded."
    ground.past = [Past(story.gang, tuple(machine.history))]
    ground.cluster.remove_pod(pod.uid)
    found = ground.view.find("team", "pod", "short")
    assert not found.gangs
    assert ground.view.past_story(found.past[0]).gang.state == "Done"
    ground.past = [replace(ground.past[0], pods=("train-0",))]
    assert ground.view.find("team", "pod", "train-0").past
    assert not ground.view.find("else", "pod", "train-0").past
    assert not ground.view.find("team", "job", "train-0").past


def test_one_that_the_bridge_failed_at() -> None:
    """It says that it is no fault of its owner."""
    ground, machine = a_gang()
    del ground.machines[machine.id]
    ground.faults[machine.id] = "slurm-bridge failed"
    assert ground.story("train-0").gang.state == "SetAside"
    assert ground.story("train-0").gang.message == "slurm-bridge failed"


def test_the_queue_has_gangs_without_a_job_too() -> None:
    """With the reason; what is over is in no queue."""
    ground, machine = a_gang()
    row = ground.view.gang(machine.id)
    assert row is not None
    queued = ground.view.queued(row)
    assert queued is not None
    assert queued.job is None
    assert queued.message
    ground.submit(machine, reason="Priority")
    row = ground.view.gang(machine.id)
    assert row is not None
    queued = ground.view.queued(row)
    assert queued is not None
    assert queued.job is not None
    assert (queued.job.id, queued.job.reason, queued.pods) == (SEVEN, "Priority", 3)
    assert ground.view.queued(replace(row, state="Done")) is None
