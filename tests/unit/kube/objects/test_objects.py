"""Nodes, Jobs, namespaces, templates: rows from the wire, and a node's taints."""

import json
from pathlib import Path
from typing import Any

import pytest

from bridge import names
from bridge.errors import BadInput
from bridge.kube.api import errors
from bridge.kube.objects import jobs, namespaces, nodes, templates
from bridge.model.ids import NodeName
from bridge.model.namespace import Namespace
from bridge.model.node import Node
from bridge.model.owner import BatchJob, PodTemplate
from bridge.model.pod import OwnerReference
from bridge.model.resources import Resources
from bridge.model.scheduling import PodShape, Taint
from tests.unit.kube.apiserver import ApiServer, connected, ok, refuse

GI = 2**30


def node(version: str = "7", taints: Any = None, **status: Any) -> dict[str, Any]:
    """A node as the API server sends it."""
    return {
        "metadata": {
            "name": "n1",
            "uid": "u-n1",
            "resourceVersion": version,
            "labels": {"zone": "a", names.SLURM_NODE_NAME_LABEL: "slurm1"},
            "annotations": {names.TOPOLOGY_ANNOTATION: "t:s1", "other": "x"},
        },
        "spec": {"taints": taints or [], "unschedulable": True},
        "status": status,
    }


def test_node() -> None:
    """A node's row: all labels, our annotations, what pods may use, whether it is ready."""
    row = nodes.parse(
        node(
            taints=[{"key": "k", "value": "v", "effect": "NoExecute"}, {"key": "l"}],
            allocatable={"cpu": "7910m", "memory": "32Gi", "pods": "58", "nvidia.com/gpu": "8"},
            capacity={"cpu": "8"},
            conditions=[{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
            addresses=[
                {"type": "Hostname", "address": "n1"},
                {"type": "InternalIP", "address": "10.0.0.1"},
                {"type": "InternalIP", "address": "fd00::1"},
            ],
        )
    )
    assert row == Node(
        name=NodeName("n1"),
        uid="u-n1",
        resource_version="7",
        labels={"zone": "a", names.SLURM_NODE_NAME_LABEL: "slurm1"},
        annotations={names.TOPOLOGY_ANNOTATION: "t:s1"},
        taints=(Taint("k", "v", "NoExecute"), Taint("l", "", "NoSchedule")),
        unschedulable=True,
        ready=True,
        allocatable=Resources(7910, 32 * GI, 0, (("nvidia.com/gpu", 8),)),
        max_pods=58,
        internal_ip="10.0.0.1",
    )


def test_new_node() -> None:
    """A node that has not reported is not ready and has nothing to give."""
    row = nodes.parse({"metadata": {"name": "n"}, "spec": None, "status": None})
    assert (row.ready, row.allocatable, row.unschedulable) == (False, Resources(), False)


@pytest.mark.parametrize("status", ["False", "Unknown"])
def test_node_that_is_not_ready(status: str) -> None:
    """Only condition Ready=True is ready: Unknown is a kubelet that went silent. The word for why
    is a kubelet's, and so cut; what else it says may be another text each time."""
    told = {"type": "Ready", "status": status, "message": "not seen for 41 s"}
    row = nodes.parse(node(conditions=[told | {"reason": "NodeStatusUnknown"}]))
    assert (row.ready, row.unready) == (False, "NodeStatusUnknown")
    assert nodes.parse(node(conditions=[told])).unready == ""
    assert len(nodes.parse(node(conditions=[told | {"reason": "x\n" * 1000}])).unready) == 64


def test_many_nodes_share_their_strings() -> None:
    """Keys and values of labels that nodes have in common are kept once."""
    one, other = (nodes.parse(json.loads(json.dumps(node()))) for _ in range(2))
    for (key, text), (same_key, same_text) in zip(
        one.labels.items(), other.labels.items(), strict=True
    ):
        assert key is same_key
        assert text is same_text


def test_bad_node() -> None:
    """Nonsense in a node is refused with its field."""
    with pytest.raises(BadInput) as caught:
        nodes.parse(node(allocatable={"cpu": "many"}))
    assert caught.value.field == "status.allocatable.cpu"


OURS = Taint(names.MANAGED_NODE_TAINT, "s", "NoExecute")
RAW = {"key": names.MANAGED_NODE_TAINT, "value": "s", "effect": "NoExecute"}
THEIRS = {"key": "k", "effect": "NoExecute", "timeAdded": "2026-01-01T00:00:00Z"}
SAME_KEY = {"key": names.MANAGED_NODE_TAINT, "value": "x", "effect": "NoSchedule"}
OLD = {"key": names.MANAGED_NODE_TAINT, "value": "old", "effect": "NoExecute"}
NODE_PATH = "/api/v1/nodes/n1"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([], [RAW]),
        ([THEIRS, SAME_KEY], [THEIRS, SAME_KEY, RAW]),
        ([OLD, THEIRS], [THEIRS, RAW]),
        ([RAW, THEIRS], None),
    ],
)
async def test_add_taint(before: list[Any], after: list[Any] | None, tmp_path: Path) -> None:
    """Ours is added, an older value replaced; taints of others stay exactly as they are."""
    async with ApiServer() as server, connected(server, tmp_path) as client:
        server.on("GET", NODE_PATH, ok(node(taints=before)))
        server.on("PATCH", NODE_PATH, ok(node("8", after)))
        await nodes.add_taint(client, NodeName("n1"), OURS)
        patches = [one.body for one in server.seen("PATCH")]
    wanted = {"metadata": {"resourceVersion": "7"}, "spec": {"taints": after}}
    assert patches == ([] if after is None else [wanted])


