"""The pod webhooks of played controllers: an HTTPS server that the API server asks."""

import base64
import contextlib
import http.server
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.arena.api import Kubernetes, Object
from tests.arena.controllers.world import World

_CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
_NAME = "played-controllers"
"""Sorts before the bridge's, as the real ones' names do: the API server asks in that order."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """One controller's: what it makes of new pods that carry `label`.

    `mutate` gives the pod as it is to be; a PermissionError of it refuses the pod.
    """

    name: str
    label: str
    mutate: Callable[[World, Object], Object]


@contextlib.contextmanager
def serving(
    webhooks: list[Webhook],
    kubernetes: Kubernetes,
    world: World,
    errors: list[BaseException],
    *,
    tls: tuple[Path, Path, Path],
) -> Iterator[None]:
    """Serve and register them while the context lasts; what goes wrong is put into `errors`."""
    by_name = {one.name: one for one in webhooks}

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            try:
                webhook = by_name[self.path.partition("?")[0].strip("/")]
                answer = _answer(world, webhook, review["request"])
            except Exception as error:
                errors.append(error)
                raise
            head = {key: review[key] for key in ("apiVersion", "kind")}
            body = json.dumps({**head, "response": answer}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tls[1], tls[2])
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        kubernetes.delete(f"{_CONFIGURATIONS}/{_NAME}")
        kubernetes.create(_registration(webhooks, server.server_address[1], tls[0]))
        yield
    finally:
        kubernetes.delete(f"{_CONFIGURATIONS}/{_NAME}")
        server.shutdown()
        server.server_close()


def _registration(webhooks: list[Webhook], port: int, authority: Path) -> Object:
    bundle = base64.b64encode(authority.read_bytes()).decode()
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["pods"],
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": _NAME},
        "webhooks": [
            {
                "name": f"{one.name}.controllers.example.org",
                "clientConfig": {"url": f"https://127.0.0.1:{port}/{one.name}", "caBundle": bundle},
                "rules": [rule],
                "objectSelector": {"matchExpressions": [{"key": one.label, "operator": "Exists"}]},
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
            }
            for one in webhooks
        ],
    }


def _answer(world: World, webhook: Webhook, request: Object) -> Object:
    pod = request["object"]
    try:
        changed = webhook.mutate(world, pod)
    except PermissionError as refusal:
        status = {"code": 403, "message": str(refusal)}
        return {"uid": request["uid"], "allowed": False, "status": status}
    patch = [
        {"op": "replace", "path": f"/{part}", "value": changed[part]}
        for part in ("metadata", "spec")
        if changed[part] != pod[part]
    ]
    encoded = base64.b64encode(json.dumps(patch).encode()).decode()
    return {"uid": request["uid"], "allowed": True, "patchType": "JSONPatch", "patch": encoded}
