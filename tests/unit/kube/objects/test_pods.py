"""Pods: rows from the wire, and the writes, each one request."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import names
from bridge.errors import BadInput
from bridge.kube.api import errors
from bridge.kube.objects import pods, templates
from bridge.model import bounds
from bridge.model.ids import NodeName, PodUid, SlurmJobId
from bridge.model.pod import Condition, OwnerReference, Pod
from bridge.model.pod_identity import LabelSet, PodIdentity
from bridge.model.scheduling import (
    HostPort,
    NodeSelectorTerm,
    PodSelector,
    PodTerm,
    Requirement,
    SpreadConstraint,
    Toleration,
)
from tests.unit.kube.apiserver import ApiServer, JumpClock, connected, ok, refuse

PATH = "/api/v1/namespaces/team/pods/a"
NODE = NodeName("ip-10-0-0-1.ec2.internal")
GATE = {"name": names.ALLOCATION_GATE}
OTHERS = {"name": "other.io/gate"}
ANN = "slurmjob.slinky.slurm.net/"


def raw(meta: Mapping[str, Any] | None = None, status: Any = None, **spec: Any) -> dict[str, Any]:
    """A pod as the API server sends it."""
    return {
        "metadata": {
            "name": "a",
            "namespace": "team",
            "uid": "u-1",
            "resourceVersion": "7",
            **(meta or {}),
        },
        "spec": {"containers": [{"name": "c", "image": "i"}], **spec},
        "status": {"phase": "Pending"} if status is None else status,
    }


def test_everything_that_is_kept() -> None:
    """A row holds what the bridge reads, in its own terms."""
    row = pods.parse(
        raw(
            {
                "creationTimestamp": "2026-01-31T12:00:00Z",
                "labels": {
                    "app": "train",
                    names.JOB_ID_LABEL: "42",
                    "leaderworkerset.sigs.k8s.io/group-index": "3",
                    names.COMPLETION_INDEX: "5",
                },
                "annotations": {ANN + "account": "physics", "kubectl.io/last": "x" * 100},
                "ownerReferences": [
                    {"apiVersion": "v1", "kind": "X", "name": "x", "uid": "u-x"},
                    {
                        "apiVersion": "batch/v1",
                        "kind": "Job",
                        "name": "j",
                        "uid": "u-j",
                        "controller": True,
                        "blockOwnerDeletion": True,
                    },
                ],
            },
            {
                "phase": "Running",
                "reason": "OutOfcpu",
                "conditions": [
                    {"type": "Ready", "status": "True"},
                    {
                        "type": names.ALLOCATED_CONDITION,
                        "status": "False",
                        "reason": "Priority",
                        "message": "third in the queue",
                        "lastTransitionTime": "2026-01-31T12:00:00Z",
                    },
                ],
            },
            schedulerName="slurm-bridge-scheduler",
            nodeName="n1",
            schedulingGates=[GATE, OTHERS],
            nodeSelector={"b": "2", "a": "1"},
            tolerations=[{"key": "k", "operator": "Exists", "tolerationSeconds": 300}],
            terminationGracePeriodSeconds=60,
            activeDeadlineSeconds=3600,
            subdomain="workers",
            schedulingGroup={"podGroupName": "pg"},
            volumes=[
                {"name": "v", "persistentVolumeClaim": {"claimName": "data"}},
                {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {}}},
                {"name": "tmp", "emptyDir": {}},
            ],
            resourceClaims=[{"name": "gpu", "resourceClaimName": "x"}],
        )
    )
    assert row == Pod(
        uid=PodUid("u-1"),
        namespace="team",
        name="a",
        resource_version="7",
        scheduler_name="slurm-bridge-scheduler",
        node_name=NodeName("n1"),
        phase="Running",
        shape=replace(
            pods.parse(raw()).shape,
            node_selector=(("a", "1"), ("b", "2")),
            tolerations=(Toleration(key="k", operator="Exists"),),
        ),
        gates=(names.ALLOCATION_GATE, "other.io/gate"),
        owner=OwnerReference("batch/v1", "Job", "j", "u-j"),
        labels={names.JOB_ID_LABEL: "42", "leaderworkerset.sigs.k8s.io/group-index": "3"},
        identity=PodIdentity.of(
            "team",
            {
                "app": "train",
                names.JOB_ID_LABEL: "42",
                "leaderworkerset.sigs.k8s.io/group-index": "3",
                names.COMPLETION_INDEX: "5",
            },
        ),
        annotations={ANN + "account": "physics"},
        completion_index=5,
        created_s=1_769_860_800.0,
        allocated=Condition(names.ALLOCATED_CONDITION, "False", "Priority", "third in the queue"),
        status_reason="OutOfcpu",
        grace_s=60,
        active_deadline_s=3600,
        subdomain="workers",
        pod_group="pg",
        volume_claims=("data", "a-scratch"),
        ephemeral_claims=("a-scratch",),
        resource_claims=("gpu",),
    )


def test_nothing_but_a_spec() -> None:
    """What is absent or null has Kubernetes' defaults; a pod in admission has no uid yet."""
    row = pods.parse({"metadata": {"generateName": "a-"}, "spec": {"nodeSelector": None}})
    assert (row.uid, row.name, row.phase, row.grace_s) == ("", "", "Pending", 30)
    assert (row.scheduler_name, row.created_s, row.gates) == ("default-scheduler", 0.0, ())
    assert row.shape.affinity_terms is None


