"""Why no nodes of Slurm can ever take a job, as a sentence for people.

Slurm refuses such a job in the same words whatever is short ("Requested node configuration is not
available"), or lets it wait for ever. What its nodes have is known here, so the sentence names the
resource, how much of it is asked for, and how much of it the nodes have.

Only what is certain is told, and only to a job of which Slurm itself says that it can't start. Each
node of a job has one of its tasks at least, and has all that its tasks ask for. What is not known
here (reservations, which topology counts, cores and memory that Slurm keeps for itself) leaves a
job fewer nodes, never more. So a job that is short here is short in Slurm; of one that is not,
nothing is said, unless nodes have no place in a topology: that is told as a possible cause.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from bridge import names
from bridge.errors import BadInput
from bridge.gangs.languages import constraints as language
from bridge.gangs.languages.constraints import Expression
from bridge.jobs import needs
from bridge.jobs.answers import Answers
from bridge.jobs.needs import Need
from bridge.jobs.usable_nodes import Usable, UsableNodes
from bridge.model import texts
from bridge.model.job import JobSpec
from bridge.state.slurm_facts import Capacities

DECIDES: Final = (
    "tasks", "cpus_per_task", "partition", "memory_mib_per_node", "memory_mib_per_cpu",
    "gres_per_task", "tres_per_node", "tasks_per_node", "min_nodes", "max_nodes", "constraints",
    "excluded_nodes", "required_nodes", "role",
)  # fmt: skip
"""The fields of a job that a sentence depends on."""
_MOST_COMPONENTS = 2
_MOST_RESOURCES = 2
_MOST_CLASSES = 2
_NAME_BYTES = 60


class Shortages:
    """Keeps the sentences: jobs with the same request share one while Slurm's nodes stay the same.
    A tenant's job is refused as often as it is retried."""

    def __init__(self) -> None:
        self._known: Answers[tuple[object, ...], str] = Answers()

    def of(
        self, spec: JobSpec, capacities: Capacities, *, max_nodes: Mapping[str, int], now: bool
    ) -> str:
        """As the function `of`."""
        components = (spec, *spec.also)
        key = (now, *(getattr(one, name) for one in components for name in DECIDES))
        return self._known.of(
            (*capacities.without_jobs, dict(max_nodes)),
            key,
            lambda: of(spec, capacities, max_nodes=max_nodes, now=now),
        )


def of(
    spec: JobSpec, capacities: Capacities, *, max_nodes: Mapping[str, int], now: bool = False
) -> str:
    """The sentence, without its full stop and of bounded length; "" where nothing is certain.

    `max_nodes` are the limits of partitions. With `now` the sentence tells also how many nodes are
    out of service, which is true for a moment only. Of a het job it names the role.
    """
    found = _of_components(
        spec, lambda component: _of_component(component, capacities, max_nodes, now=now)
    ) or _of_components(spec, lambda component: _without_place(component, capacities))
    more = len(found) - _MOST_COMPONENTS
    return "; ".join(found[:_MOST_COMPONENTS]) + (f"; and {more} more" if more > 0 else "")


def _of_components(spec: JobSpec, of_one: Callable[[JobSpec], str]) -> list[str]:
    found = []
    for number, component in enumerate((spec, *spec.also), 1):
        sentence = of_one(component)
        if sentence and spec.also:
            whose = f"role {_name(component.role)}" if component.role else f"component {number}"
            sentence = f"{whose}: {sentence}"
        if sentence:
            found.append(sentence)
    return found


def _of_component(
    spec: JobSpec, capacities: Capacities, max_nodes: Mapping[str, int], *, now: bool
) -> str:
    """The constraints allow no classes whose nodes are too small. So all nodes of the partition are
    looked at first: what is short of these is short for its amount, wherever the pods may run.
    """
    if not capacities.groups:
        return ""
    try:
        asked = needs.of(spec)
        nodes = UsableNodes.in_its_partition(spec, asked, capacities)
        limit = max_nodes.get(spec.partition)
        sentence = _Sentence(nodes, limit, now=now).text()
        if sentence or not spec.constraints:
            return sentence
        wish = language.parse(spec.constraints)
    except BadInput:
        return ""  # more than what the bridge reads

    def try_with(wish: Expression) -> tuple[str, int]:
        allowed = nodes.allowed_by(wish)
        return _Sentence(allowed, limit, now=now).text(), allowed.count

    if not wish.same:
        return try_with(wish)[0]
    return _with_same(wish, {one: try_with(_all_with(one, wish)) for one in sorted(wish.same)})


