"""matchConditions: which requests a webhook is asked about, by CEL over object and user."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bridge.admission import webhook_config
from bridge.sim.kube.apiserver import kinds
from bridge.sim.kube.apiserver.conditions import ConditionFailed, Conditions
from bridge.sim.kube.apiserver.core import Target
from bridge.sim.kube.apiserver.failure import ApiFailure
from bridge.sim.kube.apiserver.objects import copy
from bridge.sim.kube.apiserver.request import User, controller, kubelet_of
from bridge.sim.kube.embedded import EmbeddedKubernetes
from tests.unit.sim.kube.builders import a_node, a_pod
from tests.unit.sim.kube.https import Service, serving
from tests.unit.sim.kube.test_apps import an_app
from tests.unit.sim.kube.test_webhooks import allow, configuration
from tests.unit.sim.kube.tls import Authority

Json = Any
TENANT = User("mallory", ("team-a", "system:authenticated"))
DAEMONS = controller("daemon-set-controller")
OF_ITS_NODE = """
(request.userInfo.username in
   ['system:serviceaccount:kube-system:daemon-set-controller', 'system:kube-controller-manager'] &&
 has(object.metadata.ownerReferences) &&
 object.metadata.ownerReferences.exists(owner,
   owner.kind == 'DaemonSet' && has(owner.controller) && owner.controller) &&
 object.spec.schedulerName != 'slurm-bridge-scheduler') ||
(has(object.metadata.annotations) &&
 'kubernetes.io/config.mirror' in object.metadata.annotations &&
 has(request.userInfo.groups) && 'system:nodes' in request.userInfo.groups)
"""
"""Pods that belong to their node, by who makes them and not by what they say of themselves."""


def a_condition(expression: str, name: str = "c") -> Json:
    return {"name": name, "expression": expression}


def of_daemon_set(**fields: Json) -> Json:
    owner = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "1"}
    known = {**owner, "controller": True, **fields}
    return {key: part for key, part in known.items() if part is not None}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Of the webhook's certificate."""
    return Authority.make(tmp_path)


@pytest.fixture
async def k8s() -> AsyncIterator[EmbeddedKubernetes]:
    """In real time: webhooks are real sockets."""
    async with EmbeddedKubernetes(default_scheduler=False) as kubernetes:
        yield kubernetes


async def create(k8s: EmbeddedKubernetes, pod: Json, user: User) -> None:
    await k8s.api.create(Target(kinds.PODS, "default", user=user), pod)


async def asked_about(
    k8s: EmbeddedKubernetes, service: Service, pod: Json, user: User = TENANT
) -> bool:
    """Whether the webhook is called for the creation of a pod."""
    before = len(service.calls)
    await create(k8s, pod, user)
    return len(service.calls) > before


MIRROR = {"kubernetes.io/config.mirror": "x"}


@pytest.mark.parametrize(
    ("pod", "user", "asked"),
    [
        (a_pod(), TENANT, True),
        (a_pod(owner=of_daemon_set()), TENANT, True),
        (a_pod(owner=of_daemon_set()), DAEMONS, False),
        (a_pod(owner=of_daemon_set()), User("system:kube-controller-manager"), False),
        (a_pod(owner=of_daemon_set(controller=False)), DAEMONS, True),
        (a_pod(owner=of_daemon_set(kind="Job")), DAEMONS, True),
        (a_pod(owner=of_daemon_set(), scheduler="slurm-bridge-scheduler"), DAEMONS, True),
        (a_pod(annotations=MIRROR, node="n1"), TENANT, True),
        (a_pod(annotations=MIRROR, node="n1"), kubelet_of("n1"), False),
        (a_pod(node="n1"), kubelet_of("n1"), True),
    ],
)
async def test_by_who_makes_a_pod(
    k8s: EmbeddedKubernetes, authority: Authority, pod: Json, user: User, asked: bool
) -> None:
    """Owner references and annotations can be forged, user and groups can't."""
    async with serving({"/hook": allow}, authority.server_context()) as service:
        conditions = [a_condition(f"!({OF_ITS_NODE})")]
        await k8s.create(configuration(service, authority, matchConditions=conditions))
        assert await asked_about(k8s, service, pod, user) is asked


