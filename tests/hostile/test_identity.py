"""Whatever stands in a pod's metadata: its job's texts are short and printable, and its identity
is read back.
"""

from dataclasses import fields, replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.errors import BadInput
from bridge.gangs import demand, membership
from bridge.gangs.lineage import Lineage
from bridge.jobs import jobspec, jobtexts, to_slurm
from bridge.model.gang import Gang, JobParameters
from bridge.model.ids import GangId
from bridge.model.job import JobIdentity, JobSpec
from bridge.model.owner import Owner
from bridge.model.pod import OwnerReference
from bridge.model.scheduling import PodShape
from bridge.slurm import identity
from bridge.state.slurm_facts import PartitionFacts
from tests.builders import a_pod
from tests.hostile import texts

CLUSTER = "0b8f4a2e-6c8d-4f6b-9d0a-7a6b5c4d3e2f"
RULES = jobspec.Rules(partition="p", default_memory_mib=1024)
SLURM_TAKES = {"dependency": 128 * 1024, "working_directory": 4096}
"""Bytes; 1,024 of any other text (slurmctld, _test_job_desc_fields)."""


def built(gang: Gang, classes: tuple[str, ...] = ("class-a",)) -> JobSpec:
    return jobspec.build(
        gang,
        identity=JobIdentity(CLUSTER, gang.id, 0, gang.owner),
        rules=RULES,
        partitions=PartitionFacts(),
        where=jobspec.Where(classes=classes),
    )


def check(spec: JobSpec) -> None:
    """What is sent to Slurm is printable and no longer than Slurm takes."""
    sent = to_slurm.description(spec)
    for field in fields(sent):
        text = getattr(sent, field.name)
        if isinstance(text, str) and field.name != "script":
            assert text.isprintable(), field.name
            assert len(text.encode()) <= SLURM_TAKES.get(field.name, 1024), field.name
    assert sent.admin_comment is not None
    assert sent.admin_comment.isascii()
    assert identity.parse(sent.admin_comment) == spec.identity
    assert ".." not in sent.working_directory.split("/")
    assert "//" not in sent.working_directory
    assert sent.working_directory.startswith("/team/")


@given(texts.texts, texts.texts, texts.maybe)
@example("Job", "\x01" * 800, "")
def test_a_job_of_any_owner_can_be_sent(kind: str, name: str, job_name: str) -> None:
    """Whatever it is called; the job is found again as its gang's."""
    wishes = JobParameters(job_name=job_name)
    gang = Gang(GangId("team/uid"), "team", kind, name, 1, PodShape(), wishes)
    spec = built(gang)
    check(spec)
    assert spec.identity.is_of(CLUSTER, gang.id)


def outcome(gang: Gang) -> JobSpec | str:
    """Its job, or why it has none."""
    try:
        return built(gang)
    except BadInput as error:
        return str(error)


@given(texts.parameters)
def test_what_slurm_looks_up_is_sent_whole_or_refused(wishes: JobParameters) -> None:
    """In words that are short and printable themselves."""
    found = outcome(Gang(GangId("team/uid"), "team", "Job", "x", 1, PodShape(), wishes))
    if isinstance(found, str):
        assert found.isprintable()
        assert len(found) < 1000
        return
    check(found)
    for name in ("account", "licenses", "qos", "reservation", "wckey"):
        assert getattr(found, name) == getattr(wishes, name)


@given(texts.texts, texts.texts, texts.texts, st.booleans(), st.booleans())
def test_any_owner_reference_gives_a_job(
    kind: str, name: str, uid: str, read: bool, together: bool
) -> None:
    """The owner need not exist, and its kind need not be known."""
    reference = OwnerReference("example.com/v1", kind, name, uid)
    owner = Owner(
        uid=uid, namespace="team", name=name, resource_version="", kind=kind, known=read, replicas=2
    )
    pod = a_pod()
    if together:
        pod = pod.annotated(gang="true")
    line = Lineage(replace(pod.build(), owner=reference), (owner,))
    member = membership.of(line)
    gang = demand.gang_of(line, member, {0: PodShape()})
    spec = built(gang)
    check(spec)
    assert spec.identity.is_of(CLUSTER, gang.id)
    assert built(gang) == spec


@given(texts.texts, texts.texts)
def test_owners_that_differ_are_told_apart_in_slurm(one: str, other: str) -> None:
    """Name and comment, also where a long name differs in its end only; singleton goes by it."""
    first, second = (
        built(Gang(GangId("team/uid"), "team", "Job", name, 1, PodShape()))
        for name in (one, one + other)
    )
    assert first.name != second.name
    assert first.comment != second.comment
    assert first.identity.owner != second.identity.owner


def test_more_node_classes_than_slurm_takes_are_refused_with_the_reason() -> None:
    """slurmctld's own words for it are those for a long path."""
    gang = Gang(GangId("team/uid"), "team", "Job", "x", 1, PodShape())
    few, many = (tuple(f"class-{number:012x}" for number in range(count)) for count in (53, 54))
    check(built(gang, few))
    with pytest.raises(BadInput, match=r"1025 bytes of constraints \(with the node classes"):
        built(gang, many)


def test_every_text_of_a_job_is_looked_after() -> None:
    """A field that is added to JobSpec is cut or refused too."""
    gang = Gang(GangId("team/uid"), "team", "Job", "x", 1, PodShape())
    cut = {"name", "comment", "working_directory", "role"}
    for field in fields(JobSpec):
        if isinstance(getattr(built(gang), field.name), str) and field.name not in cut:
            assert field.name in jobtexts.LOOKED_UP
