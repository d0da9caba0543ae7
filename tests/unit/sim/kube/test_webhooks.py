"""Admission webhooks over real HTTPS: when they are called, with what, and what follows."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bridge.sim.kube.apiserver import kinds
from bridge.sim.kube.apiserver.core import Target
from bridge.sim.kube.apiserver.failure import ApiFailure
from bridge.sim.kube.apiserver.request import User
from bridge.sim.kube.embedded import EmbeddedKubernetes
from tests.unit.sim.kube.builders import a_job, a_pod
from tests.unit.sim.kube.https import Handler, Service, serving
from tests.unit.sim.kube.tls import Authority

Json = Any


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Of the webhook's certificate."""
    return Authority.make(tmp_path)


@pytest.fixture
async def k8s() -> AsyncIterator[EmbeddedKubernetes]:
    """In real time: webhooks are real sockets."""
    async with EmbeddedKubernetes(default_scheduler=False) as kubernetes:
        yield kubernetes


def allow(review: Json, **response: Json) -> Json:
    """An AdmissionReview that allows."""
    return {"response": {"uid": review["request"]["uid"], "allowed": True, **response}}


def patch(review: Json, *operations: Json) -> Json:
    """An AdmissionReview that changes the object."""
    text = base64.b64encode(json.dumps(operations).encode()).decode()
    return allow(review, patchType="JSONPatch", patch=text)


def deny(review: Json, **status: Json) -> Json:
    """An AdmissionReview that refuses."""
    uid = review["request"]["uid"]
    return {"response": {"uid": uid, "allowed": False, "status": status}}


def gate(review: Json) -> Json:
    """What the bridge's webhook does, in small."""
    return patch(
        review, {"op": "add", "path": "/spec/schedulingGates", "value": [{"name": "example.com/g"}]}
    )


def configuration(
    service: Service,
    authority: Authority,
    *,
    kind: str = "Mutating",
    path: str = "/hook",
    **fields: Json,
) -> Json:
    """A configuration with one webhook for new pods."""
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": f"{kind}WebhookConfiguration",
        "metadata": {"name": f"{kind.lower()}{path.replace('/', '-')}"},
        "webhooks": [
            {
                "name": "pods.example.com.test",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "clientConfig": {
                    "url": service.url + path,
                    "caBundle": base64.b64encode(authority.pem).decode(),
                },
                "rules": [
                    {
                        "operations": ["CREATE"],
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "resources": ["pods"],
                    }
                ],
                **fields,
            }
        ],
    }


async def test_mutates(k8s: EmbeddedKubernetes, authority: Authority) -> None:
    """The webhook's JSON patch is in the stored object, and is validated after it."""
    async with serving({"/hook": gate}, authority.server_context()) as service:
        await k8s.create(configuration(service, authority))
        created = await k8s.create(a_pod())
    assert created["spec"]["schedulingGates"] == [{"name": "example.com/g"}]
    assert created["status"]["conditions"][0]["reason"] == "SchedulingGated"


async def test_what_it_is_told(k8s: EmbeddedKubernetes, authority: Authority) -> None:
    """The review names operation, object, namespace, user; a generated name is not known yet."""
    async with serving({"/hook": allow}, authority.server_context()) as service:
        await k8s.create(configuration(service, authority))
        pod = a_pod()
        del pod["metadata"]["name"]
        pod["metadata"]["generateName"] = "p-"
        me = User("system:serviceaccount:default:me")
        await k8s.api.create(Target(kinds.PODS, "default", user=me), pod)
    [(path, review)] = service.calls
    request = review["request"]
    assert path == "/hook"
    assert request["operation"] == "CREATE"
    assert request["resource"] == {"group": "", "version": "v1", "resource": "pods"}
    assert request["namespace"] == "default"
    assert "name" not in request
    assert request["userInfo"]["username"] == "system:serviceaccount:default:me"
    assert request["object"]["spec"]["tolerations"], "built-in admission came before"
    assert request["oldObject"] is None
    assert "uid" not in request["object"]["metadata"]


async def test_job_pods_pass_through_it(k8s: EmbeddedKubernetes, authority: Authority) -> None:
    """Pods that a controller makes are admitted like everybody's."""
    async with serving({"/hook": gate}, authority.server_context()) as service:
        await k8s.create(configuration(service, authority))
        await k8s.create(a_job(parallelism=3, completions=3))
        seen = await k8s.until(lambda now: len(now.pods) == 3)
    assert len(seen.gated()) == 3
    users = {review["request"]["userInfo"]["username"] for _, review in service.calls}
    assert users == {"system:serviceaccount:kube-system:job-controller"}


