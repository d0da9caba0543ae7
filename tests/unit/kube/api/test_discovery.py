"""Where a kind is served."""

from pathlib import Path
from typing import Any

import pytest

from bridge.kube.api import discovery, errors
from bridge.kube.api.discovery import Served
from tests.unit.kube.apiserver import ApiServer, connected, ok, refuse

VERBS = ["create", "get", "list", "watch"]


def resources(*entries: tuple[str, str], verbs: Any = VERBS) -> dict[str, Any]:
    """A discovery document of a version: (plural, kind)."""
    listed = [{"name": name, "kind": kind, "verbs": verbs} for name, kind in entries]
    return {"kind": "APIResourceList", "resources": listed}


def versions(*names: str) -> dict[str, Any]:
    """A discovery document of a group."""
    return {"kind": "APIGroup", "versions": [{"groupVersion": name} for name in names]}


async def test_named_version(tmp_path: Path) -> None:
    """The version that the reference names is asked, and no other."""
    async with ApiServer() as server, connected(server, tmp_path) as client:
        document = resources(
            ("jobsets/status", "JobSet"), ("jobsets", "JobSet"), ("others", "Other")
        )
        server.on("GET", "/apis/jobset.x-k8s.io/v1alpha2", ok(document))
        served = await discovery.find(client, "jobset.x-k8s.io/v1alpha2", "JobSet")
        assert len(server.requests) == 1
    assert served == Served("jobset.x-k8s.io/v1alpha2", "jobsets")
    assert served.path == "/apis/jobset.x-k8s.io/v1alpha2/jobsets"
    assert served.resource == "jobsets.jobset.x-k8s.io"


async def test_core_group(tmp_path: Path) -> None:
    """The core group has its own root and no name."""
    async with ApiServer() as server, connected(server, tmp_path) as client:
        server.on("GET", "/api/v1", ok(resources(("replicationcontrollers", "RC"))))
        served = await discovery.find(client, "v1", "RC")
    assert served.path == "/api/v1/replicationcontrollers"
    assert served.resource == "replicationcontrollers"


@pytest.mark.parametrize("old", [refuse(404), ok(resources(("others", "Other")))])
async def test_another_version(old: Any, tmp_path: Path) -> None:
    """A version that has gone: the object is served in another one."""
    async with ApiServer() as server, connected(server, tmp_path) as client:
        server.on("GET", "/apis/x.io/v1alpha1", old)
        server.on("GET", "/apis/x.io", ok(versions("x.io/v1", "x.io/v1beta1", "x.io/v1alpha1")))
        server.on("GET", "/apis/x.io/v1", ok(resources(("news", "New"))))
        server.on("GET", "/apis/x.io/v1beta1", ok(resources(("things", "Thing"))))
        served = await discovery.find(client, "x.io/v1alpha1", "Thing")
    assert served == Served("x.io/v1beta1", "things")


@pytest.mark.parametrize(
    ("path", "document", "api_version"),
    [
        ("/apis/x.io/v1", resources(("others", "Other")), "x.io/v1"),
        ("/apis/x.io/v1", resources(("things", "Thing"), verbs=["get", "create"]), "x.io/v1"),
        ("/apis/x.io/v1", resources(("things", "Thing"), verbs=None), "x.io/v1"),
        ("/apis/x.io/v1", {"resources": None}, "x.io/v1"),
        ("/apis/x.io/v1", {"resources": ["Thing"]}, "x.io/v1"),
        ("/apis/x.io", versions("x.io/v1"), "x.io/v1"),
        ("/apis/x.io", versions("x.io/v2"), "x.io/v1"),
        ("/api/v1", resources(("pods", "Pod")), "v1"),
        ("/elsewhere", {}, ""),
    ],
)
async def test_not_served(
    path: str, document: dict[str, Any], api_version: str, tmp_path: Path
) -> None:
    """No such group, version or kind, or one that can't be listed and watched: NotServed."""
    async with ApiServer() as server, connected(server, tmp_path) as client:
        server.on("GET", path, ok(document))
        with pytest.raises(errors.NotServed, match=f"no Thing of {api_version}"):
            await discovery.find(client, api_version, "Thing")


@pytest.mark.parametrize(
    ("code", "error"), [(403, errors.Forbidden), (503, errors.Unavailable), (401, errors.KubeError)]
)
async def test_no_answer_is_no_absence(code: int, error: type[Exception], tmp_path: Path) -> None:
    """Only a 404 says that there is nothing."""
    async with ApiServer() as server, connected(server, tmp_path) as client:
        server.on("GET", "/apis/x.io/v1", refuse(code))
        with pytest.raises(error) as caught:
            await discovery.find(client, "x.io/v1", "Thing")
    assert not isinstance(caught.value, errors.NotFound)


@pytest.mark.parametrize("name", ["", "a/b/c", "x.io/"])
async def test_api_versions_that_are_none(name: str, tmp_path: Path) -> None:
    """Owner references are written by anybody: nonsense is not served either."""
    async with ApiServer() as server, connected(server, tmp_path) as client:
        with pytest.raises(errors.NotServed):
            await discovery.find(client, name, "Thing")


@pytest.mark.parametrize(
    "version", ["../metrics", "v1?watch=1", "apps/../v1", "v1/secrets", "", "..", "apps/v1#", "V1"]
)
async def test_what_is_no_version_is_asked_for_nowhere(tmp_path: Path, version: str) -> None:
    """An owner reference's apiVersion is a text of whoever wrote it, and would lead us anywhere."""
    async with ApiServer() as server, connected(server, tmp_path) as client:
        with pytest.raises(errors.NotServed):
            await discovery.find(client, version, "Pod")
        assert not server.requests