def _without_place(spec: JobSpec, capacities: Capacities) -> str:
    """Slurm gives nodes without a place only to jobs that need one node at most."""
    if spec.tasks == 1 or spec.max_nodes == 1:
        return ""
    try:
        nodes = UsableNodes.in_its_partition(spec, needs.of(spec), capacities)
        if spec.constraints:
            nodes = nodes.allowed_by(language.parse(spec.constraints))
    except BadInput:
        return ""
    able = nodes.able()
    placed = [one for one in able if one.group.has_place]
    count, there = sum(one.count for one in able), sum(one.count for one in placed)
    room = sum(one.count * one.tasks for one in placed)
    if there == count or (there >= nodes.needed_nodes() and room >= spec.tasks):
        return ""
    return (
        f"{count - there} of the {texts.nodes(count)} that could take it have no place in Slurm's "
        "topology. If Slurm has one, it gives a job of several nodes only nodes with a place: set "
        "nodes.topology"
    )


def _all_with(feature: str, wish: Expression) -> Expression:
    """The wish where all nodes of the job are to have this one of the features."""
    return Expression((*wish.clauses, frozenset((feature,))))


def _with_same(wish: Expression, tries: Mapping[str, tuple[str, int]]) -> str:
    """Of several features, one of which all nodes are to have: sentence and number of nodes."""
    if not all(sentence for sentence, _ in tries.values()):
        return ""
    best = max(tries, key=lambda feature: tries[feature][1])
    choice = texts.printable(texts.some_of(sorted(wish.same), 3), _NAME_BYTES)
    sentence, _ = tries[best]
    return f"all its nodes are to have the same one of {choice}; with {_name(best)}, {sentence}"


