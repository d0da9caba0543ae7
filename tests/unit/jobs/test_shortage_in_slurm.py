"""What is said to be short, against the embedded Slurm, which does as the real one was seen to."""

from dataclasses import replace

from hypothesis import event, given, settings
from hypothesis import strategies as st

from bridge.jobs import shortage, to_slurm
from bridge.model.ids import SlurmNodeName
from bridge.model.job import Gres, JobSpec
from bridge.nodes import capacities
from bridge.sim.slurm.cluster import Cluster
from bridge.sim.slurm.errors import NODE_CONFIGURATION_UNAVAILABLE, Refused
from bridge.slurm import SlurmNode
from bridge.slurm.wire.v0_0_45 import Wire45
from tests.unit.jobs.test_shortage import a_spec
from tests.unit.sim.slurm.builders import NOW, a_cluster, a_request, add_node

PARTITION = "slurm-bridge"
NEVER = {
    str(NODE_CONFIGURATION_UNAVAILABLE), "BadConstraints", "PartitionConfig", "PartitionNodeLimit",
}  # fmt: skip
"""What Slurm makes of a job that its nodes can't take."""

some_kinds = st.lists(
    st.tuples(
        st.sampled_from(("class-a", "class-b")),
        st.integers(1, 8),
        st.sampled_from((1000, 4000)),
        st.sampled_from((0, 2, 8)),
        st.integers(1, 3),
    ),
    min_size=1,
    max_size=3,
)
"""Class, CPUs, memory, GPUs, how many."""


@st.composite
def some_specs(draw: st.DrawFn) -> JobSpec:
    """Jobs as the bridge builds them."""
    tasks = draw(st.integers(1, 6))
    alone = draw(st.booleans())
    size = draw(st.sampled_from((100, 900, 3000)))
    whole = alone or tasks == 1
    return a_spec(
        partition=PARTITION,
        tasks=tasks,
        cpus_per_task=draw(st.sampled_from((1, 2, 5))),
        memory_mib_per_node=size if whole else None,
        memory_mib_per_cpu=None if whole else size,
        gres_per_task=draw(st.sampled_from(("", "gres/gpu:1", "gres/gpu:h100:4"))),
        tasks_per_node=1 if alone else None,
        exclusive=alone,
        min_nodes=tasks if alone else draw(st.none() | st.integers(1, tasks)),
        excluded_nodes=draw(st.sampled_from(((), ("n0",)))),
    )


def a_slurm(kinds: list[tuple[str, int, int, int, int]]) -> tuple[Cluster, list[SlurmNode]]:
    """These nodes below one switch, and what the bridge knows of them."""
    cluster = a_cluster(leaves=())
    nodes: list[SlurmNode] = []
    for feature, cpus, memory_mib, gpus, count in kinds:
        for _ in range(count):
            name = f"n{len(nodes)}"
            add_node(cluster, name, cpus=cpus, memory_mib=memory_mib, gpus=gpus, feature=feature)
            nodes.append(
                SlurmNode(
                    SlurmNodeName(name), frozenset({"IDLE"}), cpus=cpus, memory_mib=memory_mib,
                    gres=(Gres("gpu", "h100", gpus),) if gpus else (), features=(feature,),
                    partitions=(PARTITION, "high"),
                )
            )  # fmt: skip
    return cluster, nodes


def outcome(cluster: Cluster, spec: JobSpec) -> str:
    """What Slurm makes of the job while nothing else is there: its state, its reason, or 2014."""
    row = Wire45().submission(to_slurm.description(spec))["job"]
    del row["name"]
    try:
        request = a_request(cluster, **{"memory_per_cpu": None, **row})
        job, _ = cluster.submit(request, NOW)
    except Refused as refused:
        return str(refused.number)
    for second in range(5):
        cluster.advance(NOW + second)
    return job.reason if job.pending else job.state


@given(kinds=some_kinds, spec=some_specs(), classes=st.integers(1, 2))
@settings(max_examples=200, deadline=None)
def test_what_is_short_is_never_started_and_what_is_refused_is_short(
    kinds: list[tuple[str, int, int, int, int]], spec: JobSpec, classes: int
) -> None:
    """A sentence is told of each job that Slurm refuses or sets aside for its nodes, and of none
    that it starts."""
    cluster, nodes = a_slurm(kinds)
    there = sorted({feature for feature, *_ in kinds})
    spec = replace(spec, constraints="|".join(there[:classes]))
    found = outcome(cluster, spec)
    event(found)
    sentence = shortage.of(spec, capacities.of(nodes), max_nodes={})
    assert bool(sentence) == (found in NEVER), (found, sentence)
