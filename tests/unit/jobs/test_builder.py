"""A gang's job in Slurm, as it should be now."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bridge.errors import BadInput
from bridge.jobs import dependencies, jobspec, jobtexts, tasks
from bridge.jobs.builder import JobBuilder
from bridge.model.devices import ResourceMap
from bridge.model.gang import Gang, Role
from bridge.model.job import Gres
from bridge.model.resources import Resources
from bridge.model.scheduling import PodShape
from bridge.state.slurm_facts import Capacities, NodeGroup, PartitionFacts
from bridge.state.slurm_state import SlurmState
from tests.builders import a_gang

CPU = PodShape(Resources(cpu_milli=1000), node_selector=(("pool", "cpu"),))
GPU = PodShape(Resources(cpu_milli=8000, extended=(("nvidia.com/gpu", 8),)))
MIXED = replace(
    a_gang("g", size=3, shape=GPU), roles=(Role("launcher", 1, CPU), Role("worker", 2, GPU))
)


def builder(
    slurm_state: SlurmState | None = None, *, lacking: tuple[int, int] | None = None
) -> JobBuilder:
    anywhere = SimpleNamespace(
        of=lambda shape, avoided, identity: jobspec.Where(classes=("class-a",)),
        can_run=lambda shape: True,
        takes_all_of=lambda shape, other: False,
        can_hold=lambda components, alone: lacking is None,
        lacking=lambda components, alone: lacking,
    )
    all_free = SimpleNamespace(leave_out=lambda component, pods, where, asked, of_slurm: where)
    rules = jobspec.Rules("p", 1024, resource_map=ResourceMap({"nvidia.com/gpu": "gpu"}))
    return JobBuilder(
        cluster_uid="c",
        node_constraints=cast("Any", anywhere),
        full_nodes=cast("Any", all_free),
        slurm_state=slurm_state or SlurmState(),
        rules=rules,
        limits=tasks.Limits(),
        resolve=dependencies.nobody,
    )


def test_each_kind_of_pod_that_needs_other_nodes_is_a_component() -> None:
    """The comment says which way was taken; only the first component is the gang's job."""
    spec = builder().build(MIXED, 2, ())
    assert [one.tasks for one in (spec, *spec.also)] == [1, 2]
    assert spec.comment.endswith(": 2 components of a het job")
    assert [(one.identity.gang, one.identity.generation) for one in (spec, *spec.also)] == [
        ("g", 2),
        ("g#1", 2),
    ]
    plain: Gang = a_gang("g", size=2, shape=GPU)
    assert builder().build(plain, 0, ()).also == ()


def test_components_know_whose_pods_they_are_for() -> None:
    """By the role, for people; a job of one component needs no name."""
    spec = builder().build(MIXED, 2, ())
    assert [one.role for one in (spec, *spec.also)] == ["launcher", "worker"]
    assert builder().build(a_gang("g", size=2, shape=GPU), 0, ()).role == ""


def test_what_is_short_is_said_of_the_nodes_that_slurm_has() -> None:
    """With the limits of its partitions."""
    made = builder()
    spec = made.build(MIXED, 2, ())
    assert made.shortage(spec, now=True) == "", "Slurm has not told of its nodes yet"
    made = builder(
        SlurmState(
            partitions=PartitionFacts(known=frozenset({"p"}), max_nodes={"p": 1}),
            capacities=Capacities((NodeGroup(frozenset({"class-a"}), frozenset({"p"}), 8, 4096,
                                             (Gres("gpu", "", 8),), 2),)),
        )
    )  # fmt: skip
    assert made.shortage(made.build(MIXED, 2, ()), now=True) == (
        "role worker: it needs 2 nodes at least, and a job of partition p may have 1 node"
    )


def test_the_comment_stays_short_whatever_the_owner_is_called() -> None:
    """What is added to it stays readable."""
    spec = builder().build(replace(MIXED, owner_name="\x01" * 5000), 2, ())
    assert spec.comment.isprintable()
    assert spec.comment.endswith(" of Kubernetes: 2 components of a het job")
    assert len(spec.comment) <= jobtexts.COMMENT_BYTES


def test_a_het_job_that_no_nodes_can_ever_hold_says_so() -> None:
    """In Slurm it would wait for "Resources" without end."""
    with pytest.raises(BadInput, match=r"they need 3 nodes, and only 2 can ever take"):
        builder(lacking=(3, 2)).build(MIXED, 0, ())
