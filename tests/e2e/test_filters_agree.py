"""Random pods on random clusters: the placement core allows the nodes that kube-scheduler's own
filters allow.

A stock kube-scheduler says which nodes pass its filters when it asks its extender. This one's notes
them and lets none through, so that every pod can be asked about on the same cluster. Cluster after
cluster is made anew; FILTER_ROUNDS of them, of which each is asked about with 40 pods.
"""

import json
import os
import random
import ssl
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from bridge.kube.objects import namespaces as kube_namespaces
from bridge.kube.objects import nodes as kube_nodes
from bridge.kube.objects import pods as kube_pods
from bridge.placement.filters import feasible
from bridge.state.kube_state import KubeState
from tests.arena import manifests
from tests.arena.api import Kubernetes, Object, wait_for
from tests.e2e.stack import Pool, Stack

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

PORT_BASE = 30700
SCHEDULER = "slurm-bridge-scheduler"
SEED = 13
EVERY_DAY = 3
ROUNDS = int(os.environ.get("FILTER_ROUNDS", str(EVERY_DAY)))
CANDIDATES, PLACED = 40, 14
HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
KEYS = (HOST, HOST, ZONE, ZONE, "kind", "missing")
NAMESPACES = {"team": {"org": "x"}, "other": {"org": "y"}, "bare": {}}


class Noted(ThreadingHTTPServer):
    """An extender that lets no node through; `passed` has what kube-scheduler offered, by pod."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.passed: dict[str, frozenset[str]] = {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """For `extenders` in kube-scheduler's configuration."""
        return f"https://127.0.0.1:{self.server_address[1]}/scheduler"


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert isinstance(self.server, Noted)
        offered = frozenset(asked["NodeNames"])
        self.server.passed[asked["Pod"]["metadata"]["name"]] = offered
        no = {"NodeNames": [], "FailedNodes": dict.fromkeys(offered, "noted")}
        body = json.dumps(no).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Eight nodes in two zones, two of them tainted, of two kinds."""
    if os.geteuid() != 0:
        pytest.skip("the stack mounts and chroots: needs root")
    with Stack.fresh("filters", PORT_BASE) as stack:
        common: dict[str, Any] = {"gpus": 0, "external": False, "cpus": 8, "zones": ("a", "b")}
        stack.create_nodes(Pool(count=4, prefix="one", labels={"kind": "1"}, **common))
        taint = {"key": "x", "value": "y", "effect": "NoSchedule"}
        stack.create_nodes(Pool(count=2, prefix="two", labels={"kind": "2"}, **common))
        stack.create_nodes(Pool(count=2, prefix="bad", taints=(taint,), **common))
        yield stack


@pytest.fixture(scope="module")
def noted(stack: Stack) -> Iterator[Noted]:
    """The extender of the second kube-scheduler."""
    ca, certificate, key = stack.bridge_tls
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    server = Noted(tls)
    stack.start_bridge_scheduler(extender_url=server.url, ca=ca)
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def kubernetes(stack: Stack) -> Iterator[Kubernetes]:
    """The API server, with namespaces of several labels."""
    api = Kubernetes(stack.kubeconfig)
    for name, labels in NAMESPACES.items():
        api.create(manifests.namespace(name, **labels))
    yield api
    api.close()


@pytest.mark.parametrize("number", range(ROUNDS))
def test_the_core_allows_what_kube_scheduler_allows(
    kubernetes: Kubernetes, noted: Noted, number: int
) -> None:
    """Resources, ports, taints, selectors, affinity to nodes and pods, anti-affinity in both
    directions, topology spread. With `minDomains` the core may allow fewer: it also asks what
    kube-scheduler will say when the pod has its pin."""
    dice = random.Random(f"{SEED}/{number}")
    every = [node["metadata"]["name"] for node in kubernetes.get("/api/v1/nodes")["items"]]
    for at in range(PLACED):
        pod = _pod(dice, f"placed-{number}-{at}", dice.choice(tuple(NAMESPACES)))
        kubernetes.create(
            {**pod, "spec": {**pod["spec"], "nodeName": dice.choice(every), "nodeSelector": {}}}
        )
    placed = wait_for("the placed pods run", lambda: _running(kubernetes))
    cluster = _cluster(kubernetes, placed)
    asked = (_pod(dice, f"asked-{number}-{at}", "team") for at in range(CANDIDATES))
    candidates = [kubernetes.create(one) for one in asked]
    wanted = {one["metadata"]["name"]: _allowed(cluster, one) for one in candidates}
    try:
        for one in candidates:
            name = one["metadata"]["name"]
            wait_for(
                f"{name} is allowed {sorted(wanted[name])}: {json.dumps(one['spec'])}",
                lambda: _agrees(kubernetes, noted, one, wanted[name]),  # noqa: B023
                seconds=30,
            )
    finally:
        for name in NAMESPACES:
            for pod in kubernetes.pods(name):
                kubernetes.delete(f"/api/v1/namespaces/{name}/pods/{pod['metadata']['name']}")
        wait_for("all are gone", lambda: not any(map(kubernetes.pods, NAMESPACES)), seconds=60)
    sizes = {len(nodes) for nodes in wanted.values()}
    is_odd = number >= EVERY_DAY  # now and then one pod keeps all others away from everywhere
    assert is_odd or len(sizes) > 3, "most pods may run on some nodes"


def _agrees(kubernetes: Kubernetes, noted: Noted, pod: Object, wanted: frozenset[str]) -> bool:
    name = pod["metadata"]["name"]
    offered = noted.passed.get(name)
    if offered is None:
        now = kubernetes.pod("team", name)
        conditions = (now or {}).get("status", {}).get("conditions") or ()
        if not any(one["type"] == "PodScheduled" for one in conditions):
            return False
        offered = frozenset()
    is_narrowed = any(
        one.get("minDomains", 1) > 1 for one in pod["spec"].get("topologySpreadConstraints", ())
    )
    return wanted <= offered if is_narrowed else wanted == offered


def _running(kubernetes: Kubernetes) -> list[Object] | None:
    pods = [pod for name in NAMESPACES for pod in kubernetes.pods(name)]
    run = [pod for pod in pods if (pod.get("status") or {}).get("phase") == "Running"]
    return run if len(run) == PLACED else None


def _cluster(kubernetes: Kubernetes, placed: list[Object]) -> KubeState:
    """What the bridge's watches would tell."""
    found = KubeState(scheduler_name=SCHEDULER)
    for raw in kubernetes.get("/api/v1/namespaces")["items"]:
        row = kube_namespaces.parse(raw)
        found.namespaces[row.name] = row
    for raw in kubernetes.get("/api/v1/nodes")["items"]:
        found.upsert_node(kube_nodes.parse(raw))
    for raw in placed:
        found.upsert_other(kube_pods.parse(raw))
    return found


