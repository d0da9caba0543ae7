"""What a waiting job is told, and what it can't be told."""

from dataclasses import fields, replace
from typing import Any

import pytest

from bridge.jobs import to_slurm
from bridge.model.ids import SlurmJobId, SlurmNodeName
from bridge.model.job import Garbled, JobIdentity, JobSpec, NodeGrant
from bridge.slurm import Job, JobChanges, timelimit

SPEC = JobSpec(
    identity=JobIdentity("cluster", "gang", 1, "Job/team/train"),
    name="team/train",
    tasks=4,
    cpus_per_task=2,
    partition="slurm-bridge",
    memory_mib_per_cpu=100,
)
WHOLE = replace(SPEC, exclusive=True, tasks_per_node=1, min_nodes=4)


@pytest.mark.parametrize(
    ("old", "change"),
    [
        (SPEC, {"user": "1000"}),
        (SPEC, {"group": "1000"}),
        (SPEC, {"mcs_label": "k"}),
        (SPEC, {"exclusive": True}),
        (WHOLE, {"exclusive": False, "tasks_per_node": None}),
        (replace(SPEC, account="a"), {"account": ""}),
        (replace(SPEC, qos="q"), {"qos": ""}),
        (replace(SPEC, reservation="r"), {"reservation": ""}),
        (replace(SPEC, time_limit_min=5), {"time_limit_min": None}),
        (replace(SPEC, max_nodes=2), {"max_nodes": None}),
        (SPEC, {"partition": ""}),
        (SPEC, {"memory_mib_per_cpu": None}),
        (SPEC, {"tasks": 16, "min_nodes": 8}),
    ],
)
def test_what_slurm_cannot_change_in_place_is_submitted_anew(
    old: JobSpec, change: dict[str, Any]
) -> None:
    """Or would be taken without effect."""
    assert not old.can_become(replace(old, **change))
    assert old.can_become(old)


@pytest.mark.parametrize(
    ("old", "change", "said"),
    [
        (SPEC, {}, {}),
        (SPEC, {"name": "x"}, {"name": "x"}),
        (SPEC, {"gres_per_task": "gres/gpu:1"}, {"tres_per_task": "gres/gpu:1"}),
        (replace(SPEC, licenses="a"), {"licenses": ""}, {"licenses": ""}),
        (replace(SPEC, nice=5), {"nice": None}, {"nice": 0}),
        (replace(SPEC, priority=5), {"priority": None}, {"priority": 0xFFFFFFFF}),
        (SPEC, {"time_limit_min": timelimit.UNLIMITED}, {"time_limit_min": timelimit.UNLIMITED}),
        (SPEC, {"memory_mib_per_cpu": 7}, {"memory_per_cpu_mib": 7}),
        (
            SPEC,
            {"tasks": 6, "min_nodes": 2},
            {"tasks": 6, "cpus_per_task": 2, "min_cpus": 12, "min_nodes": 2},
        ),
        (
            WHOLE,
            {"tasks": 6, "min_nodes": 6},
            {"tasks": 6, "cpus_per_task": 2, "min_cpus": 12, "min_nodes": 6, "max_nodes": 6},
        ),
    ],
)
def test_only_what_changed_is_said_and_a_size_whole(
    old: JobSpec, change: dict[str, Any], said: dict[str, Any]
) -> None:
    """In the client's words."""
    new = replace(old, **change)
    assert old.can_become(new)
    assert to_slurm.changes(old, new) == JobChanges(**said)


OTHER_VALUES: dict[str, object] = {
    "tasks": 5,
    "cpus_per_task": 3,
    "memory_mib_per_node": 9,
    "memory_mib_per_cpu": 9,
    "excluded_nodes": (SlurmNodeName("n"),),
    "required_nodes": (SlurmNodeName("n"),),
    "min_nodes": 2,
    "max_nodes": 3,
    "priority": 9,
    "nice": 9,
    "time_limit_min": 9,
}
KEPT = {"identity", "working_directory", "role"}
"""Never change in a gang's life, or are not Slurm's."""