def test_being_deleted() -> None:
    """A pod that is being deleted ends within the grace of the deletion, not of its spec."""
    meta = {"deletionTimestamp": "2026-01-31T12:00:00Z", "deletionGracePeriodSeconds": 0}
    row = pods.parse(raw(meta, terminationGracePeriodSeconds=600))
    assert (row.deleting, row.grace_s) == (True, 0)


@pytest.mark.parametrize(
    ("index", "kept"), [("0", 0), ("17", 17), ("", None), ("x", None), ("-1", None), ("²", None)]
)
def test_completion_index(index: str, kept: int | None) -> None:
    """The index comes from the annotation; what is no index is none."""
    meta = {"annotations": {names.COMPLETION_INDEX: index}}
    assert pods.parse(raw(meta)).completion_index == kept


@pytest.mark.parametrize(
    ("spec", "ports"),
    [
        ({"containers": [{"ports": [{"containerPort": 80}]}]}, []),
        ({"containers": [{"ports": [{"containerPort": 80, "hostPort": 8080}]}]}, [8080]),
        ({"hostNetwork": True, "containers": [{"ports": [{"containerPort": 80}]}]}, [80]),
        ({"initContainers": [{"ports": [{"containerPort": 80, "hostPort": 1}]}]}, []),
        (
            {
                "initContainers": [
                    {"ports": [{"containerPort": 80, "hostPort": 1}], "restartPolicy": "Always"}
                ]
            },
            [1],
        ),
    ],
)
def test_host_ports(spec: dict[str, Any], ports: list[int]) -> None:
    """Host ports are those of containers and sidecars; with hostNetwork all container ports."""
    assert [one.port for one in pods.parse(raw(**spec)).shape.host_ports] == ports


def test_a_host_port_completely() -> None:
    """Protocol and address are kept; TCP is the default."""
    port = {"containerPort": 80, "hostPort": 53, "protocol": "UDP", "hostIP": "10.0.0.1"}
    row = pods.parse(raw(containers=[{"ports": [port]}]))
    assert row.shape.host_ports == (HostPort(53, "UDP", "10.0.0.1"),)


def test_required_affinity() -> None:
    """Required terms are kept completely, empty ones too; preferred ones are not our business."""
    required = {
        "nodeSelectorTerms": [
            {
                "matchExpressions": [{"key": "gen", "operator": "Gt", "values": ["4"]}],
                "matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["n1"]}],
            },
            {},
        ]
    }
    row = pods.parse(
        raw(
            affinity={
                "nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": required,
                    "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1}],
                }
            }
        )
    )
    assert row.shape.affinity_terms == (
        NodeSelectorTerm(
            (Requirement("gen", "Gt", ("4",)),),
            (Requirement("metadata.name", "NotIn", ("n1",)),),
        ),
        NodeSelectorTerm(),
    )


HOST = "kubernetes.io/hostname"


def anti(selector: Any, **more: Any) -> dict[str, Any]:
    """An anti-affinity with one required term."""
    term = {"topologyKey": HOST, "labelSelector": selector, **more}
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


APP_X = Requirement("app", "In", ("x",))


