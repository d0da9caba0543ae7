"""Objects that own pods: rows of each kind, from the wire."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import config, names
from bridge.config import RoleKind
from bridge.errors import BadInput
from bridge.kube.objects import owners, pods
from bridge.model.owner import (
    BatchJob,
    JobSet,
    LeaderWorkerSet,
    Owner,
    PodGroup,
    PodTemplate,
    ReplicatedJob,
    RoleSet,
    RoleSpec,
)
from bridge.model.pod import OwnerReference
from bridge.model.resources import Resources
from bridge.model.scheduling import PodShape

KINDS = config.Settings().workloads.role_kinds
BASE: dict[str, Any] = {
    "uid": "u",
    "namespace": "team",
    "name": "x",
    "resource_version": "7",
    "annotations": {names.JOB_PREFIX + "account": "physics"},
    "owner": OwnerReference("example.com/v1", "Campaign", "c", "u-c"),
}
ROLE_LABELS: dict[str, Any] = {
    "role_label": "training.kubeflow.org/replica-type",
    "index_label": "training.kubeflow.org/replica-index",
}


def read(api_version: str, kind: str, spec: Any = None, **more: Any) -> Owner:
    """The row of an object as the API server sends it."""
    meta = {
        "uid": "u",
        "namespace": "team",
        "name": "x",
        "resourceVersion": "7",
        "labels": {"app": "theirs"},
        "annotations": {names.JOB_PREFIX + "account": "physics", "x": "y"},
        "ownerReferences": [
            {"apiVersion": "v1", "kind": "ConfigMap", "name": "no", "uid": "u-n"},
            {
                "apiVersion": "example.com/v1",
                "kind": "Campaign",
                "name": "c",
                "uid": "u-c",
                "controller": True,
            },
        ],
        **more.pop("metadata", {}),
    }
    row: Owner = owners.parser(api_version, kind, KINDS)(
        {"metadata": meta, **({} if spec is None else {"spec": spec}), **more}
    )
    return row


def template(cpu: str = "1", **spec: Any) -> dict[str, Any]:
    """A pod template."""
    return {"spec": {"containers": [{"resources": {"requests": {"cpu": cpu}}}], **spec}}


def asking(cpu_milli: int, **more: Any) -> PodTemplate:
    """The row of `template`."""
    return PodTemplate(shape=PodShape(requests=Resources(cpu_milli=cpu_milli)), **more)


def condition(kind: str, status: str = "True") -> dict[str, Any]:
    """A status with one condition."""
    return {"conditions": [{"type": kind, "status": status}]}


@pytest.mark.parametrize(
    ("api_version", "kind", "spec", "more"),
    [
        ("apps/v1", "ReplicaSet", {"replicas": 3, "selector": {}}, {"replicas": 3}),
        ("apps/v1", "DaemonSet", {"selector": {}}, {}),
        ("trainer.kubeflow.org/v1alpha1", "TrainJob", {"suspend": True}, {"suspended": True}),
        ("ray.io/v1", "RayJob", {"suspend": False}, {}),
        ("scheduling.k8s.io/v1alpha2", "Workload", {"podGroupTemplates": []}, {}),
        ("example.com/v1", "Thing", None, {}),
        ("example.com/v1", "Thing", {"replicas": {"min": 1}, "suspend": "no"}, {}),
        ("example.com/v1", "Thing", {"replicas": True, "suspend": 1}, {}),
        ("example.com/v1", "MPIJob", {"mpiReplicaSpecs": {"Worker": {"replicas": 2}}}, {}),
    ],
)
def test_any_kind(api_version: str, kind: str, spec: Any, more: dict[str, Any]) -> None:
    """Of a kind we know nothing about: owner, our annotations, and what many kinds call so."""
    assert read(api_version, kind, spec) == Owner(
        **BASE, api_version=api_version, kind=kind, **more
    )


def test_suspended_cron_job() -> None:
    """A suspended CronJob makes no more Jobs; those that it made go on."""
    assert not read("batch/v1", "CronJob", {"suspend": True}).suspended


def test_deleting() -> None:
    """An owner that is being deleted says so."""
    assert read(
        "apps/v1", "ReplicaSet", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}
    ).deleting


def test_labels() -> None:
    """Labels that say which pods belong together are kept, others not."""
    labels = {"jobset.sigs.k8s.io/jobset-name": "s", "app": "theirs"}
    row = read("batch/v1", "Job", {}, metadata={"labels": labels})
    assert isinstance(row, BatchJob)
    assert row.labels == {"jobset.sigs.k8s.io/jobset-name": "s"}


def test_what_a_job_has_done() -> None:
    """Its status says it, also which indexes are given up; without one nothing is done."""
    status = {"succeeded": 2, "completedIndexes": "0,3", "failedIndexes": "1"}
    row = read("batch/v1", "Job", {}, status=status)
    assert isinstance(row, BatchJob)
    assert (row.succeeded_pods, row.completed_indexes, row.failed_indexes) == (2, "0,3", "1")
    fresh = read("batch/v1", "Job", {}, status={"failedIndexes": None})
    assert isinstance(fresh, BatchJob)
    assert (fresh.succeeded_pods, fresh.settled_indexes) == (0, "")


def test_job_set() -> None:
    """A JobSet's replicated jobs, as its controller would make their Jobs."""
    row = read(
        "jobset.x-k8s.io/v1alpha2",
        "JobSet",
        {
            "replicatedJobs": [
                {
                    "name": "driver",
                    "template": {
                        "metadata": {"annotations": {names.JOB_PREFIX + "qos": "high", "x": "y"}},
                        "spec": {"template": template("2"), "completionMode": "NonIndexed"},
                    },
                },
                {
                    "name": "workers",
                    "replicas": 3,
                    "dependsOn": [{"name": "driver", "status": "Ready"}],
                    "template": {
                        "spec": {
                            "parallelism": 4,
                            "completions": 4,
                            "template": template("8", subdomain="own"),
                        }
                    },
                },
            ]
        },
    )
    template_of_job = BatchJob(uid="", namespace="team", name="", resource_version="")
    driver = replace(
        template_of_job,
        annotations={names.JOB_PREFIX + "qos": "high"},
        template=asking(2000, subdomain="x"),
    )
    workers = replace(
        template_of_job,
        parallelism=4,
        completions=4,
        indexed=True,
        template=asking(8000, subdomain="own"),
    )
    assert row == JobSet(
        **BASE,
        api_version="jobset.x-k8s.io/v1alpha2",
        replicated_jobs=(
            ReplicatedJob("driver", 1, driver),
            ReplicatedJob("workers", 3, workers, after=("driver",)),
        ),
    )


