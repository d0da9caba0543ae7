"""Perform the scenarios against a real API server and write the recordings."""

import argparse
import base64
import json
import ssl
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.recording.kube import refusals, scenarios
from tests.recording.kube.story import Json, Reply, Step, Thread, shown

RECORDINGS = Path(__file__).parents[2] / "unit" / "sim" / "recordings" / "kube"


class Cluster:
    """The API server that a kubeconfig with a client certificate or a token names."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        cluster = config["clusters"][0]["cluster"]
        user = config["users"][0]["user"]
        self._url = cluster["server"].rstrip("/")
        self._headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
        self._tls = ssl.create_default_context(cadata=_material(cluster, "certificate-authority"))
        if "client-certificate" in user or "client-certificate-data" in user:
            with tempfile.TemporaryDirectory() as folder:
                pair = Path(folder, "pair.pem")
                pair.touch(mode=0o600)
                pair.write_text(
                    _material(user, "client-certificate") + _material(user, "client-key")
                )
                self._tls.load_cert_chain(pair)

    def send(
        self, method: str, path: str, body: Json = None, content_type: str = "application/json"
    ) -> Reply:
        """One request."""
        request = urllib.request.Request(
            self._url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={**self._headers, "Content-Type": content_type},
        )
        try:
            with urllib.request.urlopen(request, timeout=30, context=self._tls) as answer:
                return _reply(answer.status, answer.read(), answer.headers)
        except urllib.error.HTTPError as error:
            return _reply(error.code, error.read(), error.headers)


def play(cluster: Cluster, story: scenarios.Story) -> Json:
    """Perform one scenario in a namespace of its own; give the recording."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": story.namespace}}
    cluster.send("POST", "/api/v1/namespaces", namespace)
    account = f"/api/v1/namespaces/{story.namespace}/serviceaccounts/default"
    for _ in range(100):
        if cluster.send("GET", account).status == 200:
            break
        time.sleep(0.1)
    thread = Thread()
    steps = [_perform(cluster, thread, step) for step in story.steps]
    return {"name": story.name, "about": story.about, "steps": steps}


def _perform(cluster: Cluster, thread: Thread, step: Step) -> Json:
    reply = cluster.send(
        step.method, thread.fill(step.path), thread.fill(step.body), step.content_type
    )
    if isinstance(reply.body, dict):
        thread.keep(step.keep, reply.body)
    kept = {**step.as_json(), "status": reply.status, "answer": thread.normal(reply.body)}
    if reply.warnings:
        kept["warnings"] = list(reply.warnings)
    return kept


def _clear(cluster: Cluster, story: scenarios.Story, *, timeout_s: float = 60.0) -> None:
    """Remove the namespace, so that the scenario can be recorded again at once."""
    path = f"/api/v1/namespaces/{story.namespace}"
    cluster.send("DELETE", f"{story.pods}?gracePeriodSeconds=0")
    cluster.send("DELETE", path)
    deadline = time.monotonic() + timeout_s
    while cluster.send("GET", path).status != 404:
        if time.monotonic() > deadline:
            raise TimeoutError(f"namespace {story.namespace} does not go; what is left in it?")
        time.sleep(0.2)


def _reply(status: int, content: bytes, headers: Any) -> Reply:
    text = content.decode()
    warnings = tuple(headers.get_all("Warning") or ())
    try:
        return Reply(status, json.loads(text), warnings)
    except ValueError:
        pass
    try:
        return Reply(status, [json.loads(line) for line in text.splitlines()], warnings)
    except ValueError:
        return Reply(status, text, warnings)


def _material(part: Mapping[str, str], name: str) -> str:
    if f"{name}-data" in part:
        return base64.b64decode(part[f"{name}-data"]).decode()
    return Path(part[name]).read_text()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.recording.kube", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("only", nargs="*", help="names of scenarios (default: all)")
    options = parser.parse_args()
    cluster = Cluster(options.kubeconfig)
    RECORDINGS.mkdir(parents=True, exist_ok=True)
    for tell in (*scenarios.ALL, *refusals.ALL):
        story = tell()
        if options.only and story.name not in options.only:
            continue
        recording = play(cluster, story)
        (RECORDINGS / f"{story.name}.json").write_text(shown(recording))
        _clear(cluster, story)
        print(f"{story.name:<12} {len(recording['steps'])} answers")
    cluster.send("DELETE", scenarios.DEFINITION)


if __name__ == "__main__":
    main()
