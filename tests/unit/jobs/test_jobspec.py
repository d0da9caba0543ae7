"""The translation of a gang to one Slurm job."""

from dataclasses import replace
from fnmatch import fnmatch

import pytest

from bridge.errors import BadInput
from bridge.jobs import jobspec
from bridge.jobs.workload_status import WorkloadStatus
from bridge.model import timelimit
from bridge.model.devices import ResourceMap
from bridge.model.gang import Gang, JobParameters
from bridge.model.job import JobIdentity, JobSpec
from bridge.state.slurm_facts import PartitionFacts
from tests.builders import PodBuilder, a_gang_job, a_pod, gang_for

RULES = jobspec.Rules(
    partition="slurm-bridge",
    default_memory_mib=1024,
    resource_map=ResourceMap({"nvidia.com/gpu": "gpu", "vpc.amazonaws.com/efa": "efa"}),
    priority_classes={
        "urgent": jobspec.Precedence(partition="easy", qos="high", nice=-10),
        "batch": jobspec.Precedence(nice=100),
    },
)
PARTITIONS = PartitionFacts(
    with_memory_default=frozenset({"easy"}),
    known=frozenset({"slurm-bridge", "easy"}),
    max_time_min={"easy": 600},
)


def built(gang: Gang, *, classes: tuple[str, ...] = ("class-a",)) -> JobSpec:
    return jobspec.build(
        gang,
        identity=JobIdentity("c", gang.id, 0, gang.owner),
        rules=RULES,
        partitions=PARTITIONS,
        where=jobspec.Where(classes=classes),
    )


def one(pod: PodBuilder) -> Gang:
    return gang_for([pod.build()])


def test_cpus_are_rounded_up_once_and_memory_is_exact() -> None:
    """2.3 CPUs are three cores; a MiB asked is a MiB given."""
    spec = built(one(a_pod().asking(cpu=2.3, memory_gi=1.5)))
    assert (spec.cpus_per_task, spec.memory_mib_per_node) == (3, 1536)
    assert spec.memory_mib_per_cpu is None


def test_a_pod_that_asks_for_nothing_gets_one_cpu_and_the_default_memory() -> None:
    """Never the whole node, which is Slurm's own default."""
    spec = built(one(a_pod()))
    assert (spec.cpus_per_task, spec.memory_mib_per_node) == (1, 1024)


def test_a_partition_with_a_memory_default_keeps_it() -> None:
    """Nothing is sent, so that the partition's DefMem* holds."""
    spec = built(one(a_pod().annotated(partition="easy")))
    assert (spec.memory_mib_per_node, spec.memory_mib_per_cpu) == (None, None)


def test_several_tasks_get_memory_per_cpu_rounded_up() -> None:
    """They may share nodes, and Slurm has no memory per task."""
    job = a_gang_job(size=4)
    gang = gang_for([a_pod("p").of(job, 0).asking(cpu=3, memory_gi=1).build()], job)
    spec = built(gang)
    assert (spec.tasks, spec.memory_mib_per_cpu, spec.memory_mib_per_node) == (4, 342, None)


def test_gpus_are_asked_per_task_with_the_type_from_the_annotation() -> None:
    """The annotation names the type and may raise the count, never lower it."""
    assert built(one(a_pod().asking(gpu=2))).gres_per_task == "gres/gpu:2"
    typed = one(a_pod().asking(gpu=8).annotated(gres="gpu:h100:1"))
    assert built(typed).gres_per_task == "gres/gpu:h100:8"
    more = built(one(a_pod().asking(gpu=1).annotated(gres="gpu:4,efa:2")))
    assert (more.gres_per_task, more.tres_per_node) == ("gres/gpu:4", "gres/efa:2")


def test_exclusive_gives_each_pod_a_node() -> None:
    """One task a node, and memory exact per node again."""
    job = a_gang_job(size=2)
    pod = a_pod("p").of(job, 0).asking(memory_gi=1).annotated(exclusive="true").build()
    spec = built(gang_for([pod], job))
    assert spec.exclusive
    assert spec.tasks_per_node == 1
    assert spec.memory_mib_per_node == 1024