@pytest.mark.parametrize(
    ("before", "after"), [([RAW, THEIRS], [THEIRS]), ([OLD], []), ([SAME_KEY], None), ([], None)]
)
async def test_remove_taint(before: list[Any], after: list[Any] | None, tmp_path: Path) -> None:
    """Ours goes, whatever its value; the same key with another effect is not ours."""
    async with ApiServer() as server, connected(server, tmp_path) as client:
        server.on("GET", NODE_PATH, ok(node(taints=before)))
        server.on("PATCH", NODE_PATH, ok(node("8", after)))
        await nodes.remove_taint(client, NodeName("n1"), OURS)
        patches = [one.body["spec"]["taints"] for one in server.seen("PATCH")]
    assert patches == ([] if after is None else [after])


async def test_taint_against_others(tmp_path: Path) -> None:
    """Somebody else's write in between: read again, keep theirs, write again."""
    async with ApiServer() as server, connected(server, tmp_path) as client:
        server.on("GET", NODE_PATH, ok(node("7")), ok(node("8", [THEIRS])))
        server.on("PATCH", NODE_PATH, refuse(409, "Conflict"), ok(node("9", [THEIRS, RAW])))
        row = await nodes.add_taint(client, NodeName("n1"), OURS)
        assert OURS in row.taints
        assert server.seen("PATCH")[1].body == {
            "metadata": {"resourceVersion": "8"},
            "spec": {"taints": [THEIRS, RAW]},
        }


async def test_taint_that_never_succeeds(tmp_path: Path) -> None:
    """After a few lost races the Conflict is the caller's."""
    async with ApiServer() as server, connected(server, tmp_path) as client:
        server.on("GET", NODE_PATH, ok(node()))
        server.on("PATCH", NODE_PATH, refuse(409, "Conflict"))
        with pytest.raises(errors.Conflict):
            await nodes.add_taint(client, NodeName("n1"), OURS)
        assert len(server.seen("PATCH")) == 5


def job(status: Any = None, **spec: Any) -> dict[str, Any]:
    """A Job as the API server sends it."""
    return {
        "metadata": {
            "name": "j",
            "namespace": "team",
            "uid": "u-j",
            "resourceVersion": "3",
            "annotations": {names.JOB_PREFIX + "account": "physics", "x": "y"},
            "ownerReferences": [
                {
                    "apiVersion": "batch/v1",
                    "kind": "CronJob",
                    "name": "c",
                    "uid": "u-c",
                    "controller": True,
                }
            ],
        },
        "spec": {"template": {"metadata": {}, "spec": {"containers": [{}]}}, **spec},
        "status": status,
    }


