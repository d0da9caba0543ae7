"""What a pod gets on creation."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.admission import mutate, scope, wire
from tests.unit.admission.manifests import Manifest, a_manifest, patched

GATE = "scheduler.slinky.slurm.net/allocation"
TOLERATION = {
    "key": "slinky.slurm.net/managed-node",
    "operator": "Equal",
    "value": "slurm-bridge-scheduler",
    "effect": "NoExecute",
}
DRAINED = {"key": "slinky.slurm.net/drained", "operator": "Exists", "effect": "NoSchedule"}
PODS = scope.Scope(managed_namespaces=frozenset({"team"}))


TENANT = wire.UserInfo(username="alice", groups=("system:authenticated",))
KUBELET = wire.UserInfo(username="system:node:n1", groups=(scope.NODES_GROUP,))


def operations(
    pod: Manifest, *, managed: bool = True, made_by: wire.UserInfo = TENANT
) -> list[Manifest]:
    parsed = wire.Pod.model_validate(pod)
    found = mutate.operations(parsed, pods=PODS, managed=managed, made_by=made_by)
    return [operation.as_json() for operation in found]


def after(pod: Manifest, *, managed: bool = True) -> Manifest:
    return patched(pod, operations(pod, managed=managed))


@pytest.mark.parametrize("scheduler", ["default-scheduler", "", None])
def test_default_pod_in_managed_namespace(scheduler: str | None) -> None:
    """A pod of a managed namespace that names no scheduler gets ours, gate and toleration."""
    pod = a_manifest().spec_field("schedulerName", scheduler).build()
    spec = after(pod)["spec"]
    assert spec["schedulerName"] == "slurm-bridge-scheduler"
    assert spec["schedulingGates"] == [{"name": GATE}]
    assert spec["tolerations"] == [TOLERATION, DRAINED]


def test_no_scheduler_name_at_all() -> None:
    """A pod without the field schedulerName is treated as one with the default in it."""
    pod = a_manifest().build()
    del pod["spec"]["schedulerName"]
    assert after(pod)["spec"]["schedulerName"] == "slurm-bridge-scheduler"


def test_our_scheduler_in_any_namespace() -> None:
    """A pod that names our scheduler is gated wherever it is."""
    spec = after(a_manifest().ours().build(), managed=False)["spec"]
    assert spec["schedulingGates"] == [{"name": GATE}]
    assert spec["tolerations"] == [TOLERATION, DRAINED]


def test_default_pod_elsewhere_is_untouched() -> None:
    """A pod of a namespace that is not managed is none of our business."""
    assert operations(a_manifest().build(), managed=False) == []


def test_other_schedulers_keep_their_pods() -> None:
    """A pod in a managed namespace that names a third scheduler is left alone."""
    assert operations(a_manifest().scheduled_by("volcano").build()) == []


@pytest.mark.parametrize("controller", scope.DAEMON_CONTROLLERS)
def test_what_the_daemonset_controller_makes_is_untouched(controller: str) -> None:
    """A DaemonSet's pod belongs to its node; what else that user makes (it may be all of
    kube-controller-manager) is judged as anybody's."""
    made_by = wire.UserInfo(username=controller)
    assert operations(a_manifest().owned_by("DaemonSet").build(), made_by=made_by) == []
    assert operations(a_manifest().owned_by("DaemonSet", controller=None).build(), made_by=made_by)
    assert operations(a_manifest().owned_by("ReplicaSet").build(), made_by=made_by)


def test_a_daemonset_or_a_mirror_by_its_own_words_is_a_pod_like_any_other() -> None:
    """Whoever may create pods may write an owner reference and an annotation."""
    forged = a_manifest().owned_by("DaemonSet").build()
    assert operations(forged)
    assert operations(forged, made_by=KUBELET)
    assert operations(a_manifest().owned_by("DaemonSet").ours().build(), managed=False)
    assert operations(a_manifest().annotated({"kubernetes.io/config.mirror": "hash"}).build())


def test_mirror_pods_are_untouched() -> None:
    """A static pod's mirror, made by its kubelet, runs already; it is not queued."""
    mirror = a_manifest().annotated({"kubernetes.io/config.mirror": "hash"})
    assert operations(mirror.on_node("n1").build(), made_by=KUBELET) == []
    assert operations(a_manifest().build(), made_by=KUBELET)


def test_a_kubelet_makes_mirrors_of_its_own_node_only() -> None:
    """A pod of some other node is none of its static pods."""
    pods = scope.Scope()
    for node, managed in (("n1", False), ("n2", True), ("", True)):
        mirror = a_manifest().annotated({"kubernetes.io/config.mirror": "x"}).on_node(node)
        assert pods.should_manage(mirror.parsed(), managed=True, made_by=KUBELET) is managed


def test_pod_with_a_node_is_untouched() -> None:
    """A gate on a pod with a node would hide the true reason of its refusal."""
    assert operations(a_manifest().on_node("n1").build()) == []


