"""Which pods wait together."""

from dataclasses import replace

import pytest

from bridge.errors import BadInput
from bridge.gangs import demand, membership
from bridge.model.gang import Gang
from bridge.model.owner import LeaderWorkerSet, PodTemplate, RoleSet, RoleSpec
from bridge.model.pod_identity import LabelSet
from bridge.model.scheduling import PodShape
from tests.builders import a_gang_job, a_job, a_pod, app, beside, gang_for, held_by, line_of

_GROUP_INDEX = "leaderworkerset.sigs.k8s.io/group-index"


def test_a_bare_pod_is_a_gang_of_one() -> None:
    """Its id is the pod's own uid."""
    pod = a_pod("web").build()
    assert str(membership.of(line_of(pod)).gang) == pod.uid
    assert gang_for([pod]).size == 1


@pytest.mark.parametrize(
    ("fields", "together"),
    [
        ({"indexed": True, "template": PodTemplate(subdomain="s")}, True),
        ({"indexed": True}, False),
        ({"template": PodTemplate(subdomain="s")}, False),
        ({"indexed": True, "template": PodTemplate(subdomain="s"), "completions": 8}, False),
    ],
)
def test_a_job_is_a_gang_when_its_pods_address_each_other(
    fields: dict[str, object], together: bool
) -> None:
    """Indexed, with a subdomain, and parallelism covers completions: all three."""
    job = replace(a_job(parallelism=4, completions=4), **fields)  # type: ignore[arg-type]
    pod = a_pod("train-0").of(job, 0).build()
    assert (membership.of(line_of(pod, job)).gang == held_by(job)) is together


def test_the_gang_annotation_overrules_in_both_directions() -> None:
    """`gang: "true"` makes a gang of any Job, `"false"` of none."""
    loose = a_job(parallelism=3, completions=9)
    pod = a_pod("train-x").of(loose).annotated(gang="true").build()
    assert membership.of(line_of(pod, loose)).gang == held_by(loose)
    assert gang_for([pod], loose).size == 3
    tight = a_gang_job(size=4)
    pod = a_pod("train-0").of(tight, 0).annotated(gang="false").build()
    assert str(membership.of(line_of(pod, tight)).gang) == pod.uid
    with pytest.raises(BadInput, match="neither"):
        membership.of(line_of(a_pod("train-1").of(tight, 1).annotated(gang="maybe").build(), tight))


def test_the_size_comes_from_the_spec_not_from_the_pods_that_exist() -> None:
    """One pod of a Job of eight is enough to know that eight are needed."""
    job = a_gang_job(size=8)
    gang = gang_for([a_pod("train-3").of(job, 3).build()], job)
    assert gang.size == 8
    assert gang.owner == "Job/team/train"


def test_a_pod_without_a_gang_is_named_after_its_owner_and_itself() -> None:
    """In squeue each of a Job's pods can be told apart."""
    job = a_job(parallelism=2, completions=2)
    assert gang_for([a_pod("train-x").of(job).build()], job).owner_name == "train/train-x"


def test_annotations_nearest_the_pod_win() -> None:
    """The Job's metadata gives what the pod does not say itself."""
    job = a_job(annotations={"slurmjob.slinky.slurm.net/" + k: v for k, v in
                             {"partition": "far", "qos": "far"}.items()})  # fmt: skip
    pod = a_pod("train-x").of(job).annotated(partition="near").build()
    parameters = gang_for([pod], job).parameters
    assert (parameters.partition, parameters.qos) == ("near", "far")


def test_a_jobs_deadline_is_its_time_limit_unless_one_is_said() -> None:
    """activeDeadlineSeconds in minutes, rounded up."""
    job = a_job(active_deadline_s=61)
    pod = a_pod("train-x").of(job)
    assert gang_for([pod.build()], job).parameters.timelimit_min == 2
    assert gang_for([pod.annotated(timelimit="9").build()], job).parameters.timelimit_min == 9


def test_pods_that_differ_count_as_they_are() -> None:
    """The gang's shape covers its largest pod in every amount."""
    job = a_gang_job(size=2)
    small = a_pod("train-0").of(job, 0).asking(cpu=1, memory_gi=8).build()
    large = a_pod("train-1").of(job, 1).asking(cpu=4, memory_gi=2).build()
    requests = gang_for([small, large], job).shape.requests
    assert (requests.cpu_milli, requests.memory_bytes) == (4000, 8 << 30)


def test_a_gang_size_below_what_runs_at_once_is_refused() -> None:
    """A slot for each pod that runs at once, or the rest would wait for ever."""
    job = a_gang_job(size=4)
    pod = a_pod("train-0").of(job, 0).annotated(gang_size="2").build()
    with pytest.raises(BadInput, match="smaller than the 4 pods"):
        gang_for([pod], job)


def test_pods_with_claims_of_their_own_are_all_to_be_there_first() -> None:
    """Only they tell from where their volumes are reached; where members come in stages, those
    that come later see what is left."""
    own = PodTemplate(subdomain="train", own_claims=True)
    job = replace(a_gang_job(size=2), template=own)
    pod = a_pod("train-0").of(job, 0).build()
    assert gang_for([pod], job).whole_first
    assert not gang_for([pod], a_gang_job(size=2)).whole_first
    for ready in (False, True):
        group = LeaderWorkerSet(
            "uid-lws", "team", "lws", "1", size=4, worker=own, leader_ready=ready
        )
        line = line_of(replace(pod, labels={_GROUP_INDEX: "0"}), group)
        gang = demand.gang_of(line, membership.of(line), {})
        assert (bool(gang.staged), gang.whole_first) == (ready, not ready)


def test_roles_without_pods_are_who_their_templates_make_them() -> None:
    """What pods of a role have in common goes before its template's labels."""
    labels = LabelSet.of([("app", "x")])
    roles = (RoleSpec("a", 1, PodTemplate(labels=labels)), RoleSpec("b", 2, PodTemplate()))
    owner = RoleSet("u", "team", "r", "1", "v1", "MPIJob", roles=roles, role_label="role")
    pod = replace(a_pod("p").build(), labels={"role": "b"})
    line = line_of(pod, owner)
    gang = demand.gang_of(line, membership.of(line), {1: pod.shape}, {1: app("y")})
    assert [role.identity for role in gang.roles] == [app("x"), app("y")]
    assert gang.identities == (app("x"), app("y"), app("y"))


def test_terms_between_many_roles_are_bounded() -> None:
    """Each term of each role is asked about each other role."""
    terms = tuple(beside(f"k{number}") for number in range(100))
    template = PodTemplate(shape=PodShape(pod_anti_affinity=terms))

    def gang_with(count: int) -> Gang:
        roles = tuple(RoleSpec(f"r{number}", 1, template) for number in range(count))
        owner = RoleSet("u", "team", "r", "1", "v1", "MPIJob", roles=roles, role_label="role")
        pod = replace(a_pod("p").build(), labels={"role": "r0"})
        line = line_of(pod, owner)
        return demand.gang_of(line, membership.of(line), {0: template.shape})

    assert len(gang_with(10).roles) == 10
    with pytest.raises(BadInput, match="MPIJob r has 11 roles with 1100 required terms"):
        gang_with(11)
