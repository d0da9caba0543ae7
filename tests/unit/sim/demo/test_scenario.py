"""What the demo submits."""

import pytest

from bridge import names
from bridge.sim.demo import scenario
from bridge.sim.demo.scenario import FULL, HIGH, QUICK, URGENT, Scenario, Workload


@pytest.mark.parametrize("played", [FULL, QUICK], ids=["full", "quick"])
def test_a_scene_shows_every_kind_and_more_than_fits(played: Scenario) -> None:
    """Gangs of several sizes, single pods, two priorities, a high partition, one alone."""
    loads = played.workloads
    assert len({one.pods for one in loads if one.gang}) >= 3
    assert any(one.gpus == 1 and not one.gang for one in loads)
    assert {one.priority for one in loads} == {scenario.NORMAL, URGENT}
    assert any(one.partition == HIGH for one in loads)
    assert any(one.exclusive for one in loads)
    assert sum(one.pods * one.gpus for one in loads) > played.gpus
    assert all(one.fewest_nodes <= played.nodes for one in loads)
    assert len({one.name for one in loads}) == len(loads)


def test_a_gang_is_an_indexed_job_whose_pods_know_each_other() -> None:
    """As training Jobs are written."""
    spec = Workload("train", 4, 8, 3, gang=True).manifest()["spec"]
    assert spec["completionMode"] == "Indexed"
    assert spec["completions"] == spec["parallelism"] == 4
    assert spec["template"]["spec"]["subdomain"] == "train"


def test_wishes_stand_in_the_jobs_annotations() -> None:
    """Only those that differ from the usual."""
    usual = Workload("a", 1, 1, 1).manifest()["metadata"]["annotations"]
    assert usual == {names.JOB_PREFIX + "priority": "1000", names.JOB_PREFIX + "timelimit": "1"}
    special = Workload("b", 1, 1, 1, partition=HIGH, exclusive=True).manifest()
    marks = special["metadata"]["annotations"]
    assert marks[names.JOB_PREFIX + "partition"] == HIGH
    assert marks[names.JOB_PREFIX + "exclusive"] == "true"


@pytest.mark.parametrize(
    ("workload", "fewest"),
    [
        (Workload("w", 8, 8, 1), 8),
        (Workload("w", 9, 1, 1), 2),
        (Workload("w", 4, 3, 1), 2),
        (Workload("w", 3, 1, 1, exclusive=True), 3),
    ],
)
def test_the_fewest_nodes_of_a_workload(workload: Workload, fewest: int) -> None:
    """Whole pods on nodes of eight GPUs."""
    assert workload.fewest_nodes == fewest