async def test_controllers_say_who_they_are(k8s: EmbeddedKubernetes, authority: Authority) -> None:
    """The groups of a service account tell its namespace, in the review as in the condition."""
    group = "'system:serviceaccounts:kube-system' in request.userInfo.groups"
    async with serving({"/hook": allow}, authority.server_context()) as service:
        conditions = [a_condition(group)]
        await k8s.create(configuration(service, authority, matchConditions=conditions))
        assert not await asked_about(k8s, service, a_pod("a"))
        assert await asked_about(k8s, service, a_pod("b"), DAEMONS)
    [(_, review)] = service.calls
    assert review["request"]["userInfo"] == {
        "username": DAEMONS.name,
        "groups": [
            "system:serviceaccounts",
            "system:serviceaccounts:kube-system",
            "system:authenticated",
        ],
    }


async def test_real_daemon_pods_and_forged_ones(
    k8s: EmbeddedKubernetes, authority: Authority
) -> None:
    """The DaemonSet controller makes its pods under its own name; whoever copies one is asked."""
    await k8s.create(a_node())
    async with serving({"/hook": allow}, authority.server_context()) as service:
        conditions = [a_condition(f"!({OF_ITS_NODE})")]
        await k8s.create(configuration(service, authority, matchConditions=conditions))
        await k8s.create(an_app("DaemonSet"))
        seen = await k8s.until(lambda now: now.pods)
        assert service.calls == []
        [real] = seen.pods.values()
        forged = copy(real)
        forged["metadata"] = {**real["metadata"], "name": "forged", "resourceVersion": ""}
        for gone in ("nodeName", "priority"):
            forged["spec"].pop(gone, None)
        assert await asked_about(k8s, service, forged)


@pytest.mark.parametrize("kind", ["Mutating", "Validating"])
async def test_a_condition_that_fails(
    k8s: EmbeddedKubernetes, authority: Authority, kind: str
) -> None:
    """Fail refuses the request without a call, Ignore goes on without one; false beats both."""
    failing = a_condition("object.spec.nothing == 'x'", "failing")
    never = a_condition("object.metadata.name == 'nobody'", "never")
    async with serving({"/hook": allow}, authority.server_context()) as service:

        async def configured(policy: str, *conditions: Json) -> None:
            given: Json = {"failurePolicy": policy, "matchConditions": list(conditions)}
            made = configuration(service, authority, kind=kind, **given)
            stored = k8s.api.kinds.of(made)
            assert stored is not None
            if k8s.get(stored, made["metadata"]["name"]) is not None:
                await k8s.delete(stored, made["metadata"]["name"])
            await k8s.create(made)

        await configured("Fail", failing)
        with pytest.raises(ApiFailure, match="resulted in error") as no:
            await create(k8s, a_pod(), TENANT)
        assert no.value.code == 403
        await configured("Ignore", failing)
        await create(k8s, a_pod("ignored"), TENANT)
        await configured("Fail", failing, never)
        await create(k8s, a_pod("never"), TENANT)
    assert service.calls == []


async def test_updates_are_told_by_both_objects(
    k8s: EmbeddedKubernetes, authority: Authority
) -> None:
    """A condition sees the object before and after, and the subresource only where there is one."""
    rules = [
        {
            "operations": ["UPDATE"],
            "apiGroups": [""],
            "apiVersions": ["v1"],
            "resources": ["pods", "pods/status"],
        }
    ]
    expression = (
        "(has(request.subResource) && request.subResource == 'status') || "
        "(has(object.metadata.labels) ? object.metadata.labels : {}) != "
        "(has(oldObject.metadata.labels) ? oldObject.metadata.labels : {})"
    )
    await k8s.create(a_pod())
    async with serving({"/hook": allow}, authority.server_context()) as service:
        conditions = [a_condition(expression)]
        made = configuration(service, authority, rules=rules, matchConditions=conditions)
        await k8s.create(made)

        async def change(subresource: str = "", **fields: Json) -> int:
            await k8s.patch(
                kinds.PODS,
                "p",
                lambda pod: {**pod, "metadata": {**pod["metadata"], **fields}},
                subresource=subresource,
            )
            return len(service.calls)

        assert await change(annotations={"a": "b"}) == 0
        assert await change(labels={"a": "b"}) == 1
        assert await change(finalizers=["example.com/f"]) == 1
        assert await change("status", annotations={"a": "c"}) == 2