async def test_one_after_the_other(k8s: EmbeddedKubernetes, authority: Authority) -> None:
    """Mutating webhooks run in the order of their configurations' names, each on the result."""

    def tag(name: str) -> Handler:
        def handle(review: Json) -> Json:
            labels = review["request"]["object"]["metadata"].get("labels") or {}
            order = labels.get("order", "") + name
            return patch(
                review, {"op": "add", "path": "/metadata/labels", "value": {"order": order}}
            )

        return handle

    async with serving({"/b": tag("b"), "/a": tag("a")}, authority.server_context()) as service:
        for path in ("/b", "/a"):
            await k8s.create(configuration(service, authority, path=path))
        created = await k8s.create(a_pod())
    assert created["metadata"]["labels"] == {"order": "ab"}


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (
            {"code": 403, "reason": "Forbidden", "message": "partition gold is unknown"},
            403,
            'admission webhook "pods.example.com.test" denied the request: partition gold is '
            "unknown",
        ),
        ({}, 400, 'admission webhook "pods.example.com.test" denied the request without '
            "explanation"),
        (
            {"reason": "Invalid"},
            400,
            'admission webhook "pods.example.com.test" denied the request: Invalid',
        ),
    ],
)  # fmt: skip
async def test_denies(
    k8s: EmbeddedKubernetes, authority: Authority, status: Json, code: int, message: str
) -> None:
    """A refusal reaches the client with the webhook's code and words."""
    handlers: dict[str, Handler] = {"/hook": lambda review: deny(review, **status)}
    async with serving(handlers, authority.server_context()) as service:
        await k8s.create(configuration(service, authority, kind="Validating"))
        with pytest.raises(ApiFailure) as refused:
            await k8s.create(a_pod())
    assert refused.value.code == code
    assert refused.value.message == message
    assert k8s.get(kinds.PODS, "p") is None


async def test_failure_policy(k8s: EmbeddedKubernetes, authority: Authority) -> None:
    """Fail refuses with 500 when the webhook can't be reached, Ignore goes on without it."""
    async with serving({}, authority.server_context()) as service:
        pass
    await k8s.create(configuration(service, authority, failurePolicy="Fail"))
    with pytest.raises(ApiFailure, match="failed calling webhook") as no:
        await k8s.create(a_pod())
    assert no.value.code == 500
    await k8s.delete(kinds.MUTATING_WEBHOOKS, "mutating-hook")
    await k8s.create(configuration(service, authority, failurePolicy="Ignore"))
    await k8s.create(a_pod())


@pytest.mark.parametrize(
    "answer",
    [
        lambda review: (500, "no"),
        lambda review: {"response": {"uid": "another", "allowed": True}},
        lambda review: {"nothing": True},
    ],
)
async def test_bad_answers_are_failures(
    k8s: EmbeddedKubernetes, authority: Authority, answer: Handler
) -> None:
    """An error code, another review's uid, or no response at all never allow."""
    async with serving({"/hook": answer}, authority.server_context()) as service:
        await k8s.create(configuration(service, authority))
        with pytest.raises(ApiFailure, match="failed calling webhook"):
            await k8s.create(a_pod())


async def test_too_slow(k8s: EmbeddedKubernetes, authority: Authority) -> None:
    """A webhook that doesn't answer within timeoutSeconds has failed."""
    forever = asyncio.Event()

    async def wait(review: Json) -> Json:
        await forever.wait()
        return allow(review)

    async with serving({"/hook": wait}, authority.server_context()) as service:
        await k8s.create(configuration(service, authority, timeoutSeconds=1))
        with pytest.raises(ApiFailure, match="context deadline exceeded"):
            await k8s.create(a_pod())
        forever.set()


async def test_wrong_authority(
    k8s: EmbeddedKubernetes, authority: Authority, tmp_path: Path
) -> None:
    """A certificate that the caBundle does not vouch for is not talked to."""
    (tmp_path / "other").mkdir()
    other = Authority.make(tmp_path / "other")
    async with serving({"/hook": allow}, other.server_context()) as service:
        await k8s.create(configuration(service, authority))
        with pytest.raises(ApiFailure, match="certificate verify failed"):
            await k8s.create(a_pod())
    assert service.calls == []


