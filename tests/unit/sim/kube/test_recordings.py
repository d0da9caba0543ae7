"""The embedded API server answers what the real one answered.

The recordings are made by `python -m tests.recording.kube` from Kubernetes 1.36.
"""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bridge.clock import SystemClock
from bridge.sim.kube.apiserver import kinds
from bridge.sim.kube.apiserver.core import ApiServer, Target
from bridge.sim.kube.apiserver.faults import Faults
from bridge.sim.kube.apiserver.http import HttpServer
from bridge.sim.kube.apiserver.store import Store
from bridge.sim.kube.apiserver.webhooks import HttpsWebhooks
from tests.recording.kube.story import Reply, Step, Thread

Json = Any

RECORDINGS = Path(__file__).parents[1] / "recordings" / "kube"
NAMES = sorted(path.stem for path in RECORDINGS.glob("*.json"))


class _Player:
    """Performs recorded requests against an embedded API server without any controller."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    async def send(self, thread: Thread, step: Step) -> Reply:
        body = thread.fill(step.body)
        async with self._session.request(
            step.method,
            self._url + thread.fill(step.path),
            data=None if body is None else json.dumps(body),
            headers={"Content-Type": step.content_type},
        ) as answer:
            text = await answer.text()
            warnings = tuple(answer.headers.getall("Warning", []))
        try:
            parsed = json.loads(text)
        except ValueError:
            lines = text.splitlines()
            parsed = [json.loads(line) for line in lines] if text.startswith("{") else text
        return Reply(answer.status, parsed, warnings)


@pytest.fixture
async def player() -> AsyncIterator[_Player]:
    """An API server of its own, with the namespaces that the scenarios use."""
    store = Store()
    webhooks = HttpsWebhooks(store)
    api = ApiServer(clock=SystemClock(), webhooks=webhooks, store=store)
    for name in ["default", *(f"rec-{name}" for name in NAMES)]:
        await api.create(Target(kinds.NAMESPACES), {"metadata": {"name": name}})
    http = HttpServer(api, faults=Faults())
    await http.start()
    async with aiohttp.ClientSession() as session:
        yield _Player(f"http://127.0.0.1:{http.port}", session)
    await http.stop()
    await webhooks.close()
    assert http.crashes == []


@pytest.mark.parametrize("name", NAMES)
async def test_answers_as_the_real_one(player: _Player, name: str) -> None:
    """Each request of a recorded scenario gets the recorded answer."""
    recording = json.loads((RECORDINGS / f"{name}.json").read_text())
    if name == "custom":
        await _define_wonders(player)
    thread = Thread()
    differences = []
    for kept in recording["steps"]:
        step = Step.from_json(kept)
        reply = await player.send(thread, step)
        if isinstance(reply.body, dict):
            thread.keep(step.keep, reply.body)
        ours = {
            "status": reply.status,
            "warnings": list(reply.warnings),
            "answer": _comparable(thread.normal(reply.body)),
        }
        theirs = {
            "status": kept["status"],
            "warnings": kept.get("warnings", []),
            "answer": _comparable(kept["answer"]),
        }
        if ours != theirs:
            differences.append(f"\n{step.name}: {step.method} {step.path}")
            differences += _differences(ours, theirs, "")
    assert not differences, "\n".join(differences)


async def _define_wonders(player: _Player) -> None:
    others = json.loads((RECORDINGS / "others.json").read_text())
    definition = next(one for one in others["steps"] if one["name"] == "a definition")
    await player.send(Thread(), Step.from_json(definition))


def _comparable(answer: Json) -> Json:
    """An answer without what the embedded server leaves out on purpose."""
    if isinstance(answer, list):
        return [_comparable(one) for one in answer]
    if not isinstance(answer, dict):
        return answer
    if answer.get("kind") == "Status" and answer.get("status") == "Failure":
        return {
            **answer,
            "message": _substance(answer.get("message", "")),
            "details": _details(answer),
        }
    kind = answer.get("kind")
    if kind == "Job":  # the real one's Job controller was there already
        answer = {key: value for key, value in answer.items() if key != "status"}
    if kind == "Node":
        answer = {**answer, "metadata": _without_ttl(answer["metadata"])}
    return {key: _comparable(value) for key, value in answer.items()}


def _without_ttl(metadata: Json) -> Json:
    """A Node's metadata without the annotation that one of the real controllers adds."""
    annotations = metadata.get("annotations") or {}
    if set(annotations) != {"node.alpha.kubernetes.io/ttl"}:
        return metadata
    return {key: value for key, value in metadata.items() if key != "annotations"}


def _details(answer: Json) -> Json:
    details = dict(answer.get("details") or {})
    causes = {
        (cause.get("reason", ""), cause.get("field", ""))
        for cause in details.get("causes") or ()
        if cause.get("field")
    }
    return {**details, "causes": sorted(causes)}


def _substance(message: str) -> str:
    """A message without Go's way of printing structures."""
    first = message.split("\n")[0]
    for vague in ("unable to parse requirement", "couldn't get version/kind; json parse error"):
        if vague in first:
            return first.split(vague)[0] + vague
    first = re.sub(r' in scheme "[^"]*"|, current: \d+', "", first)
    return re.sub(r"((?:Invalid|Duplicate) value: )(\{.*?\}|\[.*?\]|\S+?)(?=: )", r"\1…", first)


def _differences(ours: Json, theirs: Json, path: str) -> list[str]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        found = []
        for key in sorted(ours.keys() | theirs.keys()):
            left, right = ours.get(key, "(absent)"), theirs.get(key, "(absent)")
            if left != right:
                found += _differences(left, right, f"{path}.{key}")
        return found
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        found = []
        for index, (left, right) in enumerate(zip(ours, theirs, strict=True)):
            if left != right:
                found += _differences(left, right, f"{path}[{index}]")
        return found
    return [f"  {path}\n    ours:   {ours!r}\n    theirs: {theirs!r}"]