@pytest.mark.parametrize(
    ("condition", "field"),
    [
        ({"name": "c", "expression": "object."}, "expression"),
        ({"name": "c", "expression": " "}, "expression"),
        ({"name": "not/a/name", "expression": "true"}, "name"),
        ({"expression": "true"}, "name"),
    ],
)
async def test_bad_conditions_are_refused(
    k8s: EmbeddedKubernetes, authority: Authority, condition: Json, field: str
) -> None:
    """An expression that is none, a condition without a name."""
    service = Service(port=1)
    with pytest.raises(ApiFailure) as no:
        await k8s.create(configuration(service, authority, matchConditions=[condition]))
    fields = [one["field"] for one in no.value.status["details"]["causes"]]
    assert fields == [f"webhooks[0].matchConditions[0].{field}"]
    twice = [a_condition("true"), a_condition("false")]
    with pytest.raises(ApiFailure, match="Duplicate value"):
        await k8s.create(configuration(service, authority, matchConditions=twice))


def test_what_has_no_value() -> None:
    """A value that is no bool, a variable that is not there."""
    for expression in ("object.a", "nobody == 1", "object.b == 1"):
        with pytest.raises(ConditionFailed):
            Conditions().hold([a_condition(expression)], {"object": {"a": 1}})


def _shipped() -> list[tuple[str, Json]]:
    calls = webhook_config.Calls(managed_namespaces=("default",), bridge_users=("slurm-bridge",))
    target = webhook_config.Target(url="https://127.0.0.1:1", ca=b"x")
    return [
        (webhook["name"], webhook["matchConditions"])
        for manifest in (
            webhook_config.mutating(calls, target),
            webhook_config.validating(calls, target),
        )
        for webhook in manifest["webhooks"]
    ]


@pytest.mark.parametrize(("name", "conditions"), _shipped())
@pytest.mark.parametrize(
    "pod",
    [
        a_pod(),
        a_pod(scheduler="slurm-bridge-scheduler", labels={"a": "b"}, annotations={"a": "b"}),
        a_pod(owner=of_daemon_set()),
        a_pod(owner=of_daemon_set(controller=None)),
        a_pod(annotations=MIRROR, node="n1", gates=["example.com/g"], pinned_to="n1"),
        {"metadata": {}, "spec": {}},
    ],
)
def test_ours_have_a_value_for_every_pod(name: str, conditions: Json, pod: Json) -> None:
    """The bridge's own conditions never fail, whatever of a pod is missing (or of a DaemonSet's
    template)."""
    told = {"userInfo": {"username": "me", "groups": []}, "operation": "UPDATE"}
    asked = {"spec": {"template": pod}} if name == webhook_config.WEBHOOK_DAEMON_SETS else pod
    variables = {"object": asked, "oldObject": asked, "request": told}
    for condition in conditions:
        assert Conditions().hold([condition], variables) in (True, False)


async def test_the_shipped_configurations_are_taken(k8s: EmbeddedKubernetes) -> None:
    """As the API server is told them."""
    calls = webhook_config.Calls(managed_namespaces=("default",))
    target = webhook_config.Target(url="https://127.0.0.1:1", ca=base64.b64decode(b""))
    await k8s.create(webhook_config.mutating(calls, target))
    await k8s.create(webhook_config.validating(calls, target))