@pytest.mark.parametrize(
    ("affinity", "selector"),
    [
        (anti({"matchLabels": {"app": "x"}}), PodSelector(("team",), (APP_X,))),
        (anti({}), PodSelector(("team",), ())),
        (anti(None), PodSelector(("team",), None)),
        (anti({}, namespaces=["b", "a", "b"]), PodSelector(("a", "b"), ())),
        (anti({}, namespaces=[]), PodSelector(("team",), ())),
        (anti({}, namespaceSelector={}), PodSelector((), (), ())),
        (
            anti({}, namespaces=["a"], namespaceSelector={"matchLabels": {"org": "y"}}),
            PodSelector(("a",), (), (Requirement("org", "In", ("y",)),)),
        ),
        (anti({}, matchLabelKeys=["app"]), PodSelector(("team",), (APP_X,))),
        (anti({"matchLabels": {"app": "x"}}, matchLabelKeys=["app", "no"]),
         PodSelector(("team",), (APP_X,))),
        (
            anti({"matchExpressions": [{"key": "app", "operator": "Exists"}]},
                 mismatchLabelKeys=["app"]),
            PodSelector(
                ("team",), (Requirement("app", "Exists"), Requirement("app", "NotIn", ("x",)))
            ),
        ),
    ],
)  # fmt: skip
def test_selectors_of_other_pods_are_complete(
    affinity: dict[str, Any], selector: PodSelector
) -> None:
    """A term has the namespaces that it is about, and the pod's own values of the label keys that
    it names; a template's term is its pods'."""
    row = pods.parse(raw({"labels": {"app": "x"}}, affinity=affinity))
    assert row.shape.pod_anti_affinity == (PodTerm(HOST, selector),)
    assert (row.shape.pod_affinity, row.shape.spread) == ((), ())
    template = {"metadata": {"labels": {"app": "x"}}, "spec": {"affinity": affinity}}
    assert templates.parse(template, namespace="team").shape == row.shape


def test_only_required_terms_count() -> None:
    """Preferred terms and ScheduleAnyway keep no pod off a node."""
    required = [{"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "x"}}}] * 2
    affinity = {
        "podAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": required,
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1}],
        }
    }
    spread = [
        {"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway"},
        {
            "topologyKey": "zone", "maxSkew": 2, "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"app": "x"}}, "minDomains": 3,
            "nodeAffinityPolicy": "Ignore", "nodeTaintsPolicy": "Honor",
            "matchLabelKeys": ["pod-template-hash"],
        },
    ]  # fmt: skip
    meta = {"labels": {"app": "x", "pod-template-hash": "h"}}
    shape = pods.parse(raw(meta, affinity=affinity, topologySpreadConstraints=spread)).shape
    ours = PodSelector(("team",), (APP_X,))
    hashed = PodSelector(("team",), (APP_X, Requirement("pod-template-hash", "In", ("h",))))
    assert shape.pod_affinity == (PodTerm("zone", ours),)
    assert shape.pod_anti_affinity == ()
    assert shape.spread == (SpreadConstraint("zone", 2, hashed, 3, "Ignore", "Honor"),)


def test_who_a_pod_is() -> None:
    """All labels are kept, those that number pods of one template apart; equal ones are one object.
    Beyond what is read, labels count as absent."""
    labels = {"app": "x", "tier": "web"}
    numbered = [
        pods.parse(raw({"labels": {**labels, names.COMPLETION_INDEX: str(number)}})).identity
        for number in range(2)
    ]
    one, other = numbered
    assert one is not None
    assert other is not None
    assert one == PodIdentity.of("team", {**labels, names.COMPLETION_INDEX: "0"})
    assert one.labels is other.labels
    assert one.own == LabelSet((names.COMPLETION_INDEX,), ("0",))
    many = {f"k{number:03}": "v" for number in range(bounds.MOST_LABELS + 1)}
    kept = pods.parse(raw({"labels": {**many, "long": "x" * 254}})).identity
    assert kept is not None
    assert len(kept.labels.names) == bounds.MOST_LABELS
    assert "long" not in kept.labels.names


