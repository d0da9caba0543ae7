"""The extender's two requests to the API server."""

from pathlib import Path

import pytest

from bridge.app.binder import KubeBinder
from bridge.kube.api.errors import Conflict, NotFound
from bridge.model.ids import NodeName, PodUid
from tests.unit.app.api import a_raw_pod
from tests.unit.kube.apiserver import ApiServer, connected, ok, refuse

PATH = "/api/v1/namespaces/team/pods/web"
UID = PodUid("uid-web")


async def test_a_binding_names_the_pods_uid(tmp_path: Path) -> None:
    """So that a new pod under the old name is not bound."""
    async with ApiServer() as server, connected(server, tmp_path) as kube:
        server.on("POST", f"{PATH}/binding", ok({}, status=201), refuse(409, "Conflict"))
        binder = KubeBinder(kube)
        await binder.bind(namespace="team", name="web", uid=UID, node=NodeName("n"))
        (request,) = server.seen("POST")
        assert request.body["metadata"]["uid"] == UID
        assert request.body["target"]["name"] == "n"
        with pytest.raises(Conflict):
            await binder.bind(namespace="team", name="web", uid=UID, node=NodeName("n"))


@pytest.mark.parametrize(
    ("uid", "node", "found"),
    [("uid-web", "n", "n"), ("uid-web", "", None), ("uid-another", "n", None)],
)
async def test_where_a_pod_is_bound_is_asked_of_this_very_pod(
    tmp_path: Path, uid: str, node: str, found: str | None
) -> None:
    """Not of one that was made under its name meanwhile."""
    async with ApiServer() as server, connected(server, tmp_path) as kube:
        server.on("GET", PATH, ok(a_raw_pod("web", node=node, meta={"uid": uid})))
        asked = KubeBinder(kube).node_of(namespace="team", name="web", uid=UID)
        assert await asked == found


async def test_a_pod_that_is_gone_is_told_as_such(tmp_path: Path) -> None:
    """The extender knows what that means."""
    async with ApiServer() as server, connected(server, tmp_path) as kube:
        server.on("GET", PATH, refuse(404, "NotFound"))
        with pytest.raises(NotFound):
            await KubeBinder(kube).node_of(namespace="team", name="web", uid=UID)