@pytest.mark.parametrize(
    ("network", "subdomain"),
    [
        (None, "x"),
        ({}, "x"),
        ({"subdomain": "net"}, "net"),
        ({"enableDNSHostnames": True}, "x"),
        ({"enableDNSHostnames": False, "subdomain": "net"}, ""),
    ],
)
def test_subdomain_of_a_job_set(network: Any, subdomain: str) -> None:
    """Pods of a JobSet find each other by name unless that is switched off."""
    row = read(
        "jobset.x-k8s.io/v1alpha2",
        "JobSet",
        {"network": network, "replicatedJobs": [{"name": "a", "template": {}}]},
    )
    assert isinstance(row, JobSet)
    assert row.replicated_jobs[0].job.template.subdomain == subdomain


@pytest.mark.parametrize(
    ("spec", "status", "said"),
    [
        ({}, None, ()),
        ({"suspend": True}, condition("Suspended"), ("suspended",)),
        ({"startupPolicy": {"startupPolicyOrder": "InOrder"}}, None, ("in_order",)),
        ({"startupPolicy": {"startupPolicyOrder": "AnyOrder"}}, None, ()),
        ({}, condition("Completed"), ("finished",)),
        ({}, condition("Failed"), ("finished",)),
        ({}, condition("Failed", "False"), ()),
        ({}, {"terminalState": "Completed"}, ("finished",)),
        ({}, {"terminalState": "", "restarts": 1}, ()),
    ],
)
def test_how_a_job_set_is(spec: Any, status: Any, said: tuple[str, ...]) -> None:
    """Suspended, started in order, finished: as spec and status say."""
    row = read("jobset.x-k8s.io/v1alpha2", "JobSet", spec, status=status)
    asked = ("suspended", "in_order", "finished")
    assert tuple(one for one in asked if getattr(row, one)) == said