def test_one_object_for_what_is_equal() -> None:
    """Pods of one template share shape, owner, labels and strings, before and after they start."""
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "u", "controller": True}
    rows = [
        pods.parse(
            json.loads(
                json.dumps(
                    raw(
                        {
                            "name": f"a-{i}",
                            "labels": {names.JOB_ID_LABEL: "42", "index": str(i)},
                            "ownerReferences": [owner],
                        },
                        {"phase": "Running", "containerStatuses": [{"name": "c"}]} if i else None,
                        nodeName="n" if i else "",
                    )
                )
            )
        )
        for i in range(2)
    ]
    one, other = rows
    assert one.shape is other.shape
    assert one.owner is other.owner
    assert one.labels is other.labels
    assert one.namespace is other.namespace


def paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    found = [here]
    if isinstance(value, dict):
        for key, inner in value.items():
            found += paths(inner, (*here, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            found += paths(inner, (*here, index))
    return found


FULL = raw(
    {
        "creationTimestamp": "2026-01-31T12:00:00Z",
        "deletionTimestamp": None,
        "labels": {"app": "x"},
        "annotations": {"a": "b"},
        "ownerReferences": [{"kind": "Job", "controller": True}],
    },
    {
        "phase": "Running",
        "conditions": [{"type": names.ALLOCATED_CONDITION, "status": "True"}],
        "containerStatuses": [
            {
                "name": "c",
                "resources": {"requests": {"cpu": "1"}},
                "allocatedResources": {"cpu": "1"},
            }
        ],
    },
    containers=[
        {
            "name": "c",
            "resources": {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}},
            "ports": [{"containerPort": 80, "hostPort": 80, "protocol": "TCP"}],
        }
    ],
    initContainers=[{"restartPolicy": "Always"}],
    affinity={
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [
                    {"matchExpressions": [{"key": "k", "operator": "In", "values": ["v"]}]}
                ]
            }
        },
        **anti({"matchLabels": {"app": "x"}}),
    },
    tolerations=[{"key": "k", "operator": "Equal", "value": "v", "effect": "NoSchedule"}],
    nodeSelector={"a": "b"},
    nodeName="n",
    overhead={"cpu": "1"},
    schedulingGates=[GATE],
    schedulingGroup={"podGroupName": "x"},
    volumes=[{"persistentVolumeClaim": {"claimName": "c"}}],
    resourceClaims=[{"name": "c"}],
    terminationGracePeriodSeconds=30,
    activeDeadlineSeconds=30,
)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(place=st.sampled_from(paths(FULL)[1:]), junk=JUNK)
def test_nonsense_anywhere(place: tuple[Any, ...], junk: Any) -> None:
    """Whatever stands anywhere in a pod, the answer is a row or a BadInput that says where."""
    broken = json.loads(json.dumps(FULL))
    inner = broken
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = junk
    refused: BadInput | None = None
    try:
        assert isinstance(pods.parse(broken), Pod)
    except BadInput as error:
        refused = error
    if refused is not None:
        assert refused.field
        assert refused.field in str(refused)


@pytest.mark.parametrize(
    ("broken", "field"),
    [
        (raw(containers={}), "spec.containers"),
        (raw(containers=[{}, "x"]), "spec.containers[1]"),
        (raw(hostNetwork="yes"), "spec.hostNetwork"),
        (raw({"labels": {"a": 1}}), "metadata.labels.a"),
        (raw({"creationTimestamp": "yesterday"}), "metadata.creationTimestamp"),
        (raw(None, {"phase": "Walking"}), "status.phase"),
        (raw(tolerations=[{"effect": "Never"}]), "spec.tolerations[0].effect"),
        (raw(terminationGracePeriodSeconds="30"), "spec.terminationGracePeriodSeconds"),
    ],
)
def test_field_of_nonsense(broken: dict[str, Any], field: str) -> None:
    """The message names the pod and the field, as a user writes it."""
    with pytest.raises(BadInput, match="pod team/a") as caught:
        pods.parse(broken)
    assert caught.value.field == field


# -- writes ----------------------------------------------------------------------------------------


def gated(**spec: Any) -> Pod:
    """A pod that waits behind our gate."""
    return pods.parse(raw(**{"schedulingGates": [GATE], **spec}))


