"""The gangs of a cluster as people ask for them: found by name, listed, told one by one."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from bridge.explain import advice, jobs, nodes, steps
from bridge.explain.place import Lines
from bridge.explain.rows import SET_ASIDE, GangRow, JobRow, PodRow, QueueRow, StepRow, Story
from bridge.gangs.index import GangRecord
from bridge.lifecycle.history import Step
from bridge.lifecycle.machine import GangMachine
from bridge.lifecycle.state import State
from bridge.model.gang import Gang
from bridge.model.ids import GangId, SlurmJobId
from bridge.model.pod import Pod
from bridge.placement import topology
from bridge.slurm.jobs import Job
from bridge.state.kube_state import KubeState
from bridge.state.slurm_facts import Capacities

MOST_PODS: Final = 32
"""The most pods that one story names."""
_ALIASES: Final[Mapping[str, str]] = {
    "": "pod", "po": "pod", "deploy": "deployment", "sts": "statefulset", "rs": "replicaset",
    "cj": "cronjob", "js": "jobset", "lws": "leaderworkerset", "pg": "podgroup",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Past:
    """A gang that is over and forgotten otherwise."""

    row: GangRow
    steps: tuple[Step, ...]
    pods: tuple[str, ...] = ()
    """The names of its first pods."""

    def is_meant(self, namespace: str, kind: str, name: str) -> bool:
        """Whether that is its owner or one of its pods."""
        is_owner = (self.row.kind.lower(), self.row.name) == (kind, name)
        is_pod = kind == "pod" and name in self.pods
        return self.row.namespace == namespace and (is_owner or is_pod)


@dataclass(frozen=True, slots=True)
class Sources:
    """Who knows what."""

    cluster: KubeState
    machines: Mapping[GangId, GangMachine]
    fault_of: Callable[[GangId], str]
    """The sentence for a gang that is set aside; "" for others."""
    past: Callable[[], Iterable[Past]]
    """The gangs that are over, the last one first."""
    job: Callable[[SlurmJobId], Job | None]
    """A job of a gang, as Slurm last told of it."""
    lines: Callable[[], Lines]
    """All known jobs that wait in Slurm's queue, native ones included."""
    ids_of: Callable[[str], Sequence[GangId]]
    """The gangs of a namespace, or all ("")."""
    capacities: Callable[[], Capacities]
    """What Slurm's nodes have."""
    notes_of: Callable[[GangId], tuple[str, ...]]
    """Further facts of a gang that waits, each a sentence."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a name stands for. `kind` is as it was understood."""

    kind: str
    gangs: tuple[GangId, ...] = ()
    past: tuple[Past, ...] = ()
    pod: Pod | None = None
    """The pod that was asked for."""
    unresolved: bool = False
    """Whether the pod is known, and its gang is not yet."""


