"""What a bridge finds when it starts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bridge import config
from tests.unit.kube.apiserver import ApiServer, kubeconfig, ok

REVIEWS = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
SYSTEM = "/api/v1/namespaces/kube-system"


def told(user: object) -> dict[str, object]:
    """A SelfSubjectReview as the API server answers it."""
    return {"kind": "SelfSubjectReview", "status": {"userInfo": user}}


@asynccontextmanager
async def surroundings(folder: Path, **sections: Any) -> AsyncIterator[config.Settings]:
    """Settings with these sections, and an API server that answers all that a start asks for."""
    async with ApiServer() as server:
        server.on("POST", REVIEWS, ok(told({"username": "bridge"})))
        server.on("GET", SYSTEM, ok({"metadata": {"uid": "the-cluster"}}))
        file = await asyncio.to_thread(kubeconfig, folder / "config", server.url)
        kubernetes = {"kubernetes": {"kubeconfig": str(file)}}
        yield config.Settings.model_validate({**kubernetes, **sections})