@pytest.mark.parametrize("name", sorted({field.name for field in fields(JobSpec)} - KEPT))
def test_every_field_is_either_said_or_asks_for_a_new_job(name: str) -> None:
    """None is lost in between, also of those that are added later."""
    old = SPEC
    before = getattr(old, name)
    other = not before if isinstance(before, bool) else OTHER_VALUES.get(name, "other")
    new = replace(old, **{name: other})  # type: ignore[arg-type]
    assert not old.can_become(new) or to_slurm.changes(old, new) != JobChanges()


def test_after_a_restart_all_that_decides_where_when_and_how_large_is_said() -> None:
    """What was said before isn't known then; what Slurm chose itself is left to it."""
    said = to_slurm.changes(
        None, replace(SPEC, constraints="class-a", time_limit_min=5, nice=7, account="physics")
    )
    assert said == JobChanges(
        partition=SPEC.partition,
        account="physics",
        tasks=4,
        cpus_per_task=2,
        min_cpus=8,
        min_nodes=1,
        memory_per_cpu_mib=100,
        tres_per_task="",
        tres_per_node="",
        constraints="class-a",
        excluded_nodes=(),
        required_nodes=(),
        time_limit_min=5,
        nice=7,
    )


def test_user_and_group_are_sent_together() -> None:
    """And neither where there is none: the job is the token's user's then."""
    sent = to_slurm.description(replace(SPEC, user="alice", group="hpc"))
    assert (sent.user_id, sent.group_id) == ("alice", "hpc")
    sent = to_slurm.description(SPEC)
    assert (sent.user_id, sent.group_id) == (None, None)


@pytest.mark.parametrize(
    ("spec", "shared"),
    [
        (replace(SPEC, mcs_label="kubernetes"), ("mcs",)),
        (replace(SPEC, mcs_label="kubernetes", exclusive=True), None),
        (SPEC, None),
    ],
)
def test_a_label_keeps_others_off_the_nodes(spec: JobSpec, shared: tuple[str, ...] | None) -> None:
    """Only together with `shared`; an exclusive job is alone anyway (Slurm's `none`, which takes
    the field's only place)."""
    sent = to_slurm.description(spec)
    assert (sent.mcs_label, sent.exclusive) == (spec.mcs_label or None, spec.exclusive)
    assert sent.shared == shared


@pytest.mark.parametrize(
    ("comment", "mine", "garbled"),
    [
        (to_slurm.description(SPEC).admin_comment, SPEC.identity, None),
        ("", None, None),
        ('{"slurm-bridge":{"cluster":"c"}}', None, Garbled("c")),
    ],
)
def test_whose_a_job_is_has_three_answers(
    comment: str, mine: JobIdentity | None, garbled: Garbled | None
) -> None:
    """Ours, nobody's that we know, and ours once but not to be understood."""
    facts = to_slurm.facts(Job(SlurmJobId(1), "x", frozenset({"RUNNING"}), admin_comment=comment))
    assert (facts.identity, facts.garbled) == (mine, garbled)


def test_the_end_of_a_grace_is_no_time_limit() -> None:
    """Slurm moves the end of a job that makes room, whether it has a limit or not."""
    grant = NodeGrant(SlurmNodeName("n1"), 1, 100)
    for limit_min in (None, 60):
        job = Job(
            id=SlurmJobId(1), name="", states=frozenset({"RUNNING"}), end_s=130, preempt_s=100,
            nodes=(SlurmNodeName("n1"),), grants=(grant,), time_limit_min=limit_min,
        )  # fmt: skip
        facts = to_slurm.facts(job)
        assert (facts.end_s, facts.makes_room_until_s) == (None, 130)
        before = to_slurm.facts(replace(job, preempt_s=None))
        assert before.end_s == (130 if limit_min else None)
        assert before.makes_room_until_s is None
