"""Who may use managed nodes: one rule, said by Python, by webhooks' conditions and by policies."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import names
from bridge.admission import managed_nodes, policy, scope, webhook_config, wire
from bridge.admission.review import Reviewer
from bridge.admission.selectors import Calls
from bridge.model.scheduling import Taint, Toleration
from bridge.sim.kube.apiserver.conditions import Conditions
from tests.unit.admission.manifests import Manifest, a_manifest, known, response, review

TAINT = names.MANAGED_NODE_TAINT
US = names.SCHEDULER_NAME
CALLS = Calls(managed_namespaces=("team",))
BY_KEY = {"key": TAINT, "operator": "Exists"}
BY_VALUE = {"key": TAINT, "operator": "Equal", "value": US, "effect": "NoExecute"}
BLANKET = {"operator": "Exists"}
MIRROR = {names.MIRROR_POD_ANNOTATION: "x"}
DAEMON_CONTROLLER = {"username": scope.DAEMON_CONTROLLERS[0], "groups": []}
KUBELET = {"username": "system:node:n1", "groups": [scope.NODES_GROUP]}
ALICE = {"username": "alice", "groups": ["system:authenticated"]}


def by_python(request: Manifest) -> str:
    """What the webhook's handler says; "" if it allows."""
    pod = wire.Pod.model_validate(request["object"])
    old = request["oldObject"]
    if old and managed_nodes.tolerates(wire.Pod.model_validate(old).spec, US):
        return ""
    made_by = wire.UserInfo.model_validate(request["request"]["userInfo"])
    refusal = managed_nodes.refusal_of_pod(pod, made_by=made_by, scheduler_name=US)
    return str(refusal or "")


def is_asked(request: Manifest) -> bool:
    """Whether the API server calls the webhook about it."""
    (found,) = (
        one
        for one in webhook_config.validating(CALLS, webhook_config.Target(url="https://x"))[
            "webhooks"
        ]
        if one["name"] == webhook_config.WEBHOOK_NODES
    )
    return Conditions().hold(found["matchConditions"], request)


def by_policy(request: Manifest) -> str:
    """What the policy says; "" if it allows."""
    spec, conditions = policy.documents(CALLS)[0]["spec"], Conditions()
    if not conditions.hold(spec["matchConditions"], request):
        return ""
    values = {one["name"]: conditions.hold([one], request) for one in spec["variables"]}
    for one in spec["validations"]:
        if not conditions.hold([one], {**request, "variables": values}):
            return str(one["message"])
    return ""


def a_request(pod: Manifest, *, old: Manifest | None = None, user: Manifest = ALICE) -> Manifest:
    """The variables of an expression."""
    operation = "CREATE" if old is None else "UPDATE"
    request = {"operation": operation, "userInfo": dict(user)}
    return {"object": pod, "oldObject": old, "request": request}


WAITS, PLACED = "spec.tolerations: ", "spec.nodeName: "


@pytest.mark.parametrize(
    ("pod", "user", "says"),
    [
        (a_manifest(), ALICE, ""),
        (a_manifest().on_node("n1"), ALICE, ""),
        *((a_manifest().tolerating(one), ALICE, WAITS) for one in (BY_KEY, BY_VALUE, BLANKET)),
        (a_manifest().tolerating(BLANKET).on_node("n1"), ALICE, WAITS),
        (a_manifest().tolerating(BY_VALUE).ours(), ALICE, ""),
        (a_manifest().tolerating(BY_VALUE).ours().on_node("n1"), ALICE, PLACED),
        (a_manifest().tolerating(BLANKET).owned_by("DaemonSet"), ALICE, WAITS),
        (a_manifest().tolerating(BLANKET).owned_by("DaemonSet"), DAEMON_CONTROLLER, ""),
        (a_manifest().tolerating(BLANKET).owned_by("ReplicaSet"), DAEMON_CONTROLLER, WAITS),
        (a_manifest().tolerating(BLANKET), DAEMON_CONTROLLER, WAITS),
        (a_manifest().tolerating(BLANKET).annotated(MIRROR).on_node("n1"), ALICE, WAITS),
        (a_manifest().tolerating(BLANKET).annotated(MIRROR).on_node("n1"), KUBELET, ""),
        (a_manifest().tolerating(BLANKET).annotated(MIRROR).on_node("n2"), KUBELET, WAITS),
        (a_manifest().tolerating(BLANKET).on_node("n1"), KUBELET, WAITS),
    ],
)
def test_who_may(pod: Any, user: Manifest, says: str) -> None:
    """Those that wait in Slurm's queue or belong to their node, by who creates them."""
    request = a_request(pod.build(), user=user)
    said = by_python(request)
    assert said.startswith(says)
    assert bool(said) == bool(says)
    assert by_policy(request) == said
    assert is_asked(request) == bool(said)


