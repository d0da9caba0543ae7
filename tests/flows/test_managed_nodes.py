"""Who may use managed nodes: pods that wait in Slurm's queue, and what belongs to the nodes.

The real API server refuses by the policies of deploy/managed-nodes.yaml; the embedded one has none,
so there the webhook refuses, with the same sentences. Both are asked by a dry run where nothing is
to be left behind.
"""

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from bridge import names
from bridge.admission import scope
from tests.arena import installation, manifests
from tests.arena.api import Kubernetes, Object, documents, path_of, wait_for
from tests.arena.arena import NAMESPACE, PLAIN_NAMESPACE, Arena, Nodes, gated, node_of, phase
from tests.arena.fixtures import Begin
from tests.flows.conftest import MANIFESTS

OUTSIDE = "outside"
"""Neither managed nor exempt: where most of a cluster's people are."""
TAINT = names.MANAGED_NODE_TAINT
US = names.SCHEDULER_NAME
BLANKET: Object = {"operator": "Exists"}
BY_KEY: Object = {"key": TAINT, "operator": "Exists"}
BY_VALUE: Object = {"key": TAINT, "operator": "Equal", "value": US, "effect": "NoExecute"}
IN_A_WHILE: Object = {**BY_KEY, "effect": "NoExecute", "tolerationSeconds": 60}
NOT_THE_TAINT: tuple[Object, ...] = (
    {**BY_KEY, "effect": "NoSchedule"},
    {**BY_VALUE, "value": ""},
    {**BY_VALUE, "value": "some-other-scheduler"},
    {"key": "nvidia.com/gpu", "operator": "Exists"},
)
FORGED: Object = {
    "apiVersion": "apps/v1", "kind": "DaemonSet", "name": "made-up", "uid": "made-up",
    "controller": True,
}  # fmt: skip
MIRROR = {names.MIRROR_POD_ANNOTATION: "x"}
WAITS, PLACED = f"set spec.schedulerName: {US}", "without spec.nodeName"
DAEMON_SET = "the DaemonSet tolerates the taint"


@pytest.fixture
def outside(arena: Arena, begin: Begin) -> Iterator[str]:
    """The namespace; what a story leaves there is gone before the story ends."""
    kubernetes = arena.kubernetes
    if kubernetes.find(f"/api/v1/namespaces/{OUTSIDE}") is None:
        kubernetes.create(manifests.namespace(OUTSIDE))
    yield OUTSIDE
    for kind in ("batch/v1/namespaces/{}/jobs", "apps/v1/namespaces/{}/replicasets",
                 "apps/v1/namespaces/{}/daemonsets"):  # fmt: skip
        base = f"/apis/{kind.format(OUTSIDE)}"
        for one in kubernetes.get(base)["items"]:
            kubernetes.delete(f"{base}/{one['metadata']['name']}")
    for pod in kubernetes.pods(OUTSIDE):
        arena.delete_pod(pod["metadata"]["name"], OUTSIDE)
    wait_for("no pod is left", lambda: not kubernetes.pods(OUTSIDE), seconds=60)


def a_pod(*tolerations: Object, namespace: str = OUTSIDE, **fields: Any) -> Object:
    return manifests.pod("squatter", namespace, tolerations=list(tolerations), **fields)


def owned(pod: Object) -> Object:
    return {**pod, "metadata": {**pod["metadata"], "ownerReferences": [FORGED]}}


def a_mirror(node: str) -> Object:
    made = a_pod(BLANKET, nodeName=node)
    return {**made, "metadata": {**made["metadata"], "annotations": MIRROR}}


def a_daemon_set(namespace: str, *tolerations: Object, cpu: str = "100m") -> Object:
    template = {
        "metadata": {"labels": {"app": "agent"}},
        "spec": manifests.pod_spec(cpu=cpu, tolerations=list(tolerations)),
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "agent", "namespace": namespace},
        "spec": {"selector": {"matchLabels": {"app": "agent"}}, "template": template},
    }