async def test_warnings(k8s: EmbeddedKubernetes, authority: Authority) -> None:
    """Warnings of webhooks are handed to the client."""
    handlers: dict[str, Handler] = {"/hook": lambda review: allow(review, warnings=["look here"])}
    async with serving(handlers, authority.server_context()) as service:
        await k8s.create(configuration(service, authority, kind="Validating"))
        answer = await k8s.api.create(Target(kinds.PODS, "default"), a_pod())
    assert answer.warnings == ("look here",)


@pytest.mark.parametrize(
    ("fields", "called"),
    [
        ({}, True),
        ({"namespaceSelector": {"matchLabels": {"team": "a"}}}, True),
        ({"namespaceSelector": {"matchLabels": {"team": "b"}}}, False),
        (
            {
                "namespaceSelector": {
                    "matchExpressions": [
                        {
                            "key": "kubernetes.io/metadata.name",
                            "operator": "NotIn",
                            "values": ["space"],
                        }
                    ]
                }
            },
            False,
        ),
        ({"objectSelector": {"matchLabels": {"app": "x"}}}, True),
        ({"objectSelector": {"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}},
         False),
        ({"rules": [{"operations": ["UPDATE"], "apiGroups": [""], "apiVersions": ["v1"],
                     "resources": ["pods"]}]}, False),
        ({"rules": [{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"],
                     "resources": ["*"]}]}, True),
        ({"rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"],
                     "resources": ["pods/*"]}]}, True),
        ({"rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"],
                     "resources": ["pods/status"]}]}, False),
        ({"rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"],
                     "resources": ["pods"], "scope": "Cluster"}]}, False),
    ],
)  # fmt: skip
async def test_whom_it_concerns(
    k8s: EmbeddedKubernetes, authority: Authority, fields: Json, called: bool
) -> None:
    """Rules, namespace selector and object selector decide whether it is called."""
    labels = {"team": "a"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "space"}}
    namespace["metadata"]["labels"] = labels  # type: ignore[index]
    await k8s.create(namespace)
    async with serving({"/hook": allow}, authority.server_context()) as service:
        await k8s.create(configuration(service, authority, **fields))
        await k8s.create(a_pod(namespace="space", labels={"app": "x"}))
    assert bool(service.calls) is called


async def test_updates_show_both(k8s: EmbeddedKubernetes, authority: Authority) -> None:
    """For an update and a binding the webhook sees what they are about."""
    rules = [
        {
            "operations": ["UPDATE", "CREATE"],
            "apiGroups": [""],
            "apiVersions": ["v1"],
            "resources": ["pods", "pods/binding"],
        }
    ]
    await k8s.create(a_pod())
    async with serving({"/hook": allow}, authority.server_context()) as service:
        await k8s.create(configuration(service, authority, kind="Validating", rules=rules))
        await k8s.patch(
            kinds.PODS,
            "p",
            lambda pod: {**pod, "metadata": {**pod["metadata"], "labels": {"a": "b"}}},
        )
    [(_, review)] = service.calls
    assert review["request"]["operation"] == "UPDATE"
    assert review["request"]["oldObject"]["metadata"].get("labels") is None
    assert review["request"]["object"]["metadata"]["labels"] == {"a": "b"}


async def test_dry_run(k8s: EmbeddedKubernetes, authority: Authority) -> None:
    """A dry run says so to the webhook and stores nothing."""
    async with serving({"/hook": gate}, authority.server_context()) as service:
        await k8s.create(configuration(service, authority))
        target = Target(kinds.PODS, "default", dry_run=True)
        answer = await k8s.api.create(target, a_pod())
    assert answer.object["spec"]["schedulingGates"]
    assert service.calls[0][1]["request"]["dryRun"] is True
    assert k8s.get(kinds.PODS, "p") is None


async def test_service_reference(authority: Authority) -> None:
    """A service is found by the resolver and must present a certificate for its own name."""
    tls = authority.server_context(dns="hooks.team.svc")
    async with serving({"/hook": allow}, tls) as service:
        where = ("127.0.0.1", service.port)
        async with EmbeddedKubernetes(resolve=lambda space, name, port: where) as k8s:
            config = configuration(service, authority)
            reference = {"namespace": "team", "name": "hooks", "path": "/hook"}
            config["webhooks"][0]["clientConfig"] = {
                "service": reference,
                "caBundle": base64.b64encode(authority.pem).decode(),
            }
            await k8s.create(config)
            await k8s.create(a_pod())
    assert len(service.calls) == 1
