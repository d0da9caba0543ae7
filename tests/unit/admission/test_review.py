"""The edge: AdmissionReview in, AdmissionReview out, never an exception."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import label_selectors
from bridge.admission import scope
from bridge.admission.review import Reviewer
from tests.unit.admission.manifests import a_manifest, known, patched, response, review

GATE = "scheduler.slinky.slurm.net/allocation"
BRIDGE = "system:serviceaccount:slurm-bridge:controller"


def reviewer(
    *, selector: Mapping[str, Any] | None = None, users: frozenset[str] = frozenset({BRIDGE})
) -> Reviewer:
    pods = scope.Scope(
        managed_namespaces=frozenset({"team"}),
        selector=None if selector is None else label_selectors.parse(selector),
    )
    return Reviewer(pods=pods, namespaces=known(lab={"slurm": "yes"}), bridge_users=users)


async def test_a_managed_pod_is_patched() -> None:
    """A pod of a managed namespace is allowed with a patch that gates it."""
    pod = a_manifest().build()
    told = response(await reviewer().mutate(review(pod)))
    assert told["allowed"] is True
    assert patched(pod, told["patch"])["spec"]["schedulingGates"] == [{"name": GATE}]


async def test_a_foreign_pod_gets_no_patch() -> None:
    """A pod that is not ours is allowed, and the answer has no patch at all."""
    told = response(await reviewer().mutate(review(a_manifest().build(), namespace="other")))
    assert told == {"uid": "review-1", "allowed": True}


async def test_dry_runs_are_answered_alike() -> None:
    """A dry run has the same answer: nothing but the answer ever happens."""
    pod = a_manifest().build()
    dry = await reviewer().mutate(review(pod, dry_run=True))
    assert dry == await reviewer().mutate(review(pod))


async def test_updates_are_not_mutated() -> None:
    """Only creation mutates: `schedulerName` of older pods is immutable, an update that touched
    it could never pass."""
    pod = a_manifest().build()
    told = response(await reviewer().mutate(review(pod, old=pod, operation="UPDATE")))
    assert told == {"uid": "review-1", "allowed": True}


async def test_namespace_selector() -> None:
    """With a selector the namespace's labels decide."""
    by_label = reviewer(selector={"matchLabels": {"slurm": "yes"}})
    told = response(await by_label.mutate(review(a_manifest().build(), namespace="lab")))
    assert "patch" in told


async def test_a_namespace_that_is_not_known_yet() -> None:
    """A pod whose namespace can't be judged is refused for now, not let past Slurm."""
    by_label = reviewer(selector={"matchLabels": {"slurm": "yes"}})
    for call in (by_label.mutate, by_label.validate):
        told = response(await call(review(a_manifest().build(), namespace="new")))
        assert told["allowed"] is False
        assert told["status"]["code"] == 503
        assert "'new'" in told["status"]["message"]
        assert "try again" in told["status"]["message"]


async def test_a_pod_that_names_us_needs_no_namespace() -> None:
    """A pod that names our scheduler is ours, whatever is known of its namespace."""
    by_label = reviewer(selector={"matchLabels": {"slurm": "yes"}})
    told = response(await by_label.mutate(review(a_manifest().ours().build(), namespace="new")))
    assert "patch" in told


async def test_a_refusal_carries_every_sentence() -> None:
    """A refused pod's author reads all reasons, with code and reason for programs."""
    pod = a_manifest().on_node("n1").wishing(timelimit="soon", tiemlimit="1").build()
    told = response(await reviewer().validate(review(pod)))
    assert told["allowed"] is False
    assert (told["status"]["code"], told["status"]["reason"]) == (422, "Invalid")
    assert "spec.nodeName: " in told["status"]["message"]
    assert "timelimit]: 'soon' is not a time limit" in told["status"]["message"]
    assert len(told["warnings"]) == 1


async def test_warnings_come_with_permission() -> None:
    """A misspelt annotation warns, but does not refuse."""
    told = response(await reviewer().validate(review(a_manifest().wishing(accuont="x").build())))
    assert told["allowed"] is True
    assert told["warnings"] == [
        "annotation slurmjob.slinky.slurm.net/accuont is not known to slurm-bridge and has no "
        "effect; did you mean slurmjob.slinky.slurm.net/account?"
    ]