def refusal(client: Kubernetes, manifest: Object) -> str:
    """Why the API server would not create it; "" if it would."""
    path = path_of(manifest).rpartition("/")[0]
    answer = client.http.post(path, json=manifest, params={"dryRun": "All"})
    if answer.is_success:
        return ""
    assert answer.status_code == 403, answer.text
    return str(answer.json()["message"])


def refused_change(client: Kubernetes, path: str, patch: Object) -> str:
    """Why the API server would not change it; "" if it would."""
    kind = {"Content-Type": "application/merge-patch+json"}
    answer = client.http.patch(path, json=patch, headers=kind, params={"dryRun": "All"})
    if answer.is_success:
        return ""
    assert answer.status_code == 403, answer.text
    return str(answer.json()["message"])


def test_a_pod_that_tolerates_the_taint_waits_in_slurm_or_is_refused(
    arena: Arena, begin: Begin, outside: str
) -> None:
    """However it says so, whoever it says that it is, and with a node of its own choice. What does
    not tolerate the taint, and pods of exempt namespaces, are nobody's business."""
    (node,) = begin(Nodes(count=1))
    with arena.tenant(namespace=outside) as user:
        for toleration in (BLANKET, BY_KEY, BY_VALUE, IN_A_WHILE):
            assert WAITS in refusal(user, a_pod(toleration)), toleration
        assert WAITS in refusal(user, a_pod(BLANKET, nodeName=node))
        assert WAITS in refusal(user, a_pod(BLANKET, schedulerName="some-other-scheduler"))
        assert WAITS in refusal(user, owned(a_pod(BLANKET)))
        assert WAITS in refusal(user, a_mirror(node))
        for toleration in NOT_THE_TAINT:
            assert refusal(user, a_pod(toleration)) == "", toleration
        arena.create(manifests.pod("ours", outside, tolerations=[BY_KEY], schedulerName=US))
        assert node_of(arena.wait_bound("ours", namespace=outside)) == node
    for namespace in (PLAIN_NAMESPACE, "kube-system"):
        assert refusal(arena.kubernetes, a_pod(BLANKET, namespace=namespace)) == ""


def test_nobody_but_slurm_chooses_the_node_of_a_pod_that_waits_in_slurm(
    arena: Arena, begin: Begin, outside: str
) -> None:
    """Not by spec.nodeName, not by a toleration that is added to a pod with a node, and not by a
    binding while Slurm has not granted anything."""
    (node,) = begin(Nodes(count=1))
    path = f"/api/v1/namespaces/{outside}/pods"
    placed = a_pod(BY_KEY, schedulerName=US, nodeName=node)
    answer = arena.kubernetes.http.post(path, json=placed, params={"dryRun": "All"})
    assert answer.is_error
    assert "spec.nodeName" in answer.json()["message"]
    arena.create(manifests.pod("holder", NAMESPACE, gpus=8))
    arena.wait_bound("holder")
    waits = arena.create(manifests.pod("waits", outside, gpus=8, schedulerName=US))
    assert gated(waits)
    binding = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": "waits"},
        "target": {"kind": "Node", "name": node},
    }
    answer = arena.kubernetes.http.post(f"{path}/waits/binding", json=binding)
    assert answer.is_error
    assert "schedulingGates" in answer.json()["message"]