@dataclass(frozen=True, slots=True)
class View:
    """All that can be asked. `epoch_s` gives the epoch time of the monotonic time 0."""

    sources: Sources
    epoch_s: float = field(default=0.0)
    now_s: float = field(default=0.0)
    """The epoch time."""

    # -- who is meant ----------------------------------------------------------------------------

    def find(self, namespace: str, kind: str, name: str) -> Found:
        """The gangs of a pod, or of the owner of that kind."""
        kind = normal(kind)
        cluster = self.sources.cluster
        if kind == "pod":
            pod = cluster.pod_named(namespace, name)
            if pod is None:
                return Found(kind, past=self._past(namespace, kind, name))
            gang_id = cluster.gang_of(pod.uid)
            return Found(kind, () if gang_id is None else (gang_id,), (), pod, gang_id is None)
        gangs = self._by_owner(namespace, kind, name)
        owner = cluster.owner_named(namespace, kind, name)
        for pod in () if owner is None else cluster.pods_below(owner.uid):
            gang_id = cluster.gang_of(pod.uid) if pod.namespace == namespace else None
            gangs |= set() if gang_id is None else {gang_id}
        if not gangs:
            return Found(kind, past=self._past(namespace, kind, name))
        return Found(kind, tuple(sorted(gangs, key=self._order)))

    def _by_owner(self, namespace: str, kind: str, name: str) -> set[GangId]:
        """Gangs whose owner the bridge may not read, by what the references of pods say."""
        found = set()
        for gang_id in self.sources.ids_of(namespace):
            record = self.sources.cluster.members(gang_id)
            owners = record.line.owners if record is not None else ()
            if any(one.name == name and one.kind.lower() == kind for one in owners):
                found.add(gang_id)
        return found

    def _past(self, namespace: str, kind: str, name: str) -> tuple[Past, ...]:
        meant = (one for one in self.sources.past() if one.is_meant(namespace, kind, name))
        return tuple(meant)[:1]

    def _order(self, gang_id: GangId) -> tuple[int, str]:
        """Those that wait come first, those that are over last."""
        machine = self.sources.machines.get(gang_id)
        if machine is None:
            return (0 if self.sources.fault_of(gang_id) else 3), gang_id
        return (1 if machine.known.waiting() else 2), gang_id

    # -- lists -----------------------------------------------------------------------------------

    def gang(self, gang_id: GangId) -> GangRow | None:
        """One of them; None if it is gone."""
        record = self.sources.cluster.members(gang_id)
        if record is None:
            return None
        pods = self.sources.cluster.pods_of(gang_id)
        machine = self.sources.machines.get(gang_id)
        row = _named(gang_id, record, pods, machine)
        fault = self.sources.fault_of(gang_id)
        if machine is None and fault:
            return replace(row, state=SET_ASIDE, message=fault)
        if machine is None:
            job_id = _job_of(pods)
            return replace(row, job_id=job_id, message=advice.over(self._job(job_id), pods))
        job_id = machine.known.job_id
        facts = machine.known.run.facts if machine.known.run is not None else None
        waits = facts is not None and facts.waits
        return replace(
            row,
            state=machine.state.value,
            job_id=job_id,
            message=advice.of(machine, self._job(job_id), self.now_s).message,
            reason=facts.reason if facts is not None and waits else "",
            expected_start_s=facts.expected_start_s if facts is not None and waits else None,
        )

    def queued(self, gang: GangRow) -> QueueRow | None:
        """The gang as a row of the queue; None if it is over."""
        if gang.state == State.DONE.value:
            return None
        job = self._job(gang.job_id)
        if job is None and gang.job_id is not None:
            job = JobRow(gang.job_id, state="PENDING")
        if job is not None and job.state not in jobs.LIVE:
            job = None
        message = "" if job is not None else gang.message
        return QueueRow(job, gang.namespace, gang.kind, gang.name, gang.size, message)

    @staticmethod
    def native(job: Job) -> QueueRow:
        """A job that is no gang's, as a row of the queue."""
        return QueueRow(jobs.row(job))

    def _job(self, job_id: SlurmJobId | None) -> JobRow | None:
        known = self.sources.job(job_id) if job_id is not None else None
        return None if known is None else jobs.row(known)

    # -- one gang --------------------------------------------------------------------------------

    def story(self, gang_id: GangId) -> Story | None:
        """All that there is to say of a gang; None if it has no pods any more."""
        row = self.gang(gang_id)
        if row is None:
            return None
        machine = self.sources.machines.get(gang_id)
        pods = self.sources.cluster.pods_of(gang_id)
        job = self._job(row.job_id)
        shown = sorted(pods, key=lambda pod: (pod.ended, topology.natural(pod.name)))[:MOST_PODS]
        story = Story(
            gang=row,
            pods=tuple(map(_pod_row, shown)),
            more_pods=len(pods) - len(shown),
            job=job,
            steps=self._steps(self._history(gang_id, machine), pods, job),
        )
        if machine is None:
            return story
        answer = advice.of(machine, job, self.now_s)
        story = replace(story, starts_when=answer.starts_when, advice=answer.advice)
        demand = machine.known.gang
        if not machine.known.waiting() or demand is None:
            return story
        is_queued = job is None or job.state == "PENDING"
        snapshot = self.sources.cluster.table.snapshot()
        return replace(
            story,
            place=None if job is None or not is_queued else self.sources.lines().place(job),
            nodes=nodes.reports(snapshot, demand) if is_queued else (),
            notes=(*self._in_slurm(demand, is_queued), *self.sources.notes_of(gang_id)),
        )

    def _in_slurm(self, gang: Gang, is_queued: bool) -> tuple[str, ...]:
        if not is_queued:
            return ()
        cluster = self.sources.cluster
        names = {name: node.slurm_name for name, node in cluster.nodes.items()}
        snapshot, capacities = cluster.table.snapshot(), self.sources.capacities()
        return tuple(filter(None, (nodes.in_slurm(snapshot, gang, names, capacities),)))

    def past_story(self, past: Past) -> Story:
        """Of a gang that is gone."""
        job_id = next((s.job_id for s in reversed(past.steps) if s.job_id is not None), None)
        job = self._job(job_id)
        return Story(
            gang=replace(past.row, job_id=job_id, message=advice.over(job)),
            job=job,
            steps=self._steps(past.steps, (), job),
        )

    def _history(self, gang_id: GangId, machine: GangMachine | None) -> tuple[Step, ...]:
        if machine is not None:
            return tuple(machine.history)
        return next((one.steps for one in self.sources.past() if one.row.id == gang_id), ())

    def _steps(
        self, history: Sequence[Step], pods: Collection[Pod], job: JobRow | None
    ) -> tuple[StepRow, ...]:
        created = min((pod.created_s for pod in pods if pod.created_s), default=None)
        return steps.rows(history, epoch_s=self.epoch_s, created_s=created, pods=len(pods), job=job)


def normal(kind: str) -> str:
    """A kind as owners are found by it: lower case, in the singular, without its API group."""
    kind = kind.lower().partition(".")[0]
    if kind in _ALIASES:
        return _ALIASES[kind]
    return kind.removesuffix("s")


def _named(
    gang_id: GangId, record: GangRecord, pods: Collection[Pod], machine: GangMachine | None
) -> GangRow:
    """Whose it is and how large, its state that of one that is over."""
    top = record.line.owners[-1] if record.line.owners else None
    pod, size = record.line.pod, len(pods)
    kind, name = ("Pod", pod.name) if top is None else (top.kind, top.name)
    gang = machine.known.gang if machine is not None else None
    if gang is not None:
        kind, name, size = gang.owner_kind, gang.owner_name, gang.size
    live = sum(not pod.ended for pod in pods)
    return GangRow(gang_id, pod.namespace, kind, name, State.DONE.value, max(size, 1), live)


def _job_of(pods: Iterable[Pod]) -> SlurmJobId | None:
    return max((pod.job_id for pod in pods if pod.job_id is not None), default=None)


def _pod_row(pod: Pod) -> PodRow:
    phase = "Terminating" if pod.deleting and not pod.ended else pod.phase
    said = pod.allocated.message if pod.allocated is not None else ""
    return PodRow(pod.name, phase, pod.node, said)
