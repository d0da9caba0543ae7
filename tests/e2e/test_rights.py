"""deploy/rbac.yaml is what the bridge uses, no more and no less, by the API server's audit log."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from bridge import names
from tests.arena import manifests
from tests.arena.api import wait_for
from tests.arena.arena import NAMESPACE, PLAIN_NAMESPACE, Nodes
from tests.arena.fixtures import Begin
from tests.arena.real import RealArena

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(600),
    pytest.mark.skipif(os.geteuid() != 0, reason="the stack mounts and chroots: needs root"),
]

ROOT = Path(__file__).parents[2]
Right = tuple[str, str, str]
"""(API group, resource with its subresource, verb)"""

OWNERS = frozenset(
    {"batch", "apps", "jobset.x-k8s.io", "leaderworkerset.x-k8s.io", "scheduling.k8s.io",
     "scheduling.x-k8s.io", "kubeflow.org", "trainer.kubeflow.org", "ray.io"}
)  # fmt: skip
"""Groups of owners: each kind is read from the first pod on that names it (tests/flows/test_kinds);
tests/unit/kube/test_rbac.py holds the list."""
FROM_EVERYBODY = frozenset(
    {
        ("authentication.k8s.io", "selfsubjectreviews", "create"),
        ("authorization.k8s.io", "selfsubjectaccessreviews", "create"),
    }
)
"""What the API server grants to every user."""


def granted() -> set[Right]:
    """The rules of the shipped roles."""
    documents = yaml.safe_load_all((ROOT / "deploy" / "rbac.yaml").read_text())
    roles = [one for one in documents if one["kind"] in ("ClusterRole", "Role")]
    return {
        (group, resource, verb)
        for role in roles
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def used(log: Path) -> Iterator[Right]:
    """What was asked and granted."""
    for line in log.read_text().splitlines():
        event = json.loads(line)
        about = event.get("objectRef") or {}
        if event.get("annotations", {}).get("authorization.k8s.io/decision") != "allow":
            continue
        resource = "/".join(filter(None, (about.get("resource"), about.get("subresource"))))
        yield about.get("apiGroup", ""), resource, event["verb"]


def test_each_right_is_used_and_each_use_is_a_right(arena: RealArena, begin: Begin) -> None:
    """A node is registered; a pod is bound, told, and ended by Slurm; all is watched; and somebody
    asks why his pod waits."""
    begin(Nodes(count=1))
    ask(arena)
    arena.create(manifests.pod("runs", NAMESPACE, gpus=1))
    job = arena.job_of(arena.wait_bound("runs"))
    arena.slurm.cancel(int(job["job_id"]))
    arena.wait_gone("runs")
    arena.without_webhooks()
    arena.create(
        manifests.pod("waits", PLAIN_NAMESPACE, gpus=99, schedulerName=names.SCHEDULER_NAME)
    )
    told = wait_for("an event of a pod that is told", lambda: arena.kubernetes.events(NAMESPACE))
    assert told
    arena.register_webhooks("")
    log = arena.stack.layout.audit_log
    rights = {right for right in granted() if right[0] not in OWNERS}

    arena.hold_for(2.0, lambda: True)  # the audit log is written in batches
    asked = {right for right in used(log) if right[0] not in OWNERS}
    assert asked - rights - FROM_EVERYBODY == set(), "asked without a right in the shipped role"
    assert rights - asked <= SELDOM.keys(), "rights that nothing needs"


def ask(arena: RealArena) -> None:
    """`slurm-bridge queue`, by a service account that has no rights."""
    token = arena.bridge.folder / "somebodys-token"
    token.write_text(arena.token_of("somebody"))
    ca = arena.loopback_tls()[0]
    done = subprocess.run(
        [
            sys.executable, "-m", "bridge", "queue", "-n", NAMESPACE, "--ca", str(ca),
            "--server", f"127.0.0.1:{arena.api_port}", "--token-file", str(token),
        ],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "may not list pods in namespace team" in done.stderr, done.stderr


SELDOM: dict[Right, str] = {
    ("events.k8s.io", "events", "patch"): "counts an event that is said again a minute later",
    ("", "pods", "create"): "placeholder pods, in their own namespace (tests/flows/test_capacity)",
    **{
        ("coordination.k8s.io", "leases", verb): "of several controllers one leads"
        for verb in ("get", "create", "patch")
    },
    **{
        ("", "podtemplates", verb): "of requests for nodes (tests/flows/test_provisioning_requests)"
        for verb in ("create", "delete", "list")
    },
    **{
        ("autoscaling.x-k8s.io", "provisioningrequests", verb): "as the templates"
        for verb in ("create", "delete", "get", "list", "watch")
    },
    **{
        (
            "cluster.x-k8s.io",
            resource,
            verb,
        ): "nodes (tests/flows/test_scaled_objects)"
        for resource in ("machinedeployments", "machinedeployments/scale")
        for verb in ("get", "patch")
    },
    ("", "nodes/status", "patch"): "an admin has drained a node in Slurm (test_node_health)",
    ("", "pods", "get"): "a pod that has changed under a patch or a binding of ours is read again",
}
"""Rights that this story does not come to, and what for."""