def test_leader_worker_set() -> None:
    """Groups, their size, both templates, and whether workers come only after their leader."""
    row = read(
        "leaderworkerset.x-k8s.io/v1",
        "LeaderWorkerSet",
        {
            "replicas": 2,
            "startupPolicy": "LeaderReady",
            "leaderWorkerTemplate": {
                "size": 4,
                "leaderTemplate": template("1"),
                "workerTemplate": template("8"),
            },
        },
    )
    assert row == LeaderWorkerSet(
        **BASE,
        api_version="leaderworkerset.x-k8s.io/v1",
        replicas=2,
        size=4,
        leader=asking(1000),
        worker=asking(8000),
        leader_ready=True,
    )


def test_leader_worker_set_whose_workers_have_claims_of_their_own() -> None:
    """They are made from templates, for each worker."""
    claims = [{"metadata": {"name": "scratch"}, "spec": {}}]
    row = read(
        "leaderworkerset.x-k8s.io/v1",
        "LeaderWorkerSet",
        {"leaderWorkerTemplate": {"workerTemplate": template("8"), "volumeClaimTemplates": claims}},
    )
    assert isinstance(row, LeaderWorkerSet)
    assert row.worker.own_claims


def test_leader_worker_set_of_one_template() -> None:
    """Without a leader's template it has none of its own; counts left out are one."""
    row = read(
        "leaderworkerset.x-k8s.io/v1",
        "LeaderWorkerSet",
        {"leaderWorkerTemplate": {"workerTemplate": template("8")}},
    )
    assert isinstance(row, LeaderWorkerSet)
    assert (row.replicas, row.size, row.leader) == (1, 1, None)
    assert not row.leader_ready


@pytest.mark.parametrize(
    ("api_version", "spec", "least", "workload"),
    [
        (
            "scheduling.k8s.io/v1alpha2",
            {
                "schedulingPolicy": {"gang": {"minCount": 4}},
                "podGroupTemplateRef": {
                    "workload": {"workloadName": "w", "podGroupTemplateName": "t"}
                },
            },
            4,
            "w",
        ),
        ("scheduling.k8s.io/v1alpha9", {"schedulingPolicy": {"basic": {}}}, 0, ""),
        ("scheduling.x-k8s.io/v1alpha1", {"minMember": 3, "minResources": {"cpu": "3"}}, 3, ""),
        ("scheduling.x-k8s.io/v1alpha1", None, 0, ""),
    ],
)
def test_pod_group(api_version: str, spec: Any, least: int, workload: str) -> None:
    """How many may start together, in either group's words; 0 is no gang."""
    row = read(api_version, "PodGroup", spec)
    assert row == PodGroup(**BASE, api_version=api_version, least=least, workload=workload)


def test_roles() -> None:
    """Roles in rank order, as their label says them, with count and template."""
    row = read(
        "kubeflow.org/v1",
        "PyTorchJob",
        {
            "pytorchReplicaSpecs": {
                "Worker": {"replicas": 7, "template": template("8")},
                "Observer": {"replicas": 0, "template": None},
                "Master": {"template": template("2")},
                "Gone": None,
            }
        },
    )
    assert row == RoleSet(
        **BASE,
        **ROLE_LABELS,
        api_version="kubeflow.org/v1",
        kind="PyTorchJob",
        roles=(
            RoleSpec("master", 1, asking(2000)),
            RoleSpec("worker", 7, asking(8000)),
            RoleSpec("observer", 0),
        ),
    )


@pytest.mark.parametrize(
    ("api_version", "label"),
    [
        ("kubeflow.org/v2beta1", "training.kubeflow.org/job-role"),
        ("kubeflow.org/v1", "training.kubeflow.org/replica-type"),
    ],
)
def test_mpi_job(api_version: str, label: str) -> None:
    """Two operators have a kind of this name, each with its own label of the role."""
    row = read(api_version, "MPIJob", {"mpiReplicaSpecs": {"Worker": {}, "Launcher": {}}})
    assert isinstance(row, RoleSet)
    assert (row.role_label, [role.name for role in row.roles]) == (label, ["launcher", "worker"])