def test_job() -> None:
    """A Job's row: its counts, its template's shape and our annotations of both."""
    template = {
        "metadata": {"annotations": {names.JOB_PREFIX + "qos": "high"}},
        "spec": {
            "subdomain": "workers",
            "activeDeadlineSeconds": 60,
            "containers": [{"resources": {"requests": {"cpu": "2"}}}],
        },
    }
    row = jobs.parse(
        job(
            parallelism=4,
            completions=8,
            completionMode="Indexed",
            suspend=True,
            activeDeadlineSeconds=3600,
            template=template,
        )
    )
    assert row == BatchJob(
        uid="u-j",
        namespace="team",
        name="j",
        resource_version="3",
        parallelism=4,
        completions=8,
        indexed=True,
        suspended=True,
        active_deadline_s=3600,
        annotations={names.JOB_PREFIX + "account": "physics"},
        template=PodTemplate(
            shape=PodShape(requests=Resources(cpu_milli=2000)),
            annotations={names.JOB_PREFIX + "qos": "high"},
            subdomain="workers",
            active_deadline_s=60,
        ),
        owner=OwnerReference("batch/v1", "CronJob", "c", "u-c"),
    )


@pytest.mark.parametrize(
    ("spec", "counts"),
    [
        ({}, (1, 1)),
        ({"parallelism": 3}, (3, None)),
        ({"completions": 5}, (1, 5)),
        ({"parallelism": 0, "completions": 5}, (0, 5)),
        ({"parallelism": None, "completions": None}, (1, 1)),
    ],
)
def test_counts_of_a_job(spec: dict[str, Any], counts: tuple[int, int | None]) -> None:
    """Absent counts are those of the API server; parallelism alone is a work queue."""
    row = jobs.parse(job(**spec))
    assert (row.parallelism, row.completions) == counts


@pytest.mark.parametrize(
    ("kind", "status", "finished"),
    [
        ("Complete", "True", True),
        ("Failed", "True", True),
        ("FailureTarget", "True", True),
        ("SuccessCriteriaMet", "True", True),
        ("Failed", "False", False),
        ("Suspended", "True", False),
    ],
)
def test_finished_job(kind: str, status: str, finished: bool) -> None:
    """A Job is finished when its controller will create no more pods."""
    conditions = {"conditions": [{"type": kind, "status": status}]}
    assert jobs.parse(job(conditions)).finished is finished


def test_bad_job() -> None:
    """Nonsense in a Job's template is refused with the field in the Job."""
    with pytest.raises(BadInput, match="Job team/j") as caught:
        jobs.parse(job(template={"spec": {"containers": 3}}))
    assert caught.value.field == "spec.template.spec.containers"


def test_template_without_anything() -> None:
    """An empty template has an empty shape."""
    assert templates.parse({}) == PodTemplate()


def test_namespace() -> None:
    """A namespace's row: all labels, for selectors, and our annotations."""
    raw = {
        "metadata": {
            "name": "team",
            "uid": "u-t",
            "labels": {"kubernetes.io/metadata.name": "team"},
            "annotations": {names.NAMESPACE_USER: "alice", "openshift.io/x": "y"},
        }
    }
    assert namespaces.parse(raw) == Namespace(
        name="team",
        uid="u-t",
        labels={"kubernetes.io/metadata.name": "team"},
        annotations={names.NAMESPACE_USER: "alice"},
    )


@pytest.mark.parametrize(
    ("key", "kept"),
    [
        ("slinky.slurm.net/slurm-node", True),
        ("slurmjob.slinky.slurm.net/account", True),
        ("scheduler.slinky.slurm.net/gang", True),
        ("scheduler.slinky.slurm.net/x", False),
        ("notslinky.slurm.net/x", False),
        ("slinky.slurm.net.evil.org/x", False),
        ("slinky.slurm.net", False),
        ("x/slinky.slurm.net", False),
    ],
)
def test_our_domain(key: str, kept: bool) -> None:
    """Of our domain what is read is kept, and nothing that only looks like it."""
    row = namespaces.parse({"metadata": {"name": "n", "annotations": {key: "v"}}})
    assert dict(row.annotations) == ({key: "v"} if kept else {})
