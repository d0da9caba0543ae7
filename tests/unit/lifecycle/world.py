"""A toy world around one machine: it performs instructions when told to, in any order.

Nothing here decides: jobs start, end and vanish, pods come and go as the test says. What the
world asserts is what must never happen, whatever the order.
"""

from collections import deque
from dataclasses import dataclass, field, replace

from bridge import names
from bridge.gangs.progress import ranges
from bridge.lifecycle import events as ev
from bridge.lifecycle import instructions as do
from bridge.lifecycle.job_run import JobRun
from bridge.lifecycle.machine import GangMachine
from bridge.lifecycle.state import State
from bridge.lifecycle.tuning import Tuning
from bridge.model.gang import Assignment, Gang, JobParameters, Rank, Role, Shortfall
from bridge.model.ids import GangId, NodeName, PodUid, SlurmJobId
from bridge.model.job import Allocation, JobFacts, JobIdentity, JobSpec
from bridge.model.owner import OwnerWill
from bridge.model.pod import Pod
from tests.builders import a_gang_job, a_pod, facts, gang_for, held_by

TUNING = Tuning()


@dataclass
class World:
    """One gang of `size` pods owned by a Job (or one bare pod)."""

    size: int = 3
    single: bool = False
    now_s: float = 100.0
    owner: OwnerWill = "creates"
    jobs: dict[SlurmJobId, JobFacts] = field(default_factory=dict)
    pods: dict[PodUid, Pod] = field(default_factory=dict)
    todo: list[do.Instruction] = field(default_factory=list)
    """Requests that were asked for and not answered yet."""
    forgotten: bool = False
    next_job: int = 1
    born: int = 0
    dead_nodes: set[str] = field(default_factory=set)
    """Nodes that do not answer."""
    taken_off: set[str] = field(default_factory=set)
    """Nodes that an admin took off a job: a pin that is under way may still go there."""
    busy_nodes: set[str] = field(default_factory=set)
    told: list[do.EmitEvent] = field(default_factory=list)
    conditions: list[do.SetCondition] = field(default_factory=list)
    avoided: list[str] = field(default_factory=list)
    avoids: list[do.AvoidNode] = field(default_factory=list)
    whole_first: bool = False
    staged: bool = False
    lost: set[PodUid] = field(default_factory=set)
    """Pods whose node does not answer."""
    roles: tuple[int, ...] = ()
    """The sizes of a gang of several roles; rank 102 is index 2 of role 1."""
    restarts_whole: bool = False
    unknown_nodes: bool = False
    """Whether Kubernetes does not know the nodes of jobs."""
    split: list[Pod] = field(default_factory=list)
    """Pods that are gangs of their own by now."""
    unready: str = ""
    """Which claim keeps pods that have no place yet from running."""
    misfits: dict[PodUid, str] = field(default_factory=dict)
    """Pods that can't run where the slot is that they find free, and why."""
    user: str = ""
    """Who its job is."""
    constraints: str = ""
    """What the nodes that there are let a job ask for."""
    second: str = ""
    """The same for the second component of its job; "" where its job has only one."""
    shortage: str = ""
    """Why the nodes that there are can't take the gang's job."""
    judged: frozenset[PodUid] = frozenset()
    """Pods whose Job says what a disruption means."""
    wake_s: float | None = None
    """When the machine's timer rings."""
    inbox: deque[ev.Event] = field(default_factory=deque)
    """Events whose instructions are being performed, and those that came of them."""
    sink: bool = False
    """Whether a sink answers for the nodes."""
    touched: bool = False
    """Its pods are to be looked at, when nothing more comes of what has happened."""

    def __post_init__(self) -> None:
        self.job = a_gang_job(size=self.size)
        self.gang_id = GangId("uid-web") if self.single else held_by(self.job)
        self.machine = self._machine()

    def _machine(self) -> GangMachine:
        return GangMachine(self.gang_id, single=self.single, tuning=TUNING)

    # -- what happens outside ------------------------------------------------------------------

    def create(self, index: int | None = None) -> Pod:
        """The owner makes a pod (or the user the bare one)."""
        self.born += 1
        if self.single:
            pod = a_pod("web").build()
        else:
            taken = {p.completion_index for p in (*self.pods.values(), *self.split) if not p.ended}
            free = [i for i in range(self.size) if i not in taken]
            rank = index if index is not None else (free[0] if free else None)
            pod = a_pod(f"train-{self.born}").of(self.job, rank).build()
        self.pods[pod.uid] = pod
        self.see()
        return pod

    def change(self, uid: PodUid, **changes: object) -> None:
        """A pod's row changes at the API server, and the watch says so."""
        self.pods[uid] = replace(self.pods[uid], **changes)  # type: ignore[arg-type]
        self.see()

    def succeed(self, *ranks: int) -> None:
        """These ranks' pods succeed, which the Job's status counts."""
        done = ",".join(filter(None, [self.job.completed_indexes, *map(str, ranks)]))
        self.job = replace(self.job, completed_indexes=done)
        for pod in list(self.pods.values()):
            if pod.completion_index not in ranks or pod.ended or pod.uid not in self.pods:
                continue
            if pod.job_id:
                self.change(pod.uid, phase="Succeeded")

    def scale(self, size: int) -> None:
        """The owner wants so many pods from now on; those beyond are being deleted."""
        self.size = size
        self.job = replace(self.job, parallelism=size, completions=size)
        for pod in [pod for pod in self.pods.values() if (pod.completion_index or 0) >= size]:
            if not pod.ended:
                self.pods[pod.uid] = replace(pod, deleting=True)
        self.split = [pod for pod in self.split if (pod.completion_index or 0) < size]
        self.see()

    def lacking(self) -> list[int]:
        """The indexes for which the owner makes pods now."""
        done = {index for first, last in ranges(self.job.completed_indexes)
                for index in range(first, last + 1)}  # fmt: skip
        live = [pod for pod in self.pods.values() if not (pod.ended or pod.deleting)]
        there = {pod.completion_index for pod in (*live, *self.split)}
        return [index for index in range(self.size) if index not in done | there]

    def remove(self, uid: PodUid) -> None:
        """The pod is gone from the API server."""
        self.pods.pop(uid, None)
        self.see()

    def see(self) -> None:
        """Tell the machine of its pods, as the runner does."""
        pods = tuple(self.pods.values())
        ranks = {pod.uid: self._rank(pod.completion_index) for pod in pods}
        placeless = any(pod.job_id is None and not pod.ended and not pod.deleting for pod in pods)
        why = self.unready if placeless else ""
        self.tell(
            ev.MembersSeen(
                self._gang(),
                pods,
                self.owner,
                "",
                ranks,
                waits_for=why,
                lost=frozenset(pod.uid for pod in pods if pod.deleting and pod.uid in self.lost),
                judged=self.judged & self.pods.keys(),
            )
        )

    def _rank(self, rank: int | None) -> Rank:
        return Rank(index=rank) if rank is None or not self.roles else Rank(*divmod(rank, 100))

    def claim(self, unready: str) -> None:
        """A claim of its pods goes ("" comes)."""
        self.unready = unready
        self.see()

    def _gang(self) -> Gang | None:
        pods = list(self.pods.values())
        if not pods:
            return None
        gang = gang_for(pods, *([] if self.single else [self.job]), elsewhere=self.split)
        if self.roles:
            sizes = list(self.roles)
            for pod in self.split:
                sizes[self._rank(pod.completion_index).role] -= 1
            roles = tuple(Role(str(at), size, gang.shape) for at, size in enumerate(sizes))
            gang = replace(gang, size=sum(sizes), roles=roles, indexes=())
        staged = frozenset({0}) if self.staged else frozenset()
        parameters = JobParameters(on_node_loss="restart" if self.restarts_whole else "")
        return replace(
            gang,
            id=self.gang_id,
            whole_first=self.whole_first,
            staged=staged,
            parameters=parameters,
        )

    def start(self, job_id: SlurmJobId, *, left_s: float | None = None) -> None:
        """Slurm gives the job its nodes, one per slot."""
        waiting = self.jobs.get(job_id)
        count = self.size if waiting is None or waiting.tasks is None else waiting.tasks
        nodes = tuple(f"n{job_id}-{i}" for i in range(1 if self.single else count))
        end_s = None if left_s is None else 1e9 + left_s
        seen = facts(job_id, "RUNNING", gang=self.gang_id, nodes=nodes)
        tasks = None if waiting is None else waiting.tasks
        self._job(replace(seen, end_s=end_s, tasks=tasks), left_s)

    def end(self, job_id: SlurmJobId, state: str) -> None:
        """Slurm ends the job."""
        self._job(facts(job_id, state, gang=self.gang_id))

    def vanish(self, job_id: SlurmJobId) -> None:
        """Slurm has lost the job."""
        self.jobs.pop(job_id)
        self.tell(ev.JobVanished(job_id))

    def _job(self, seen: JobFacts, left_s: float | None = None) -> None:
        self.jobs[seen.job_id] = seen
        self.tell(self._news(seen, left_s))

    def _news(self, seen: JobFacts, left_s: float | None = None) -> ev.JobObserved:
        nodes = None
        if seen.allocation is not None and not self.unknown_nodes:
            nodes = frozenset(NodeName(grant.node) for grant in seen.allocation.nodes)
        return ev.JobObserved(seen, left_s, nodes)

    def preempt(self, job_id: SlurmJobId, *, left_s: float) -> None:
        """Slurm tells the running job to make room for another one, in so many seconds."""
        seen = replace(self.jobs[job_id], end_s=None, makes_room_until_s=1e9 + left_s)
        self._job(seen, left_s)

    def set_sink(self, *, answers: bool) -> None:
        """A sink comes or goes."""
        self.sink = answers
        self.tell(ev.SinkChanged(answers))

    def shrink(self, job_id: SlurmJobId, *gone: str) -> None:
        """An admin takes nodes off the running job."""
        seen = self.jobs[job_id]
        assert seen.allocation is not None
        self.taken_off.update(gone)
        left = tuple(grant for grant in seen.allocation.nodes if grant.node not in gone)
        self._job(replace(seen, allocation=replace(seen.allocation, nodes=left)))

    def pass_time(self, seconds: float) -> None:
        """Time passes; the machine hears of it only by timers that it has asked for."""
        end_s = self.now_s + seconds
        rung = 0
        while self.wake_s is not None and self.wake_s <= end_s:
            self.now_s, self.wake_s = max(self.now_s, self.wake_s), None
            self.tell(ev.Tick())
            rung += 1
            assert rung <= 10_000, "the machine's timers ring for ever"
        self.now_s = end_s

    def make_room(self) -> None:
        """Whatever was in the way on the nodes goes."""
        self.busy_nodes.clear()
        self.tell(ev.RoomChanged())

    def restart(self) -> None:
        """The bridge dies and comes again: all that was asked for and not done is lost."""
        self.todo.clear()
        self.wake_s = None
        self.machine = self._machine()
        self.forgotten = False
        if self.sink:
            self.tell(ev.SinkChanged(True))
        self.see()
        labels = [pod.job_id for pod in self.pods.values() if pod.job_id and not pod.ended]
        live = [job_id for job_id, job in self.jobs.items() if not job.ended]
        if labels or live:
            self.tell(ev.Adopted(max([*labels] or live), 0))
        adopted = self.machine.known.job_id
        for job_id in live:
            if job_id != adopted:
                self.jobs[job_id] = facts(job_id, "CANCELLED", gang=self.gang_id)
        self.machine.release()
        self.tell(ev.Tick())
        if adopted is not None:
            self.poll(adopted)

    def poll(self, job_id: SlurmJobId) -> None:
        """The watcher tells of a job."""
        if job_id in self.jobs:
            self.tell(self._news(self.jobs[job_id]))
        else:
            self.tell(ev.JobVanished(job_id))

    # -- the machine and its requests ------------------------------------------------------------

    def tell(self, event: ev.Event) -> None:
        """One event in; its instructions wait in `todo`, to be performed when the test says.

        What comes of an instruction at once is told after the last instruction of its event. The
        gang's next turn, in which its pods are looked at, comes only when there is no more.
        """
        self.inbox.append(event)
        if len(self.inbox) > 1:
            return
        taken = 0
        while self.inbox:
            self._advance(self.inbox[0])
            self.inbox.popleft()
            taken += 1
            assert taken < 1000, "the machine's instructions lead to one another without end"
        if self.touched:
            self.touched = False
            self.see()

    def _advance(self, event: ev.Event) -> None:
        for instruction in self.machine.handle(event, self.now_s):
            match instruction:
                case do.Wake(after_s):
                    at_s = self.now_s + after_s
                    self.wake_s = at_s if self.wake_s is None else min(at_s, self.wake_s)
                case do.Forget():
                    self.forgotten = True
                case do.EmitEvent():
                    self.told.append(instruction)
                case do.SetCondition():
                    self.conditions.append(instruction)
                case do.PinPod(pod, node) if node in self.dead_nodes:
                    why = f"node {node} does not answer"
                    self.tell(ev.Misfit(pod.uid, why, lost_node=node))
                case do.PinPod(pod) if pod.uid in self.misfits:
                    self.tell(ev.Misfit(pod.uid, self.misfits[pod.uid]))
                case do.QueueAlone(pod):
                    self.pods.pop(pod.uid)
                    self.split.append(pod)
                    self.touched = True
                case do.AvoidNode(node):
                    self.avoided.append(node)
                    self.avoids.append(instruction)
                case do.PlaceGang():
                    self._place(instruction)
                case do.RebuildJob(gang, generation, explain):
                    shortage = self.shortage if explain else ""
                    self.tell(ev.JobRebuilt(self._spec(gang, generation), shortage))
                case do.EndPods(pods, "PlaceLost") if not self.restarts_whole:
                    bound = [pod.key for pod in pods if pod.node_name]
                    assert not bound, "members that run are ended for another one's place"
                    self.todo.append(instruction)
                case _:
                    self.todo.append(instruction)
        self.machine.known.validate()

    def _place(self, instruction: do.PlaceGang) -> None:
        granted = [NodeName(grant.node) for grant in instruction.allocation.nodes]
        job_id = instruction.allocation.job_id
        in_way = [node for node in granted if node in self.busy_nodes]
        if in_way:
            why = Shortfall("a pod is still ending there", for_now=True)
            self.tell(ev.NotPlaced(job_id, why))
            return
        unusable = {*instruction.taken.values(), *self.dead_nodes, *instruction.without}
        held = {pod.node_name for pod in self.pods.values() if not pod.ended}
        left = [n for n in granted if n not in unusable]
        free = [n for n in left if n not in held]
        needed = instruction.gang.size - len(instruction.taken)
        if len(free) < needed:
            dead = tuple(node for node in granted if node in self.dead_nodes)
            for_now = len(left) >= needed
            why = Shortfall("the job holds too few nodes", for_now=for_now, nodes=dead)
            self.tell(ev.NotPlaced(job_id, why))
            return
        nodes = tuple(
            instruction.taken[slot] if slot in instruction.taken else free.pop(0)
            for slot in range(instruction.gang.size)
        )
        self.tell(ev.Placed(job_id, Assignment(nodes)))

    def perform(self, at: int = 0, *, fail: bool = False) -> None:
        """Do one of the requests."""
        instruction = self.todo.pop(at)
        match instruction:
            case do.SubmitJob():
                self._submit(instruction, fail=fail)
            case do.CancelJob(job_id):
                if job_id in self.jobs and not self.jobs[job_id].ended:
                    self.end(job_id, "CANCELLED")
            case do.ShrinkJob(job_id, allocations, nodes):
                self._take_back(job_id, allocations, nodes, fail=fail)
            case do.PinPod(pod, node, job_id):
                self._pin(pod, node, job_id, fail=fail)
            case do.EndPods(pods):
                for pod in pods:
                    if pod.uid in self.pods and not self.pods[pod.uid].ended:
                        self.change(pod.uid, deleting=True)
            case do.FailPod(pod):
                if pod.uid in self.pods and not self.pods[pod.uid].ended:
                    self.change(pod.uid, phase="Failed")
            case do.UpdateJob(job_id, _, spec):
                if job_id in self.jobs:
                    self.jobs[job_id] = _told(self.jobs[job_id], spec)
            case _:
                raise AssertionError(instruction)

    def _take_back(
        self,
        job_id: SlurmJobId,
        allocations: tuple[Allocation, ...],
        nodes: frozenset[NodeName],
        *,
        fail: bool,
    ) -> None:
        job = self.jobs.get(job_id)
        if fail or job is None or job.allocation is None:
            self.tell(ev.ShrinkFailed(job_id, "Slurm says no"))
            return
        held = {str(grant.node) for grant in job.allocation.nodes}
        told = {str(grant.node) for one in allocations for grant in one.nodes}
        assert held - nodes, "shrunk to nothing"
        assert nodes <= told, "nodes that the job never held"
        used = {pod.node for pod in self.pods.values() if not pod.ended and pod.job_id == job_id}
        assert not used & nodes, "a node is given back with a pod on it"
        self.tell(ev.JobShrunk(job_id))
        self.shrink(job_id, *nodes)

    def _submit(self, instruction: do.SubmitJob, *, fail: bool) -> None:
        if fail:
            self.tell(ev.SubmitFailed("Slurm is down", lasting=False))
            return
        live = [job for job in self.jobs.values() if not job.ended]
        doomed = {i.job_id for i in self.todo if isinstance(i, do.CancelJob)}
        assert all(job.job_id in doomed for job in live), "a second job for one gang"
        job_id = SlurmJobId(self.next_job)
        self.next_job += 1
        spec = self._spec(instruction.gang, instruction.generation)
        waiting = facts(job_id, "PENDING", gang=self.gang_id, reason="Priority")
        self.jobs[job_id] = _told(waiting, spec)
        self.tell(ev.Submitted(job_id, spec))
        self.poll(job_id)

    def _spec(self, gang: Gang, generation: int) -> JobSpec:
        spec = JobSpec(
            user=self.user,
            identity=JobIdentity("cluster", self.gang_id, generation, "o"),
            name="x",
            tasks=gang.size,
            cpus_per_task=max(1, gang.shape.requests.cpu_milli // 1000),
            partition="slurm-bridge",
            constraints=self.constraints,
        )
        also = (replace(spec, constraints=self.second),) if self.second else ()
        return replace(spec, also=also)

    def _pin(self, pod: Pod, node: NodeName, job_id: SlurmJobId, *, fail: bool) -> None:
        now = self.pods.get(pod.uid)
        if fail or now is None or now.deleting:
            self.tell(ev.PinEnded(pod.uid, error="it is gone"))
            return
        assert now.job_id is None, "pinned twice"
        held = self.jobs[job_id].allocation if job_id in self.jobs else None
        if held is not None:
            assert str(node) in {str(grant.node) for grant in held.nodes} | self.taken_off, (
                "pinned off its allocation"
            )
        others = [
            row
            for row in self.pods.values()
            if row.job_id == job_id and not row.ended and row.uid != pod.uid
        ]
        assert node not in [row.annotations[names.NODE_ANNOTATION] for row in others], (
            "two ranks on the node of one"
        )
        pinned = {
            "labels": {names.JOB_ID_LABEL: str(job_id)},
            "annotations": {**now.annotations, names.NODE_ANNOTATION: node},
            "gates": (),
        }
        row = replace(now, **pinned)  # type: ignore[arg-type]
        self.pods[pod.uid] = row
        self.tell(ev.PinEnded(pod.uid, row))

    def perform_all(self) -> None:
        """Do all of the requests, and those that come of them."""
        while self.todo:
            self.perform()

    def remove_deleted(self) -> None:
        """The pods that are being deleted have ended."""
        for uid in [uid for uid, pod in self.pods.items() if pod.deleting]:
            self.remove(uid)

    def settle(self) -> None:
        """Perform everything, and let what is to be tried again be tried, until nothing moves."""
        for _ in range(60):
            self.perform_all()
            self.remove_deleted()
            for job_id, job in list(self.jobs.items()):
                if job_id == self.machine.known.job_id and job is not self.seen_of_job:
                    self.poll(job_id)
            self.pass_time(31.0)
            if not self.todo:
                return
        raise AssertionError("does not come to rest")

    @property
    def run(self) -> JobRun:
        """The gang's present job."""
        assert self.machine.known.run is not None
        return self.machine.known.run

    @property
    def seen_of_job(self) -> JobFacts | None:
        """What the machine last heard of its job."""
        run = self.machine.known.run
        return None if run is None else run.facts

    @property
    def live_jobs(self) -> list[JobFacts]:
        """Jobs that hold or want something in Slurm."""
        return [job for job in self.jobs.values() if not job.ended]

    @property
    def state(self) -> State:
        """Where the gang stands."""
        return self.machine.state


def _told(waiting: JobFacts, spec: JobSpec) -> JobFacts:
    """How Slurm tells of a waiting job that asks for this."""
    return replace(
        waiting,
        users=(spec.user, "1000") if spec.user else (),
        constraints=spec.constraints,
        tasks=spec.tasks,
        also=tuple(_told(facts(0, "PENDING"), one) for one in spec.also),
    )
