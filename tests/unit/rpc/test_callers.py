"""Who asks, and what he may see: as the API server says, and no token goes further."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge.config import KubernetesSettings
from bridge.kube.api.client import KubeClient
from bridge.rpc.callers import (
    KNOWN_S,
    Access,
    Caller,
    Callers,
    NotAllowed,
    NotKnown,
    NotReviewed,
)
from tests.unit.kube.apiserver import ApiServer, JumpClock, kubeconfig, ok, raw, refuse

TOKENS = "/apis/authentication.k8s.io/v1/tokenreviews"
ACCESS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
SECRET = "a-secret-token"
ANN = Caller("ann", "u-1", ("dev",), (("scope", ("a", "b")),))
KNOWN = {
    "authenticated": True,
    "user": {"username": "ann", "uid": "u-1", "groups": ["dev"], "extra": {"scope": ["a", "b"]}},
}
LIST = Access("list", "pods", "team")


def said(status: Any) -> Any:
    return ok({"status": status}, status=201)


@asynccontextmanager
async def asking(folder: Path) -> AsyncIterator[tuple[ApiServer, Callers, JumpClock]]:
    clock = JumpClock()
    async with ApiServer() as server:
        file = await asyncio.to_thread(kubeconfig, folder / "config", server.url)
        settings = KubernetesSettings(kubeconfig=str(file))
        client = await KubeClient.connect(settings, clock=clock)
        try:
            yield server, Callers(client, clock=clock), clock
        finally:
            await client.close()


async def test_a_token_is_reviewed_once_in_a_while(tmp_path: Path) -> None:
    """The user with all that rights may hang on; after ten seconds he is asked about again."""
    async with asking(tmp_path) as (server, callers, clock):
        server.on("POST", TOKENS, said(KNOWN), said({"authenticated": False}))
        found = await asyncio.gather(*(callers.who(f"Bearer {SECRET}") for _ in range(5)))
        assert found == [ANN] * 5
        assert len(server.seen("POST", TOKENS)) == 1
        assert server.seen("POST", TOKENS)[0].body["spec"] == {"token": SECRET}
        clock.now += KNOWN_S + 1
        with pytest.raises(NotKnown):
            await callers.who(f"Bearer {SECRET}")


@pytest.mark.parametrize(
    "shown", ["", "Bearer", "Bearer ", "Basic abc", SECRET, "Bearer " + "x" * 20_000]
)
async def test_who_shows_no_token_costs_no_request(tmp_path: Path, shown: str) -> None:
    """And is told what to send."""
    async with asking(tmp_path) as (server, callers, _):
        with pytest.raises(NotKnown, match="authorization: Bearer TOKEN"):
            await callers.who(shown)
        assert not server.requests


@pytest.mark.parametrize(
    "answer",
    [
        refuse(403, "Forbidden", f"no {SECRET}"),
        refuse(500, "InternalError", f"failed at {SECRET}"),
        raw(f'{{"spec": {{"token": "{SECRET}"}}, garbled'.encode(), status=201),
    ],
)
async def test_no_error_has_the_token(tmp_path: Path, answer: Any) -> None:
    """Whatever the API server answers; nor has its cause."""
    async with asking(tmp_path) as (server, callers, _):
        server.on("POST", TOKENS, answer)
        with pytest.raises(NotReviewed) as caught:
            await callers.who(f"Bearer {SECRET}")
        error: BaseException | None = caught.value
        while error is not None:
            assert SECRET not in str(error)
            error = error.__cause__ or error.__context__
        assert SECRET not in repr(vars(callers))


async def test_rights_are_asked_as_the_user(tmp_path: Path) -> None:
    """With groups and extra; and again after a while, as rights are taken back too."""
    async with asking(tmp_path) as (server, callers, clock):
        server.on("POST", ACCESS, said({"allowed": True}), said({"allowed": False}))
        await callers.check(ANN, LIST)
        await callers.check(ANN, LIST)
        (request,) = server.seen("POST", ACCESS)
        assert request.body["spec"] == {
            "user": "ann",
            "uid": "u-1",
            "groups": ["dev"],
            "extra": {"scope": ["a", "b"]},
            "resourceAttributes": {"verb": "list", "resource": "pods", "namespace": "team"},
        }
        with pytest.raises(NotAllowed, match='user "ann" may not list nodes at cluster scope'):
            await callers.check(ANN, Access("list", "nodes"))
        clock.now += KNOWN_S + 1
        with pytest.raises(NotAllowed):
            await callers.check(ANN, LIST)


async def test_denied_is_not_allowed(tmp_path: Path) -> None:
    """An authorizer may say both."""
    async with asking(tmp_path) as (server, callers, _):
        server.on("POST", ACCESS, said({"allowed": True, "denied": True}))
        with pytest.raises(NotAllowed):
            await callers.check(ANN, LIST)


async def test_many_wrong_tokens_do_not_take_the_bridges_requests(tmp_path: Path) -> None:
    """They wait for one another, and after a while none more is taken."""
    async with asking(tmp_path) as (server, callers, clock):
        server.on("POST", TOKENS, said({"authenticated": False}))
        shown = (callers.who(f"Bearer token-{number}") for number in range(400))
        found = await asyncio.gather(*shown, return_exceptions=True)
        kinds = {type(one).__name__ for one in found}
        assert kinds == {"NotKnown", "TooMany"}
        assert len(server.seen("POST", TOKENS)) <= 200
        assert sum(clock.slept) > 1.0, "beyond the burst there are twenty a second"


def test_nothing_secret_is_kept(tmp_path: Path) -> None:
    """Tokens are kept as hashes only."""

    async def ask() -> str:
        async with asking(tmp_path) as (server, callers, _):
            server.on("POST", TOKENS, said(KNOWN))
            await callers.who(f"Bearer {SECRET}")
            return json.dumps(list(map(repr, callers._users._known)))

    assert SECRET not in asyncio.run(ask())
