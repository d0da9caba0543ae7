"""Slurm's reasons in plain words."""

from dataclasses import replace

import pytest

from bridge.lifecycle import messages, reasons
from bridge.lifecycle.messages import Lack
from bridge.model.ids import SlurmJobId
from bridge.model.job import JobFacts


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("AssocMaxJobsLimit", "its user or account has all the running jobs that it may"),
        ("AssocGrpJobsLimit", "its user or account has all the running jobs that it may"),
        ("AssocGrpCpuLimit", "its user or account has all the CPUs that it may"),
        ("AssocGrpGRES", "its user or account has all the GPUs or other devices that it may"),
        ("AssocMaxSubmitJobLimit", "has all the queued and running jobs that it may"),
        ("AssocMaxWallDurationPerJobLimit", "more time than its user or account allows one job"),
        ("AssocMaxGRESPerJob", "more GPUs or other devices than its user or account allows one"),
        ("AssocMaxCpuPerNode", "more CPUs than its user or account allows one job"),
        ("AssocGrpWallLimit", "has used up its time"),
        ("AssocGrpCPUMinutesLimit", "has used up its minutes of CPUs"),
        ("AssocGrpCPURunMinutesLimit", "may still use all the minutes of CPUs"),
        ("AssocMaxCpuMinutesPerJobLimit", "CPUs times its time limit is more than"),
        ("QOSMaxCpuPerUserLimit", "its user has all the CPUs that its QOS allows one user"),
        ("QOSMaxJobsPerUserLimit", "its user has all the running jobs that its QOS allows one"),
        ("QOSGrpNodeLimit", "its QOS has all the nodes that it may"),
        ("QOSGrpMemoryRunMinutes", "all the minutes of memory"),
        ("QOSMinCpuNotSatisfied", "fewer CPUs than its QOS requires of a job"),
        ("QOSMinGRES", "fewer GPUs or other devices than its QOS requires"),
        ("InvalidAccount", "Slurm no longer lets its user charge its account"),
        ("QOSNotAllowed", "name another QOS or partition"),
        ("PartitionTimeLimit", "more time than the partition allows"),
    ],
)
def test_a_limit_in_plain_words(reason: str, words: str) -> None:
    """Whose limit, of what, and whether waiting helps."""
    told = reasons.explained(reason)
    assert words in told
    helps = "it starts when" in told
    assert helps != ("never starts" in told) or "ask for more" in told
    assert not told.endswith(".")


def test_reserved_nodes_in_plain_words() -> None:
    """Only where Slurm says that reservations are in the way."""
    reason = "ReqNodeNotAvail"
    for description in (
        f"{reason}, May be reserved for other job",
        f"{reason}, Reserved for maintenance",
    ):
        assert "with a shorter time limit" in reasons.explained(reason, description)
    assert reasons.explained(reason, f"{reason}, UnavailableNodes:n1") == ""


@pytest.mark.parametrize(
    "reason", ["", "Priority", "Resources", "NoSuchReason", "AssocGrpNonsense"]
)
def test_what_needs_no_words(reason: str) -> None:
    """Slurm's own word stands alone."""
    assert reasons.explained(reason) == ""


def test_in_the_condition() -> None:
    """Slurm's reason stays the condition's, its explanation follows in the message."""
    facts = JobFacts(
        SlurmJobId(7), "PENDING", None, reason="QOSMaxCpuPerUserLimit", partition="gpu"
    )
    told = messages.queued(facts)
    assert told.reason == "QOSMaxCpuPerUserLimit"
    assert told.message == (
        "Slurm job 7 waits in partition gpu: QOSMaxCpuPerUserLimit: its user has all the CPUs "
        "that its QOS allows one user; it starts when other jobs under this limit end."
    )
    assert messages.job_id_of(told) == 7


def test_what_is_short_says_more_than_slurms_reason() -> None:
    """Where Slurm says that the job can't start; its explanation is left out then."""
    facts = JobFacts(SlurmJobId(7), "PENDING", None, reason="PartitionNodeLimit", partition="p")
    assert "than the partition allows" in messages.queued(facts).message
    told = messages.queued(facts, Lack("it needs 3 nodes, and partition p has 2"))
    assert told.message == (
        "Slurm job 7 waits in partition p: PartitionNodeLimit: it needs 3 nodes, and partition p "
        "has 2. It never starts on the present nodes: ask for less, or ask a Slurm admin "
        "for more."
    )
    busy = replace(facts, reason="Resources")
    assert messages.queued(busy, Lack("it needs 3 nodes")) == messages.queued(busy)


def test_a_request_for_new_nodes_is_told_instead_of_advice() -> None:
    """Whoever reads it has nothing to do but to wait."""
    facts = JobFacts(SlurmJobId(7), "PENDING", None, reason="PartitionNodeLimit", partition="p")
    asked = Lack("it needs 3 nodes, and partition p has 2", "It waits for new nodes")
    assert messages.queued(facts, asked).message.endswith("p has 2. It waits for new nodes.")
    busy = replace(facts, reason="Resources")
    assert messages.queued(busy, asked).message.endswith(": Resources. It waits for new nodes.")
    assert messages.not_submitted("Slurm refused the job: no.", asked).message == (
        "Slurm refused the job: no. It waits for new nodes."
    )
