"""The API server over its socket: watches, faults, tokens, tables, discovery."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from bridge.sim.kube.apiserver.request import User
from bridge.sim.kube.embedded import EmbeddedKubernetes
from tests.unit.sim.kube.builders import a_job, a_node, a_pod

Json = Any
PODS = "/api/v1/namespaces/default/pods"


class Client:
    """Speaks JSON to one server."""

    def __init__(self, k8s: EmbeddedKubernetes, session: aiohttp.ClientSession) -> None:
        self.k8s = k8s
        self._session = session

    async def ask(
        self, method: str, path: str, body: Json = None, **headers: str
    ) -> tuple[int, Json]:
        """Status and parsed body."""
        text = None if body is None else json.dumps(body)
        return await self.send(method, path, text, **headers)

    async def send(
        self, method: str, path: str, text: str | None, **headers: str
    ) -> tuple[int, Json]:
        """The same for a body that may be no JSON."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        headers.setdefault("Content-Type", "application/json")
        url, data = self.k8s.url + path, None if text is None else io.BytesIO(text.encode())
        async with self._session.request(method, url, data=data, headers=headers) as answer:
            told = await answer.text()
            return answer.status, json.loads(told) if told.startswith("{") else told

    @asynccontextmanager
    async def watch(self, path: str) -> AsyncIterator["Events"]:
        """The events of a watch."""
        join = "&" if "?" in path else "?"
        url = f"{self.k8s.url}{path}{join}watch=1"
        async with self._session.get(url) as answer:
            assert answer.status == 200
            yield Events(answer)


