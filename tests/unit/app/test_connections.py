"""Who the bridge is to the API server: told, or the process does not start."""

from pathlib import Path

import pytest

from bridge.app import connections
from bridge.errors import ConfigError, Unreachable
from tests.unit.kube.apiserver import Answer, ApiServer, connected, ok, refuse

REVIEWS = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


def told(user: object) -> dict[str, object]:
    """A SelfSubjectReview as the API server answers it."""
    return {"kind": "SelfSubjectReview", "status": {"userInfo": user}}


async def test_name(tmp_path: Path) -> None:
    """The name is the one of the API server's answer."""
    async with ApiServer() as server, connected(server, tmp_path) as client:
        server.on("POST", REVIEWS, ok(told({"username": "system:serviceaccount:a:b"})))
        assert await connections.username(client) == "system:serviceaccount:a:b"


@pytest.mark.parametrize(
    "answer",
    [
        refuse(403, "Forbidden"),
        refuse(404, "NotFound"),
        ok(told({"username": ""})),
        ok(told({"username": None})),
        ok(told(None)),
        ok({}),
    ],
)
async def test_not_told(tmp_path: Path, answer: Answer) -> None:
    """A bridge without a name would hold nobody off its marks, so it does not start."""
    async with ApiServer() as server, connected(server, tmp_path) as client:
        server.on("POST", REVIEWS, answer)
        with pytest.raises(ConfigError, match="who the bridge is"):
            await connections.username(client)


async def test_not_answered(tmp_path: Path) -> None:
    """An API server that is away for the moment is asked again, and never taken for a no."""
    async with ApiServer() as server, connected(server, tmp_path) as client:
        for _ in range(20):
            server.on("POST", REVIEWS, refuse(503, "ServiceUnavailable"))
        with pytest.raises(Unreachable):
            await connections.username(client)
