"""Jobs that may be granted a hybrid node are alone there, unless labels or a setting say so."""

from dataclasses import replace
from typing import Any

import pytest

from bridge.jobs import jobspec, to_slurm, whole_nodes
from bridge.jobs.jobspec import Where
from bridge.model import node_class
from bridge.model.ids import SlurmNodeName
from bridge.model.job import JobIdentity, JobSpec
from bridge.state.slurm_facts import Capacities, NodeFacts, NodeGroup, NodeKind
from bridge.state.slurm_state import SlurmState

A, B = "class-00000000000a", "class-00000000000b"
RULES = jobspec.Rules(partition="mixed", default_memory_mib=1024)
SPEC = JobSpec(
    JobIdentity("c", "g", 0, "owner"), "job", tasks=4, cpus_per_task=2, partition="mixed",
    memory_mib_per_cpu=512,
)  # fmt: skip


def slurm(*, labels: bool = False) -> SlurmState:
    """Partition `mixed` has external nodes of classes A and B, and a hybrid one of A; partition
    `apart` has external nodes of A only."""
    of_hybrid = node_class.hybrid(A)
    return SlurmState(
        nodes=NodeFacts(
            tuple(NodeKind(frozenset({one})) for one in (A, B, of_hybrid)),
            keeps_labels_apart=labels,
        ),
        capacities=Capacities(
            groups=(
                NodeGroup(frozenset({A}), frozenset({"mixed", "apart"}), count=2),
                NodeGroup(frozenset({B}), frozenset({"mixed"})),
                NodeGroup(frozenset({of_hybrid, "a100"}), frozenset({"mixed"}), has_slurmd=True),
            ),
            group_of={SlurmNodeName("external"): 0, SlurmNodeName("hybrid"): 2},
        ),
    )


def built(where: Where, *, labels: bool = False, spec: JobSpec = SPEC, **rules: Any) -> JobSpec:
    return whole_nodes.of(spec, where, slurm(labels=labels), replace(RULES, **rules))


def test_a_gang_that_may_get_a_hybrid_node_takes_whole_nodes_with_all_memory() -> None:
    """By the number of its tasks a node is not given more of them than its memory holds."""
    found = built(Where(classes=(A, B), tasks_per_node=3))
    assert (found.whole_nodes, found.tasks_per_node) == (True, 3)
    assert (found.memory_mib_per_node, found.memory_mib_per_cpu) == (0, None)
    sent = to_slurm.description(replace(found, mcs_label="pods"))
    assert (sent.exclusive, sent.shared) == (True, None)
    assert not SPEC.can_become(found), "Slurm takes such a change without effect"
    one = replace(SPEC, tasks=1, memory_mib_per_node=100, memory_mib_per_cpu=None)
    assert built(Where(classes=(A,)), spec=one) == replace(one, whole_nodes=True)


@pytest.mark.parametrize(
    ("where", "spec"),
    [
        (Where(classes=(B,)), SPEC),
        (Where(classes=(A,)), replace(SPEC, partition="apart")),
        (Where(classes=(A,), required=(SlurmNodeName("external"),)), SPEC),
        (Where(classes=(A,)), replace(SPEC, exclusive=True)),
    ],
)
def test_other_jobs_stay_as_they_are(where: Where, spec: JobSpec) -> None:
    """No hybrid node of their classes in their partition, or among the nodes that they name; and
    those that are alone anyway."""
    assert built(where, spec=spec) == spec


def test_a_job_that_names_a_hybrid_node_takes_it_whole() -> None:
    """It may have no class then."""
    assert built(Where(required=(SlurmNodeName("hybrid"),))).whole_nodes
    assert built(Where(classes=(A,)), spec=replace(SPEC, partition="")).whole_nodes


def test_labels_and_the_setting_let_gangs_share() -> None:
    """A label counts only if Slurm has the plugin: else it takes it without effect."""
    where = Where(classes=(A,))
    assert built(where, mcs_label="pods", labels=True) == SPEC
    assert built(where, mcs_label="pods").whole_nodes
    assert built(where, labels=True).whole_nodes
    assert built(where, shares_hybrid_nodes=True) == SPEC


def test_jobs_ask_for_external_and_hybrid_nodes_of_a_class_by_different_features() -> None:
    """Only for those that some node has, as Slurm refuses others; before nodes were read, for the
    class itself."""
    facts, of_hybrid = slurm().nodes, node_class.hybrid(A)
    assert facts.features_of((A, B)) == (A, of_hybrid, B)
    hybrid_only = NodeFacts((NodeKind(frozenset({of_hybrid})),))
    assert hybrid_only.features_of((A,)) == (of_hybrid,)
    assert NodeFacts().features_of((A,)) == (A,)