async def test_pin(tmp_path: Path) -> None:
    """One PATCH: label, annotation, affinity to the node, our gate gone; uid and version sent."""
    async with ApiServer() as server, connected(server, tmp_path) as client:
        server.on("PATCH", PATH, ok(raw({"resourceVersion": "8"})))
        row = await pods.pin(client, gated(), node=NODE, job_id=SlurmJobId(42))
        assert row.resource_version == "8"
        assert len(server.requests) == 1
        request = server.requests[0]
        assert request.headers["Content-Type"] == "application/merge-patch+json"
        assert request.body == {
            "metadata": {
                "uid": "u-1",
                "resourceVersion": "7",
                "labels": {"scheduler.slinky.slurm.net/slurm-jobid": "42"},
                "annotations": {"slinky.slurm.net/slurm-node": NODE},
            },
            "spec": {
                "schedulingGates": [],
                "affinity": {
                    "nodeAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": {
                            "nodeSelectorTerms": [
                                {
                                    "matchFields": [
                                        {
                                            "key": "metadata.name",
                                            "operator": "In",
                                            "values": [NODE],
                                        }
                                    ]
                                }
                            ]
                        }
                    }
                },
            },
        }


async def test_pin_keeps_what_is_not_ours(tmp_path: Path) -> None:
    """Gates of others stay, in order; the user's own terms stay and get the node, each of them."""
    zone = {"key": "zone", "operator": "In", "values": ["a", "b"]}
    name = {"key": "metadata.name", "operator": "NotIn", "values": ["n9"]}
    here = {"key": "metadata.name", "operator": "In", "values": [NODE]}
    affinity = {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [zone]}, {"matchFields": [name]}, {}]
            }
        }
    }
    pod = gated(affinity=affinity, schedulingGates=[OTHERS, GATE, {"name": "third"}])
    async with ApiServer() as server, connected(server, tmp_path) as client:
        server.on("PATCH", PATH, ok(raw()))
        await pods.pin(client, pod, node=NODE, job_id=SlurmJobId(1))
        spec = server.requests[0].body["spec"]
    assert spec["schedulingGates"] == [OTHERS, {"name": "third"}]
    assert spec["affinity"]["nodeAffinity"] == {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [
                {"matchExpressions": [zone], "matchFields": [here]},
                {"matchFields": [name, here]},
                {},
            ]
        }
    }


@pytest.mark.parametrize(("gates", "ungate"), [([], True), ([OTHERS], True), ([GATE], False)])
async def test_pin_without_our_gate(
    gates: list[dict[str, str]], ungate: bool, tmp_path: Path
) -> None:
    """Where our gate is not to be taken, only label and annotation are written."""
    async with ApiServer() as server, connected(server, tmp_path) as client:
        server.on("PATCH", PATH, ok(raw()))
        pod = gated(schedulingGates=gates)
        await pods.pin(client, pod, node=NODE, job_id=SlurmJobId(1), ungate=ungate)
        assert list(server.requests[0].body) == ["metadata"]


async def test_pin_of_a_pod_that_changed(tmp_path: Path) -> None:
    """A pod that changed since it was read raises Conflict: the caller reads and thinks again."""
    async with ApiServer() as server, connected(server, tmp_path) as client:
        server.on("PATCH", PATH, refuse(409, "Conflict", "the object has been modified"))
        with pytest.raises(errors.Conflict):
            await pods.pin(client, gated(), node=NODE, job_id=SlurmJobId(1))
        assert len(server.requests) == 1


async def test_a_namesake(tmp_path: Path) -> None:
    """A new pod under the old name is NotFound: what was meant is gone."""
    details = {"causes": [{"field": "metadata.uid", "message": "field is immutable"}]}
    async with ApiServer() as server, connected(server, tmp_path) as client:
        server.on("PATCH", PATH, refuse(422, "Invalid", details=details))
        with pytest.raises(errors.NotFound, match="another pod has its name"):
            await pods.pin(client, gated(), node=NODE, job_id=SlurmJobId(1))