def test_other_gates_and_tolerations_stay() -> None:
    """Gates and tolerations of others are kept, in their order, before ours."""
    other = {"key": "nvidia.com/gpu", "operator": "Exists"}
    spec = after(a_manifest().gated("quota.example.com/wait").tolerating(other).build())["spec"]
    assert spec["schedulingGates"] == [{"name": "quota.example.com/wait"}, {"name": GATE}]
    assert spec["tolerations"] == [other, TOLERATION, DRAINED]


@pytest.mark.parametrize(
    "toleration",
    [
        {**TOLERATION, "value": "other-scheduler"},
        {**TOLERATION, "effect": "NoSchedule"},
        {**TOLERATION, "tolerationSeconds": 60},
        {"key": "slinky.slurm.net/managed-node", "operator": "Exists"},
    ],
)
def test_lookalike_tolerations_do_not_count(toleration: Manifest) -> None:
    """Only a toleration that keeps the pod on our nodes for good makes ours superfluous."""
    spec = after(a_manifest().tolerating(toleration).build())["spec"]
    assert spec["tolerations"] == [toleration, TOLERATION, DRAINED]


@pytest.mark.parametrize("short", [{"operator": ""}, {"effect": ""}])
def test_tolerations_with_defaults_count(short: Manifest) -> None:
    """An empty operator means Equal and an empty effect every effect."""
    theirs = {**TOLERATION, **short}
    spec = after(a_manifest().tolerating(theirs).build())["spec"]
    assert spec["tolerations"] == [theirs, DRAINED]


def test_null_lists_are_replaced() -> None:
    """A list that is null in the manifest can't be appended to."""
    pod = a_manifest().spec_field("tolerations", None).spec_field("schedulingGates", None).build()
    spec = after(pod)["spec"]
    assert spec["tolerations"] == [TOLERATION, DRAINED]
    assert spec["schedulingGates"] == [{"name": GATE}]


def test_configured_scheduler_name() -> None:
    """Scheduler and toleration carry the configured name."""
    pods = scope.Scope(scheduler_name="slurm-b")
    found = mutate.operations(a_manifest().parsed(), pods=pods, managed=True, made_by=TENANT)
    values = {operation.path: operation.value for operation in found}
    assert values["/spec/schedulerName"] == "slurm-b"
    assert values["/spec/tolerations"] == [{**TOLERATION, "value": "slurm-b"}, DRAINED]


texts = st.text(max_size=12)
names = st.sampled_from([GATE, "example.com/wait", ""])
schedulers = st.sampled_from(["", "default-scheduler", "slurm-bridge-scheduler", "volcano"])
tolerations = st.fixed_dictionaries(
    {},
    optional={
        "key": st.sampled_from(["", TOLERATION["key"], "other"]),
        "operator": st.sampled_from(["", "Equal", "Exists"]),
        "value": st.sampled_from(["", "slurm-bridge-scheduler", "x"]),
        "effect": st.sampled_from(["", "NoExecute", "NoSchedule"]),
        "tolerationSeconds": st.integers(0, 600),
    },
)
manifests = st.fixed_dictionaries(
    {
        "metadata": st.fixed_dictionaries(
            {"name": texts},
            optional={
                "labels": st.none() | st.dictionaries(texts, texts, max_size=3),
                "annotations": st.dictionaries(texts, texts, max_size=3),
                "finalizers": st.lists(texts, max_size=2),
            },
        ),
        "spec": st.fixed_dictionaries(
            {"containers": st.lists(st.fixed_dictionaries({"name": texts}), max_size=2)},
            optional={
                "schedulerName": schedulers | st.none(),
                "schedulingGates": st.none()
                | st.lists(st.fixed_dictionaries({"name": names}), max_size=3),
                "tolerations": st.none() | st.lists(tolerations, max_size=3),
                "nodeName": st.sampled_from(["", "n1"]),
                "nodeSelector": st.dictionaries(texts, texts, max_size=2),
                "aFieldOfTheFuture": st.integers(),
            },
        ),
    }
)


@given(pod=manifests, managed=st.booleans())
def test_a_second_call_adds_nothing(pod: Manifest, managed: bool) -> None:
    """Mutating what was mutated changes nothing, for any pod."""
    once = after(pod, managed=managed)
    assert operations(once, managed=managed) == []


@given(pod=manifests, managed=st.booleans())
def test_nothing_of_the_user_is_lost(pod: Manifest, managed: bool) -> None:
    """Every field of the user's is still there, lists keep their entries and order, and nothing
    but scheduler, gates and tolerations changes."""
    new = after(pod, managed=managed)
    assert new["metadata"] == pod["metadata"]
    for field in ("schedulingGates", "tolerations"):
        before: list[Any] = pod["spec"].get(field) or []
        assert (new["spec"].get(field) or [])[: len(before)] == before
    untouched = {"schedulerName", "schedulingGates", "tolerations"}
    assert {key: value for key, value in new["spec"].items() if key not in untouched} == {
        key: value for key, value in pod["spec"].items() if key not in untouched
    }
    if pod["spec"].get("schedulerName") == "volcano":
        assert new == pod
