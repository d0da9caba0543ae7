"""Which nodes a job leaves out because they are full, which Slurm may not know.

Slurm counts CPUs, memory and GRES, and knows only of pods that have a job. It would give a job a
node on which a pod holds the last of anything else, and the grant would be of no use. So a job says
which nodes are full when it is submitted, and again when that changes while it waits. A node is
full too if the pods there keep the job's pods off it: by required affinity, anti-affinity, or
topology spread.
"""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from bridge.errors import BadInput
from bridge.jobs import answers
from bridge.jobs.answers import MOST_KEPT, Answers
from bridge.jobs.jobspec import Where
from bridge.jobs.slurm_room import Asked
from bridge.jobs.tasks import Tasks
from bridge.model.devices import ResourceMap
from bridge.model.ids import NodeName, SlurmNodeName
from bridge.model.scheduling import PodShape
from bridge.placement.filters import Predicate, feasible, uncounted
from bridge.placement.filters.classes import MOST_NAMES, classes
from bridge.placement.fit import chosen, neighbours
from bridge.placement.fit.chosen import Chosen
from bridge.placement.table import Snapshot
from bridge.state.kube_state import KubeState
from bridge.state.slurm_state import SlurmState

_LATER = "It is queued in Slurm automatically as soon as that changes"

Key = Hashable
"""The key of an answer: which shape, on which nodes."""


class NoRoom(BadInput):
    """The pods could run, but not now: pods hold what they need, and Slurm does not know it."""


@dataclass(frozen=True, slots=True)
class Question:
    """Which nodes are full for these pods. `pods` is None if no term about other pods counts. Nodes
    are chosen for `together` pods, if that is not 0, by what their job has `asked` of Slurm."""

    shape: PodShape
    where: Where
    pods: neighbours.GangPods | None = None
    together: int = 0
    asked: Asked = Asked()

    @property
    def most_pods(self) -> int:
        """The most pods that anybody asks room for: more of it makes no difference. 0: not known,
        as gangs of any size ask."""
        return 1 if self.pods is not None and self.pods.is_single else self.together


@dataclass(frozen=True, slots=True)
class Answer:
    """Full nodes, and nodes that are chosen (None: Slurm chooses) or why none can be."""

    full: uncounted.Full
    chosen: Chosen | None = None
    why: str = ""