def _allowed(cluster: KubeState, pod: Object) -> frozenset[str]:
    row = kube_pods.parse(pod)
    snapshot = cluster.table.snapshot()
    return frozenset(feasible(snapshot, row.shape, now=True, identity=row.identity).names())


def _pod(dice: random.Random, name: str, namespace: str) -> Object:
    """A pod with a few conditions of every kind."""
    labels = {"app": dice.choice("ab")}
    if dice.random() < 0.5:
        labels["tier"] = dice.choice(("x", ""))
    terms: dict[str, Any] = {
        kind: {"requiredDuringSchedulingIgnoredDuringExecution": [_term(dice)]}
        for kind, share in (("podAffinity", 0.25), ("podAntiAffinity", 0.3))
        if dice.random() < share
    }
    if dice.random() < 0.2:
        values = dice.sample(("a", "b", "c"), 2)
        operator = dice.choice(("In", "NotIn"))
        expression = {"key": ZONE, "operator": operator, "values": values}
        terms["nodeAffinity"] = {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [expression]}]
            }
        }
    container: dict[str, Any] = {
        "name": "c",
        "image": "example.invalid/main:1",
        "resources": {"requests": {"cpu": dice.choice(("100m", "500m", "2", "5"))}},
    }
    if dice.random() < 0.2:
        port = dice.choice((80, 81))
        container["ports"] = [{"containerPort": port, "hostPort": port}]
    spec: dict[str, Any] = {
        "schedulerName": SCHEDULER,
        "containers": [container],
        "affinity": terms,
        "tolerations": [{"key": "x", "operator": "Exists"}] if dice.random() < 0.5 else [],
        "nodeSelector": {"kind": dice.choice("12")} if dice.random() < 0.2 else {},
        "topologySpreadConstraints": [
            _spread(dice, key)
            for key in dict.fromkeys(dice.choices(KEYS[:5], k=2))
            if dice.random() < 0.3
        ],
    }
    meta = {"name": name, "namespace": namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def _term(dice: random.Random) -> Object:
    term: dict[str, Any] = {"topologyKey": dice.choice(KEYS), "labelSelector": _selector(dice)}
    kind = dice.random()
    if kind < 0.2:
        term["namespaces"] = dice.sample(("team", "other", "absent"), 2)
    elif kind < 0.4:
        term["namespaceSelector"] = dice.choice(
            ({}, {"matchExpressions": [{"key": "org", "operator": "Exists"}]})
        )
    _match_label_keys(dice, term)
    return term


def _selector(dice: random.Random) -> Mapping[str, Any]:
    kind = dice.random()
    if kind < 0.4:
        return {"matchLabels": {"app": dice.choice("ab")}}
    if kind < 0.5:
        return {}
    operator = dice.choice(("In", "NotIn", "Exists", "DoesNotExist"))
    one: dict[str, Any] = {"key": dice.choice(("app", "tier")), "operator": operator}
    if operator in ("In", "NotIn"):
        one["values"] = [dice.choice(("a", "x"))]
    return {"matchExpressions": [one]}


def _spread(dice: random.Random, key: str) -> Object:
    constraint: dict[str, Any] = {
        "topologyKey": key,
        "maxSkew": dice.choice((1, 2)),
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": _selector(dice),
    }
    for policy in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
        if dice.random() < 0.3:
            constraint[policy] = dice.choice(("Honor", "Ignore"))
    if dice.random() < 0.15:
        constraint["minDomains"] = dice.choice((2, 3))
    _match_label_keys(dice, constraint)
    return constraint


def _match_label_keys(dice: random.Random, about: dict[str, Any]) -> None:
    """The API server takes a key in one of both places only."""
    if dice.random() < 0.2 and "tier" not in json.dumps(about["labelSelector"]):
        about["matchLabelKeys"] = ["tier"]