class _Sentence:
    """Says what is short of the nodes that a component may use."""

    def __init__(self, nodes: UsableNodes, limit: int | None, *, now: bool) -> None:
        self._nodes = nodes
        self._spec = nodes.spec
        self._limit = limit
        """The most nodes that the partition gives to one job."""
        self._now = now
        self._where = (
            f"partition {_name(nodes.spec.partition)}" if nodes.knows_partition else "Slurm"
        )
        self._narrow = " that its pods may run on" if nodes.is_narrowed else ""

    def text(self) -> str:
        """The sentence; "" if nothing is short. The most telling shortage is checked first."""
        return (
            self._no_nodes()
            or self._required()
            or self._too_small()
            or self._not_at_once()
            or self._too_few()
            or self._too_little()
            or self._too_many()
        )

    def _no_nodes(self) -> str:
        nodes = self._nodes
        if nodes.count:
            return ""
        if not nodes.in_partition:
            return f"{self._where} has no nodes"
        if nodes.nodes:
            count = sum(one.left_out for one in nodes.nodes)
            return f"the job leaves out all {texts.nodes(count)} of {self._where}{self._narrow}"
        wanted = texts.printable(self._spec.constraints, _NAME_BYTES)
        return f"no node of {self._where} has the features that its pods need ({wanted})"

    def _required(self) -> str:
        for name, group in self._nodes.required.items():
            node = f"it must run on node {_name(name)}, which"
            if group is None:
                return f"{node} is not among those of {self._where} that it may use"
            short = [need for need in self._nodes.needs if not need.tasks(group)]
            if short:
                short = short[:_MOST_RESOURCES]
                has = " and ".join(need.words(need.held(group)) for need in short)
                return f"{node} has {has}, and it needs {needs.listed(short)}"
        return ""

    def _too_small(self) -> str:
        """No node has enough of some resource."""
        short = [need for need in self._nodes.needs if not self._nodes.able(need)]
        if not short:
            return ""
        said = [need.words(need.least) + self._largest(need) for need in short[:_MOST_RESOURCES]]
        return f"{self._no_node} {', nor '.join(said)}{self._left_out()}"

    def _largest(self, need: Need) -> str:
        there = [one for one in self._nodes.nodes if one.count]
        most = max(need.held(one.group) for one in there)
        if not most:
            return ": none has any"
        there = [one for one in there if need.held(one.group) == most]
        return f": the largest has {need.figure(most)} ({_which(there)})"

    def _not_at_once(self) -> str:
        """Each resource is there, but not all of them on one node."""
        if self._nodes.able():
            return ""
        asked = self._nodes.needs
        for at, one in enumerate(asked):
            for other in asked[at + 1 :]:
                if not self._nodes.able(one, other):
                    those = self._nodes.able(one)
                    most = max(other.held(node.group) for node in those)
                    return (
                        f"{self._no_node} {needs.listed([one, other])} at once: those with "
                        f"{one.words(one.least)} ({_which(those)}) have {other.words(most)} at most"
                        f"{self._left_out()}"
                    )
        return f"{self._no_node} {needs.listed(asked)} at once{self._left_out()}"

    def _too_few(self) -> str:
        """Fewer nodes than it needs have what it needs on each."""
        nodes, wanted = self._nodes, self._nodes.asked_nodes
        able = nodes.able()
        there = nodes.count_able()
        if there >= wanted:
            return ""
        each = ""
        if there < nodes.count:
            short = [need for need in nodes.needs if nodes.count_able(need) < wanted]
            each = f" with {needs.listed(short or nodes.needs)} each"
        return (
            f"it needs {texts.nodes(wanted)}{each}, and {self._where} has {there}{self._narrow}"
            f"{self._away(able)}{self._left_out()}"
        )

    def _too_little(self) -> str:
        """All nodes together take fewer tasks than it has."""
        nodes, tasks = self._nodes, self._spec.tasks
        room = nodes.room()
        if room >= tasks:
            return ""
        short = [need for need in nodes.needs if nodes.room(need) < tasks]
        able = nodes.able()
        return (
            f"its {tasks} tasks need {needs.listed(short or nodes.needs)} each, and "
            f"{texts.nodes(nodes.count_able())} of {self._where}{self._narrow} can take {room} of "
            f"them{self._away(able)}{self._left_out()}"
        )

    def _too_many(self) -> str:
        """It needs more nodes than it may have."""
        tasks, wanted = self._spec.tasks, self._nodes.needed_nodes()
        limits = [(tasks, "it has one task for each of {}")]
        if self._spec.max_nodes is not None:
            limits.append((self._spec.max_nodes, "its max-nodes allow {}"))
        if self._limit is not None:
            limits.append((self._limit, f"a job of {self._where} may have {{}}"))
        most, why = min(limits)
        if wanted <= most:
            return ""
        return f"it needs {texts.nodes(wanted)} at least, and {why.format(texts.nodes(most))}"

    @property
    def _no_node(self) -> str:
        return f"no node of {self._where}{self._narrow} has"

    def _away(self, nodes: Iterable[Usable]) -> str:
        count = sum(one.out_of_service for one in nodes) if self._now else 0
        return f", {count} of them drained or down" if count else ""

    def _left_out(self) -> str:
        """Nodes that would be of use, and that the job leaves out by name."""
        nodes = self._nodes
        count = sum(one.left_out for one in nodes.nodes if one.tasks)
        return f", beside {count} that the job leaves out" if count else ""


def _which(nodes: Iterable[Usable]) -> str:
    """Of which classes, and how many: "class-0a1b2c3d4e5f, 12 nodes"."""
    groups = list(nodes)
    classes = sorted(
        {
            feature
            for one in groups
            for feature in one.group.features
            if feature.startswith(names.CLASS_FEATURE_PREFIX)
        }
    )
    known = [texts.printable(texts.some_of(classes, _MOST_CLASSES), _NAME_BYTES)] if classes else []
    return ", ".join([*known, texts.nodes(sum(one.count for one in groups))])


def _name(name: str) -> str:
    return texts.printable(name, _NAME_BYTES)
