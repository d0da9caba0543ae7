"""The extender protocol (k8s.io/kube-scheduler/extender/v1) from the scheduler's side."""

import json
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from bridge.errors import BridgeError
from bridge.sim.kube.apiserver.objects import Object, encode


class ExtenderFailure(BridgeError):
    """The extender gave no usable answer, or said `Error`."""


@dataclass(frozen=True, slots=True)
class ExtenderConfig:
    """What KubeSchedulerConfiguration says of one extender, with its field's meanings."""

    url_prefix: str
    filter_verb: str = ""
    prioritize_verb: str = ""
    bind_verb: str = ""
    weight: int = 1
    node_cache_capable: bool = True
    ignorable: bool = False
    http_timeout_s: float = 5.0
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    """Trusts the extender's certificate and carries the scheduler's own."""


@dataclass(frozen=True, slots=True)
class Filtered:
    """What is left of the candidates, and why the others are not."""

    nodes: tuple[str, ...]
    refused: Mapping[str, str]


class Extender:
    """Speaks to one extender."""

    def __init__(self, config: ExtenderConfig) -> None:
        self.config = config
        self._session: aiohttp.ClientSession | None = None
        self.calls = 0
        """Calls made so far."""

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def filter(self, pod: Object, candidates: Mapping[str, Object]) -> Filtered:
        """Ask which of the candidates (nodes by name) the pod may go to. Raises ExtenderFailure."""
        if not self.config.filter_verb:
            return Filtered(tuple(candidates), {})
        answer = await self._call(self.config.filter_verb, self._args(pod, candidates))
        if not isinstance(answer, dict):
            raise ExtenderFailure(f"extender {self.config.url_prefix} answered no object")
        if answer.get("Error"):
            raise ExtenderFailure(str(answer["Error"]))
        names = _names(answer)
        for name in names:
            if name not in candidates:
                raise ExtenderFailure(
                    f'extender "{self.config.url_prefix}" claims a filtered node "{name}" which '
                    "is not found in the input node list"
                )
        refused = {
            **(answer.get("FailedNodes") or {}),
            **(answer.get("FailedAndUnresolvableNodes") or {}),
        }
        return Filtered(tuple(names), refused)

    async def prioritize(self, pod: Object, candidates: Mapping[str, Object]) -> dict[str, int]:
        """Ask for scores (times the weight). A failure counts as no opinion, as in the real one."""
        if not self.config.prioritize_verb:
            return {}
        try:
            answer = await self._call(self.config.prioritize_verb, self._args(pod, candidates))
        except ExtenderFailure:
            return {}
        if not isinstance(answer, list):
            return {}
        return {entry["Host"]: entry["Score"] * self.config.weight for entry in answer}

    async def bind(self, pod: Object, node: str) -> None:
        """Let the extender bind the pod. Raises ExtenderFailure."""
        metadata = pod["metadata"]
        answer = await self._call(
            self.config.bind_verb,
            {
                "PodName": metadata["name"],
                "PodNamespace": metadata["namespace"],
                "PodUID": metadata["uid"],
                "Node": node,
            },
        )
        if isinstance(answer, dict) and answer.get("Error"):
            raise ExtenderFailure(str(answer["Error"]))

    def _args(self, pod: Object, candidates: Mapping[str, Object]) -> Object:
        shown = _bare(pod)
        if self.config.node_cache_capable:
            return {"Pod": shown, "Nodes": None, "NodeNames": list(candidates)}
        nodes = {"metadata": {}, "items": [_bare(node) for node in candidates.values()]}
        return {"Pod": shown, "Nodes": nodes, "NodeNames": None}

    async def _call(self, verb: str, args: Object) -> Any:
        url = f"{self.config.url_prefix.rstrip('/')}/{verb}"
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self.config.http_timeout_s)
            )
        self.calls += 1
        try:
            async with self._session.post(
                url,
                data=encode(args),
                headers={"Content-Type": "application/json"},
                ssl=self.config.tls or True,
            ) as answer:
                body = await answer.read()
                code = answer.status
        except TimeoutError as problem:
            raise ExtenderFailure(
                f'Post "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting '
                "headers)"
            ) from problem
        except (aiohttp.ClientError, OSError) as problem:
            raise ExtenderFailure(f'Post "{url}": {problem}') from problem
        if code != 200:
            raise ExtenderFailure(
                f"failed {verb} with extender at URL {self.config.url_prefix}, code {code}"
            )
        try:
            return json.loads(body)
        except ValueError as problem:
            raise ExtenderFailure(f"{url} answered no JSON: {problem}") from problem


def _bare(obj: Object) -> Object:
    """Without kind and apiVersion: what Go's informers hold has neither."""
    return {key: value for key, value in obj.items() if key not in ("kind", "apiVersion")}


def _names(answer: Object) -> Sequence[str]:
    if answer.get("NodeNames") is not None:
        return list(answer["NodeNames"])
    if answer.get("Nodes") is not None:
        return [node["metadata"]["name"] for node in answer["Nodes"].get("items") or ()]
    return []