@pytest.mark.parametrize(
    ("policy", "late"), [({}, []), ("AtStartup", []), ("WaitForWorkersReady", ["launcher"])]
)
def test_roles_that_come_late(policy: Any, late: list[str]) -> None:
    """An MPIJob may have its launcher made only when its workers are ready."""
    spec = {"launcherCreationPolicy": policy, "mpiReplicaSpecs": {"Worker": {}, "Launcher": {}}}
    row = read("kubeflow.org/v2beta1", "MPIJob", spec)
    assert isinstance(row, RoleSet)
    assert [role.name for role in row.roles if role.late] == late


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("TFJob", "tfReplicaSpecs"),
        ("XGBoostJob", "xgbReplicaSpecs"),
        ("PaddleJob", "paddleReplicaSpecs"),
        ("JAXJob", "jaxReplicaSpecs"),
    ],
)
def test_kubeflow(kind: str, path: str) -> None:
    """The training operator's kinds keep their roles each under a name of its own."""
    row = read("kubeflow.org/v1", kind, {path: {"Worker": {"replicas": 2}}})
    assert isinstance(row, RoleSet)
    assert row.roles == (RoleSpec("worker", 2),)


@pytest.mark.parametrize(
    ("spec", "status", "said"),
    [
        ({}, None, ()),
        ({"elasticPolicy": {}}, None, ("elastic",)),
        ({"elasticPolicy": None}, None, ()),
        ({"runPolicy": {"suspend": True}}, None, ("suspended",)),
        ({"runPolicy": {"suspend": False}}, None, ()),
        ({"suspend": True}, None, ("suspended",)),
        ({}, condition("Succeeded"), ("finished",)),
        ({}, condition("Failed"), ("finished",)),
        ({}, condition("Restarting"), ()),
    ],
)
def test_how_a_training_job_is(spec: Any, status: Any, said: tuple[str, ...]) -> None:
    """Elastic, suspended, finished: as spec and status say."""
    row = read("kubeflow.org/v1", "PyTorchJob", spec, status=status)
    asked = ("elastic", "suspended", "finished")
    assert tuple(one for one in asked if getattr(row, one)) == said


def test_a_switch_that_is_off_is_not_elastic() -> None:
    """TFJob says it by a boolean."""
    rows = [
        read("kubeflow.org/v1", "TFJob", {"enableDynamicWorker": value}) for value in (True, False)
    ]
    assert [row.elastic for row in rows if isinstance(row, RoleSet)] == [True, False]


def test_a_kind_of_the_settings() -> None:
    """Paths, labels and order are the table's."""
    where = RoleKind(
        roles="spec.groups",
        replicas="scale.count",
        template="pod.template",
        role_label="example.com/role",
        index_label="",
        order=("b",),
    )
    parser = owners.parser("example.com/v1", "MyJob", {"MyJob.example.com": where})
    row = parser(
        {
            "metadata": {"name": "x"},
            "spec": {
                "groups": {
                    "a": {"scale": {"count": 2}},
                    "B": {"pod": {"template": template("2")}},
                }
            },
        }
    )
    assert row.roles == (RoleSpec("b", 1, asking(2000)), RoleSpec("a", 2))
    assert (row.role_label, row.index_label) == ("example.com/role", "")