@pytest.mark.parametrize(
    ("classes", "wish", "expression"),
    [
        (("class-a", "class-b"), "", "class-a|class-b"),
        (("class-a", "class-b"), "x", "(class-a|class-b)&x"),
        (("class-a",), "x|y", "class-a&(x|y)"),
        ((), "x&y", "x&y"),
    ],
)
def test_constraints_are_the_classes_and_the_users_own(
    classes: tuple[str, ...], wish: str, expression: str
) -> None:
    """ORed classes, ANDed with the wish, in forms that Slurm takes."""
    gang = one(a_pod())
    gang = replace(gang, parameters=replace(gang.parameters, constraints=wish))
    assert built(gang, classes=classes).constraints == expression


def test_an_unknown_partition_is_refused_with_those_that_exist() -> None:
    """Before Slurm is asked, with the annotation to change."""
    with pytest.raises(BadInput, match="it has easy, slurm-bridge"):
        built(one(a_pod().annotated(partition="nope")))


def test_squeue_shows_whose_job_it_is() -> None:
    """Namespace and name are the job's name; comment and folder tell it also of a named one."""
    assert built(one(a_pod("web"))).name == "team/web"
    named = built(one(a_pod("web").annotated(job_name="mine")))
    assert (named.name, named.working_directory) == ("mine", "/team/pod/web")
    assert named.comment == "Pod/team/web of Kubernetes"


def test_texts_for_people_are_cut_and_stay_different() -> None:
    """An owner in a reference may have any name; squeue, sacct and logs are read by people."""
    odd, odder = (
        built(replace(one(a_pod()), owner_kind="Odd\n", owner_name=name))
        for name in ("\x01" * 800, "\x01" * 801)
    )
    assert odd.name != odder.name
    assert odd.comment != odder.comment
    assert odd.name.startswith("team/___")
    assert len(odd.name) == 255
    named = built(one(a_pod().annotated(job_name="x" * 999)))
    assert len(named.name) == 255


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("train", "/team/job/train"),
        ("train/worker/train-worker-0", "/team/job/train/worker/train-worker-0"),
        ("../../etc", "/team/job/_..-*/_..-*/etc"),
        ("a//b/c/d", "/team/job/a/_-*/b_c_d-*"),
        ("-rf", "/team/job/_-rf-*"),
        ("x" * 999, "/team/job/" + "x" * 115 + "-*"),
    ],
)
def test_the_working_directory_leads_nowhere_else(name: str, folder: str) -> None:
    """Namespace, kind and owner; no name climbs out of its place."""
    spec = built(replace(one(a_pod()), owner_kind="Job", owner_name=name))
    assert fnmatch(spec.working_directory, folder)
    assert spec.working_directory.count("/") == folder.count("/")


@pytest.mark.parametrize("annotation", ["licenses", "reservation", "account", "qos", "wckey"])
@pytest.mark.parametrize("text", ["x" * 1025, "ü" * 513, "x\ny", "\ud800"])
def test_what_slurm_looks_up_is_never_cut(annotation: str, text: str) -> None:
    """A role of it would be something else: the pod is told."""
    gang = one(a_pod())
    gang = replace(gang, parameters=JobParameters(**{annotation: text}))  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=f"slurm.net/{annotation}: ") as refusal:
        built(gang)
    assert refusal.value.field == f"metadata.annotations[slurmjob.slinky.slurm.net/{annotation}]"
    assert str(refusal.value).isprintable()
    assert len(str(refusal.value)) < 300


def test_unlimited_time_is_slurms_infinite() -> None:
    """UNLIMITED is no number of minutes."""
    spec = built(one(a_pod().annotated(timelimit="UNLIMITED")))
    assert spec.time_limit_min == timelimit.UNLIMITED


def test_a_gang_names_the_fewest_nodes_that_can_hold_it() -> None:
    """Slurm looks for a leaf switch by it; the user may ask for more, not for fewer."""
    job = a_gang_job(size=16)
    gang = gang_for([a_pod("p").of(job, 0).asking(gpu=1).build()], job)
    where = jobspec.Where(classes=("class-a",), tasks_per_node=8)

    def fewest(gang: Gang) -> int | None:
        identity = JobIdentity("c", gang.id, 0, gang.owner)
        return jobspec.build(
            gang, identity=identity, rules=RULES, partitions=PARTITIONS, where=where
        ).min_nodes

    assert fewest(gang) == 2
    assert fewest(replace(gang, parameters=replace(gang.parameters, min_nodes=4))) == 4
    assert fewest(replace(gang, parameters=replace(gang.parameters, min_nodes=1))) == 2
    assert fewest(replace(gang, parameters=replace(gang.parameters, exclusive=True))) == 16
    assert fewest(replace(gang, parameters=replace(gang.parameters, min_nodes=99))) == 16
    assert fewest(replace(gang, size=1)) is None


