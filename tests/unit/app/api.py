"""An API server whose lists and watches a test fills, and objects as it sends them."""

import asyncio
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from bridge.kube.objects import namespaces, nodes, pods, volumes
from tests.builders import SCHEDULER
from tests.unit.kube.apiserver import ApiServer, event, listed

MINE, OTHERS = f"{pods.PATH} ours", f"{pods.PATH} others"
PATHS = (
    nodes.PATH, namespaces.PATH, volumes.CLASSES_PATH, volumes.VOLUMES_PATH, volumes.CLAIMS_PATH,
    MINE, OTHERS,
)  # fmt: skip
JOBS = "/apis/batch/v1/jobs"
Raw = dict[str, Any]


def a_raw(kind: str, name: str, version: int, **parts: Any) -> Raw:
    meta = {
        "name": name, "namespace": "team", "uid": f"uid-{name}", "resourceVersion": str(version),
        **parts.pop("meta", {}),
    }  # fmt: skip
    return {"kind": kind, "apiVersion": "v1", "metadata": meta, **parts}


def a_raw_pod(name: str, version: int = 1, *, scheduler: str = SCHEDULER, **parts: Any) -> Raw:
    """`node`, `phase` and `claim` as they are said."""
    asks = {"requests": {"cpu": "4"}}
    spec: Raw = {
        "schedulerName": scheduler,
        "containers": [{"name": "c", "image": "i", "resources": asks}],
    }
    if node := parts.pop("node", ""):
        spec["nodeName"] = node
    if claim := parts.pop("claim", ""):
        spec["volumes"] = [{"name": "v", "persistentVolumeClaim": {"claimName": claim}}]
    status = {"phase": parts.pop("phase", "Pending")}
    return a_raw("Pod", name, version, spec=spec, status=status, **parts)


def a_raw_node(
    name: str, version: int = 1, cpu: int = 64, beat: str = "", ready: str = "True"
) -> Raw:
    status = {
        "allocatable": {"cpu": str(cpu), "memory": "64Gi", "pods": "110"},
        "conditions": [{"type": "Ready", "status": ready, "lastHeartbeatTime": beat}],
    }
    return a_raw("Node", name, version, status=status)


class Api:
    """Lists what it has, and sends on each watch what is told."""

    def __init__(self, server: ApiServer) -> None:
        self.items: dict[str, list[Raw]] = {}
        self.held: set[str] = set()
        """Paths whose lists are not answered."""
        self._told: dict[str, asyncio.Queue[bytes]] = {}
        self._open: list[asyncio.Queue[bytes]] = []
        for path in {path.split()[0] for path in PATHS}:
            server.on("GET", path, self.answer)

    async def answer(self, server: ApiServer, request: web.Request) -> web.StreamResponse:
        path = request.path
        if path == pods.PATH:
            path = OTHERS if "!=" in request.query["fieldSelector"] else MINE
        if "watch" in request.query:
            return await self._watch(path, request)
        if path in self.held:
            await server.closing.wait()
        return web.json_response(listed(*self.items.get(path, ())))

    async def _watch(self, path: str, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        queue = self._told.setdefault(path, asyncio.Queue())
        self._open.append(queue)
        while line := await queue.get():
            await response.write(line)
        return response

    def close(self) -> None:
        """All watches end."""
        for queue in self._open:
            queue.put_nowait(b"")

    def tell(self, path: str, kind: str, obj: Mapping[str, Any]) -> None:
        """An event of the watch."""
        self._told.setdefault(path, asyncio.Queue()).put_nowait(event(kind, obj))
