"""Why no nodes can ever take a job: never wrong, whatever the nodes and the job are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any, cast

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from bridge.jobs import shortage
from bridge.jobs.shortage import Shortages
from bridge.model.ids import SlurmNodeName
from bridge.model.job import Gres, JobSpec
from bridge.nodes import capacities
from bridge.slurm import SlurmNode
from bridge.slurm import gres as slurm_gres
from bridge.state.slurm_facts import Capacities
from tests.unit.controller.doubles import SPEC

MOST_BYTES = 1000
CLASS, OTHER_CLASS = "class-0a1b2c3d4e5f", "class-ffffffffffff"


def a_node(name: str, **fields: Any) -> SlurmNode:
    """A node with 8 GPUs in partition p, until told otherwise."""
    base = SlurmNode(
        SlurmNodeName(name), frozenset({"IDLE"}), cpus=96, memory_mib=512 * 1024,
        gres=(Gres("gpu", "h100", 8),), features=(CLASS,), partitions=("p",),
    )  # fmt: skip
    return replace(base, **fields)


def a_spec(**fields: Any) -> JobSpec:
    """A job of one task of one CPU in partition p, until told otherwise."""
    base = replace(SPEC, partition="p", tasks=1, cpus_per_task=1, constraints=CLASS)
    return replace(base, **fields)


def said(
    spec: JobSpec,
    nodes: Sequence[SlurmNode],
    *,
    max_nodes: Mapping[str, int] | None = None,
    now: bool = False,
) -> str:
    return shortage.of(spec, capacities.of(nodes), max_nodes=max_nodes or {}, now=now)


GPUS = a_spec(gres_per_task="gres/gpu:8")
FOUR = [a_node(f"n{number}") for number in range(4)]
MIXED = [*FOUR[:2], a_node("small", cpus=16), a_node("half", gres=(Gres("gpu", "h100", 4),))]


@pytest.mark.parametrize(
    ("spec", "nodes", "sentence"),
    [
        (a_spec(gres_per_task="gres/gpu:8"), FOUR, ""),
        (a_spec(tasks=4, min_nodes=4, gres_per_task="gres/gpu:8"), FOUR, ""),
        (
            a_spec(gres_per_task="gres/gpu:16"),
            FOUR,
            f"no node of partition p has 16 gpu: the largest has 8 ({CLASS}, 4 nodes)",
        ),
        (
            a_spec(gres_per_task="gres/gpu:a100:1"),
            FOUR,
            "no node of partition p has 1 gpu:a100: none has any",
        ),
        (
            a_spec(cpus_per_task=200, memory_mib_per_node=1024 * 1024),
            FOUR,
            f"no node of partition p has 200 CPUs: the largest has 96 ({CLASS}, 4 nodes), nor "
            f"1024 GiB of memory: the largest has 512 GiB ({CLASS}, 4 nodes)",
        ),
        (
            a_spec(cpus_per_task=96, gres_per_task="gres/gpu:8"),
            [MIXED[2], a_node("n", features=(OTHER_CLASS,))],
            "no node of partition p that its pods may run on has 96 CPUs: the largest has 16 "
            f"({CLASS}, 1 node)",
        ),
        (
            a_spec(cpus_per_task=96, gres_per_task="gres/gpu:8"),
            [MIXED[2], a_node("cpu", gres=())],
            "no node of partition p has 8 gpu and 96 CPUs at once: those with 8 gpu "
            f"({CLASS}, 1 node) have 16 CPUs at most",
        ),
        (
            a_spec(tasks=3, min_nodes=3, gres_per_task="gres/gpu:8"),
            MIXED[:2],
            "it needs 3 nodes, and partition p has 2",
        ),
        (
            a_spec(tasks=3, min_nodes=3, cpus_per_task=64, gres_per_task="gres/gpu:8"),
            MIXED,
            "it needs 3 nodes with 8 gpu and 64 CPUs each, and partition p has 2",
        ),
        (
            a_spec(tasks=4, min_nodes=4, cpus_per_task=8, gres_per_task="gres/gpu:8"),
            MIXED,
            "it needs 4 nodes with 8 gpu each, and partition p has 3",
        ),
        (
            a_spec(tasks=3, min_nodes=3, gres_per_task="gres/gpu:8"),
            [*FOUR[:2], *(replace(one, features=(OTHER_CLASS,)) for one in MIXED[3:])],
            "it needs 3 nodes with 8 gpu each, and partition p has 2",
        ),
        (
            a_spec(tasks=3, tasks_per_node=1, exclusive=True),
            [*FOUR[:2], a_node("cpu", features=(OTHER_CLASS,))],
            "it needs 3 nodes, and partition p has 2 that its pods may run on",
        ),
        (
            a_spec(tasks=20, gres_per_task="gres/gpu:3"),
            FOUR,
            "its 20 tasks need 3 gpu each, and 4 nodes of partition p can take 8 of them",
        ),
        (
            a_spec(tasks=6, gres_per_task="gres/gpu:4", max_nodes=2),
            FOUR,
            "it needs 3 nodes at least, and its max-nodes allow 2 nodes",
        ),
        (
            a_spec(gres_per_task="gres/gpu:8", excluded_nodes=("n0", "n1", "n2", "n3")),
            FOUR,
            "the job leaves out all 4 nodes of partition p",
        ),
        (
            a_spec(tasks=4, min_nodes=4, gres_per_task="gres/gpu:8", excluded_nodes=("n1",)),
            FOUR,
            "it needs 4 nodes, and partition p has 3, beside 1 that the job leaves out",
        ),
        (
            a_spec(constraints=OTHER_CLASS),
            FOUR,
            f"no node of partition p has the features that its pods need ({OTHER_CLASS})",
        ),
        (a_spec(partition="empty"), FOUR, "partition empty has no nodes"),
        (
            a_spec(required_nodes=("half",), constraints="", gres_per_task="gres/gpu:8"),
            MIXED,
            "it must run on node half, which has 4 gpu, and it needs 8 gpu",
        ),
        (
            a_spec(required_nodes=("nobody",), constraints=""),
            MIXED,
            "it must run on node nobody, which is not among those of partition p that it may use",
        ),
        (
            a_spec(tasks=2, tasks_per_node=1, constraints=f"{CLASS}&[a|b]"),
            [
                a_node("a", features=(CLASS, "a")),
                a_node("b", features=(CLASS, "b")),
            ],
            "all its nodes are to have the same one of a, b; with a, it needs 2 nodes, and "
            "partition p has 1 that its pods may run on",
        ),
        (a_spec(gres_per_task="gres/gpu:16"), [], ""),
    ],
)  # fmt: skip
def test_the_sentence_names_what_is_short_of_what(
    spec: JobSpec, nodes: Sequence[SlurmNode], sentence: str
) -> None:
    """And says nothing where nothing is, or where Slurm has not told of its nodes yet."""
    assert said(spec, nodes) == sentence


def test_a_partition_may_give_a_job_fewer_nodes_than_it_has() -> None:
    """MaxNodes."""
    spec = a_spec(tasks=3, min_nodes=3)
    assert said(spec, FOUR, max_nodes={"p": 3}) == ""
    told = said(spec, FOUR, max_nodes={"p": 2})
    assert told == "it needs 3 nodes at least, and a job of partition p may have 2 nodes"


def test_nodes_out_of_service_are_told_of_the_moment_only() -> None:
    """A job that waits reads the sentence long after it was made. Slurm does not refuse a job for
    their sake, so they count as nodes that there are."""
    away = replace(FOUR[0], states=frozenset({"IDLE", "DRAIN"}))
    nodes = [away, *FOUR[1:]]
    spec = a_spec(tasks=5, min_nodes=5, gres_per_task="gres/gpu:8")
    assert said(spec, nodes) == "it needs 5 nodes, and partition p has 4"
    assert said(spec, nodes, now=True).endswith(" has 4, 1 of them drained or down")
    assert said(replace(spec, tasks=4, min_nodes=4), nodes, now=True) == ""


def test_of_a_het_job_the_role_is_named() -> None:
    """Where it has no name, by its number; a component that is well is not mentioned."""
    short = replace(GPUS, gres_per_task="gres/gpu:16", role="worker")
    why = f"no node of partition p has 16 gpu: the largest has 8 ({CLASS}, 4 nodes)"
    assert said(a_spec(also=(short,)), FOUR) == f"role worker: {why}"
    assert said(a_spec(also=(replace(short, role=""),)), FOUR) == f"component 2: {why}"
    four = replace(short, also=(short, short, short))
    assert said(four, FOUR) == f"role worker: {why}; role worker: {why}; and 2 more"


def test_a_slurm_that_does_not_say_which_partition_a_node_is_in_counts_all_of_them() -> None:
    """What is not known is never held against a job."""
    nodes = [a_node("n", partitions=())]
    assert said(GPUS, nodes) == ""
    assert said(replace(GPUS, tasks=2, min_nodes=2), nodes) == "it needs 2 nodes, and Slurm has 1"


# -- against every way to choose nodes ---------------------------------------------------------

FEATURES = ("class-a", "class-b", "x", "y")
CONSTRAINTS = ("", "class-a", "class-a|class-b", "(class-a|class-b)&x", "class-a&[x|y]", "[x|y]")
PARTITIONS = ("p", "q")

a_gres = st.builds(
    Gres, st.sampled_from(("gpu", "efa")), st.sampled_from(("", "h100")), st.integers(0, 4)
)
some_nodes = st.lists(
    st.builds(
        SlurmNode,
        name=st.just(SlurmNodeName("")),
        states=st.sampled_from((frozenset({"IDLE"}), frozenset({"IDLE", "DRAIN"}))),
        cpus=st.integers(1, 8),
        memory_mib=st.integers(2, 16),
        gres=st.lists(a_gres, max_size=3).map(tuple),
        features=st.lists(st.sampled_from(FEATURES), unique=True, min_size=2).map(tuple),
        partitions=st.sampled_from((("p",), ("p", "q"), ("q",))),
    ),
    min_size=2,
    max_size=5,
).map(lambda nodes: [replace(n, name=SlurmNodeName(f"n{at}")) for at, n in enumerate(nodes)])
some_names = st.just(()) | st.lists(
    st.sampled_from([f"n{at}" for at in range(6)]), unique=True, max_size=2
).map(tuple)


@st.composite
def some_specs(draw: st.DrawFn) -> JobSpec:
    """Components as the bridge makes them, and a few that it does not."""
    tasks = draw(st.integers(1, 5))
    per_task = [f"gres/{g.name}:{g.type}:{g.count}" if g.type else f"gres/{g.name}:{g.count}"
                for g in draw(st.lists(a_gres, max_size=1))]  # fmt: skip
    return a_spec(
        tasks=tasks,
        cpus_per_task=draw(st.sampled_from((1, 1, 2, 4))),
        memory_mib_per_node=draw(st.none() | st.integers(1, 6)),
        memory_mib_per_cpu=draw(st.none() | st.integers(1, 3)),
        gres_per_task=",".join(per_task),
        tres_per_node=draw(st.sampled_from(("", "", "gres/efa:2", "gres/gpu:h100:1"))),
        tasks_per_node=draw(st.sampled_from((None, 1, 2))),
        min_nodes=draw(st.none() | st.integers(1, tasks)),
        max_nodes=draw(st.none() | st.integers(1, 6)),
        constraints=draw(st.sampled_from(CONSTRAINTS)),
        partition=draw(st.sampled_from(("", *PARTITIONS))),
        excluded_nodes=draw(some_names),
        required_nodes=draw(some_names),
    )


def takes(node: SlurmNode, spec: JobSpec, tasks: int) -> bool:
    """Whether the node has what so many tasks of the job ask for."""

    def has(name: str, kind: str) -> int:
        return sum(g.count for g in node.gres if g.name == name and kind in ("", g.type))

    memory = spec.memory_mib_per_node
    if memory is None:
        memory = (spec.memory_mib_per_cpu or 0) * spec.cpus_per_task * tasks
    return (
        tasks * spec.cpus_per_task <= node.cpus
        and memory <= node.memory_mib
        and tasks <= (spec.tasks_per_node or tasks)
        and all(
            g.count * tasks <= has(g.name, g.type) for g in slurm_gres.parse(spec.gres_per_task)
        )
        and all(g.count <= has(g.name, g.type) for g in slurm_gres.parse(spec.tres_per_node))
    )


def allowed(node: SlurmNode, spec: JobSpec) -> bool:
    """Whether the job may use the node at all."""
    features = set(node.features)
    fits = {
        "": True,
        "class-a": "class-a" in features,
        "class-a|class-b": bool({"class-a", "class-b"} & features),
        "(class-a|class-b)&x": bool({"class-a", "class-b"} & features) and "x" in features,
        "class-a&[x|y]": "class-a" in features,
        "[x|y]": True,
    }[spec.constraints]
    in_partition = not spec.partition or spec.partition in node.partitions
    return fits and in_partition and node.name not in spec.excluded_nodes


def choices(nodes: Sequence[SlurmNode]) -> Iterator[tuple[SlurmNode, ...]]:
    for size in range(1, len(nodes) + 1):
        yield from combinations(nodes, size)


def can_ever_run(spec: JobSpec, nodes: Sequence[SlurmNode], max_nodes: Mapping[str, int]) -> bool:
    """Tries every set of nodes, and on each node every number of tasks."""
    most = min(spec.max_nodes or 99, max_nodes.get(spec.partition, 99))
    for chosen in choices([node for node in nodes if allowed(node, spec)]):
        if not (spec.min_nodes or 1) <= len(chosen) <= most:
            continue
        if not set(spec.required_nodes) <= {node.name for node in chosen}:
            continue
        if "[x|y]" in spec.constraints and not any(
            all(one in node.features for node in chosen) for one in ("x", "y")
        ):
            continue
        counts = [{n for n in range(1, spec.tasks + 1) if takes(node, spec, n)} for node in chosen]
        sums = {0}
        for of_node in counts:
            sums = {before + here for before in sums for here in of_node}
        if spec.tasks in sums:
            return True
    return False


@given(spec=some_specs(), nodes=some_nodes, limit=st.none() | st.integers(1, 5), now=st.booleans())
@settings(max_examples=300, deadline=None)
def test_a_sentence_is_told_just_where_no_choice_of_nodes_can_take_the_job(
    spec: JobSpec, nodes: list[SlurmNode], limit: int | None, *, now: bool
) -> None:
    """The oracle tries all of them, node by node."""
    max_nodes = {"p": limit} if limit else {}
    sentence = said(spec, nodes, max_nodes=max_nodes, now=now)
    event("short" if sentence else "can run")
    assert (sentence == "") == can_ever_run(spec, nodes, max_nodes), sentence
    assert len(sentence.encode()) <= MOST_BYTES


@given(
    specs=st.lists(some_specs(), min_size=1, max_size=3),
    nodes=st.lists(some_nodes, min_size=1, max_size=2).map(lambda lists: map(capacities.of, lists)),
    asked=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1), st.booleans()), max_size=8),
)
@settings(max_examples=60, deadline=None)
def test_a_sentence_that_is_kept_is_the_one_that_would_be_found(
    specs: list[JobSpec], nodes: Iterator[Capacities], asked: list[tuple[int, int, bool]]
) -> None:
    """Whatever was asked before, of which job and of which nodes."""
    kept, known = Shortages(), list(nodes)
    for which, when, now in asked:
        spec, there = specs[which % len(specs)], known[when % len(known)]
        found = kept.of(spec, there, max_nodes={"p": 2}, now=now)
        assert found == shortage.of(spec, there, max_nodes={"p": 2}, now=now)


class Read:
    """A job that notes which of its fields are looked at."""

    def __init__(self, spec: JobSpec) -> None:
        self._spec = spec
        self.fields: set[str] = set()

    def __getattr__(self, name: str) -> object:
        self.fields.add(name)
        return getattr(self._spec, name)


def test_kept_sentences_are_told_apart_by_all_that_they_depend_on() -> None:
    """Looked at is most where nothing is short, as then all is tried."""
    job = Read(a_spec(tasks=2, gres_per_task="gres/gpu:1", also=(a_spec(role="worker"),)))
    assert shortage.of(cast("JobSpec", job), capacities.of(FOUR), max_nodes={}) == ""
    assert len(job.fields) > 10
    assert job.fields <= {*shortage.DECIDES, "also"}


def test_the_sentence_stays_short_whatever_anything_is_called() -> None:
    """Names come from users and from admins."""
    long = "\x01ü" * 500
    spec = a_spec(
        partition=long, role=long, gres_per_task="gres/" + "g" * 900 + ":9", constraints="f" * 900,
        required_nodes=(long,), also=(a_spec(partition=long, role=long, constraints="x" * 990),),
    )  # fmt: skip
    nodes = [a_node("n", partitions=(long,), features=("class-" + "f" * 900, "f" * 900))]
    told = said(spec, nodes)
    assert told.isprintable()
    assert 0 < len(told.encode()) <= MOST_BYTES


def test_nothing_is_said_of_a_job_that_cant_be_read() -> None:
    """Constraints may be a few characters longer than what is read of them."""
    assert said(a_spec(constraints="|".join(f"class-{n:012x}" for n in range(80))), FOUR) == ""
    assert shortage.of(GPUS, Capacities(), max_nodes={}) == ""


def test_nodes_without_a_place_in_slurms_topology_are_a_possible_cause() -> None:
    """Where nothing else is short, for a job of several nodes: Slurm gives it only nodes with a
    place, and gives the others what needs one node."""
    external = frozenset({"IDLE", "EXTERNAL"})
    outside = [replace(node, states=external) for node in FOUR]
    pair = a_spec(tasks=2, gres_per_task="gres/gpu:8")
    sentence = said(pair, outside)
    assert sentence.startswith("4 of the 4 nodes that could take it have no place in Slurm's topo")
    assert "set nodes.topology" in sentence
    inside = [replace(node, topology="fabric:root:a") for node in outside]
    assert said(pair, [*inside[:1], *outside[1:]]).startswith("3 of the 4 nodes")
    assert said(pair, [*inside[:2], *outside[2:]]) == ""
    assert said(a_spec(gres_per_task="gres/gpu:8"), outside) == ""
    assert said(replace(pair, max_nodes=1, gres_per_task="gres/gpu:4"), outside) == ""
    assert "no place" not in said(replace(pair, gres_per_task="gres/gpu:9"), outside)