def test_a_toleration_is_not_added_later(arena: Arena, begin: Begin, outside: str) -> None:
    """Everything else of a pod may change, also of one that has tolerated the taint all along."""
    begin(Nodes(count=1))
    arena.create(manifests.pod("squatter", outside))
    path = f"/api/v1/namespaces/{outside}/pods/squatter"
    known = arena.kubernetes.get(path)["spec"].get("tolerations", [])
    for toleration in (BLANKET, BY_KEY, BY_VALUE):
        patch = {"spec": {"tolerations": [*known, toleration]}}
        assert WAITS in refused_change(arena.kubernetes, path, patch)
    harmless = {"spec": {"tolerations": [*known, NOT_THE_TAINT[0]]}}
    assert refused_change(arena.kubernetes, path, harmless) == ""
    arena.create(a_daemon_set(outside, BLANKET))
    (agent,) = arena.wait_pods(
        1, "runs", lambda pod: phase(pod) == "Running" and pod["metadata"]["name"] != "squatter",
        namespace=outside,
    )  # fmt: skip
    path = f"/api/v1/namespaces/{outside}/pods/{agent['metadata']['name']}"
    marks = {"labels": {"a": "b"}, "annotations": {"a": "b"}, "finalizers": ["example.com/held"]}
    arena.kubernetes.patch(path, {"metadata": marks})
    arena.kubernetes.patch(path, {"metadata": {"finalizers": None}})
    arena.kubernetes.patch(f"{path}/status", {"status": {"reason": "Told"}})
    patch = {"spec": {"tolerations": [*agent["spec"]["tolerations"], BY_KEY]}}
    assert refused_change(arena.kubernetes, path, patch) == ""


def test_what_belongs_to_the_node_runs_there(arena: Arena, begin: Begin, outside: str) -> None:
    """A DaemonSet's pods, where no tenants are, and the mirror of a static pod, made by its own
    node; Slurm has nothing to do with either. The same user can't make other pods."""
    first, second = sorted(begin(Nodes(count=2)))
    (agents,) = documents(MANIFESTS / "daemonset.yaml", outside)
    arena.create(agents)
    pods = arena.wait_pods(2, "run", lambda pod: phase(pod) == "Running", namespace=outside)
    assert {node_of(pod) for pod in pods} == {first, second}
    assert not arena.slurm.live_jobs()
    with arena.acting_as(f"system:node:{first}", "system:nodes") as kubelet:
        assert refusal(kubelet, a_mirror(first)) == ""
        assert WAITS in refusal(kubelet, a_mirror(second))
    with arena.acting_as(scope.DAEMON_CONTROLLERS[0]) as controller:
        assert refusal(controller, owned(a_pod(BLANKET))) == ""
        assert WAITS in refusal(controller, a_pod(BLANKET))