class FullNodes:
    """Finds full nodes by what pods hold now, and remembers the answers."""

    def __init__(
        self, *, cluster: KubeState, slurm_state: SlurmState, resource_map: ResourceMap
    ) -> None:
        self._cluster = cluster
        self._slurm_state = slurm_state
        self._map = resource_map
        self._known: dict[Key, tuple[Question, Answer]] = {}
        """The answers that jobs were built by, to be compared. Beyond `MOST_KEPT` the oldest is
        dropped, and its jobs learn of changes from their grants."""
        self._found: Answers[Question, Answer] = Answers()
        """Answers that hold while no pod and no node changes."""

    def leave_out(
        self,
        component: Tasks,
        pods: neighbours.GangPods,
        where: Where,
        *,
        asked: Callable[[Key], None],
        of_slurm: Callable[[], Asked] = Asked,
    ) -> Where:
        """`where` without the nodes that are full now for the component's `pods`.

        `asked` is told of the question where its answer may change with the pods on the nodes,
        `of_slurm` tells what the job asks for beyond what the pods do.
        Raises NoRoom if less than all of the component's pods find room, and the nodes could take
        so many.
        """
        snapshot = self._cluster.table.snapshot()
        shape, size = component.shape, component.count
        question = Question(shape, where)
        if any(neighbours.has_terms(snapshot, kind) for kind in pods.kinds):
            question = Question(shape, where, pods)
            if pods.is_alike and chosen.need_choice(snapshot, pods.kinds[0]):
                of_job = of_slurm()
                question = replace(question, together=size if of_job.is_all else 0, asked=of_job)
        answer = self.look_up(snapshot, question)
        found = answer.full
        if found.limits or self._may_change(question):
            self._known.pop(question, None)
            self._known[question] = question, answer
            while len(self._known) > MOST_KEPT:
                del self._known[next(iter(self._known))]
            asked(question)
        if found.room < size <= found.most:
            raise NoRoom(_sentence(snapshot, question, found, size))
        if answer.why:
            raise NoRoom(f"its pods find no room now: {answer.why}. {_LATER}")
        if answer.chosen is not None:
            where = self._only(where, answer.chosen)
        if not found.limits:
            return where
        nodes = self._cluster.nodes
        where = where.without(nodes[name].slurm_name for name in found.nodes if name in nodes)
        left = tuple(name for name in where.classes if name not in found.classes)
        return replace(where, classes=left)

    def _only(self, where: Where, nodes: Chosen) -> Where:
        """`where`, on just these nodes; as it is if they are more than a job names."""
        known = self._cluster.nodes
        required = tuple(sorted(known[name].slurm_name for name in nodes.names if name in known))
        if len(required) > MOST_NAMES:
            return where
        return replace(where, required=required, chosen_tasks_per_node=nodes.tasks_per_node)

    def has_changed(self, key: Key) -> bool:
        """Whether the answer of this key is another one now; True if it is not remembered. Chosen
        nodes that are free are kept: the job might lose its place in the queue by other ones."""
        known = self._known.get(key)
        if known is None:
            return True
        question, answer = known
        snapshot = self._cluster.table.snapshot()
        found = self.look_up(snapshot, question)
        if found == answer:
            return False
        return found.full != answer.full or not self._are_free(snapshot, question, answer.chosen)

    def _are_free(self, snapshot: Snapshot, question: Question, nodes: Chosen | None) -> bool:
        if nodes is None or question.pods is None:
            return False
        known = self._cluster.nodes
        if any(name not in known for name in nodes.names):
            return False
        names = [known[name].slurm_name for name in nodes.names]
        now, _ = question.asked.room(names, self._slurm_state.capacities)
        kind, size = question.pods.kinds[0], question.together
        return chosen.are_free(snapshot, kind, size, nodes, in_slurm=now)

    def cost(self, key: Key) -> int:
        """What `has_changed` costs, compared to most questions: nodes are chosen by looking at all
        domains."""
        return 64 if isinstance(key, Question) and key.together else 1

    def look_up(self, snapshot: Snapshot, question: Question) -> Answer:
        """The answer, found once while no pod and no node changes."""
        state, nodes = self._slurm_state, answers.of_nodes(snapshot)
        of_slurm = (state.nodes.gres_names, state.capacities)
        follows_from = (*nodes, self._cluster.table.uses, *of_slurm)
        return self._found.of(follows_from, question, lambda: self._answer(snapshot, question))

    def _answer(self, snapshot: Snapshot, question: Question) -> Answer:
        full = self._find(snapshot, question)
        if question.most_pods:
            full = replace(full, room=min(full.room, question.most_pods))
        if question.pods is None or not question.together:
            return Answer(full)
        nodes = self._candidates(snapshot, question.where)
        kind, size = question.pods.kinds[0], question.together
        names = [self._cluster.nodes[name].slurm_name for name in nodes]
        now, ever = question.asked.room(names, self._slurm_state.capacities)
        found = chosen.choose(
            snapshot,
            kind,
            size,
            nodes,
            resource_map=self._counted(),
            in_slurm=(now, ever),
            most_nodes=min(question.asked.most_nodes or MOST_NAMES, MOST_NAMES),
        )
        return Answer(full, found) if isinstance(found, Chosen) else Answer(full, why=found)

    def _candidates(self, snapshot: Snapshot, where: Where) -> list[NodeName]:
        """The nodes on which the job may run."""
        if where.required:
            return self._named(where.required)
        left_out = frozenset(self._named(where.excluded))
        members = classes(snapshot)
        every = (node for name in where.classes for node in members.get(name, ()))
        return [node for node in every if node not in left_out]

    def _find(self, snapshot: Snapshot, question: Question) -> uncounted.Full:
        shape, where = question.shape, question.where
        shut = None if question.pods is None else neighbours.shut(snapshot, question.pods)
        if where.required:
            rows = snapshot.rows(self._named(where.required))
            rows = rows[rows >= 0]
            counts = uncounted.room(snapshot, shape, rows, self._counted(), shut)
            most = int(uncounted.most(snapshot, shape, rows).sum())
            return uncounted.Full(frozenset(), (), int(counts.sum()), most, rows[counts == 0])
        return uncounted.full(
            snapshot,
            shape,
            frozenset(where.classes),
            self._named(where.excluded),
            resource_map=self._counted(),
            shut=shut,
        )

    def _named(self, slurm_names: Iterable[SlurmNodeName]) -> list[NodeName]:
        """Kubernetes' names of these nodes, of those that it has."""
        names = self._cluster.by_slurm_name
        return [names[one] for one in slurm_names if one in names]

    def _counted(self) -> ResourceMap:
        return self._map.within(self._slurm_state.nodes.gres_names)

    def _may_change(self, question: Question) -> bool:
        asked = uncounted.of(question.shape.requests, self._counted())
        ports = question.shape.host_ports
        return bool(question.pods or ports or asked.ephemeral_bytes or asked.extended)


def _sentence(snapshot: Snapshot, question: Question, found: uncounted.Full, size: int) -> str:
    identity = question.pods.kinds[0].identity if question.pods is not None else None
    judged = feasible(snapshot, question.shape, now=True, identity=identity)
    codes = np.full_like(judged.first_failure, Predicate.ABSENT)
    codes[found.rows] = judged.first_failure[found.rows]
    why = replace(judged, first_failure=codes).summary()
    pods = "its pod finds no room" if size == 1 else f"{found.room} of its {size} pods find room"
    return f"{pods} now: {why}. {_LATER}"
