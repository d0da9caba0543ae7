"""Ordinary users: what they may do in their namespace, and that elsewhere it is nothing."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from bridge.sim.kube.apiserver.request import ADMIN, User, impersonated
from bridge.sim.kube.embedded import EmbeddedKubernetes
from tests.unit.sim.kube.builders import a_job, a_pod
from tests.unit.sim.kube.test_apps import an_app
from tests.unit.sim.kube.test_http import Client

Json = Any
RBAC = "rbac.authorization.k8s.io"
TEAM, DEFAULT = "/api/v1/namespaces/team", "/api/v1/namespaces/default"
MALLORY = {"Impersonate_User": "mallory"}


def a_binding(role: str, *, kind: str = "User", name: str = "mallory") -> Json:
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": f"{name}-{role}", "namespace": "team"},
        "subjects": [{"apiGroup": RBAC, "kind": kind, "name": name}],
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
    }


def in_team(manifest: Json) -> Json:
    return {**manifest, "metadata": {**manifest["metadata"], "namespace": "team"}}


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """Of an embedded Kubernetes with a namespace `team`."""
    async with (
        EmbeddedKubernetes(default_scheduler=False) as k8s,
        aiohttp.ClientSession() as session,
    ):
        await k8s.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})
        yield Client(k8s, session)


async def test_nothing_without_a_binding(client: Client) -> None:
    """A user nobody has bound may discover, and no more."""
    code, status = await client.ask("POST", f"{TEAM}/pods", in_team(a_pod()), **MALLORY)
    assert (code, status["reason"]) == (403, "Forbidden")
    assert status["message"] == (
        'pods is forbidden: User "mallory" cannot create resource "pods" in API group "" in the '
        'namespace "team"'
    )
    assert (await client.ask("GET", "/apis", **MALLORY))[0] == 200
    assert (await client.ask("GET", "/api/v1/nodes", **MALLORY))[1]["message"] == (
        'nodes is forbidden: User "mallory" cannot list resource "nodes" in API group "" at the '
        "cluster scope"
    )


STATUS: Json = {"status": {"phase": "Running"}}
LABELS: Json = {"metadata": {"labels": {"a": "b"}}}
BINDING: Json = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n1"}}


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("GET", f"{TEAM}/pods", None, 200),
        ("GET", f"{TEAM}/pods?watch=1&timeoutSeconds=1", None, 200),
        ("GET", TEAM, None, 200),
        ("POST", f"{TEAM}/pods", in_team(a_pod("new")), 201),
        ("PATCH", f"{TEAM}/pods/p", LABELS, 200),
        ("DELETE", f"{TEAM}/pods/p", None, 200),
        ("DELETE", f"{TEAM}/pods", None, 200),
        ("POST", "/apis/batch/v1/namespaces/team/jobs", in_team(a_job()), 201),
        ("POST", "/apis/apps/v1/namespaces/team/daemonsets", in_team(an_app("DaemonSet")), 201),
        ("POST", f"{TEAM}/pods/p/eviction", {"metadata": {"name": "p"}}, 201),
        ("PATCH", f"{TEAM}/pods/p/status", STATUS, 403),
        ("POST", f"{TEAM}/pods/p/binding", BINDING, 403),
        ("PATCH", TEAM, LABELS, 403),
        ("DELETE", TEAM, None, 403),
        ("GET", "/api/v1/pods", None, 403),
        ("GET", f"{DEFAULT}/pods", None, 403),
        ("GET", f"{DEFAULT}/pods?watch=1", None, 403),
        ("POST", f"{DEFAULT}/pods", a_pod("new"), 403),
        ("GET", "/api/v1/namespaces", None, 403),
        ("POST", f"/apis/{RBAC}/v1/namespaces/team/rolebindings", a_binding("admin"), 403),
    ],
)  # fmt: skip
async def test_who_may_edit(client: Client, method: str, path: str, body: Json, code: int) -> None:
    """The default role `edit`: pods and what makes them; no status, no binding, no namespace."""
    await client.k8s.create(a_binding("edit"))
    await client.k8s.create(in_team(a_pod("p")))
    kind = {"Content_Type": "application/merge-patch+json"} if method == "PATCH" else {}
    assert (await client.ask(method, path, body, **kind, **MALLORY))[0] == code


@pytest.mark.parametrize(("role", "code"), [("view", 403), ("edit", 201), ("nothing", 403)])
@pytest.mark.parametrize("kind", ["User", "Group"])
async def test_roles(client: Client, kind: str, role: str, code: int) -> None:
    """A binding is to one of the default roles, for a user or a group of users."""
    await client.k8s.create(a_binding(role, kind=kind, name="them"))
    who = {"Impersonate_User": "them", "Impersonate_Group": "them"}
    found = await client.ask("POST", f"{TEAM}/pods", in_team(a_pod()), **who)
    assert found[0] == code


async def test_tokens_of_ordinary_users() -> None:
    """A token's user may be bound; then he can't act for others, as an administrator can."""
    tokens = {"root": ADMIN, "his": User("mallory", bound=True)}
    async with (
        EmbeddedKubernetes(tokens=tokens) as k8s,
        aiohttp.ClientSession() as session,
    ):
        client = Client(k8s, session)
        his = {"Authorization": "Bearer his"}
        assert (await client.ask("GET", f"{DEFAULT}/pods", **his))[0] == 403
        node = {"Impersonate_User": "system:node:n1", "Impersonate_Group": "system:nodes"}
        code, status = await client.ask("GET", f"{DEFAULT}/pods", **his, **node)
        assert (code, "cannot impersonate" in status["message"]) == (403, True)
        root = {"Authorization": "Bearer root"}
        assert (await client.ask("GET", f"{DEFAULT}/pods", **root, **node))[0] == 200


@pytest.mark.parametrize(
    ("name", "groups", "bound"),
    [
        ("mallory", (), True),
        ("mallory", ("system:masters",), False),
        ("system:serviceaccount:team:default", (), True),
        ("system:serviceaccount:kube-system:job-controller", (), False),
        ("system:kube-controller-manager", (), False),
        ("system:node:n1", ("system:nodes",), False),
        ("system:nobody", (), True),
    ],
)
def test_who_is_of_the_system(name: str, groups: tuple[str, ...], bound: bool) -> None:
    """Controllers, schedulers and kubelets are; a tenant's service account is not."""
    assert impersonated(name, groups).bound is bound