class Events:
    """What a watch says, line by line."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def next(self) -> tuple[str, Json]:
        """The next event; ("END", None) when the server has ended it."""
        async with asyncio.timeout(10):
            line = await self._answer.content.readline()
        if not line:
            return "END", None
        event = json.loads(line)
        return event["type"], event["object"]

    async def names(self, count: int) -> list[tuple[str, str]]:
        """Type and name of the next events."""
        found = []
        for _ in range(count):
            kind, obj = await self.next()
            found.append((kind, obj["metadata"].get("name", "")))
        return found


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """Of an embedded Kubernetes without nodes."""
    async with (
        EmbeddedKubernetes(default_scheduler=False, bookmark_s=0.2) as k8s,
        aiohttp.ClientSession() as session,
    ):
        yield Client(k8s, session)


async def test_watch_goes_on_from_a_list(client: Client) -> None:
    """List, then watch from its version: every change after it, nothing before it."""
    await client.ask("POST", PODS, a_pod("before"))
    _, listed = await client.ask("GET", PODS)
    await client.ask("POST", PODS, a_pod("after"))
    async with client.watch(f"{PODS}?resourceVersion={listed['metadata']['resourceVersion']}") as w:
        assert await w.names(1) == [("ADDED", "after")]
        await client.ask("DELETE", f"{PODS}/before")
        assert await w.names(2) == [("MODIFIED", "before"), ("DELETED", "before")]


async def test_watch_follows_its_selector(client: Client) -> None:
    """What begins to match is ADDED, what ceases to match DELETED."""
    await client.ask("POST", PODS, a_pod(labels={"app": "a"}))
    merge = {"Content_Type": "application/merge-patch+json"}
    async with client.watch(f"{PODS}?labelSelector=app%3Da") as watch:
        assert await watch.names(1) == [("ADDED", "p")]
        for value in ("b", "a"):
            patch = {"metadata": {"labels": {"app": value}}}
            await client.ask("PATCH", f"{PODS}/p", patch, **merge)
        assert await watch.names(2) == [("DELETED", "p"), ("ADDED", "p")]


async def test_watch_too_old(client: Client) -> None:
    """After a compaction an old version gets an ERROR event with 410 Expired, and the end."""
    _, first = await client.ask("POST", PODS, a_pod("a"))
    await client.ask("POST", PODS, a_pod("b"))
    client.k8s.compact()
    version = first["metadata"]["resourceVersion"]
    async with client.watch(f"{PODS}?resourceVersion={version}") as watch:
        kind, status = await watch.next()
        assert (kind, status["code"], status["reason"]) == ("ERROR", 410, "Expired")
        assert (await watch.next())[0] == "END"


async def test_watch_from_the_future(client: Client) -> None:
    """A version that this server has not reached (another etcd's) is an ERROR event, 504."""
    async with client.watch(f"{PODS}?resourceVersion=999999") as watch:
        kind, status = await watch.next()
    assert (kind, status["code"]) == ("ERROR", 504)
    assert status["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


async def test_bookmarks(client: Client) -> None:
    """Who allows bookmarks gets them, with the present version; others don't."""
    await client.ask("POST", PODS, a_pod("a"))
    version = client.k8s.api.store.version
    path = f"{PODS}?resourceVersion={version}"
    async with client.watch(f"{path}&allowWatchBookmarks=true") as watch:
        kind, obj = await watch.next()
    assert kind == "BOOKMARK"
    assert obj == {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"resourceVersion": str(version)},
        "spec": {"containers": None},
        "status": {},
    }
    async with client.watch(f"{path}&timeoutSeconds=1") as watch:
        assert (await watch.next())[0] == "END"


async def test_watch_list(client: Client) -> None:
    """sendInitialEvents: all there is, then a bookmark that says so, then changes."""
    await client.ask("POST", PODS, a_pod("a"))
    path = f"{PODS}?sendInitialEvents=true&allowWatchBookmarks=true"
    async with client.watch(path + "&resourceVersionMatch=NotOlderThan") as watch:
        assert await watch.names(1) == [("ADDED", "a")]
        kind, obj = await watch.next()
        assert kind == "BOOKMARK"
        assert obj["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


async def test_dropped_and_silent_watches(client: Client) -> None:
    """Open watches can be cut, or fall silent: then nothing comes, not even bookmarks."""
    path = f"{PODS}?resourceVersion={client.k8s.api.store.version}&allowWatchBookmarks=true"
    async with client.watch(path) as watch:
        assert client.k8s.drop_watches(path=PODS) == 1
        with pytest.raises((aiohttp.ClientError, ConnectionError)):
            await watch.next()
    async with client.watch(path) as watch:
        assert client.k8s.silence_watches() == 1
        await client.ask("POST", PODS, a_pod("unheard"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await watch.next()


async def test_faults_in_order(client: Client) -> None:
    """The next requests that match fail as ordered, then all is well."""
    faults = client.k8s.faults
    faults.fail(500, times=2, path="/pods")
    faults.fail(429, method="GET", path="/pods")
    codes = [(await client.ask("GET", PODS))[0] for _ in range(4)]
    assert codes == [500, 500, 429, 200]
    faults.fail(410, method="GET")
    status, body = await client.ask("GET", PODS)
    assert (status, body["reason"]) == (410, "Expired")
    faults.fail(503, method="POST")
    assert (await client.ask("GET", PODS))[0] == 200
    assert (await client.ask("POST", PODS, a_pod()))[0] == 503
    assert client.k8s.observe().pods == {}


async def test_dropped_connection(client: Client) -> None:
    """A dropped request ends without an answer and without an effect."""
    client.k8s.faults.drop(method="POST")
    with pytest.raises((aiohttp.ClientError, ConnectionError)):
        await client.ask("POST", PODS, a_pod())
    assert client.k8s.observe().pods == {}


async def test_watch_faults(client: Client) -> None:
    """A new watch can be expired, silent or cut, too."""
    faults = client.k8s.faults
    faults.expire_watch(path="/pods")
    async with client.watch(PODS) as watch:
        kind, status = await watch.next()
        assert (kind, status["code"]) == ("ERROR", 410)
    faults.silence_watch()
    await client.ask("POST", PODS, a_pod())
    async with client.watch(PODS) as watch:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await watch.next()
    faults.drop(method="WATCH")
    with pytest.raises((aiohttp.ClientError, ConnectionError)):
        async with client.watch(PODS) as watch:
            await watch.next()
    async with client.watch(PODS) as watch:
        assert await watch.names(1) == [("ADDED", "p")]


async def test_tokens() -> None:
    """With tokens: nobody without one, and admission knows who it is."""
    tokens = {"secret": User("system:serviceaccount:x:bridge")}
    async with (
        EmbeddedKubernetes(tokens=tokens) as k8s,
        aiohttp.ClientSession() as session,
    ):
        client = Client(k8s, session)
        assert (await client.ask("GET", PODS))[0] == 401
        assert (await client.ask("GET", PODS, Authorization="Bearer wrong"))[0] == 401
        assert (await client.ask("GET", PODS, Authorization="Bearer secret"))[0] == 200
        text = await asyncio.to_thread(k8s.kubeconfig.read_text)
        assert "secret" in text


async def test_bodies_have_a_limit(client: Client) -> None:
    """3 MiB of request, and as deep as a parser goes; the server lives on."""
    container = {"name": "main", "image": "x", "args": ["x" * 3 * 1024 * 1024]}
    huge = {**a_pod(), "spec": {"containers": [container]}}
    code, status = await client.ask("POST", PODS, huge)
    assert (code, status["reason"]) == (413, "RequestEntityTooLarge")
    assert status["message"] == "Request entity too large: limit is 3145728"
    deep: Json = []
    for _ in range(400):
        deep = [deep]
    nested = {**a_pod(), "spec": {**a_pod()["spec"], "nothing": deep}}
    assert (await client.ask("POST", PODS, nested))[0] in (201, 400)
    code, status = await client.send("POST", PODS, "[" * 100_000)
    assert (code, status["reason"]) == (400, "BadRequest")
    assert (await client.ask("GET", PODS))[0] == 200


async def test_discovery(client: Client) -> None:
    """What kubectl asks first."""
    assert (await client.ask("GET", "/version"))[1]["gitVersion"] == "v1.36.3"
    assert (await client.ask("GET", "/api"))[1]["versions"] == ["v1"]
    groups = [group["name"] for group in (await client.ask("GET", "/apis"))[1]["groups"]]
    assert "batch" in groups
    _, core = await client.ask("GET", "/api/v1")
    names = {entry["name"] for entry in core["resources"]}
    assert {"pods", "pods/status", "pods/binding", "nodes", "namespaces"} <= names
    _, batch = await client.ask("GET", "/apis/batch/v1")
    assert batch["resources"][0]["verbs"] == [
        "create", "delete", "deletecollection", "get", "list", "patch", "update", "watch",
    ]  # fmt: skip
    assert (await client.ask("GET", "/openapi/v3"))[1]["paths"]["apis/batch/v1"]
    assert (await client.ask("GET", "/readyz")) == (200, "ok")
    assert (await client.ask("GET", "/apis/nothing/v1"))[0] == 404


async def test_tables(client: Client) -> None:
    """kubectl's columns for pods, nodes and Jobs, as one table or row by row."""
    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    await client.ask("POST", PODS, a_pod(gates=["example.com/g"]))
    _, table = await client.ask("GET", PODS, **accept)
    columns = [column["name"] for column in table["columnDefinitions"]]
    row = dict(zip(columns, table["rows"][0]["cells"], strict=True))
    assert (row["Name"], row["Ready"], row["Status"]) == ("p", "0/1", "SchedulingGated")
    await client.k8s.create(a_node())
    await client.k8s.create(a_job(parallelism=2, completions=4))
    await client.k8s.until(lambda now: now.jobs["default", "j"]["status"].get("active") == 2)
    _, table = await client.ask("GET", "/apis/batch/v1/jobs", **accept)
    assert table["rows"][0]["cells"][:3] == ["j", "Running", "0/4"]
    _, table = await client.ask("GET", "/api/v1/nodes/n1", **accept)
    assert table["rows"][0]["cells"][:2] == ["n1", "Ready"]


async def test_pages(client: Client) -> None:
    """Pages are of one moment: what changes between them is not seen, and an old token is 410."""
    for name in "abcde":
        await client.ask("POST", PODS, a_pod(name))
    _, first = await client.ask("GET", f"{PODS}?limit=2")
    await client.ask("DELETE", f"{PODS}/c")
    token = first["metadata"]["continue"]
    _, second = await client.ask("GET", f"{PODS}?limit=2&continue={token}")
    names = [pod["metadata"]["name"] for pod in first["items"] + second["items"]]
    assert names == ["a", "b", "c", "d"]
    assert first["metadata"]["remainingItemCount"] == 3
    client.k8s.compact()
    token = second["metadata"]["continue"]
    assert (await client.ask("GET", f"{PODS}?limit=2&continue={token}"))[0] == 410


async def test_custom_resources(client: Client) -> None:
    """A definition makes a new path; without it the path is unknown."""
    path = "/apis/example.com/v1/namespaces/default/wonders"
    assert (await client.ask("GET", path))[0] == 404
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "wonders.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "wonders", "kind": "Wonder"},
            "versions": [{"name": "v1", "served": True, "storage": True}],
        },
    }
    await client.k8s.create(definition)
    wonder = {"apiVersion": "example.com/v1", "kind": "Wonder", "metadata": {"name": "w"}}
    assert (await client.ask("POST", path, {**wonder, "anything": [1]}))[0] == 201
    assert (await client.ask("GET", f"{path}/w"))[1]["anything"] == [1]
    await client.ask(
        "DELETE",
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/wonders.example.com",
    )
    assert (await client.ask("GET", path))[0] == 404


async def test_may_i(client: Client) -> None:
    """Access reviews are granted: there is no RBAC here."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"resource": "pods", "verb": "get"}},
    }
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    status, answer = await client.ask("POST", path, review)
    assert (status, answer["status"]["allowed"]) == (201, True)


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", f"{PODS}/p"), ("PUT", PODS), ("PATCH", PODS), ("OPTIONS", PODS)],
)
async def test_wrong_methods(client: Client, method: str, path: str) -> None:
    """A method that a path doesn't know is 405."""
    assert (await client.ask(method, path, a_pod()))[0] == 405