@pytest.mark.parametrize(("wished", "said"), [(None, None), (1, 2), (2, 2), (5, 5)])
def test_max_nodes_is_never_less_than_the_gang_needs(wished: int | None, said: int | None) -> None:
    """16 tasks, 8 a node: one node could never hold them."""
    job = a_gang_job(size=16)
    gang = gang_for([a_pod("p").of(job, 0).asking(gpu=1).build()], job)
    gang = replace(gang, parameters=replace(gang.parameters, max_nodes=wished))
    where = jobspec.Where(classes=("class-a",), tasks_per_node=8)
    spec = jobspec.build(
        gang,
        identity=JobIdentity("c", gang.id, 0, gang.owner),
        rules=RULES,
        partitions=PARTITIONS,
        where=where,
    )
    assert spec.max_nodes == said


def test_cpus_and_memory_of_the_user_raise_and_never_lower() -> None:
    """What the pod needs is the least."""
    less = built(
        one(a_pod().asking(cpu=4, memory_gi=4).annotated(cpu_per_task="2", mem_per_node="1Gi"))
    )
    assert (less.cpus_per_task, less.memory_mib_per_node) == (4, 4096)
    more = built(
        one(a_pod().asking(cpu=4, memory_gi=4).annotated(cpu_per_task="6", mem_per_node="8Gi"))
    )
    assert (more.cpus_per_task, more.memory_mib_per_node) == (6, 8192)


def ranked(priority_class: str, **annotated: str) -> JobSpec:
    pod = replace(a_pod().annotated(**annotated).build(), priority_class=priority_class)
    return built(gang_for([pod]))


def test_a_priority_class_is_partition_qos_and_nice() -> None:
    """As the map says; a class that it doesn't name is nothing to Slurm."""
    urgent = ranked("urgent")
    assert (urgent.partition, urgent.qos, urgent.nice) == ("easy", "high", -10)
    batch = ranked("batch")
    assert (batch.partition, batch.qos, batch.nice) == ("slurm-bridge", "", 100)
    other = ranked("system-cluster-critical")
    assert (other.partition, other.qos, other.nice) == ("slurm-bridge", "", None)


def test_the_pods_own_words_go_before_its_priority_class() -> None:
    """Partition and QOS one by one; a priority of its own is not nice."""
    spec = ranked("urgent", partition="slurm-bridge", qos="low", priority="7")
    assert (spec.partition, spec.qos, spec.priority, spec.nice) == ("slurm-bridge", "low", 7, None)


@pytest.mark.parametrize(
    ("partition", "timelimit", "said"),
    [
        ("slurm-bridge", None, timelimit.UNLIMITED),
        ("easy", None, 600),
        ("easy", "30", 30),
    ],
)
def test_a_server_asks_for_all_the_time_that_the_partition_allows(
    partition: str, timelimit: str | None, said: int
) -> None:
    """Not for its DefaultTime, unless the user said how long."""
    more = {"timelimit": timelimit} if timelimit else {}
    gang = one(a_pod().annotated(partition=partition, **more))
    assert built(replace(gang, long_lived=True)).time_limit_min == said
    assert built(gang).time_limit_min == (said if timelimit else None)


def test_what_a_workload_depends_on_is_asked_of_the_resolver() -> None:
    """With the gang's own namespace; the ids stand in the job."""
    asked = []

    def resolve(*what: str) -> WorkloadStatus:
        asked.append(what)
        return WorkloadStatus(jobs=(12, 13))  # type: ignore[arg-type]

    gang = one(a_pod().annotated(dependency="afterany:job/prepare,afterok:7"))
    spec = jobspec.build(
        gang,
        identity=JobIdentity("c", gang.id, 0, gang.owner),
        rules=RULES,
        partitions=PARTITIONS,
        where=jobspec.Where(classes=("class-a",)),
        resolve=resolve,
    )
    assert spec.dependency == "afterany:12:13,afterok:7"
    assert asked == [("team", "job", "prepare")]


def test_licenses_reservation_account_and_wckey_are_passed_on() -> None:
    """As they were written."""
    spec = built(
        one(a_pod().annotated(licenses="matlab:2", reservation="r", account="a", wckey="w"))
    )
    assert (spec.licenses, spec.reservation, spec.account, spec.wckey) == (
        "matlab:2",
        "r",
        "a",
        "w",
    )