def test_an_update_is_judged_only_where_it_makes_a_pod_tolerate_the_taint() -> None:
    """Finalizers, labels and status of pods that are older than the rule are nobody's business
    here; a toleration that is added is."""
    plain, tolerant = a_manifest().on_node("n1"), a_manifest().on_node("n1").tolerating(BLANKET)
    labelled = a_manifest().on_node("n1").tolerating(BLANKET).labelled(a="b").build()
    for old, new, says in (
        (tolerant.build(), labelled, ""),
        (plain.build(), tolerant.build(), WAITS),
        (a_manifest().ours().build(), a_manifest().ours().tolerating(BY_KEY).build(), ""),
        (
            a_manifest().ours().on_node("n1").build(),
            a_manifest().ours().on_node("n1").tolerating(BY_KEY).build(),
            PLACED,
        ),
    ):
        request = a_request(new, old=old)
        said = by_python(request)
        assert said.startswith(says)
        assert bool(said) == bool(says)
        assert by_policy(request) == said
        assert is_asked(request) == bool(said)


@pytest.mark.parametrize(
    ("toleration", "tolerates"),
    [
        (BY_KEY, True),
        (BY_VALUE, True),
        (BLANKET, True),
        ({"key": TAINT, "operator": "Exists", "effect": "NoSchedule"}, False),
        ({"key": TAINT, "operator": "Exists", "effect": ""}, True),
        ({"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1}, True),
        ({"key": TAINT, "value": US}, True),
        ({"key": TAINT, "operator": "", "value": US}, True),
        ({"key": TAINT, "operator": "Equal", "value": ""}, False),
        ({"key": TAINT}, False),
        ({"key": TAINT, "operator": "Equal", "value": "some-other-scheduler"}, False),
        ({"key": "nvidia.com/gpu", "operator": "Exists"}, False),
        ({"key": TAINT, "operator": "Gt", "value": "1"}, True),
    ],
)
def test_what_tolerates_the_taint(toleration: Manifest, tolerates: bool) -> None:
    """By Kubernetes' rule: an effect may be left empty, and a limit in seconds changes nothing."""
    pod = a_manifest().tolerating(toleration)
    assert managed_nodes.tolerates(pod.parsed().spec, US) is tolerates
    assert bool(by_policy(a_request(pod.build()))) is tolerates


TOLERATIONS = st.fixed_dictionaries(
    {},
    optional={
        "key": st.sampled_from(["", TAINT, "other"]),
        "operator": st.sampled_from(["", "Equal", "Exists"]),
        "value": st.sampled_from(["", US, "other"]),
        "effect": st.sampled_from(["", "NoExecute", "NoSchedule"]),
        "tolerationSeconds": st.just(5),
    },
)
PODS = st.fixed_dictionaries(
    {
        "metadata": st.fixed_dictionaries(
            {},
            optional={
                "annotations": st.sampled_from([{}, MIRROR]),
                "ownerReferences": st.lists(
                    st.fixed_dictionaries(
                        {"kind": st.sampled_from(["DaemonSet", "ReplicaSet"])},
                        optional={"controller": st.booleans()},
                    ),
                    max_size=2,
                ),
            },
        ),
        "spec": st.fixed_dictionaries(
            {},
            optional={
                "schedulerName": st.sampled_from(["", US, "default-scheduler"]),
                "nodeName": st.sampled_from(["", "n1", "n2"]),
                "tolerations": st.lists(TOLERATIONS, max_size=2),
            },
        ),
    }
)
USERS = st.sampled_from([ALICE, DAEMON_CONTROLLER, KUBELET, {"username": "alice"}])


@given(pod=PODS, old=st.none() | PODS, user=USERS)
def test_all_say_the_same(pod: Manifest, old: Manifest | None, user: Mapping[str, Any]) -> None:
    """The policy refuses what the webhook refuses, with the same sentence; the API server calls
    the webhook just for that; no expression ever fails."""
    request = a_request(pod, old=old, user=dict(user))
    said = by_python(request)
    assert by_policy(request) == said
    assert is_asked(request) == bool(said)


@given(toleration=TOLERATIONS)
def test_kubernetes_rule(toleration: Manifest) -> None:
    """What the bridge takes for a toleration of its taint is one to kube-scheduler too. (A
    toleration without a key has to be Exists, as the API server requires.)"""
    if not toleration.get("key") and toleration.get("operator") != "Exists":
        return
    by_kubernetes = Toleration(
        key=toleration.get("key", ""),
        operator=toleration.get("operator") or "Equal",
        value=toleration.get("value", ""),
        effect=toleration.get("effect", ""),
    ).tolerates(Taint.managed(US))
    pod = a_manifest().tolerating(toleration).parsed()
    assert managed_nodes.tolerates(pod.spec, US) is by_kubernetes


def a_daemon_set(*tolerations: Manifest) -> Manifest:
    template = a_manifest().tolerating(*tolerations).build()
    return {"metadata": {"name": "agent"}, "spec": {"template": template}}


@pytest.mark.parametrize(
    ("old", "new", "refused"),
    [
        (None, a_daemon_set(), False),
        (None, a_daemon_set(BLANKET), True),
        (None, a_daemon_set(BY_KEY), True),
        (a_daemon_set(), a_daemon_set(BLANKET), True),
        (a_daemon_set(BLANKET), a_daemon_set(BY_KEY), False),
        (a_daemon_set(BLANKET), a_daemon_set(), False),
    ],
)
async def test_daemon_sets_of_managed_namespaces(
    old: Manifest | None, new: Manifest, refused: bool
) -> None:
    """A tenant's DaemonSet would take every node: it is told itself, not its pods."""
    request = a_request(new, old=old)
    spec = policy.documents(CALLS)[2]["spec"]
    assert Conditions().hold(spec["matchConditions"], request) is refused
    body = json.loads(review(new, old=old, operation=request["request"]["operation"]))
    body["request"]["kind"] = {"group": "apps", "version": "v1", "kind": "DaemonSet"}
    told = response(await a_reviewer().validate_use_of_nodes(json.dumps(body).encode()))
    assert told["allowed"] is not refused
    if refused:
        (validation,) = spec["validations"]
        assert validation["expression"] == "false"
        assert told["status"]["message"] == validation["message"]
        assert (told["status"]["code"], told["status"]["reason"]) == (403, "Forbidden")


def a_reviewer() -> Reviewer:
    return Reviewer(pods=scope.Scope(managed_namespaces=frozenset({"team"})), namespaces=known())


async def test_a_call_is_answered_by_the_rule_alone() -> None:
    """An API server that calls too often, also about subresources, gets the same answers."""
    reviewer = a_reviewer()
    tolerant = a_manifest().tolerating(BLANKET).build()
    for body, allowed in (
        (review(tolerant, namespace="anywhere"), False),
        (review(tolerant, old=tolerant, operation="UPDATE"), True),
        (review(tolerant, old=a_manifest().build(), operation="UPDATE"), False),
        (review(tolerant, operation="UPDATE", sub_resource="status"), True),
        (review(tolerant, user=scope.DAEMON_CONTROLLERS[0]), False),
        (review(a_manifest().build()), True),
        (review(None, old=tolerant, operation="DELETE"), True),
    ):
        assert response(await reviewer.validate_use_of_nodes(body))["allowed"] is allowed
    unreadable = review({**tolerant, "spec": {"tolerations": "all"}})
    told = response(await reviewer.validate_use_of_nodes(unreadable))
    assert told["allowed"] is False


def test_exempt_namespaces() -> None:
    """kube-system, the bridge's own, and those that the admin names are not asked about at all."""
    calls = Calls(managed_namespaces=("team",), excluded=("slurm-bridge",), exempt=("monitoring",))
    pods, _, daemon_sets, _ = (one["spec"] for one in policy.documents(calls))
    without = {
        "key": "kubernetes.io/metadata.name",
        "operator": "NotIn",
        "values": ["kube-system", "monitoring", "slurm-bridge", "slurm-bridge-capacity"],
    }
    of_pods = pods["matchConstraints"]["namespaceSelector"]["matchExpressions"]
    of_daemon_sets = daemon_sets["matchConstraints"]["namespaceSelector"]["matchExpressions"]
    assert of_pods == [without]
    assert without in of_daemon_sets
    assert len(policy.documents(Calls())) == 2, "without managed namespaces there is no tenant"