@pytest.mark.parametrize(
    ("api_version", "kind", "spec", "field"),
    [
        ("apps/v1", "ReplicaSet", 3, "spec"),
        ("batch/v1", "Job", {"template": template("lots")}, "spec.template.spec.containers[0]"),
        ("jobset.x-k8s.io/v1", "JobSet", {"replicatedJobs": {}}, "spec.replicatedJobs"),
        (
            "jobset.x-k8s.io/v1",
            "JobSet",
            {"replicatedJobs": [{"name": "a", "replicas": -1}]},
            "spec.replicatedJobs[0].replicas",
        ),
        (
            "jobset.x-k8s.io/v1",
            "JobSet",
            {"replicatedJobs": [{"template": {"spec": {"template": template("lots")}}}]},
            "spec.replicatedJobs[0].template.spec.template.spec.containers[0]",
        ),
        (
            "leaderworkerset.x-k8s.io/v1",
            "LeaderWorkerSet",
            {"leaderWorkerTemplate": {"size": 0}},
            "spec.leaderWorkerTemplate.size",
        ),
        (
            "leaderworkerset.x-k8s.io/v1",
            "LeaderWorkerSet",
            {"leaderWorkerTemplate": {"workerTemplate": template("lots")}},
            "spec.leaderWorkerTemplate.workerTemplate.spec.containers[0]",
        ),
        ("scheduling.x-k8s.io/v1alpha1", "PodGroup", {"minMember": "3"}, "spec.minMember"),
        (
            "scheduling.k8s.io/v1alpha2",
            "PodGroup",
            {"schedulingPolicy": {"gang": {"minCount": -4}}},
            "spec.schedulingPolicy.gang.minCount",
        ),
        ("kubeflow.org/v1", "TFJob", {"tfReplicaSpecs": []}, "spec.tfReplicaSpecs"),
        ("kubeflow.org/v1", "TFJob", {"tfReplicaSpecs": {"PS": 3}}, "spec.tfReplicaSpecs.PS"),
        (
            "kubeflow.org/v1",
            "TFJob",
            {"tfReplicaSpecs": {"PS": {"replicas": True}}},
            "spec.tfReplicaSpecs.PS.replicas",
        ),
        (
            "kubeflow.org/v1",
            "TFJob",
            {"tfReplicaSpecs": {"PS": {"template": {"spec": {"containers": 3}}}}},
            "spec.tfReplicaSpecs.PS.template.spec.containers",
        ),
        (
            "kubeflow.org/v1",
            "TFJob",
            {"tfReplicaSpecs": {"PS": {"template": template("lots")}}},
            "spec.tfReplicaSpecs.PS.template.spec.containers[0]",
        ),
    ],
)
def test_nonsense_is_refused(api_version: str, kind: str, spec: Any, field: str) -> None:
    """The refusal names kind, object and field."""
    with pytest.raises(BadInput, match=f"{kind} team/x: ") as caught:
        read(api_version, kind, spec)
    assert caught.value.field.startswith(field)
    assert field in str(caught.value)


KEYS = (
    "replicatedJobs", "template", "spec", "replicas", "size", "gang", "minCount", "workload",
    "suspend", "Worker", "leaderWorkerTemplate", "workerTemplate", "network", "conditions",
    "type", "containers", "labels", "ownerReferences",
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "True", "InOrder"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3)
    ),
    max_leaves=12,
)
PARSED = (
    ("batch/v1", "Job"),
    ("jobset.x-k8s.io/v1alpha2", "JobSet"),
    ("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet"),
    ("scheduling.k8s.io/v1alpha2", "PodGroup"),
    ("scheduling.x-k8s.io/v1alpha1", "PodGroup"),
    ("kubeflow.org/v1", "PyTorchJob"),
    ("example.com/v1", "Thing"),
)
PARSERS = {one: owners.parser(*one, KINDS) for one in PARSED}


@given(kind=st.sampled_from(PARSED), meta=JSON, spec=JSON, status=JSON)
def test_no_object_is_a_crash(kind: tuple[str, str], meta: Any, spec: Any, status: Any) -> None:
    """Whatever somebody's CRD lets through is a row or a refusal."""
    roles = {"pytorchReplicaSpecs": spec, "elasticPolicy": meta}
    try:
        row = PARSERS[kind]({"metadata": meta, "spec": spec, "status": status})
        PARSERS[kind]({"spec": roles})
    except BadInput:
        return
    assert isinstance(row, Owner)


def test_pods_keep_the_labels_of_the_settings() -> None:
    """Labels that the table names are kept on pods, and by the row of a later answer."""
    raw = {
        "metadata": {
            "uid": "u",
            "labels": {"example.com/role": "b", "app": "x", names.JOB_ID_LABEL: "7"},
        }
    }
    row = pods.parser(frozenset({"example.com/role"}))(raw)
    assert row.labels == {"example.com/role": "b", names.JOB_ID_LABEL: "7"}
    again = pods.newer(raw, than=row)
    assert (again.labels, again.job_id) == (row.labels, 7)
    assert pods.newer(raw, than=pods.parse(raw)).labels == {names.JOB_ID_LABEL: "7"}


@pytest.mark.parametrize(
    ("kind", "spec", "one_by_one"),
    [
        ("StatefulSet", {}, True),
        ("StatefulSet", {"podManagementPolicy": "OrderedReady"}, True),
        ("StatefulSet", {"podManagementPolicy": "Parallel"}, False),
        ("ReplicaSet", {}, False),
    ],
)
def test_a_stateful_set_makes_its_pods_one_by_one(
    kind: str, spec: dict[str, object], one_by_one: bool
) -> None:
    """Unless it says otherwise."""
    assert read("apps/v1", kind, spec).one_by_one is one_by_one