@pytest.mark.parametrize(
    ("pod", "made_by"),
    [
        (a_manifest().scheduled_by("volcano").on_node("n1"), {}),
        (
            a_manifest().owned_by("DaemonSet").on_node("n1"),
            {"user": "system:serviceaccount:kube-system:daemon-set-controller"},
        ),
        (
            a_manifest().annotated({"kubernetes.io/config.mirror": "x"}).on_node("n1"),
            {"user": "system:node:n1", "groups": ["system:nodes"]},
        ),
    ],
)
async def test_what_is_not_ours_is_not_judged(pod: Any, made_by: dict[str, Any]) -> None:
    """Pods of other schedulers, DaemonSets and kubelets are allowed, whatever they ask for."""
    body = review(pod.build(), **made_by)
    assert response(await reviewer().validate(body))["allowed"] is True


async def test_a_hand_on_the_gate() -> None:
    """A user who takes the gate off is refused; the bridge is not."""
    old, new = a_manifest().ours().gated(GATE).build(), a_manifest().ours().build()
    by_user = review(new, old=old, operation="UPDATE")
    told = response(await reviewer().validate(by_user))
    assert told["allowed"] is False
    assert (told["status"]["code"], told["status"]["reason"]) == (403, "Forbidden")
    by_bridge = review(new, old=old, operation="UPDATE", user=BRIDGE)
    assert response(await reviewer().validate(by_bridge))["allowed"] is True


async def test_a_borrowed_owner() -> None:
    """An update is judged by what the pod was created as: a DaemonSet as its owner exempts
    nothing, neither in the patch that adds it nor in the next one."""
    borrowed = a_manifest().ours().owned_by("DaemonSet")
    new = borrowed.build()
    for old in (a_manifest().ours(), borrowed):
        body = review(new, old=old.gated(GATE).build(), operation="UPDATE")
        assert response(await reviewer().validate(body))["allowed"] is False


async def test_a_daemonset_that_names_us_is_told() -> None:
    """Its pods can't wait in a queue; one who invented the DaemonSet reads the same."""
    body = review(a_manifest().ours().owned_by("DaemonSet").build(), namespace="other")
    told = response(await reviewer().validate(body))
    assert told["allowed"] is False
    assert "spec.schedulerName: a DaemonSet's pods" in told["status"]["message"]


async def test_protection_is_off_without_a_bridge_user() -> None:
    """Where nobody is known to be the bridge, its own changes must not be refused."""
    old, new = a_manifest().ours().gated(GATE).build(), a_manifest().ours().build()
    off = reviewer(users=frozenset())
    body = review(new, old=old, operation="UPDATE")
    assert response(await off.validate(body))["allowed"] is True


async def test_resize_of_our_pods_only() -> None:
    """pods/resize is refused for our pods and no others."""
    for pod, allowed in ((a_manifest().ours(), False), (a_manifest(), True)):
        body = review(pod.build(), old=pod.build(), operation="UPDATE", sub_resource="resize")
        assert response(await reviewer().validate(body))["allowed"] is allowed


async def test_older_pods_of_the_default_scheduler() -> None:
    """A pod that was there before its namespace was managed can be updated freely."""
    old = a_manifest().on_node("n1")
    body = review(old.labelled(a="b").build(), old=old.build(), operation="UPDATE")
    assert response(await reviewer().validate(body))["allowed"] is True


@pytest.mark.parametrize("operation", ["DELETE", "CONNECT"])
async def test_other_operations_pass(operation: str) -> None:
    """Deletion is never refused, even of a pod that can't be read."""
    for call in (reviewer().mutate, reviewer().validate):
        told = response(await call(review(None, old=17, operation=operation)))
        assert told["allowed"] is True


@pytest.mark.parametrize(
    ("pod", "place"),
    [
        (None, "the object"),
        ("pod", "the object"),
        ({"metadata": {}}, "spec"),
        ({"spec": []}, "spec"),
        ({"spec": {"containers": {}}}, "spec.containers"),
        ({"spec": {"schedulingGates": [1]}}, "spec.schedulingGates.0"),
        ({"spec": {}, "metadata": {"labels": {"a": 1}}}, "metadata.labels.a"),
        ({"spec": {"schedulerName": 5}}, "spec.schedulerName"),
    ],
)
async def test_a_pod_that_can_not_be_read(pod: Any, place: str) -> None:
    """An unreadable pod is refused with the place where reading ended."""
    for call in (reviewer().mutate, reviewer().validate):
        told = response(await call(review(pod)))
        assert told["allowed"] is False
        assert told["status"]["code"] == 422
        assert f"can't read this pod: {place}: " in told["status"]["message"]