def test_controllers_pods_are_refused_and_say_so(arena: Arena, begin: Begin, outside: str) -> None:
    """Their owner's event has the sentence; templates themselves are let in, since in a managed
    namespace their pods wait in Slurm's queue."""
    begin(Nodes(count=1))
    arena.create(manifests.job("crowd", outside, tolerations=[BLANKET]))
    template = {
        "metadata": {"labels": {"app": "set"}},
        "spec": manifests.pod_spec(tolerations=[BY_KEY]),
    }
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "set"}}, "template": template}
    meta = {"name": "set", "namespace": outside}
    arena.create({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": meta, "spec": spec})
    wait_for("its owner says why", lambda: _told(arena, outside, "crowd"), seconds=40)
    if arena.kind == "real":  # the embedded controller of ReplicaSets writes no events
        wait_for("its owner says why", lambda: _told(arena, outside, "set"), seconds=40)
    assert not arena.kubernetes.pods(outside)
    arena.create(manifests.job("crowd", NAMESPACE, tolerations=[BLANKET]))
    arena.wait_pods(1, "is bound", node_of, of_job="crowd")


def _told(arena: Arena, namespace: str, owner: str) -> bool:
    return any(
        WAITS in event.get("note", "") and event["reason"] == "FailedCreate"
        for event in arena.kubernetes.events(namespace, owner)
    )


def test_tenants_make_no_daemon_sets_that_tolerate_the_taint(arena: Arena, begin: Begin) -> None:
    """Neither new ones nor by a change; others they may have."""
    begin(Nodes(count=1))
    with arena.tenant() as user:
        for toleration in (BLANKET, BY_KEY, BY_VALUE):
            assert DAEMON_SET in refusal(user, a_daemon_set(NAMESPACE, toleration)), toleration
        harmless = a_daemon_set(NAMESPACE, *NOT_THE_TAINT)
        user.create(harmless)
        try:
            patch = {"spec": {"template": {"spec": {"tolerations": [BLANKET]}}}}
            assert DAEMON_SET in refused_change(user, path_of(harmless), patch)
            patch = {"spec": {"template": {"spec": {"tolerations": []}}}}
            assert refused_change(user, path_of(harmless), patch) == ""
            assert not user.pods(NAMESPACE)
        finally:
            user.delete(path_of(harmless))
    assert refusal(arena.kubernetes, a_daemon_set(PLAIN_NAMESPACE, BLANKET)) == ""


def test_nobody_waits_for_a_bridge_that_is_down(arena: Arena, begin: Begin, outside: str) -> None:
    """Pods that don't tolerate the taint, and the nodes' own, are created and changed as ever;
    those that tolerate it stay out."""
    (node,) = begin(Nodes(count=1))
    arena.bridge.kill()
    try:
        arena.create(manifests.pod("plain", outside))
        path = f"/api/v1/namespaces/{outside}/pods/plain"
        arena.kubernetes.patch(path, {"metadata": {"labels": {"a": "b"}}})
        with arena.acting_as(f"system:node:{node}", "system:nodes") as kubelet:
            assert refusal(kubelet, a_mirror(node)) == ""
        arena.create(a_daemon_set(outside, BLANKET))
        arena.wait_pods(1, "runs", lambda pod: phase(pod) == "Running", namespace=outside)
        assert arena.kubernetes.try_create(a_pod(BLANKET)).is_error
    finally:
        arena.bridge.start()


def test_an_older_kubernetes_has_the_webhook_say_the_same(
    arena: Arena, begin: Begin, outside: str
) -> None:
    """With the policies there, the webhook is not called; without them it refuses the same pods
    with the same sentence. The policies' expressions fit the types of what they look at."""
    if arena.kind == "embedded":
        pytest.skip("the embedded API server has no policies: there the webhook says it always")
    begin(Nodes(count=1))
    tried = (a_pod(BLANKET), a_daemon_set(NAMESPACE, BLANKET))
    base = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
    policies = arena.kubernetes.get(base)["items"]
    assert {one["metadata"]["name"] for one in policies} >= {
        "slurm-bridge-managed-nodes",
        "slurm-bridge-daemon-sets",
    }
    for one in policies:
        path = f"{base}/{one['metadata']['name']}"
        checked = wait_for("it is checked", partial(_checked, arena.kubernetes, path))
        assert not checked.get("expressionWarnings"), checked
    by_policy = [refusal(arena.kubernetes, one) for one in tried]
    assert all("ValidatingAdmissionPolicy" in said for said in by_policy)
    with _no_policies(arena, tried[0]):
        by_webhook = [refusal(arena.kubernetes, one) for one in tried]
    assert all("admission webhook" in said for said in by_webhook)
    assert [_sentence(said) for said in by_policy] == [_sentence(said) for said in by_webhook]


def _sentence(refused: str) -> str:
    return refused.partition("denied")[2].partition(": ")[2]


def _checked(kubernetes: Kubernetes, path: str) -> Object | None:
    status: Object = kubernetes.get(path).get("status") or {}
    return {"done": True, **status["typeChecking"]} if "typeChecking" in status else None


@contextlib.contextmanager
def _no_policies(arena: Arena, tried: Object) -> Iterator[None]:
    installation.remove_policies(arena.kubernetes)
    try:
        wait_for(
            "the policies are gone",
            lambda: "admission webhook" in refusal(arena.kubernetes, tried),
        )
        yield
    finally:
        installation.install_policies(arena.kubernetes)
        wait_for(
            "they are in force",
            lambda: "ValidatingAdmissionPolicy" in refusal(arena.kubernetes, tried),
        )