async def test_reviews_of_tokens_and_rights() -> None:
    """Whose token it is, and what he may do: by the same bindings as his own requests; ordinary
    users may not ask about others."""
    his = User("mallory", ("dev", "system:authenticated"), bound=True)
    async with (
        EmbeddedKubernetes(tokens={"root": ADMIN, "his": his}) as k8s,
        aiohttp.ClientSession() as session,
    ):
        client = Client(k8s, session)
        await k8s.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})
        await k8s.create(a_binding("view", kind="User", name="mallory"))
        tokens = "/apis/authentication.k8s.io/v1/tokenreviews"
        access = "/apis/authorization.k8s.io/v1/subjectaccessreviews"

        async def ask(path: str, spec: dict[str, object], token: str = "root") -> object:
            bearer = {"Authorization": f"Bearer {token}"}
            code, answer = await client.ask("POST", path, {"spec": spec}, **bearer)
            return answer["status"] if code == 201 else code

        assert await ask(tokens, {"token": "his"}) == {
            "authenticated": True,
            "user": {"username": "mallory", "groups": ["dev", "system:authenticated"]},
        }
        assert "authenticated" not in str(await ask(tokens, {"token": "nobody's"}))
        for verb, namespace, allowed in (
            ("list", "team", True), ("delete", "team", False), ("list", "", False),
        ):  # fmt: skip
            wish = {"verb": verb, "resource": "pods", "namespace": namespace}
            spec: dict[str, object] = {"user": "mallory", "resourceAttributes": wish}
            assert await ask(access, spec) == {"allowed": allowed}
        assert await ask(access, {"user": "mallory"}, "his") == 403