GOOD = json.loads(review(a_manifest().build()))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "EOF"),
        (b"{", "EOF"),
        (b"\xff\xfe", "expected value"),
        (b"[]", "body"),
        (b"null", "body"),
        (b"{}", "apiVersion"),
        (json.dumps({**GOOD, "apiVersion": "admission.k8s.io/v1beta1"}).encode(), "apiVersion"),
        (json.dumps({**GOOD, "kind": "Pod"}).encode(), "kind"),
        (json.dumps({**GOOD, "request": None}).encode(), "request"),
        (json.dumps({**GOOD, "request": {"operation": "CREATE"}}).encode(), "request.uid"),
        (json.dumps({**GOOD, "request": {"uid": "", "operation": "x"}}).encode(), "request.uid"),
        (b"[" * 100_000, "recursion limit"),
        (b'{"request":' * 100_000, "recursion limit"),
    ],
)
async def test_a_body_that_is_no_review(body: bytes, said: str) -> None:
    """A body that is no AdmissionReview gets HTTP 400 with what is wrong, as a Status object."""
    for call in (reviewer().mutate, reviewer().validate):
        status, answer = await call(body)
        assert status == 400
        told = json.loads(answer)
        assert (told["kind"], told["code"]) == ("Status", 400)
        assert said in told["message"]


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)


def replaced(where: list[str | int], what: Any, tree: Any) -> Any:
    """`tree` with the value at `where` replaced."""
    if not where:
        return what
    head, *rest = where
    copied: Any = dict(tree) if isinstance(tree, dict) else list(tree)
    copied[head] = replaced(rest, what, tree[head])
    return copied


def places(tree: Any) -> list[list[str | int]]:
    """Every path in `tree`."""
    found: list[list[str | int]] = [[]]
    if isinstance(tree, dict):
        for key, value in tree.items():
            found += [[key, *rest] for rest in places(value)]
    if isinstance(tree, list):
        for index, value in enumerate(tree):
            found += [[index, *rest] for rest in places(value)]
    return found


FULL = json.loads(
    review(
        a_manifest()
        .ours()
        .gated(GATE)
        .tolerating({"key": "a", "operator": "Exists", "tolerationSeconds": 5})
        .owned_by("ReplicaSet")
        .with_labels({"a": "b"})
        .wishing(timelimit="60")
        .with_limits({"cpu": "1"})
        .pod_level({"cpu": "1"})
        .required_terms({"matchFields": [{"key": "a", "operator": "In", "values": ["b"]}]})
        .spec_field("resourceClaims", [{"name": "a"}])
        .build()
    )
)
FULL["request"]["oldObject"] = FULL["request"]["object"]


@given(
    where=st.sampled_from(places(FULL)),
    what=values,
    operation=st.sampled_from(["CREATE", "UPDATE", "DELETE"]),
)
async def test_any_field_may_be_anything(where: list[str | int], what: Any, operation: str) -> None:
    """Whatever stands in whatever field, the answer is a review or a 400, never an exception."""
    body = json.loads(json.dumps(FULL))
    body["request"]["operation"] = operation
    body = replaced(where, what, body)
    encoded = json.dumps(body).encode()
    for call in (reviewer().mutate, reviewer().validate):
        status, answer = await call(encoded)
        assert status in (200, 400)
        if status == 200:
            assert json.loads(answer)["response"]["uid"] == body["request"]["uid"]


@given(st.binary(max_size=200))
async def test_any_bytes(body: bytes) -> None:
    """Bytes that are no JSON get 400."""
    assert (await reviewer().validate(body))[0] == 400


async def test_huge_lists_are_refused() -> None:
    """A pod with a hundred thousand tolerations is still answered, with their number."""
    pod = a_manifest().spec_field("tolerations", [{"key": "a"}] * 100_000).build()
    for call in (reviewer().mutate, reviewer().validate):
        told = response(await call(review(pod)))
        assert told["allowed"] is False
        assert "spec.tolerations: tuple should have at most 1000 items" in told["status"]["message"]
        assert "not 100000" in told["status"]["message"]
