"""Our words in Slurm's."""

from dataclasses import replace

import pytest

from bridge.lifecycle import describe
from bridge.model.job import JobIdentity, JobSpec
from bridge.slurm import JobChanges

SPEC = JobSpec(
    identity=JobIdentity("c", "g", 1, "Pod/team/web"),
    name="team/web",
    tasks=1,
    cpus_per_task=1,
    partition="gpu",
    account="physics",
    user="alice",
    group="hpc",
)


def test_user_and_group_are_sent_together() -> None:
    """And neither where there is none: the job is the token's user's then."""
    sent = describe.description(SPEC)
    assert (sent.user_id, sent.group_id) == ("alice", "hpc")
    sent = describe.description(replace(SPEC, user="", group=""))
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
    sent = describe.description(spec)
    assert (sent.mcs_label, sent.exclusive) == (spec.mcs_label or None, spec.exclusive)
    assert sent.shared == shared


@pytest.mark.parametrize("field", ["partition", "account", "qos"])
def test_what_the_namespace_says_anew(field: str) -> None:
    """Partition, account and QOS of a waiting job follow."""
    changed = replace(SPEC, **{field: "other"})  # type: ignore[arg-type]
    assert describe.changes(SPEC, changed) == JobChanges(**{field: "other"})  # type: ignore[arg-type]


def test_a_user_stays() -> None:
    """Slurm takes no other for a job that it has (2010)."""
    assert describe.changes(SPEC, replace(SPEC, user="bob", group="bio")) == JobChanges()