@pytest.mark.parametrize("some", [True, False])
async def test_toleration(some: bool, tmp_path: Path) -> None:
    """The toleration is appended to those there are, which are not written anew."""
    pod = gated(tolerations=[{"key": "x", "tolerationSeconds": 9}] if some else [])
    managed = {
        "key": "slinky.slurm.net/managed-node",
        "operator": "Equal",
        "value": "my-scheduler",
        "effect": "NoExecute",
    }
    drained = {"key": "slinky.slurm.net/drained", "operator": "Exists", "effect": "NoSchedule"}
    where = "/spec/tolerations"
    async with ApiServer() as server, connected(server, tmp_path) as client:
        server.on("PATCH", PATH, ok(raw()))
        await pods.add_tolerations(client, pod, Toleration.ours("my-scheduler"))
        request = server.requests[0]
    assert request.headers["Content-Type"] == "application/json-patch+json"
    assert request.body == [
        {"op": "replace", "path": "/metadata/uid", "value": "u-1"},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"},
        *(
            [{"op": "add", "path": f"{where}/-", "value": one} for one in (managed, drained)]
            if some
            else [{"op": "add", "path": where, "value": [managed, drained]}]
        ),
    ]


@pytest.mark.parametrize(("before", "moved"), [(None, True), ("False", False), ("True", True)])
async def test_condition(before: str | None, moved: bool, tmp_path: Path) -> None:
    """A condition is merged into the status by its type; its time moves only with its status."""
    condition = Condition(names.ALLOCATED_CONDITION, "False", "Priority", "waits")
    allocated = Condition(names.ALLOCATED_CONDITION, before, "Old") if before else None
    clock = JumpClock()
    clock.now = 0.0
    async with ApiServer() as server, connected(server, tmp_path, clock=clock) as client:
        server.on("PATCH", PATH + "/status", ok(raw()))
        await pods.set_condition(client, replace(gated(), allocated=allocated), condition)
        request = server.requests[0]
    written = {
        "type": names.ALLOCATED_CONDITION,
        "status": "False",
        "reason": "Priority",
        "message": "waits",
    }
    if moved:
        written["lastTransitionTime"] = "2027-01-15T08:00:00Z"
    assert request.headers["Content-Type"] == "application/strategic-merge-patch+json"
    assert request.body == {"metadata": {"uid": "u-1"}, "status": {"conditions": [written]}}


async def test_disrupted(tmp_path: Path) -> None:
    """DisruptionTarget is written True, with reason, message and time."""
    async with ApiServer() as server, connected(server, tmp_path) as client:
        server.on("PATCH", PATH + "/status", ok(raw()))
        await pods.mark_disrupted(client, gated(), reason="Preempted", message="by job 7")
        (condition,) = server.requests[0].body["status"]["conditions"]
    assert condition.pop("lastTransitionTime")
    assert condition == {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "Preempted",
        "message": "by job 7",
    }


async def test_fail(tmp_path: Path) -> None:
    """A pod that nobody would recreate ends Failed, with the reason where users look."""
    async with ApiServer() as server, connected(server, tmp_path) as client:
        server.on("PATCH", PATH + "/status", ok(raw()))
        await pods.fail(client, gated(), reason="NodeGone", message="n1 left")
        assert server.requests[0].body == {
            "metadata": {"uid": "u-1"},
            "status": {"phase": "Failed", "reason": "NodeGone", "message": "n1 left"},
        }


async def test_delete(tmp_path: Path) -> None:
    """Only this very pod is deleted; when it is gone already, all is well."""
    async with ApiServer() as server, connected(server, tmp_path) as client:
        server.on("DELETE", PATH, ok({}), refuse(404, "NotFound"))
        await pods.delete(client, gated(), grace_s=5)
        await pods.delete(client, gated())
        assert server.requests[0].body["preconditions"] == {"uid": "u-1"}
        assert server.requests[0].body["gracePeriodSeconds"] == 5


async def test_bind(tmp_path: Path) -> None:
    """A Binding names pod, uid and node."""
    async with ApiServer() as server, connected(server, tmp_path) as client:
        server.on("POST", PATH + "/binding", ok({}, 201), refuse(409, "Conflict", "assigned"))
        one = {"namespace": "team", "name": "a", "uid": PodUid("u-1"), "node": NODE}
        await pods.bind(client, **one)  # type: ignore[arg-type]
        assert server.requests[0].body == {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"namespace": "team", "name": "a", "uid": "u-1"},
            "target": {"apiVersion": "v1", "kind": "Node", "name": NODE},
        }
        with pytest.raises(errors.Conflict, match="assigned"):
            await pods.bind(client, **one)  # type: ignore[arg-type]


def test_paths_are_quoted() -> None:
    """A name never leaves its place in the path."""
    assert pods.path("team", "../x?y", "status") == "/api/v1/namespaces/team/pods/..%2Fx%3Fy/status"
